"""The exported C against the native target base, bit for bit, and against the reference within the derived bound."""

from __future__ import annotations

import random as standard
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import cells
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.runtime import compile
from tidegate.verify import attach
from tidegate.verify.c_target import Library, build_library, find_compiler
from tidegate.verify.native_target import run_chunks
from tidegate.verify.replay import Replay
from tidegate.verify.samples import build_model, sample

sys.path.insert(0, str(Path(__file__).parent))
from random_tapes import random_tape

COMMAND = find_compiler()
pytestmark = pytest.mark.skipif(COMMAND is None, reason="no C compiler here")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
EVERY = [(name, dialect) for name in cells.names() for dialect in cells.list_dialects(name)]
STACKS: dict[str, dict[str, Any]] = {
    "scaled numbers": {"features": 5, "size": 9, "over": ("last",), "scale": True},
    "text, every pool": {"size": 13, "over": ("last", "mean", "max", "attention"), "norm": True, "dense": "tanh"},
    "two layers, added": {"features": 5, "size": 9, "depth": 3, "over": ("max", "attention")},
    "no recurrence": {"features": 3, "size": 6, "cell": None, "over": ("mean", "max"), "dense": "relu"},
    "no pool, no softmax": {"features": 4, "size": 7, "over": (), "dense": "sigmoid", "softmax": False},
    "the state alone": {"features": 4, "size": 10, "over": (), "outputs": None, "softmax": False},
    "one unit": {"features": 1, "size": 1, "over": ("last", "mean"), "norm": True},
    "embed alone": {"size": 4, "cell": None, "over": (), "outputs": None, "softmax": False},
    "convolution": {"features": 3, "size": 7, "conv": 4},
    "convolution of text": {"size": 5, "conv": 2, "cell": None, "over": ("max",)},
    "convolution of one step": {"features": 3, "size": 4, "conv": 1},
    "several ids": {"size": 6, "ids": 3, "over": ("mean",), "dense": "tanh"},
    "embed of several ids alone": {"size": 4, "ids": 6, "cell": None, "over": (), "outputs": None, "softmax": False},
}


def bits(pair: tuple[Any, Any]) -> list[Any]:
    """Return output and state as integers; every NaN is the same."""
    output = pair[0].copy()
    output[np.isnan(output)] = np.nan
    return [output.view(np.uint32).tolist(), pair[1].tolist()]


def assert_parity(
    model: Model, lengths: tuple[int, ...] = (1, 7), level: str = "-O1", may_lack_bound: bool = False
) -> None:
    """Check that runs of these lengths have the bits of base, in pieces too, and are within the bound, if one holds."""
    replay = Replay(attach(model, lengths=lengths))
    engine = compile(replay.model, "base", fused=False)
    assert COMMAND is not None
    with build_library(replay.model, COMMAND, level, *STRICT) as built:
        assert built.initial_state().tobytes() == replay.initial_state.tobytes()
        found = [built.run(built.initial_state(), x) for x in replay.x]
        expected = [run_chunks(engine, replay.initial_state, x, [len(x)]) for x in replay.x]
        assert list(map(bits, found)) == list(map(bits, expected))
        assert list(map(bits, found)) == [bits(built.run(replay.initial_state[0], x, pieces=True)) for x in replay.x]
    bounds = replay.target_bounds("base")
    result = replay.compare("c", level, replay.to_answers(found), bounds)
    assert result.ok or (may_lack_bound and result.ok is None), result


@pytest.mark.parametrize(("cell", "dialect"), EVERY, ids=lambda v: v if isinstance(v, str) else " ".join(v.values()))
def test_every_cell_and_dialect(cell: str, dialect: dict[str, str]) -> None:
    assert_parity(sample(seed=4, features=3, size=6, cell=cell, dialect=dialect))


@pytest.mark.parametrize("stack", STACKS)
def test_every_layer(stack: str) -> None:
    assert_parity(sample(seed=5, **STACKS[stack]), (1, 7, 37))


def test_a_cell_of_ones_own(root: Path) -> None:
    assert_parity(model_of(cells.load(str(root / "examples" / "leaky.py")).tape), (1, 7, 100))


def model_of(tape: Any, H: int = 5, seed: int = 0) -> Model:
    """Return a model of two numbers, a recurrent layer with this tape, and a dense layer."""
    builder = Builder(2)
    builder.tapes["own"] = tape
    more = {"project": max(1, H - 2)} if tape.has_projection else {}
    builder.add("recurrent", size=H, tape="own", cell="own", dialect={}, **more)
    builder.add("dense", size=3, activation="none")
    return build_model(builder.layers, seed, 2, None)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 32), st.booleans(), st.sampled_from((1, 2, 5)))
def test_any_tape(seed: int, projected: bool, H: int) -> None:
    tape = random_tape(seed, projected, steps=standard.Random(seed).randrange(1, 40))
    assert_parity(model_of(tape, H, seed), (1, 5), "-O0", may_lack_bound=True)


def test_nan_stays_nan_and_infinities_are_as_in_base() -> None:
    model = attach(sample(seed=1, features=3, size=6, over=("last", "mean", "max", "attention"), norm=True))
    engine, begin = compile(model, "base"), Replay(model).initial_state
    assert COMMAND is not None
    with build_library(model, COMMAND) as built:
        for odd in (np.nan, np.inf, -np.inf, 3e38):
            x = np.array([[0.5, 1, 2], [1, odd, 0], [1, 2, 3]], np.float32)
            expected = run_chunks(engine, begin, x, [3])
            assert same(built, begin[0], x, expected), odd
            assert np.isnan(expected[0]).all() or not np.isnan(odd)


def same(built: Library, begin: Any, x: Any, expected: tuple[Any, Any]) -> bool:
    output, block = built.run(begin, x)
    pairs = ((output, expected[0]), (block[8:].view(np.float32), expected[1][8:].view(np.float32)))
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "exp"])
def test_activations_are_those_of_base_on_a_sample_of_all_floats(name: str) -> None:
    every = np.arange(0, 0x7F800000, 60_013, dtype=np.uint32).view(np.float32)
    x = np.concatenate([every, -every, np.linspace(-20, 20, 20_001, dtype=np.float32)])[:, None]
    model = model_of_one(name)
    engine, begin = compile(model, "base"), np.zeros(8, np.uint8)
    assert COMMAND is not None
    expected, out = np.empty((len(x), 1), np.float32), np.empty(1, np.float32)
    with build_library(model, COMMAND, "-O2") as built:
        block = np.zeros(1, np.int64)
        for k in range(len(x)):
            engine.step(x[k], begin, expected[k])
            built.step(block.ctypes.data, x[k].ctypes.data, out.ctypes.data)
            assert out.view(np.uint32) == expected[k].view(np.uint32), x[k]


def model_of_one(name: str) -> Model:
    """Return a model whose output is the activation of its input."""
    from tidegate.tape import Instruction, Tape

    tape = Tape(("x",), (), {}, {}, (Instruction("input", ("x",)), Instruction(name, (0,))), 1, {})
    builder = Builder(1)
    builder.tapes["own"] = tape
    builder.add("recurrent", size=1, tape="own", cell="own", dialect={})
    model = build_model(builder.layers, 0, 1, None)
    weights = {"layers.0.W": np.ones((1, 1), np.float32), "layers.0.b": np.full(1, -0.0, np.float32)}
    return Model(model.document, {**model.tensors, **weights})
