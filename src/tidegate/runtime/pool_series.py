"""Series in a pool: step many streams with their memories, and run windows of many streams together."""

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
    """Do `Pool.step` for a model of series. x: raw numbers [n, columns]. All checks come before any change."""
    compiled, source = pool._compiled, require_series(pool._compiled)
    moments = source.read_times(times, len(keys))
    states = {key: pool._find_input_state(key) for key in keys}
    plan = []
    for positions in rounds(keys):
        streams = [keys[i] for i in positions]
        before = [states[key] for key in streams]
        steps, keep, after = memory.update_batch(
            source.transform, before, x[positions], None if moments is None else moments[positions], streams
        )
        states |= zip(streams, after, strict=True)
        plan.append((positions, steps, keep, after))
    answers, all_rows = make_answers(compiled, len(keys)), pool._begin_rows(keys)
    for positions, steps, keep, after in plan:
        rows = all_rows[positions]
        for row, state in zip(rows.tolist(), after, strict=True):
            pool._input_states[row] = state
        answers[positions] = advance(pool, rows, steps, keep)
    return answers


def rounds(keys: list[Hashable]) -> Iterator[list[int]]:
    """Group the positions of keys into rounds, in each of which a key occurs once.

    >>> list(rounds(["a", "b", "a"]))
    [[0, 1], [2]]
    """
    groups: list[list[int]] = []
    latest: dict[Hashable, int] = {}
    for i, key in enumerate(keys):
        number = latest[key] = latest.get(key, -1) + 1
        if number == len(groups):
            groups.append([])
        groups[number].append(i)
    yield from groups


def advance(pool: Rows, rows: Indices, steps: Floats, keep: Indices) -> npt.NDArray[Any]:
    """Run steps [n', width] of the streams `keep` of these rows, and return the answers of all of them [n, ...]."""
    compiled, source = pool._compiled, require_series(pool._compiled)
    stepped = rows[keep]
    if compiled.windowed:
        counts = add_steps(pool, stepped, 1)
        run_newest(pool, stepped[counts >= source.steps_needed])
    elif len(stepped):
        series = np.array([pool._input_states[row].series for row in stepped.tolist()], np.int64)
        pool._step(stepped, np.ascontiguousarray(source.transform.scale_fixed(steps, series)))
    answers = make_answers(compiled, len(rows))
    ready = np.flatnonzero(pool._blocks[rows, :8].view(np.int64)[:, 0] >= source.steps_needed)
    if len(ready):
        answers[ready] = read_answers(pool, rows[ready])
    return answers


def add_steps(pool: Rows, rows: Indices, steps: Any) -> Indices:
    """Add to the step counts of streams, and return the new counts."""
    counts = pool._blocks[rows, :8].view(np.int64)[:, 0] + steps
    pool._blocks[rows, :8] = counts[:, None].view(np.uint8)
    return np.asarray(counts)


def run_newest(pool: Rows, rows: Indices) -> None:
    """Run the newest window of each of these streams from the initial state."""
    if len(rows):
        pool._outputs[rows], _ = run_windows(pool._compiled, [pool._input_states[row] for row in rows.tolist()])


def run_windows(compiled: CompiledModel, states: list[SeriesState]) -> tuple[npt.NDArray[np.float32], Scaling]:
    """Run the newest windows of B ready streams, and return the outputs [B, outputs] and their scaling."""
    outputs, scalings = [], []
    for batch in require_series(compiled).split(states):
        windows, lengths, scaling = require_series(compiled).make_windows(batch)
        outputs.append(compiled.run_windows(windows, lengths))
        scalings.append(scaling)
    return np.concatenate(outputs), concat_scalings(scalings)


def read_answers(pool: Rows, rows: Indices) -> npt.NDArray[Any]:
    """Return the outputs or the forecasts of ready streams; NaN for a forecast that cannot be fed back yet."""
    compiled, source, outputs = pool._compiled, require_series(pool._compiled), pool._outputs[rows]
    states = [pool._input_states[row] for row in rows.tolist()]
    if source.transform.forecast is None:
        return outputs
    if not compiled.autoregressive:
        return compiled.forecasts(outputs, source.scalings(states))
    from .rollout import roll_out

    answers = make_answers(compiled, len(rows))
    ready = [i for i, state in enumerate(states) if not source.rollout_not_ready_reason(state)]
    if ready:
        answers[ready] = roll_out(
            compiled,
            pool._blocks[rows[ready]],
            outputs[ready],
            [states[i] for i in ready],
            source.transform.forecast.horizon,
        )
    return answers


def make_answers(compiled: CompiledModel, n: int) -> npt.NDArray[Any]:
    """Make an array of NaN for the answers of n streams."""
    source = require_series(compiled)
    if (spec := source.transform.forecast) is None:
        return np.full((n, compiled.outputs), np.nan, np.float32)
    return np.full((n, spec.horizon, len(source.targets), len(spec.quantiles)), np.nan)


def apply_windows(pool: Rows, batch: list[Event], rows: list[int], answers: dict[int, Any]) -> None:
    """Do `Pool._apply` for a model with a window: run the windows of all events together."""
    compiled, source = pool._compiled, require_series(pool._compiled)
    totals = dict(zip(rows, pool._blocks[np.array(rows), :8].view(np.int64)[:, 0].tolist(), strict=True))
    to_run: list[int] = []
    counts: list[int] = []
    for i, (event, row) in enumerate(zip(batch, rows, strict=True)):
        totals[row] += len(event.steps)
        counts.append(totals[row])
        if len(event.steps) and source.is_ready(totals[row]):
            to_run.append(i)
    outputs: dict[int, Any] = {}
    scalings: dict[int, Scaling] = {}
    if to_run:
        new_outputs, scaling = run_windows(compiled, [batch[i].input_state for i in to_run])
        outputs = dict(zip(to_run, new_outputs, strict=True))
        scalings = {i: scaling.select(k) for k, i in enumerate(to_run)}
    for i, (event, row) in enumerate(zip(batch, rows, strict=True)):
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
    """Return the input of a model of series."""
    assert compiled.series is not None, "a model of series"
    return compiled.series
