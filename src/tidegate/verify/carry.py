"""How far float32 may stray over a sequence: each step's roundings, carried along the trajectory.

Let s_t = f(s_{t-1}, x_t) be the oracle's exact run. The float32 run obeys the same up to each step's own
roundings d_t, so to first order the error of its last state is the sum over t of J_T J_{T-1} ... J_{t+1} d_t,
where J_t = df/ds at s_{t-1}; the output's error has dg/ds as its first factor. `bounds.py` splits each d_t
further, into the roundings of single operations, and gives the derivatives of the results by each of them in
one pass backwards through a step. Passes are chained from the last step to the first, so that every rounding
is weighed by the derivative of the results by it, with its signs, over any number of steps: an error that the
recurrence forgets is forgotten here too.

Second order (derivatives are taken at the exact state and not at float32's; a maximum may choose the other
branch when its operands are closer than their errors) is of the size of the error itself, relatively;
`SECOND_ORDER` pays for it wherever first order means anything; `SECOND_ORDER_BF16`, where what products take is rounded
to bfloat16, whose roundings are 2^16 times float32's. It does not pay where first order says nothing: an output behind
relus that are all 0 has a derivative of 0, whatever a rounding wakes.

A model with a whole-window layer has no state to chain by: one graph holds all of its steps, and one pass goes back
through it.

The work grows with the numbers that are bounded, so of a state of more than `MOST_STATE` numbers an even
sample is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..oracle import Oracle
from .bounds import ActivationErrors, Graph

if TYPE_CHECKING:
    from ..model import Model

Float = npt.NDArray[np.float64]
SECOND_ORDER: Final = 1.01
SECOND_ORDER_BF16: Final = 1.5
MOST_STATE: Final = 640


class Trajectory(NamedTuple):
    """The oracle's run of one sequence. x: ids [T] or numbers [T, features]. states: name -> [T, *shape], the
    state before each step (steps as int64 [T, 1]), none of a model that does not stream; last: name -> [*shape],
    after the last; outputs: float64 [T, O]."""

    x: npt.NDArray[Any]
    states: dict[str, npt.NDArray[Any]]
    last: dict[str, npt.NDArray[Any]]
    outputs: Float


class Carried(NamedTuple):
    """Bounds after the last step. output: [O]. state: of the numbers `numbers` (indices) of the flattened
    state: its float arrays end to end."""

    output: Float
    state: Float
    numbers: npt.NDArray[np.int64]


def trajectory(model: Model, x: npt.NDArray[Any]) -> Trajectory:
    """The oracle's run of one sequence from the first state."""
    oracle = Oracle(model)
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


def flat_state(state: dict[str, npt.NDArray[Any]]) -> Float:
    """The float arrays of one state, end to end."""
    parts = [np.asarray(v, np.float64).reshape(-1) for name, v in state.items() if name != "steps"]
    return np.concatenate(parts) if parts else np.zeros(0)


def carried(model: Model, run: Trajectory, errors: ActivationErrors) -> Carried:
    """The bounds of a float32 run of `run.x`, on a target whose functions stray by `errors`."""
    oracle, T, Y = Oracle(model), len(run.x), run.outputs.shape[1]
    if oracle.whole_window:
        return carried_whole(oracle, run, errors)
    names = [name for name in run.states if name != "steps"]
    widths = [run.last[name].size for name in names]
    S = sum(widths)
    chosen = np.arange(0, S, max(1, -(-S // MOST_STATE)))
    rows = Y + len(chosen)
    wanted = np.zeros((rows, Y + S))
    wanted[np.arange(Y), np.arange(Y)] = wanted[np.arange(Y, rows), Y + chosen] = 1.0
    by_output, *by_state = np.split(wanted, np.cumsum([Y, *widths])[:-1], 1)
    bound = np.zeros(rows)
    for t in reversed(range(T)):
        oracle.xp = graph = Graph(errors)
        before: dict[str, Any] = {name: graph.lift(run.states[name][t : t + 1]) for name in names}
        for leaf in before.values():
            leaf.own = np.zeros(1)  # the state before is not rounded again
        y, after = oracle.step({"steps": run.states["steps"][t : t + 1], **before}, run.x[t : t + 1])
        seeds = [(after[name], d) for name, d in zip(names, by_state, strict=True)]
        own, found = graph.backward([(y, by_output), *seeds] if t == T - 1 else seeds)
        bound += own
        if not seeds:
            break
        by_state = [found.get(id(before[n]), np.zeros((rows, w))) for n, w in zip(names, widths, strict=True)]
    more = second_order(errors)
    return Carried(more * bound[:Y], more * bound[Y:], chosen)


def second_order(errors: ActivationErrors) -> float:
    return SECOND_ORDER_BF16 if errors.operand else SECOND_ORDER


def carried_whole(oracle: Oracle, run: Trajectory, errors: ActivationErrors) -> Carried:
    """The same of a model with a whole-window layer, whose only results are its outputs."""
    oracle.xp = graph = Graph(errors)
    y = oracle.whole([run.x[k : k + 1] for k in range(len(run.x))])[-1]
    bound, _ = graph.backward([(y, np.eye(run.outputs.shape[1]))])
    return Carried(second_order(errors) * bound, np.zeros(0), np.zeros(0, np.int64))
