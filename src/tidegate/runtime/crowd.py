"""Series in a pool: one step of many streams with their memories, and windows of many streams in one run."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..features import memory
from ..features.memory import Seen
from ..features.series import Frame
from .series import Series, joined
from .session import Session

if TYPE_CHECKING:
    from .pool import Planned, Pool

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def stepped(pool: Pool, keys: list[Hashable], x: Floats, times: Any) -> npt.NDArray[Any]:
    """`Pool.step` of a model of series: x raw numbers [n, columns]. All is looked at before anything changes."""
    session, source = pool._session, series_of(pool._session)
    moments = source.times(times, len(keys))
    begun = {key: pool._pending[pool._rows[key]] if key in pool._rows else pool._begun(key) for key in keys}
    plan = []
    for these in turns(keys):
        streams = [keys[i] for i in these]
        before = [begun[key] for key in streams]
        steps, keep, after = memory.across(
            source.intake, before, x[these], None if moments is None else moments[these], streams
        )
        begun |= zip(streams, after, strict=True)
        plan.append((these, steps, keep, after))
    answers, places = empty(session, len(keys)), pool._open(keys)
    for these, steps, keep, after in plan:
        rows = places[these]
        for row, seen in zip(rows.tolist(), after, strict=True):
            pool._pending[row] = seen
        answers[these] = advanced(pool, rows, steps, keep)
    return answers


def turns(keys: list[Hashable]) -> Iterator[list[int]]:
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


def advanced(pool: Pool, rows: Indices, steps: Floats, keep: Indices) -> npt.NDArray[Any]:
    """The answers [n, ...] of streams in these rows, once the steps of some of them [n', width] have been run."""
    session, source = pool._session, series_of(pool._session)
    moved = rows[keep]
    if session.windowed:
        counts = counted(pool, moved, 1)
        rewound(pool, moved[counts >= source.needs])
    elif len(moved):
        own = np.array([pool._pending[row].series for row in moved.tolist()], np.int64)
        pool._step(moved, np.ascontiguousarray(source.intake.fixed(steps, own)))
    answers = empty(session, len(rows))
    warm = np.flatnonzero(pool._blocks[rows, :8].view(np.int64)[:, 0] >= source.needs)
    if len(warm):
        answers[warm] = answered(pool, rows[warm])
    return answers


def counted(pool: Pool, rows: Indices, steps: Any) -> Indices:
    """How many steps streams have seen once so many more have come."""
    counts = pool._blocks[rows, :8].view(np.int64)[:, 0] + steps
    pool._blocks[rows, :8] = counts[:, None].view(np.uint8)
    return np.asarray(counts)


def rewound(pool: Pool, rows: Indices) -> None:
    """Run the newest window of each of these streams from the first state."""
    if len(rows):
        pool._outputs[rows], _ = newest(pool._session, [pool._pending[row] for row in rows.tolist()])


def newest(session: Session, seen: list[Seen]) -> tuple[npt.NDArray[np.float32], Frame]:
    """Outputs [B, outputs] and frames of the newest windows of B warm streams."""
    outputs, frames = [], []
    for part in series_of(session).parts(seen):
        windows, lengths, frame = series_of(session).windows(part)
        outputs.append(session.afresh(windows, lengths))
        frames.append(frame)
    return np.concatenate(outputs), joined(frames)


def answered(pool: Pool, rows: Indices) -> npt.NDArray[Any]:
    """Outputs, or forecasts, of warm streams; NaN for one that cannot be fed back yet."""
    session, source, outputs = pool._session, series_of(pool._session), pool._outputs[rows]
    seen = [pool._pending[row] for row in rows.tolist()]
    if source.intake.answer is None:
        return outputs
    if not session.rolls:
        return session.restored(outputs, source.frames(seen))
    from .roll import rolled

    found = empty(session, len(rows))
    able = [i for i, one in enumerate(seen) if not source.obstacle(one)]
    if able:
        ready = [seen[i] for i in able]
        found[able] = rolled(session, pool._blocks[rows[able]], outputs[able], ready, source.intake.answer.horizon)
    return found


def empty(session: Session, n: int) -> npt.NDArray[Any]:
    """NaN for the answers of n streams."""
    answer = series_of(session).intake.answer
    if answer is None:
        return np.full((n, session.outputs), np.nan, np.float32)
    return np.full((n, answer.horizon, len(series_of(session).targets), len(answer.quantiles)), np.nan)


def windows_of(pool: Pool, group: list[Planned], rows: list[int], answers: dict[int, Any]) -> None:
    """`Pool._apply` of a model with a window: the windows of all events in one run."""
    session, source = pool._session, series_of(pool._session)
    totals = dict(zip(rows, pool._blocks[np.array(rows), :8].view(np.int64)[:, 0].tolist(), strict=True))
    fresh: list[int] = []
    counts: list[int] = []
    for i, (event, row) in enumerate(zip(group, rows, strict=True)):
        totals[row] += len(event.steps)
        counts.append(totals[row])
        if len(event.steps) and source.warm(totals[row]):
            fresh.append(i)
    outputs: dict[int, Any] = {}
    frames: dict[int, Frame] = {}
    if fresh:
        found, frame = newest(session, [group[i].pending for i in fresh])
        outputs = dict(zip(fresh, found, strict=True))
        frames = {i: frame.at(k) for k, i in enumerate(fresh)}
    for i, (event, row) in enumerate(zip(group, rows, strict=True)):
        if i in outputs:
            pool._outputs[row] = outputs[i]
        pool._pending[row] = event.pending
        pool._blocks[row, :8] = np.array([counts[i]]).view(np.uint8)
        block = pool._blocks[row]
        answers[event.place] = session.answer(
            pool._outputs[row], counts[i], event.pending, block, event.end, frames.get(i)
        )
        if event.end:
            pool._reset(row)


def series_of(session: Session) -> Series:
    assert session.series is not None, "a model of series"
    return session.series
