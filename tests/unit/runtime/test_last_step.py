"""Rows of which only the last output counts: layers without states run once, with the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate import _native, cells
from tidegate.document import assemble
from tidegate.errors import OptionError
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.outputs import make_entry
from tidegate.runtime.last_step import LastStepEngine, find_last_step_layers, make_last_runner
from tidegate.runtime.offline import make_runner
from tidegate.verify.samples import random_tensor

T, B, F = 7, 37, 6


def chain(builder: Builder) -> None:
    builder.recurrence(cells.load("gru"), 9)
    builder.add("pool", over=["last"])
    builder.add("norm", eps=1e-5)
    builder.add("dense", size=300, activation="tanh")


def beside(builder: Builder) -> None:
    builder.add("scale")
    builder.recurrence(cells.load("lstm"), 9)
    builder.add("pool", over=["last", "mean"], sources=(1, 0))
    builder.add("lags", ("x",), parts=3, columns=2, steps=4)
    builder.add("pool", over=["last"])
    builder.add("grouped", groups=2, size=5, times=3)
    builder.add("dense", (2, "x", 4), size=30, activation="none", add=5)
    builder.add("dense", size=30, activation="relu", add=6)


def inner(builder: Builder) -> None:
    """Lags of what is computed, which are no copy of the input."""
    builder.add("dense", size=F, activation="tanh")
    builder.add("lags", parts=1, columns=F, steps=3)
    builder.add("dense", size=8, activation="none")


GRAPHS = {"chain": (chain, {1, 2, 3}), "beside": (beside, {3, 4, 5, 6, 7}), "inner": (inner, {2})}


def make_model(name: str) -> Model:
    builder, random = Builder(F), np.random.default_rng(3)
    GRAPHS[name][0](builder)
    tensors = {
        layer.tensors[role]: random_tensor(random, layer, role, shape)
        for layer in builder.layers
        for role, shape in layer.shapes().items()
    }
    outputs = {"values": make_entry(None, "")}
    entry = {"x": {"kind": "array", "features": F}}
    return Model(assemble("encode", {}, entry, builder.layers, outputs, {}), tensors)


def last_outputs(runner: object, model: Model, x: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    states = np.zeros((x.shape[1], model.state_bytes), np.uint8)
    after, out = np.zeros_like(states), np.zeros((x.shape[1], model.layers[-1].width), np.float32)
    runner.run(x, lengths, states, after, out, False, 2, True)  # type: ignore[attr-defined]
    assert (after[:, :8].copy().view(np.int64)[:, 0] == lengths).all()
    return out


@pytest.mark.parametrize("name", GRAPHS)
def test_the_bits_are_those_of_one_engine(name: str) -> None:
    model, random = make_model(name), np.random.default_rng(4)
    x = random.standard_normal((T, B, F)).astype(np.float32)
    lengths = random.integers(1, T + 1, B).astype(np.int32)
    assert find_last_step_layers(model.layers) == GRAPHS[name][1]
    for precision in ("float32", "compute=bf16"):
        given = ("bf16", "bf16") if "bf16" in precision else (None, None)
        for target in _native.targets(precision):
            engine = LastStepEngine(model, target, *given)
            whole = make_runner(model, target, None, *given)
            assert engine.fused_layers == whole.fused_layers
            one, other = (last_outputs(runner, model, x, lengths) for runner in (engine, whole))
            assert one.tobytes() == other.tobytes(), (target, precision)
            alone = last_outputs(engine, model, x[:, :1].copy(), lengths[:1])
            assert alone.tobytes() == one[:1].tobytes()


def test_only_rows_that_run_anew_and_save_much_are_compiled_so() -> None:
    model = make_model("chain")
    assert not isinstance(make_last_runner(model, None), LastStepEngine)
    assert not isinstance(make_last_runner(model, 15), LastStepEngine)  # 300 x 9 numbers, 14 times
    assert isinstance(make_last_runner(model, 400), LastStepEngine)
    assert not isinstance(make_last_runner(make_model("inner"), 1), LastStepEngine)


def test_a_state_that_has_seen_steps_and_every_step_are_refused() -> None:
    model = make_model("chain")
    engine, x, lengths = LastStepEngine(model), np.zeros((2, 1, F), np.float32), np.array([2], np.int32)
    states, out = np.zeros((1, model.state_bytes), np.uint8), np.zeros((2, 1, 300), np.float32)
    with pytest.raises(OptionError, match="last output, from the initial state alone"):
        engine.run(x, lengths, states, states.copy(), out, True, 1)
    with pytest.raises(OptionError, match="last output, from the initial state alone"):
        engine.run(x, lengths, states + 1, states.copy(), out, False, 1)
