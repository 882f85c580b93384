"""Series in a pool: one step of many streams with their memories, and windows of many streams in one run."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..features import memory
from ..features.memory import SeriesState
from ..features.series import Scaling
from .compiled_model import CompiledModel
from .output import wrap_output
from .rows import Event, Rows
from .series import SeriesInput, concat_scalings

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def step_series(pool: Rows, keys: list[Hashable], x: Floats, times: Any) -> npt.NDArray[Any]:
    """`Pool.step` of a model of series: x raw numbers [n, columns]. All is looked at before anything changes."""
    compiled, source = pool._compiled, require_series(pool._compiled)
    moments = source.read_times(times, len(keys))
    begun = {
        key: pool._input_states[pool._rows[key]] if key in pool._rows else pool._init_input_state(key) for key in keys
    }
    plan = []
    for these in rounds(keys):
        streams = [keys[i] for i in these]
        before = [begun[key] for key in streams]
        steps, keep, after = memory.update_batch(
            source.transform, before, x[these], None if moments is None else moments[these], streams
        )
        begun |= zip(streams, after, strict=True)
        plan.append((these, steps, keep, after))
    answers, places = make_answers(compiled, len(keys)), pool._begin_rows(keys)
    for these, steps, keep, after in plan:
        rows = places[these]
        for row, seen in zip(rows.tolist(), after, strict=True):
            pool._input_states[row] = seen
        answers[these] = advance(pool, rows, steps, keep)
    return answers


def rounds(keys: list[Hashable]) -> Iterator[list[int]]:
    """The places of the keys in turns, in each of which a key stands once.

    >>> list(turns(["a", "b", "a"]))
    [[0, 1], [2]]
    """
    found: list[list[int]] = []
    times: dict[Hashable, int] = {}
    for i, key in enumerate(keys):
        turn = times[key] = times.get(key, -1) + 1
        if turn == len(found):
            found.append([])
        found[turn].append(i)
    yield from found


def advance(pool: Rows, rows: Indices, steps: Floats, keep: Indices) -> npt.NDArray[Any]:
    """The answers [n, ...] of streams in these rows, once the steps of some of them [n', width] have been run."""
    compiled, source = pool._compiled, require_series(pool._compiled)
    moved = rows[keep]
    if compiled.windowed:
        counts = add_steps(pool, moved, 1)
        run_newest(pool, moved[counts >= source.steps_needed])
    elif len(moved):
        own = np.array([pool._input_states[row].series for row in moved.tolist()], np.int64)
        pool._step(moved, np.ascontiguousarray(source.transform.scale_fixed(steps, own)))
    answers = make_answers(compiled, len(rows))
    warm = np.flatnonzero(pool._blocks[rows, :8].view(np.int64)[:, 0] >= source.steps_needed)
    if len(warm):
        answers[warm] = read_answers(pool, rows[warm])
    return answers


def add_steps(pool: Rows, rows: Indices, steps: Any) -> Indices:
    """How many steps streams have seen once so many more have come."""
    counts = pool._blocks[rows, :8].view(np.int64)[:, 0] + steps
    pool._blocks[rows, :8] = counts[:, None].view(np.uint8)
    return np.asarray(counts)


def run_newest(pool: Rows, rows: Indices) -> None:
    """Run the newest window of each of these streams from the first state."""
    if len(rows):
        pool._outputs[rows], _ = run_windows(pool._compiled, [pool._input_states[row] for row in rows.tolist()])


def run_windows(compiled: CompiledModel, seen: list[SeriesState]) -> tuple[npt.NDArray[np.float32], Scaling]:
    """Outputs [B, outputs] and scalings of the newest windows of B warm streams."""
    outputs, scalings = [], []
    for part in require_series(compiled).split(seen):
        windows, lengths, scaling = require_series(compiled).make_windows(part)
        outputs.append(compiled.run_windows(windows, lengths))
        scalings.append(scaling)
    return np.concatenate(outputs), concat_scalings(scalings)


def read_answers(pool: Rows, rows: Indices) -> npt.NDArray[Any]:
    """Outputs, or forecasts, of warm streams; NaN for one that cannot be fed back yet."""
    compiled, source, outputs = pool._compiled, require_series(pool._compiled), pool._outputs[rows]
    seen = [pool._input_states[row] for row in rows.tolist()]
    if source.transform.forecast is None:
        return outputs
    if not compiled.autoregressive:
        return compiled.forecasts(outputs, source.scalings(seen))
    from .rollout import roll_out

    found = make_answers(compiled, len(rows))
    able = [i for i, one in enumerate(seen) if not source.rollout_not_ready_reason(one)]
    if able:
        ready = [seen[i] for i in able]
        found[able] = roll_out(
            compiled, pool._blocks[rows[able]], outputs[able], ready, source.transform.forecast.horizon
        )
    return found


def make_answers(compiled: CompiledModel, n: int) -> npt.NDArray[Any]:
    """NaN for the answers of n streams."""
    answer = require_series(compiled).transform.forecast
    if answer is None:
        return np.full((n, compiled.outputs), np.nan, np.float32)
    return np.full((n, answer.horizon, len(require_series(compiled).targets), len(answer.quantiles)), np.nan)


def apply_windows(pool: Rows, group: list[Event], rows: list[int], answers: dict[int, Any]) -> None:
    """`Pool._apply` of a model with a window: the windows of all events in one run."""
    compiled, source = pool._compiled, require_series(pool._compiled)
    totals = dict(zip(rows, pool._blocks[np.array(rows), :8].view(np.int64)[:, 0].tolist(), strict=True))
    fresh: list[int] = []
    counts: list[int] = []
    for i, (event, row) in enumerate(zip(group, rows, strict=True)):
        totals[row] += len(event.steps)
        counts.append(totals[row])
        if len(event.steps) and source.is_ready(totals[row]):
            fresh.append(i)
    outputs: dict[int, Any] = {}
    scalings: dict[int, Scaling] = {}
    if fresh:
        found, scaling = run_windows(compiled, [group[i].input_state for i in fresh])
        outputs = dict(zip(fresh, found, strict=True))
        scalings = {i: scaling.select(k) for k, i in enumerate(fresh)}
    for i, (event, row) in enumerate(zip(group, rows, strict=True)):
        if i in outputs:
            pool._outputs[row] = outputs[i]
        pool._input_states[row] = event.input_state
        pool._blocks[row, :8] = np.array([counts[i]]).view(np.uint8)
        block = pool._blocks[row]
        answers[event.position] = wrap_output(
            compiled, pool._outputs[row], counts[i], event.input_state, block, event.end, scalings.get(i)
        )
        if event.end:
            pool._reset(row)


def require_series(compiled: CompiledModel) -> SeriesInput:
    assert compiled.series is not None, "a model of series"
    return compiled.series
