"""How far float32 may stray over a sequence: each step's roundings, carried along the trajectory.

One graph holds all steps, and one pass goes back through it, so that every rounding is weighed by the derivative of
the results by it, with its signs, over any number of steps: an error that the recurrence forgets is forgotten here too.
What operations bend away from their tangents is counted in the graph (`bounds.py`), by the radii of `affine_forms.py`. So
the bound is proved, and not of first order only.

Where errors are amplified until they meet what bends, as in a chaotic recurrence, no bound holds: it is infinite. The
same goes for numbers that float32 cannot hold: it makes infinities of them.

The work grows with the numbers that are bounded, so of a state of more than `MOST_STATE` numbers an even
sample is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..reference import Reference
from .bounds import ActivationErrors, ErrorGraph, U, BoundedValue
from .affine_forms import TrackedStates, TrackedLayer

if TYPE_CHECKING:
    from ..model import Model

Float = npt.NDArray[np.float64]
FLOAT64_MARGIN: Final = 1 + 2.0**-20  # the oracle's roundings and the bound's own are each 2^-29 of float32's
MAX_STATE: Final = 640
LARGEST_FLOAT32: Final = float(np.finfo(np.float32).max)


class Trajectory(NamedTuple):
    """The oracle's run of one sequence. x: ids [T] or numbers [T, features]. states: name -> [T, *shape], the
    state before each step (steps as int64 [T, 1]), none of a model that does not stream; last: name -> [*shape],
    after the last; outputs: float64 [T, O]."""

    x: npt.NDArray[Any]
    states: dict[str, npt.NDArray[Any]]
    last: dict[str, npt.NDArray[Any]]
    outputs: Float


class SequenceBounds(NamedTuple):
    """Bounds after the last step. output: [O]. state: of the numbers `numbers` (indices) of the flattened
    state: its float arrays end to end."""

    output: Float
    state: Float
    indices: npt.NDArray[np.int64]


def run_reference(model: Model, x: npt.NDArray[Any]) -> Trajectory:
    """The oracle's run of one sequence from the first state."""
    oracle = Reference(model)
    if oracle.whole_window:
        outputs, state = oracle.run(x[:, None])
        return Trajectory(x, {}, {name: v[0] for name, v in state.items()}, outputs[:, 0])
    state = oracle.initial(1)
    seen: dict[str, list[Any]] = {name: [] for name in state}
    said = []
    for k in range(len(x)):
        for name, value in state.items():
            seen[name].append(value)
        y, state = oracle.step(state, x[k : k + 1])
        said.append(y)
    states = {name: np.concatenate(values) for name, values in seen.items()}
    return Trajectory(x, states, {name: v[0] for name, v in state.items()}, np.concatenate(said))


def flatten_state(state: dict[str, npt.NDArray[Any]]) -> Float:
    """The float arrays of one state, end to end."""
    parts = [np.asarray(v, np.float64).reshape(-1) for name, v in state.items() if name != "steps"]
    return np.concatenate(parts) if parts else np.zeros(0)


def bound_sequence(model: Model, run: Trajectory, errors: ActivationErrors) -> SequenceBounds:
    """The bounds of a float32 run of `run.x`, on a target whose functions stray by `errors`; infinity where none
    holds."""
    graph = ErrorGraph(errors, steps=len(run.x))
    with np.errstate(all="ignore"):  # what overflows bounds nothing
        output, state = run_on_graph(model, graph, run.x)
        Y, S = output.value.size, sum(v.value.size for v in state)
        chosen = np.arange(0, S, max(1, -(-S // MAX_STATE)))
        rows = Y + len(chosen)
        wanted = np.zeros((rows, Y + S))
        wanted[np.arange(Y), np.arange(Y)] = wanted[np.arange(Y, rows), Y + chosen] = 1.0
        parts = np.split(wanted, np.cumsum([Y, *(v.value.size for v in state)])[:-1], 1)
        bound, _ = graph.backward(list(zip([output, *state], parts, strict=True)))
    bound = np.where(np.isnan(bound) | overflows(graph), np.inf, FLOAT64_MARGIN * bound)
    return SequenceBounds(bound[:Y], bound[Y:], chosen)


def run_on_graph(model: Model, graph: ErrorGraph, x: npt.NDArray[Any]) -> tuple[BoundedValue, list[BoundedValue]]:
    """The last output and the last state's float arrays, from the first state on."""
    oracle = Reference(model, graph)
    oracle.layer_modules = [TrackedLayer(room, bool(oracle.whole_window), len(x)) for room in oracle.layer_modules]  # type: ignore[misc]
    xs = [graph.lift(one) if x.dtype.kind == "f" else one for one in np.split(x, len(x))]  # so that what is done counts
    if oracle.whole_window:
        return graph.lift(oracle.whole(xs)[-1]), []
    y, state = None, dict[str, Any](oracle.initial(1))
    names = [name for name in state if name != "steps"]
    recurrent = [name for name in names if "tape" in model.layers[int(name.split(".")[1])]]
    for one in xs:
        step = TrackedStates(graph, {name: state[name] for name in recurrent})
        y, state = oracle.step(state, one)
        step.finish(state)
    return graph.lift(y), [graph.lift(state[name]) for name in names]


def overflows(graph: ErrorGraph) -> bool:
    """Whether a number, or a partial sum of one, may be beyond float32's range. A sum's radius is at least U times the
    sum of its terms' absolute values, so a small radius says that no part of it is too large.
    """
    return any(
        (np.isfinite(v.value) & (abs(v.value) > LARGEST_FLOAT32)).any()
        or (np.isfinite(v.radius) & (v.radius > U * LARGEST_FLOAT32)).any()
        for v in graph.values
    )


def bound_steps(
    model: Model, x: npt.NDArray[Any], states: list[dict[str, Any]], outputs: npt.NDArray[Any], errors: ActivationErrors
) -> tuple[Float, Float]:
    """Of every number that a target has made in a sequence, output and state, step by step: the error and its bound.

    states: the target's, before the first step and after each, name -> [1, *shape]; outputs: [T, O]. Each step is held
    against the oracle's from the target's own state before it, which is a known number. So nothing is amplified, and a
    bound holds of any model that streams, a chaotic one too, as long as its numbers fit into float32.
    """
    found: list[tuple[Float, Float]] = []
    lost = False
    for k in range(len(x)):
        graph = ErrorGraph(errors, rounds_exactly=True)
        oracle = Reference(model, graph)
        oracle.layer_modules = [TrackedLayer(room, False, -1) for room in oracle.layer_modules]  # type: ignore[misc]
        before = {name: v if name == "steps" else graph.lift(v) for name, v in states[k].items()}
        one = x[k : k + 1]
        with np.errstate(all="ignore"):
            y, after = oracle.step(before, graph.lift(one) if one.dtype.kind == "f" else one)
        lost = overflows(graph) or (lost and not all(np.isfinite(v).all() for v in states[k].values()))
        made = [(outputs[k], y), *((states[k + 1][name], v) for name, v in after.items() if name != "steps")]
        for theirs, ours in made:
            value, given = graph.lift(ours), theirs.astype(np.float64).reshape(-1)
            exact = value.value.reshape(-1)
            with np.errstate(invalid="ignore"):
                error = np.where(given == exact, 0.0, abs(given - exact))  # infinities are equal too
            found.append((error, np.where(lost, np.inf, FLOAT64_MARGIN * value.radius.reshape(-1))))
    return np.concatenate([error for error, _ in found]), np.concatenate([bound for _, bound in found])
