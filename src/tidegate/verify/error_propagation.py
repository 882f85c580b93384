"""Error bounds of float32 over a sequence: the roundings of each step, propagated along the reference trajectory.

One graph holds all steps, and one backward pass weights every rounding by the derivative of the results with respect to
it, signs included, over any number of steps: an error that the recurrence forgets is forgotten here, too. How far
operations leave their tangents is counted in the graph (`bounds.py`), with the radii of `affine_forms.py`. So the bound
is proved, and not only to first order.

If errors are amplified until curvature matters, as in a chaotic recurrence, no bound holds and it is infinite. The same
goes for numbers that float32 cannot represent, because they become infinities.

The work grows with the count of bounded numbers, times that of the numbers on which they depend. So an even sample is
bounded of a state of more than `MAX_STATE` numbers, and a smaller one if there are more than `MAX_DERIVATIVES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..layers import name_states
from ..reference import Reference
from .affine_forms import TrackedReference, TrackedStates
from .bounded_value import BoundedValue
from .bounds import ActivationErrors, ErrorGraph, U

if TYPE_CHECKING:
    from ..model import Model

Float = npt.NDArray[np.float64]
FLOAT64_MARGIN: Final = 1 + 2.0**-20  # roundings of the reference and of the bound itself are each 2^-29 of float32's
MAX_STATE: Final = 640
MAX_DERIVATIVES: Final = 1 << 20  # of the bounded numbers with respect to one state
LARGEST_FLOAT32: Final = float(np.finfo(np.float32).max)


class Trajectory(NamedTuple):
    """The reference run of one sequence.

    x: ids [T] or [T, ids], or numbers [T, features]. states: name -> [T, *shape], the state before each step (steps as
    int64 [T, 1]); empty for a model that reads whole rows. last: name -> [*shape], the state after the last step.
    outputs: float64 [T, O]; those that are late come from the end of the sequence.
    """

    x: npt.NDArray[Any]
    states: dict[str, npt.NDArray[Any]]
    last: dict[str, npt.NDArray[Any]]
    outputs: Float


class SequenceBounds(NamedTuple):
    """Error bounds after the last step.

    output: [O]. state: of the numbers at `indices` of the flattened state (its float arrays end to end).
    """

    output: Float
    state: Float
    indices: npt.NDArray[np.int64]


def run_reference(model: Model, x: npt.NDArray[Any]) -> Trajectory:
    """Run one sequence in float64 from the initial state."""
    reference = Reference(model)
    if reference.whole_window:
        outputs, state = reference.run(x[:, None])
        return Trajectory(x, {}, {name: v[0] for name, v in state.items()}, outputs[:, 0])
    state = reference.initial_state(1)
    history: dict[str, list[Any]] = {name: [] for name in state}
    steps = []
    for k in range(len(x)):
        for name, value in state.items():
            history[name].append(value)
        y, state = reference.step(state, x[k : k + 1])
        steps += [] if y is None else [y]
    steps += reference.flush(state)
    states = {name: np.concatenate(values) for name, values in history.items()}
    return Trajectory(x, states, {name: v[0] for name, v in state.items()}, np.concatenate(steps))


def flatten_state(state: dict[str, npt.NDArray[Any]]) -> Float:
    """Return the float arrays of one state, end to end."""
    parts = [np.asarray(v, np.float64).reshape(-1) for name, v in state.items() if name != "steps"]
    return np.concatenate(parts) if parts else np.zeros(0)


def bound_sequence(model: Model, run: Trajectory, errors: ActivationErrors) -> SequenceBounds:
    """Bound the errors of a float32 run of `run.x` on a target whose functions deviate by `errors`.

    A bound is infinite if none holds.
    """
    graph = ErrorGraph(errors, steps=len(run.x))
    with np.errstate(all="ignore"):  # an overflow becomes an infinite bound
        output, state = run_on_graph(model, graph, run.x)
        Y, S = output.value.size, sum(v.value.size for v in state)
        indices = sample_state(S)
        rows = Y + len(indices)
        seeds = np.zeros((rows, Y + S))
        seeds[np.arange(Y), np.arange(Y)] = seeds[np.arange(Y, rows), Y + indices] = 1.0
        parts = np.split(seeds, np.cumsum([Y, *(v.value.size for v in state)])[:-1], 1)
        bound, _ = graph.backward(list(zip([output, *state], parts, strict=True)))
    bound = np.where(np.isnan(bound) | overflows(graph), np.inf, FLOAT64_MARGIN * bound)
    return SequenceBounds(bound[:Y], bound[Y:], indices)


def sample_state(size: int) -> npt.NDArray[np.int64]:
    """Return the indices of an even sample of the numbers of a state.

    The gap in a large state, as of windows of steps, is odd, so that the sample meets every place of a step.

    >>> sample_state(700)[:3], len(sample_state(8192))
    (array([0, 2, 4]), 127)
    """
    gap = max(1, -(-size // MAX_STATE), -(-size * size // MAX_DERIVATIVES) | 1)
    return np.arange(0, size, gap)


def run_on_graph(model: Model, graph: ErrorGraph, x: npt.NDArray[Any]) -> tuple[BoundedValue, list[BoundedValue]]:
    """Run a sequence from the initial state on a graph; return the last output and the last state's float arrays."""
    reference = TrackedReference(model, graph, bool(model.whole_window or model.look_ahead), len(x))
    xs = [graph.lift(one) if x.dtype.kind == "f" else one for one in np.split(x, len(x))]  # lifted: operations count
    if reference.whole_window:
        return graph.lift(reference.run_layers(xs)[-1]), []
    y, state = None, dict[str, Any](reference.initial_state(1))
    names = [name for name in state if name != "steps"]
    carried = [name_states(i, layer.state()) for i, layer in enumerate(model.layers) if layer.tapes]
    recurrent = [name for states in carried for name in states]
    for one in xs:
        tracked = TrackedStates(graph, {} if model.look_ahead else {name: state[name] for name in recurrent})
        y, state = reference.step(state, one)
        tracked.finish(state)
    if model.look_ahead:
        y = reference.flush(state)[-1]
    return graph.lift(y), [graph.lift(state[name]) for name in names]


