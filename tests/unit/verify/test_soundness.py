"""Correct models are never rejected, whatever they are; where nothing can be proved, verify reports that."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import _native, cli, export
from tidegate.model import Model
from tidegate.runtime import compile
from tidegate.runtime.precision import COMPUTE_BF16
from tidegate.verify import attach, verify
from tidegate.verify.bounds import ActivationErrors, ErrorGraph
from tidegate.verify.mutants import mutants
from tidegate.verify.native_target import verify_engine
from tidegate.verify.replay import NO_BOUND, Replay
from tidegate.verify.samples import sample

NOTHING = ActivationErrors(0.0, 0.0, 0.0)
TARGET = _native.targets()[0]


def faults(model: Model, **precision: str) -> list[tuple[str, str, str]]:
    """Return the results that `verify` does not call right."""
    return [(r.target, r.path, r.verdict) for r in verify(model, **precision) if not r.ok]


def built(root: Path, task: str, data: Path, **options: Any) -> Model:
    pytest.importorskip("torch")
    from tidegate.train import fit

    return fit(task, str(data), out=str(root / "model.safetensors"), epochs=1, **options)


@pytest.mark.slow
def test_the_default_model_of_long_series_is_not_rejected(tmp_path: Path) -> None:
    """Return a model that scales, then convolves: the roundings of scaling are part of the state of the convolution."""
    draw = np.random.default_rng(0)
    series = (draw.standard_normal((24, 40, 3)) * [1.0, 30.0, 1e-3] + [0.0, 500.0, 0.07]).astype(np.float32)
    np.savez(tmp_path / "train.npz", x=series, y=np.arange(24) % 3)
    model = built(tmp_path, "classify", tmp_path / "train.npz", label="y", input="series")
    assert [layer.kind for layer in model.layers[:3]] == ["scale", "conv", "recurrent"]
    assert faults(model) == []
    assert faults(model, compute="bf16") == []


@pytest.mark.slow
def test_the_default_model_of_texts_is_not_rejected(tmp_path: Path) -> None:
    lines = [f"{word} the card number {k},{'ab'[k % 2]}" for k in range(24) for word in ("what", "where")]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    assert faults(built(tmp_path, "classify", tmp_path / "train.csv", text="text", label="label", hidden=48)) == []


@pytest.mark.parametrize("scale", ["window", "fixed"])
def test_the_default_forecaster_is_not_rejected(tmp_path: Path, scale: str) -> None:
    rows = [f"{100 + 10 * np.sin(k / 3):.3f}" for k in range(200)]
    (tmp_path / "train.csv").write_text("\n".join(["value", *rows]) + "\n")
    options: dict[str, Any] = {"horizon": 4, "values": "value", "scale": scale, "hidden": 24}
    assert faults(built(tmp_path, "forecast", tmp_path / "train.csv", **options)) == []


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_is_done_to_numbers_before_a_layer_that_keeps_them_is_counted(seed: int) -> None:
    model = sample(seed=seed, features=9, size=8, scale=True, conv=5, over=("mean", "max", "attention"), check=True)
    assert faults(model) == []


def chaotic(gain: float = 16.0, check: bool = True) -> Model:
    """Return a GRU whose recurrence amplifies roundings a millionfold over a few steps."""
    model = sample(seed=2, features=3, size=24)
    tensors = {n: v * np.float32(gain) if n.endswith(".R") else v for n, v in model.tensors.items()}
    made = Model(model.document, tensors)
    return attach(made) if check else made


def test_of_a_chaotic_model_no_bound_holds_but_each_step_is_checked() -> None:
    found = verify(chaotic())
    followed = [r for r in found if r.ran and r.target != "oracle"]
    assert {(r.verdict, r.ok) for r in followed} <= {("ok, step by step", True), (NO_BOUND, None)}
    assert {r.target for r in followed if r.ok is None} <= {"onnx"}  # whose single steps may have other bits
    assert all(r.ratio is not None and r.ratio < 1 and r.ratio == r.step_ratio for r in followed if r.ok)
    assert {"torch", "c", *_native.targets()} & {r.target for r in followed} == {r.target for r in followed} - {"onnx"}
    assert not any(r.ok is False for r in found)


@pytest.mark.slow
def test_a_reference_of_another_machine_is_not_wrong_for_a_model_that_amplifies() -> None:
    """The last digit of float64 differs between versions of NumPy, and a chaotic model amplifies it."""
    for gain, ok in ((1.0, False), (16.0, None)):
        model = chaotic(gain)
        moved = {n: v + 1e-9 if n == "check.1.output" else v for n, v in model.tensors.items()}
        assert verify(Model(model.document, moved))[0].ok is ok


def outgrowing(gain: float) -> Model:
    """Return a recurrence that multiplies its states until they become infinite in float32, and then NaN."""
    model = sample(1, 3, 4, "rnn", {"activation": "relu"}, softmax=False)
    tensors = {
        n: np.eye(4, dtype=np.float32) * np.float32(gain) if n.endswith(".R") else abs(v)
        for n, v in model.tensors.items()
    }
    return attach(Model(model.document, tensors))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("gain", [12.0, 1000.0])
def test_nothing_is_wrong_where_numbers_outgrow_float32(gain: float) -> None:
    found = verify(outgrowing(gain))
    assert [r.verdict for r in found if r.ok is False] == []
    assert {r.verdict for r in found if r.target in _native.targets()} == {NO_BOUND}
    assert "NaN" not in json.dumps([r.to_json() for r in found])


def test_wrong_models_are_found_where_no_bound_of_the_whole_holds() -> None:
    replay = Replay(chaotic())
    for what, wrong in mutants(replay.model).items():
        assert verify_engine(replay, compile(wrong, TARGET), TARGET, "").ok is False, what


def test_where_no_bound_holds_verify_ends_with_an_exit_code_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "m.safetensors")
    outgrowing(1000.0).save(path)
    assert cli.main(["verify", path, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["ok"] is None
    assert cli.main(["verify", path]) == 3
    assert "0 wrong; " in (said := capsys.readouterr().out)
    assert "undecided: rounding" in said
    assert "errors grow too large for a bound" in " ".join(said.split())


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
def test_the_self_test_of_a_chaotic_model_says_that_no_bound_holds(tmp_path: Path) -> None:
    export(chaotic(), "c", tmp_path / "m.c")
    command = ["cc", "-std=c99", "-ffp-contract=off", "-DM_SELF_TEST", "m.c", "-lm", "-o", "test"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run([str(tmp_path / "test")], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "1 steps: 5 outputs, 24 numbers of the state: ok, at most" in done.stdout
    assert "37 steps: 0 outputs, 0 numbers of the state: no bound holds for 29 more" in done.stdout


def test_relus_that_rounding_wakes_are_within_the_bound_of_bfloat16() -> None:
    """Products so close to 0 that rounded operands select the other side of a relu."""
    for seed in range(20):
        model = sample(seed=seed, features=4, size=3, cell="rnn", dialect={"activation": "relu"}, dense="relu")
        replay = Replay(attach(model, lengths=(9,)), COMPUTE_BF16)
        result = verify_engine(replay, compile(replay.model, "base", compute="bf16"), "base", "")
        assert result.ok, result


OPERATIONS: dict[str, Any] = {
    "add": lambda op, a, b: a + b,
    "mul": lambda op, a, b: a * b,
    "square": lambda op, a, b: a * a,
    "div": lambda op, a, b: a / b,
    "abs": lambda op, a, b: abs(a),
    "exp": lambda op, a, b: op.exp(a),
    "sigmoid": lambda op, a, b: op.sigmoid(a),
    "tanh": lambda op, a, b: op.tanh(a),
    "relu": lambda op, a, b: op.relu(a),
    "maximum": lambda op, a, b: op.maximum(a, b),
    "running maximum": lambda op, a, b: op.maximum(op.maximum(a, b), a + 0.01),
    "minimum": lambda op, a, b: op.minimum(a, b),
    "sqrt": lambda op, a, b: op.sqrt(b),
    "norm": lambda op, a, b: op.norm(a),
    "softmax": lambda op, a, b: op.exp(a - op.peak(a)) / op.sum(op.exp(a - op.peak(a))),
    "affine": lambda op, a, b: op.tanh(op.affine(a, np.arange(12.0).reshape(3, 4) / 7, np.ones(3))),
}


@pytest.mark.parametrize("size", [1e-6, 1e-3, 0.1, 0.4])
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_an_operation_bends_is_within_its_bound(name: str, size: float) -> None:
    """Operands deviate by up to `size`, in exact arithmetic: radii and the backward pass both bound the results."""
    draw = np.random.default_rng(0)
    f = OPERATIONS[name]
    for _ in range(20):
        a, b = draw.standard_normal((1, 4)), 0.5 + abs(draw.standard_normal((1, 4)))
        if draw.random() < 0.5:
            b = a + size * draw.uniform(-1, 1, a.shape) if name in ("maximum", "minimum", "running maximum") else b
        graph = ErrorGraph(NOTHING)
        leaves = [graph.lift(v) for v in (a, b)]
        for leaf in leaves:
            leaf.own_error = leaf.radius = leaf.remainder = np.full(leaf.shape, size)
        with np.errstate(all="ignore"):
            y = f(graph, *leaves)
            bound, _ = graph.backward([(y, np.eye(y.value.size))])
        bound[np.isnan(bound)] = np.inf
        for _ in range(50):
            da, db = (size * np.sign(v) * abs(v) ** 0.2 for v in draw.uniform(-1, 1, (2, *a.shape)))
            moved = f(other := ErrorGraph(NOTHING), other.lift(a + da), other.lift(b + db)).value
            assert (abs(moved - y.value) <= y.radius * (1 + 1e-9)).all()
            assert (abs(moved - y.value).reshape(-1) <= bound * (1 + 1e-9)).all()


def test_a_maximum_of_near_equals_does_not_grow_with_the_steps() -> None:
    graph = ErrorGraph(NOTHING)
    x = graph.lift(np.array([[1.0]]))
    x.own_error = x.radius = x.remainder = np.array([[1e-3]])
    most: Any = x
    for _ in range(50):
        most = graph.maximum(most, x)
    assert most.radius.item() == 1e-3
    assert graph.backward([(most, np.eye(1))])[0][0] == 1e-3


def test_products_in_a_known_order_have_the_lesser_bound() -> None:
    draw = np.random.default_rng(0)
    x, W, b = draw.standard_normal((1, 200)), draw.standard_normal((6, 200)), draw.standard_normal(6)
    x32, W32, b32 = (v.astype(np.float32) for v in (x, W, b))
    exact = [v.astype(np.float64) for v in (x32, W32, b32)]
    any_order, in_order = (ErrorGraph(NOTHING._replace(ordered=o)).affine(*exact).radius[0] for o in (False, True))
    made = b32.copy()
    for k in range(200):
        made = made + W32[:, k] * x32[0, k]
    error = abs(made.astype(np.float64) - (exact[0] @ exact[1].T + exact[2])[0])
    assert (error <= in_order).all()
    assert (in_order < any_order / 3).all()


def test_a_whole_window_model_in_bfloat16_is_told_apart_only_where_a_bound_holds() -> None:
    model = sample(features=3, size=8, direction="both", check=True)
    for result in verify(model, compute="bf16"):
        assert result.ok or (result.ok is None and result.verdict == NO_BOUND)
    assert Replay(model, COMPUTE_BF16).moved
