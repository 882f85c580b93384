"""The engine and training outside Python: on aarch64 (NEON) under an emulator, and on this CPU under the sanitizers.

The program of native/remote runs there. Every call of `_native` is sent to it, so that golden files, tapes and modules
are tested unchanged.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from native_reference import CELLS, GRU, LSTM, ODD, Model
from random_programs import make_sample
from remote_engine import Remote, build_program, redirect_native, write_script
from test_native_step_from import SHAPES, check_step_from

import shared
from tidegate import _native, nn
from tidegate.layers.pool import OVER, Pool
from tidegate.model import Model as File
from tidegate.nn import native, pooling
from tidegate.nn.packed import PackedLayout
from tidegate.verify.native_target import verify_target
from tidegate.verify.replay import Replay

pytestmark = pytest.mark.slow  # they build the engine under the sanitizers
ROOT = Path(__file__).resolve().parents[3]
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*.safetensors"))
HERE = platform.machine().lower()
T, B = 11, 19


def emulated(folder: Path) -> list[str]:
    """Build the program for aarch64; return its command, with an emulator unless this is such a machine."""
    if HERE in ("aarch64", "arm64"):
        return [str(build_program(ROOT, folder, "engine_remote"))]
    runs = next(filter(None, map(shutil.which, ("qemu-aarch64-static", "qemu-aarch64"))), None)
    if runs is None:
        pytest.skip("no qemu-aarch64 here; Debian: qemu-user-static")
    options = ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"]
    if shutil.which("aarch64-linux-gnu-g++"):
        options += ["-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++", "-DCMAKE_EXE_LINKER_FLAGS=-static"]
    elif importlib.util.find_spec("ziglang"):
        zig = [sys.executable, "-m", "ziglang"]
        options.append(
            f"-DCMAKE_CXX_COMPILER={write_script(folder / 'c++', [*zig, 'c++', '-target', 'aarch64-linux-musl'])}"
        )
        options += [f"-DCMAKE_{name.upper()}={write_script(folder / name, [*zig, name])}" for name in ("ar", "ranlib")]
    else:
        pytest.skip("no compiler for aarch64 here; Debian: g++-aarch64-linux-gnu, or the Python package ziglang")
    return [runs, str(build_program(ROOT, folder / "build", "engine_remote", *options))]


def sanitized(folder: Path) -> list[str]:
    """Build the program with AddressSanitizer and UndefinedBehaviorSanitizer; return its command."""
    (folder / "a.cc").write_text("int main() {}\n")
    for name in ("clang++", "g++", "c++"):
        command = [name, "-fsanitize=address,undefined", "a.cc", "-o", "a"]
        if shutil.which(name) and subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode == 0:
            options = ("-DTIDEGATE_FUZZ=ON", f"-DCMAKE_CXX_COMPILER={name}")
            return [str(build_program(ROOT, folder / name, "engine_remote", *options))]
    pytest.skip("no compiler here whose programs run under the sanitizers")


class Place(NamedTuple):
    """Where the program runs: its command, the targets that it must have there, and the one to test."""

    name: str
    command: list[str]
    targets: list[str]
    target: str


PLACES: dict[str, tuple[Callable[[Path], list[str]], list[str]]] = {
    "aarch64": (emulated, ["neon", "base"]),
    "sanitized": (sanitized, _native.targets()),
}
BUILT: dict[str, list[str]] = {}


@pytest.fixture(scope="module", params=[(name, target) for name in PLACES for target in PLACES[name][1]], ids="-".join)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    if not shutil.which("cmake"):
        pytest.skip("no cmake here")
    name, target = request.param
    command, targets = PLACES[name]
    if name not in BUILT:
        BUILT[name] = command(shared.folder(tmp_path_factory, name))
    return Place(name, BUILT[name], targets, target)


@pytest.fixture
def remote(place: Place, tmp_path: Path) -> Iterator[Remote]:
    found = Remote(place.command, tmp_path / "said.txt")
    with pytest.MonkeyPatch.context() as changed:
        redirect_native(found, changed)
        yield found
    assert found.close() == ""


@pytest.fixture
def target(place: Place, remote: Remote) -> Iterator[str]:
    """The target to test; modules train on it too."""
    with pytest.MonkeyPatch.context() as changed:  # undone before redirect_native is
        changed.setattr(_native, "default_target", lambda precision="float32": place.target)
        yield place.target


def test_it_has_the_expected_targets(place: Place, remote: Remote) -> None:
    assert _native.targets() == remote.targets()[1] == place.targets


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_that_continue_others_have_the_bits_of_steps_in_place(shape: tuple[int, int, int], target: str) -> None:
    for ids in (True, False):
        check_step_from(shape, target, ids)


def make_models() -> dict[str, Callable[[], Model]]:
    found = {
        name: lambda cell=cell, H=H: Model(1).recurrent(cell, 7, H)
        for name, cell, H in ((f"{name} {H}", cell, H) for name, cell in CELLS.items() for H in (1, 16, 33))
    }
    everything = Model(0).scale(7).dense(7, 33, "tanh").recurrent(GRU, 33, 33, add=1).norm(33).recurrent(LSTM, 33, 20)
    everything.conv(20, 20, 4, "relu", add=4).recurrent(ODD, 20, 17).pool(17, ["last", "mean", "max", "attention"])
    return {**found, "everything": lambda: everything.dense(68, 9).softmax(9)}


def run_every_way(model: Model, target: str, precision: str = "float32") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run a batch fused and interpreted, with several threads, and by step_many; return inputs, lengths and outputs."""
    fused, plain = (model.engine(f"{target} {precision}", fused) for fused in (True, False))
    x = model.random.standard_normal((T, B, 7)).astype(np.float32)
    lengths = model.random.integers(0, T + 1, B).astype(np.int32)
    outs, ends = [], []
    for engine, threads in ((fused, 1), (plain, 3)):
        outs.append(np.zeros((T, B, engine.outputs), np.float32))
        ends.append(model.states(B))
        engine.run(x, lengths, model.states(B), ends[-1], outs[-1], True, threads)
    np.testing.assert_array_equal(outs[0].view(np.uint32), outs[1].view(np.uint32))
    np.testing.assert_array_equal(ends[0], ends[1])
    states = model.states(B)
    for t in range(T):
        alive = np.flatnonzero(lengths > t)[::-1].copy()
        part = np.zeros((len(alive), fused.outputs), np.float32)
        fused.step_many(alive, np.ascontiguousarray(x[t, alive]), states, part, 2)
        np.testing.assert_array_equal(part.view(np.uint32), outs[0][t, alive].view(np.uint32))
    np.testing.assert_array_equal(states, ends[0])
    return x, lengths, outs[0]


