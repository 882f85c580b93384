"""Every operation of layers in float32 against its error bound, which mistakes exceed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import cells
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.tape import NumpyOps, run_program
from tidegate.verify import attach
from tidegate.verify.bounds import ActivationErrors, ErrorGraph
from tidegate.verify.error_propagation import bound_sequence, bound_steps, flatten_state, run_reference
from tidegate.verify.mutants import WRONG_OPERATIONS
from tidegate.verify.onnx_target import verify_onnx
from tidegate.verify.replay import Replay
from tidegate.verify.samples import build_model
from tidegate.verify.torch_target import verify_torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "toy_layers"))
from programmed import SINGLE, STATE, TENSORS, program
from toy_models import attention_model, programmed_model, run_in_float32, single_precision, toy_layers, with_ages

__all__ = ["toy_layers"]
ERRORS = ActivationErrors(2.4e-7, 9e-7, 2.4e-7)
MISTAKES = {  # -> a program that it concerns
    "dot without one term": "dot of a grid",
    "push at the wrong end": "push",
    "select inverted": "select",
    "sum over the wrong axis": "sum over an axis of a square",
}
Drawn = tuple[dict[str, Any], dict[str, Any], Any, Any]


def draw_operands(random: np.random.Generator) -> Drawn:
    """Return tensors, states, an input and a number of steps."""
    t: Any = {role: random.standard_normal(shape).astype(np.float32) for role, shape in TENSORS.items()}
    t["column"] = np.arange(4, dtype=np.float32)[::-1].reshape(4, 1)
    s: Any = {name: random.standard_normal((1, *shape)).astype(np.float32) for name, shape in STATE.items()}
    return t, s, random.standard_normal((1, 6)).astype(np.float32), np.full((1, 1), random.integers(1, 6))


def bound_program(name: str | int, drawn: Drawn) -> tuple[Any, Any]:
    """Return the exact results of a program on float32 operands, and bounds: the radii and those of a backward pass."""
    t, s, x, steps = drawn
    graph = ErrorGraph(ERRORS)
    weights = {role: v.astype(np.float64) for role, v in t.items()}
    y, after = run_program(
        program(name), graph, weights, {n: graph.lift(v) for n, v in s.items()}, graph.lift(x), steps
    )
    results = [y, *after.values()]
    bound, _ = graph.backward([(y, np.eye(y.value.size))])
    values = np.concatenate([v.value.reshape(-1) for v in results])
    radii = np.concatenate([v.radius.reshape(-1) for v in results])
    radii[: y.value.size] = np.minimum(radii[: y.value.size], bound)
    return values, radii


def compute(name: str | int, drawn: Drawn, xp: type[NumpyOps] = NumpyOps) -> Any:
    t, s, x, steps = drawn
    y, after = run_program(program(name), single_precision(xp), t, s, x, steps.astype(np.float32))
    assert y.dtype == np.float32
    return np.concatenate([v.reshape(-1) for v in (y, *after.values())]).astype(np.float64)


@pytest.mark.parametrize(("name", "draws"), [*((name, 200) for name in SINGLE), *((seed, 12) for seed in range(8))])
def test_float32_stays_within_a_bound_that_is_not_absurdly_loose(name: str | int, draws: int) -> None:
    random, ratios = np.random.default_rng(1), []
    for _ in range(draws):
        drawn = draw_operands(random)
        values, bound = bound_program(name, drawn)
        error = abs(compute(name, drawn) - values)
        assert (error <= bound).all()
        assert np.isfinite(bound).all()
        ratios += list(bound[error > 0] / error[error > 0])
    assert np.median(ratios or [1.0]) < 1e4


@pytest.mark.parametrize("mistake", WRONG_OPERATIONS)
def test_a_mistaken_operation_exceeds_the_bound(mistake: str) -> None:
    random = np.random.default_rng(2)
    for _ in range(20):
        drawn = draw_operands(random)
        values, bound = bound_program(MISTAKES[mistake], drawn)
        found = abs(compute(MISTAKES[mistake], drawn, WRONG_OPERATIONS[mistake]) - values)
        assert (found > 10 * bound).any()


def bounds_of(model: Model, x: Any) -> tuple[Any, Any]:
    """Return what is expected after the last step, output and state, and its bound."""
    run = run_reference(model, x)
    found = bound_sequence(model, run, ERRORS)
    state = flatten_state(run.last)[found.indices]
    return np.concatenate([run.outputs[-1], state]), np.concatenate([found.output, found.state])


@pytest.mark.parametrize("name", ["attention", "softmax over a window", "tensors alone", 0, 1])
def test_a_run_in_float32_stays_within_the_bound_of_its_sequence(name: str | int) -> None:
    random = np.random.default_rng(3)
    for seed in range(2):
        model = attention_model(seed) if name == "attention" else programmed_model(name, seed)
        x = random.integers(0, 40, 9) if name == "attention" else random.standard_normal((9, 6)).astype(np.float32)
        expected, bound = bounds_of(model, x)
        y, states = run_in_float32(model, x)
        error = abs(np.concatenate([y[-1], flatten_state(states[-1])]) - expected)
        assert (error <= bound).all()
        assert isinstance(name, int) or bound.max() < 1e-3  # a drawn comparison may be of numbers that are almost equal
        single = [{n: v.astype(np.float32) if n != "steps" else v for n, v in s.items()} for s in states]
        error, bound = bound_steps(model, x, single, y, ERRORS)
        assert (error <= bound).all()


@pytest.mark.parametrize("mistake", ["dot without one term", "push at the wrong end", "select inverted"])
def test_mistaken_attention_exceeds_the_bound(mistake: str) -> None:
    model, x = attention_model(), np.random.default_rng(4).integers(0, 40, 4)
    expected, bound = bounds_of(model, x)
    y, states = run_in_float32(model, x, WRONG_OPERATIONS[mistake])
    assert (abs(np.concatenate([y[-1], flatten_state(states[-1])]) - expected) > 10 * bound).any()


def test_verify_holds_for_attention_in_torch_and_onnx() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    replay = Replay(attach(attention_model(), lengths=(1, 8)))
    results = [verify_torch(replay), *verify_onnx(replay)]
    assert [(r.target, r.path, r.verdict) for r in results if not (r.ran and r.ok)] == []


def test_blocks_of_attention_and_recurrences_have_a_bound() -> None:
    builder = Builder(5)
    builder.recurrence(cells.load("gru"), 16)
    for _ in range(2):
        builder.add("norm", eps=1e-5)
        builder.add("toy_attention", heads=2, window=4)
        add = len(builder.layers) - 1
        builder.add("norm", eps=1e-5)
        builder.add("dense", size=24, activation="relu")
        builder.add("dense", size=16, activation="none", add=add)
    builder.recurrence(cells.load("gru"), 16)
    model = with_ages(build_model(builder.layers, 0, 5, None))
    x = np.random.default_rng(6).standard_normal((8, 5)).astype(np.float32)
    expected, bound = bounds_of(model, x)
    y, states = run_in_float32(model, x)
    assert (abs(np.concatenate([y[-1], flatten_state(states[-1])]) - expected) <= bound).all()
    assert bound.max() < 1e-2


def test_a_long_window_is_bounded_in_a_moment() -> None:
    model = attention_model(window=64, heads=4, size=64)
    run = run_reference(model, np.random.default_rng(5).integers(0, 40, 12))
    begin = time.process_time()
    found = bound_sequence(model, run, ERRORS)
    assert time.process_time() - begin < 10
    assert np.isfinite(found.output).all()
    assert np.isfinite(found.state).all()
