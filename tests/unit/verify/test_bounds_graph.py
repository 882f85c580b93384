from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate.reference import Reference
from tidegate.verify.bounds import ActivationErrors, ErrorGraph, U
from tidegate.verify.check import make_inputs
from tidegate.verify.error_propagation import MAX_STATE, bound_sequence, flatten_state, run_reference
from tidegate.verify.samples import sample

ERRORS = ActivationErrors(1.2e-7, 4e-7, 2e-7)
NOTHING = ActivationErrors(0.0, 0.0, 0.0)
OPERATIONS: dict[str, Any] = {
    "add": lambda op, a, b: a + b * 2.0,
    "sub": lambda op, a, b: 1.0 - a - b,
    "mul": lambda op, a, b: a * b,
    "div": lambda op, a, b: a / b,
    "abs": lambda op, a, b: abs(-a),
    "exp": lambda op, a, b: op.exp(a),
    "sigmoid": lambda op, a, b: op.sigmoid(a),
    "tanh": lambda op, a, b: op.tanh(a),
    "relu": lambda op, a, b: op.relu(a),
    "maximum": lambda op, a, b: op.maximum(a, b),
    "minimum": lambda op, a, b: op.minimum(a, b),
    "sqrt": lambda op, a, b: op.sqrt(b),
    "mean": lambda op, a, b: a - op.mean(a * a),
    "sum": lambda op, a, b: a / op.sum(b),
    "peak": lambda op, a, b: op.exp(a - op.peak(a)),
    "concat": lambda op, a, b: op.concat([b, a]),
    "split": lambda op, a, b: op.split(a, 2)[1] * op.split(b, 2)[0],
    "affine": lambda op, a, b: op.affine(a, np.arange(12.0).reshape(3, 4) / 7, np.ones(3)),
    "a constant": lambda op, a, b: 0.1 * a + op.sigmoid(0.5),
}


class Plain(ErrorGraph):
    """Compute the value of an operation without recording it."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_derivatives_are_those_of_the_values(name: str) -> None:
    a, b = np.array([[0.3, -1.2, 2.0, 0.7]]), np.array([[1.5, 0.4, 0.9, 2.2]])
    f = OPERATIONS[name]
    graph = ErrorGraph(ERRORS)
    leaf_a, leaf_b = graph.lift(a), graph.lift(b)
    y = f(graph, leaf_a, leaf_b)
    _, found = graph.backward([(y, np.eye(y.value.size))])
    for leaf, at in ((leaf_a, 0), (leaf_b, 1)):
        for k in range(4):
            step = np.zeros((1, 4))
            step[0, k] = 1e-6
            moved = [
                f(g := ErrorGraph(ERRORS), g.lift(a + s * (1 - at)), g.lift(b + s * at)).value for s in (step, -step)
            ]
            slope = (moved[0] - moved[1]).reshape(-1) / 2e-6
            assert found.get(id(leaf), np.zeros((len(slope), 4)))[:, k] == pytest.approx(slope, abs=1e-7)


def test_a_constant_counts_the_error_of_storing_it() -> None:
    graph = ErrorGraph(NOTHING)
    assert graph.lift(0.5).own_error.item() == 0
    assert 0 < graph.lift(0.1).own_error.item() <= U * 0.1


def test_one_product_is_bounded_by_one_rounding() -> None:
    graph = ErrorGraph(NOTHING)
    y = graph.lift(np.array([[3.0]])) * graph.lift(np.array([[5.0]]))
    bound, _ = graph.backward([(y, np.eye(1))])
    assert bound[0] == pytest.approx(15 * U)


def test_minus_infinity_is_exact() -> None:
    graph = ErrorGraph(ERRORS)
    peak = graph.lift(np.array([[-np.inf]]))
    new = graph.maximum(peak, graph.lift(np.array([[2.0]])))
    bound, found = graph.backward([(graph.exp(peak - new), np.eye(1)), (new, np.eye(1))])
    assert bound[0] < 1e-30
    assert all(np.isfinite(d).all() for d in found.values())


def perturbed(model: Any, x: np.ndarray, random: np.random.Generator, scale: float) -> np.ndarray:
    """Run in float64, with a relative rounding of `scale` added to every state after each step."""
    reference, state = Reference(model), Reference(model).initial_state(1)
    for k in range(len(x)):
        y, state = reference.step(state, x[k : k + 1])
        for name, v in state.items():
            if name != "steps":
                state[name] = v * (1 + scale * random.uniform(-1, 1, v.shape))
    return np.concatenate([y.reshape(-1), flatten_state(state)])


def test_states_that_are_rounded_by_hand_stay_within_the_bound() -> None:
    model = sample(features=4, size=12, over=("mean", "attention"))
    x = make_inputs(model, 9, [60])[0]
    run = run_reference(model, x)
    found = bound_sequence(model, run, ERRORS)
    exact = np.concatenate([run.outputs[-1], flatten_state(run.last)])
    bound = np.concatenate([found.output, found.state])
    for seed in range(20):
        moved = perturbed(model, x, np.random.default_rng(seed), U)
        assert (abs(moved - exact) <= bound).all()


@pytest.mark.slow
def test_an_error_that_is_forgotten_stops_growing() -> None:
    model = sample(features=4, size=12)
    bounds = [
        bound_sequence(model, run_reference(model, make_inputs(model, 9, [T])[0]), ERRORS).output.max()
        for T in (50, 400)
    ]
    assert bounds[1] < 3 * bounds[0]


def test_of_a_long_state_an_even_sample_is_bounded() -> None:
    model = sample(features=4, size=MAX_STATE + 60, over=(), outputs=3)
    found = bound_sequence(model, run_reference(model, make_inputs(model, 9, [2])[0]), ERRORS)
    assert found.indices.tolist() == list(range(0, MAX_STATE + 60, 2))
    assert (found.state > 0).all()
