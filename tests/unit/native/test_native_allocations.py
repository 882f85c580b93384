"""Steps allocate no memory after the first: counted in the C API, and in Python with the stepper."""

from __future__ import annotations

import gc
import platform
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native_reference import GRU, GRU_BEFORE, LSTM, ODD, Cell, Model
from remote_engine import Remote, build_program, redirect_native
from test_native_step_from import SHAPES, hold, make

import shared
from tidegate import _native
from tidegate.document.state import find_held

STEPS = 1000
RNN = Cell([("input", 0), ("state", 0), ("recur", 0, 1), ("add", 0, 2), ("tanh", 3)], 1, 1, 4, [4], ["H"])
MINGRU = Cell(
    [("state", 0), ("input", 0), ("sigmoid", 1), ("input", 1), ("sub", 0, 3), ("mul", 2, 4), ("add", 3, 5)],
    2,
    0,
    6,
    [6],
    ["H"],
)
MODELS: dict[str, Callable[[], Model]] = {
    "gru": lambda: Model().recurrent(GRU, 7, 33),
    "gru, one row of whole vectors": lambda: Model().recurrent(GRU, 16, 64),
    "gru before": lambda: Model().recurrent(GRU_BEFORE, 7, 33),
    "lstm": lambda: Model().recurrent(LSTM, 7, 33),
    "rnn": lambda: Model().recurrent(RNN, 7, 33),
    "mingru": lambda: Model().recurrent(MINGRU, 7, 33),
    "any tape": lambda: Model().recurrent(ODD, 7, 17),
    "convolution": lambda: Model().conv(7, 20, 4, "relu"),
    "pools": lambda: Model().pool(7, ["last", "mean", "max", "attention"]),
    "a chain": lambda: Model().scale(7).dense(7, 9, "tanh").norm(9).recurrent(GRU, 9, 9, add=2).softmax(9),
    "ids": lambda: Model().embed(50, 8).recurrent(GRU, 8, 24).pool(24, ["mean"]).dense(24, 3),
}


@pytest.fixture(scope="module")
def program(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if platform.libc_ver()[0] != "glibc" or not shutil.which("cmake"):
        pytest.skip("counting needs glibc and cmake, and one of them is not here")
    return build_program(root, shared.folder(tmp_path_factory, "plain"), "engine_counted")


@pytest.fixture
def counting(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    remote = Remote([str(program)], tmp_path / "said.txt")
    with monkeypatch.context() as changed:
        redirect_native(remote, changed)
        yield remote
    remote.close()


def inputs(model: Model, name: str, count: int) -> Any:
    if name == "ids":
        return model.random.integers(0, 50, count).astype(np.int32)
    return model.random.standard_normal((count, 7 if name != "gru, one row of whole vectors" else 16)).astype(
        np.float32
    )


HALVES = [f"{_native.targets(precision)[0]} {precision}" for precision in ("weights=bf16", "compute=bf16")]


@pytest.mark.slow  # it builds the engine
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("target", [*_native.targets(), *HALVES])
@pytest.mark.parametrize("name", MODELS)
def test_a_step_allocates_nothing(name: str, target: str, fused: bool, counting: Remote) -> None:
    model = MODELS[name]()
    engine: Any = model.engine(target, fused)
    x, state, out = inputs(model, name, 1), model.states(1)[0], np.empty(engine.outputs, np.float32)
    x = x if name == "ids" else x[0]
    assert engine.step(x, state, out, STEPS) == 0
    assert state[:8].view(np.int64)[0] == STEPS
    assert engine.step(x, state, out, STEPS, spoil=True) == 1


@pytest.mark.slow
@pytest.mark.parametrize("order", ["ascending", "any", "repeated"])
@pytest.mark.parametrize("name", MODELS)
def test_step_many_allocates_nothing(name: str, order: str, counting: Remote) -> None:
    model = MODELS[name]()
    engine: Any = model.engine(_native.targets()[0])
    ids = {
        "ascending": np.arange(0, 300, 2),
        "any": model.random.permutation(300)[:150],
        "repeated": model.random.integers(0, 40, 150),
    }[order]
    x, states = inputs(model, name, 150), model.states(300)
    out = np.empty((150, engine.outputs), np.float32)
    assert engine.step_many(ids.astype(np.int64), x, states, out, 1, 100) == 0
    assert engine.step_many(ids.astype(np.int64), x, states, out, 1, 100, spoil=True) == 1


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_step_from_allocates_nothing(shape: tuple[int, int, int], counting: Remote) -> None:
    engine, graph = make(*shape, True, _native.targets()[0])
    own, _ = find_held(graph)
    held, n = hold(graph, np.random.default_rng(0), 2), 9
    arrays = [np.zeros(n, np.int32), np.zeros(n, np.int64), np.zeros((1, own), np.uint8), np.arange(n) % 2, held]
    arrays += [np.zeros((n, own), np.uint8), np.zeros((n, engine.outputs), np.float32)]
    assert engine.step_from(*arrays, 1, 50) == 0
    assert engine.step_from(*arrays, 1, 50, spoil=True) == 1


def test_a_stepper_makes_no_array() -> None:
    model = Model().recurrent(GRU, 7, 1000)
    state, out, x = model.states(1)[0], np.empty(1000, np.float32), inputs(model, "gru", 1)[0]
    stepper = _native.Stepper(model.engine(_native.targets()[0]), state, out)

    def peak_bytes(call: Callable[[], Any]) -> int:
        """Return the most bytes that 50 calls hold at once, beyond what was allocated before."""
        call()
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(50):
            call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - before

    assert peak_bytes(lambda: stepper.step(x)) < 1000
    assert peak_bytes(lambda: (stepper.step(x), np.empty_like(out))) >= 4000