@pytest.mark.parametrize("name", make_models())
def test_runs_and_step_many_have_the_same_bits_near_the_oracle(name: str, target: str) -> None:
    model = make_models()[name]()
    x, lengths, out = run_every_way(model, target)
    row = int(lengths.argmax())
    right = np.array(model.reference(x[: lengths[row], row]))
    np.testing.assert_allclose(out[: lengths[row], row], right, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("seed", range(0, 40, 2))
def test_programs_have_the_same_bits_near_the_oracle(seed: int, target: str) -> None:
    """Alone, in batches, and with operations that read every register at the end, so that nothing is merged."""
    sample = make_sample(seed)
    x, lengths = sample.inputs(np.random.default_rng(seed), T, 9), np.array([T, 0, 1, 3, T, 5, 2, T, 4], np.int32)
    right, found = sample.reference(x)[0], []
    for engine, threads in ((sample.engine(target), 1), (sample.plain().engine(target), 3)):
        states = np.zeros((9, sample.state_bytes), np.uint8)
        found.append((np.zeros((T, 9, engine.outputs), np.float32), states.copy()))
        engine.run(x, lengths, states, found[-1][1], found[-1][0], True, threads)
    np.testing.assert_array_equal(found[0][0].view(np.uint32), found[1][0].view(np.uint32))
    np.testing.assert_array_equal(found[0][1], found[1][1])
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(found[0][0][:length, row], right[:length, row], rtol=2e-4, atol=2e-4)
    state, one = np.zeros(sample.state_bytes, np.uint8), np.zeros(found[0][0].shape[2], np.float32)
    engine = sample.engine(target)
    for t in range(T):
        engine.step(np.atleast_1d(x[t, 0]), state, one)
        np.testing.assert_array_equal(one.view(np.uint32), found[0][0][t, 0].view(np.uint32))
    np.testing.assert_array_equal(state, found[0][1][0])


@pytest.mark.parametrize("precision", ["weights=bf16", "compute=bf16"])
@pytest.mark.parametrize("name", ["gru 33", "lstm 16", "odd 33", "everything"])
def test_runs_and_step_many_have_the_same_bits_in_bfloat16(
    name: str, precision: str, place: Place, target: str
) -> None:
    own = [found for found in _native.targets(precision) if found not in place.targets]
    for one in [target, *(own if target == place.targets[0] else [])]:
        assert np.isfinite(run_every_way(make_models()[name](), one, precision)[2]).all()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_stay_within_their_bounds(path: Path, target: str) -> None:
    model = File.load(path)
    graphs = [level.model for level in model.levels.values()] or [model]
    results = [result for graph in graphs for result in verify_target(Replay(graph), target)]
    assert len(results) >= len(graphs)
    assert [(r.path, r.verdict) for r in results] == [(r.path, "ok") for r in results]


def test_the_base_target_has_this_machines_bits(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bits() -> list[np.ndarray]:
        model = make_models()["everything"]()
        engine, x = model.engine("base"), np.random.default_rng(2).standard_normal((T, B, 7)).astype(np.float32)
        out, end = np.zeros((T, B, engine.outputs), np.float32), model.states(B)
        engine.run(x, np.full(B, T, np.int32), model.states(B), end, out, True, 1)
        return [out.view(np.uint32), end]

    own, found = bits(), Remote(place.command, tmp_path / "said.txt")
    with monkeypatch.context() as changed:
        redirect_native(found, changed)
        for ours, theirs in zip(own, bits(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    found.close()


MODULES: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "gru": (nn.GRU, {}),
    "gru replace": (nn.GRU, {"update": "replace"}),
    "gru before": (nn.GRU, {"reset": "before"}),
    "gru before replace": (nn.GRU, {"reset": "before", "update": "replace"}),
    "lstm": (nn.LSTM, {}),
    "rnn tanh": (nn.RNN, {}),
    "rnn relu": (nn.RNN, {"nonlinearity": "relu"}),
    "mingru": (nn.MinGRU, {}),
    "lstm peepholes": (nn.LSTM, {"peepholes": True}),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("inputs", "size"), [(1, 1), (6, 11), (16, 48), (70, 65)])
@pytest.mark.parametrize("name", [name for name, _, _ in native.CELLS])
def test_outputs_and_gradients_are_those_of_the_tape(
    name: str, inputs: int, size: int, threads: int, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, options = MODULES[name.removesuffix(" norm")]
    torch.manual_seed(3)
    own = kind(inputs, size, **options, norm=name.endswith(" norm"))
    exact = kind(inputs, size, **options, norm=name.endswith(" norm")).double()
    exact.load_state_dict(own.state_dict())
    exact.fused = False
    assert own.engine == f"native {name}"
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x, sizes = torch.randn(60, inputs), torch.tensor([20, 19, 9, 8, 4])
    found = []
    for module in (own, exact):
        given = x.to(module.dtype).clone().requires_grad_()
        y, last = module(torch.nn.utils.rnn.PackedSequence(given, sizes))
        ends = [last] if isinstance(last, torch.Tensor) else list(last)
        (y.data.pow(2).sum() + sum(v.sum() for v in ends)).backward()
        found.append([y.data, *ends, given.grad, *(v.grad for v in module.parameters())])
    for value, right in zip(*found, strict=True):
        bound = 5e-6 * max(1.0, float(right.detach().abs().max()))
        assert float((value.detach().double() - right.detach()).abs().max()) <= bound


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("size", [5, 16, 37])
def test_pools_have_the_gradients_of_the_closed_form(
    size: int, threads: int, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    lengths = torch.tensor([3, 1, 9, 3, 6, 9, 2])
    entries, ends = PackedLayout(lengths), [lengths, torch.tensor([2, 1, 4, 3, 1, 9, 1])]
    gen = torch.Generator().manual_seed(2)
    given = [torch.randn(shape, generator=gen) for shape in ((len(entries.step), size), (size,), (1,))]
    found = []
    for dtype in (torch.float32, torch.float64):
        x, score, bias = (v.detach().to(dtype).requires_grad_() for v in given)
        layer = Pool(size=size, over=OVER)
        y = pooling.pool(layer, {"score": score, "score_bias": bias}, x, entries, ends)
        y.pow(2).sum().backward()
        found.append([y, x.grad, score.grad, bias.grad])
    largest = max(float(right.detach().abs().max()) for right in found[1])
    for value, right in zip(*found, strict=True):
        assert float((value.detach().double() - right.detach()).abs().max()) <= 5e-6 * largest


def test_embedding_and_adamw_agree_with_this_machine(place: Place, tmp_path: Path) -> None:
    def train_step() -> list[np.ndarray]:
        rng = np.random.default_rng(1)
        table, square = (rng.standard_normal((9, 5)).astype(np.float32) for _ in range(2))
        mean, square = np.zeros_like(table), square * square
        ids, random = rng.integers(0, 9, 30), rng.integers(0, 256, (30, 5)).astype(np.uint8)
        out, (which, slots) = np.empty((30, 5), np.float32), np.unique(ids, return_inverse=True)
        values = np.empty((len(which), 5), np.float32)
        _native.train_embed_forward(table, ids, random, 64, out)
        _native.train_embed_backward(slots, random, 64, out, values)
        _native.train_adamw(table, mean, square, which, values, 0.5, 3, 0.01, 0.9, 0.99, 1e-8, 0.1)
        _native.train_adamw(table, mean, square, None, mean.copy(), 0.5, 4, 0.01, 0.9, 0.99, 1e-8, 0.1)
        return [out, values, table, mean, square]

    own, found = train_step(), Remote(place.command, tmp_path / "said.txt")
    with pytest.MonkeyPatch.context() as changed:
        redirect_native(found, changed)
        for ours, theirs in zip(own, train_step(), strict=True):
            np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-7)
    assert found.close() == ""


@pytest.mark.parametrize("place", [("sanitized", _native.targets()[0])], indirect=True, ids="-".join)
def test_an_error_that_the_sanitizers_find_fails_the_test(place: Place, tmp_path: Path) -> None:
    found = Remote(place.command, tmp_path / "said.txt")
    short = np.zeros(4, np.float32)  # one float too short for what a step writes
    with pytest.MonkeyPatch.context() as changed:
        redirect_native(found, changed)
        engine = Model().recurrent(GRU, 7, 5).engine(_native.targets()[0])
        with pytest.raises(AssertionError, match="heap-buffer-overflow"):
            engine.step(np.zeros(7, np.float32), np.zeros(32, np.uint8), short)
    found.process.communicate()