def overflows(graph: ErrorGraph) -> bool:
    """Tell whether a number, or a partial sum of one, may be out of float32's range, or a select may be infinite.

    The radius of a sum is at least U times the sum of its terms' absolute values, so a small radius means that no part
    of it is too large.
    """
    return graph.lost or any(
        (np.isfinite(v.value) & (abs(v.value) > LARGEST_FLOAT32)).any()
        or (np.isfinite(v.radius) & (v.radius > U * LARGEST_FLOAT32)).any()
        for v in graph.values
    )


def bound_steps(
    model: Model, x: npt.NDArray[Any], states: list[dict[str, Any]], outputs: npt.NDArray[Any], errors: ActivationErrors
) -> tuple[Float, Float]:
    """Return the error and its bound for every number of a target's run, outputs and states, step by step.

    Each step is compared with that of the reference from the target's own previous state, which is known exactly. So
    nothing is amplified, and a bound holds for any model that streams, even a chaotic one, as long as its numbers fit
    into float32.

    states: the target's, before the first step and after each, name -> [1, *shape]. outputs: [T, O]. If they are late,
    the first of them belong to no step and are not read, and those that follow the last step stand behind; these are
    compared as a whole with those of the reference from the target's last state.
    """
    results: list[tuple[Float, Float]] = []
    lost, T = False, len(x)
    for k in range(T + (len(outputs) > T)):
        graph = ErrorGraph(errors, rounds_exactly=True)
        reference = TrackedReference(model, graph, False, -1)
        before = {name: v if name == "steps" else graph.lift(v) for name, v in states[k].items()}
        one, pairs = x[k : k + 1], []
        with np.errstate(all="ignore"):
            if k == T:
                found = reference.flush(before)
                pairs = list(zip(outputs[len(outputs) - len(found) :], found, strict=True))
            else:
                y, after = reference.step(before, graph.lift(one) if one.dtype.kind == "f" else one)
                pairs = [] if y is None else [(outputs[k], y)]
                pairs += [(states[k + 1][name], v) for name, v in after.items() if name != "steps"]
        lost = overflows(graph) or (lost and not all(np.isfinite(v).all() for v in states[k].values()))
        for theirs, ours in pairs:
            value, actual = graph.lift(ours), theirs.astype(np.float64).reshape(-1)
            expected = value.value.reshape(-1)
            with np.errstate(invalid="ignore"):
                error = np.where(actual == expected, 0.0, abs(actual - expected))  # equal infinities have no error
            results.append((error, np.where(lost, np.inf, FLOAT64_MARGIN * value.radius.reshape(-1))))
    return np.concatenate([error for error, _ in results]), np.concatenate([bound for _, bound in results])
