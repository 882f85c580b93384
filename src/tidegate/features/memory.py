"""The memory of a stream of a series between steps: as a value, for many streams at once, and as bytes.

The bytes are little-endian and of one size for a model:

- `series` int64, the row of its statistics, if they have names;
- `time` and `gap` int64, if the calendar is used: microseconds since 1970 of the last step, and between the last two;
  the least int64 stands for none;
- `last` float64 [columns], if missing numbers are filled or forecasts are fed back: the last value of each column;
- `ring` float64 [reach, width], if there is a window: the latest steps after imputation, oldest first, then zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError, StateError
from .series import SeriesTransform
from .steps import Floats, Indices

NONE: Final = -(1 << 63)  # NaT

Times = npt.NDArray[np.datetime64]


class SeriesState(NamedTuple):
    """One stream's memory. It never changes.

    series: the row of its statistics. time, gap: microseconds, or None. last: float64 [columns], or None. ring: the
    latest steps float64 [up to reach, width], or None without a window.
    """

    series: int = 0
    time: int | None = None
    gap: int | None = None
    last: Floats | None = None
    ring: Floats | None = None


def keeps_last(transform: SeriesTransform) -> bool:
    """Return whether a stream keeps the last value of each column."""
    return transform.fills or (transform.forecast is not None and transform.forecast.head == "autoregressive")


def count_bytes(transform: SeriesTransform, number: int = 8) -> int:
    """Return the size of a stream's memory in bytes. number: bytes of a number."""
    ring = transform.window.reach * transform.width if transform.window else 0
    last = len(transform.columns) if keeps_last(transform) else 0
    return 8 * (transform.names is not None) + 16 * bool(transform.calendar) + number * (last + ring)


def init(transform: SeriesTransform, series: int) -> SeriesState:
    """Return the memory of a stream before its first step."""
    last = transform.fill_values(series) if keeps_last(transform) else None
    return SeriesState(series, last=last, ring=np.zeros((0, transform.width)) if transform.window else None)


def update(
    transform: SeriesTransform, state: SeriesState, x: npt.NDArray[Any], times: Times | None
) -> tuple[Floats, SeriesState]:
    """Impute steps [T, columns] of one stream; return the imputed steps [T', width] and its memory after them.

    times: datetime64[us] [T], if the calendar is used. Raises DataError.
    """
    time, gap = read_clock(state, times) if times is not None else (None, None)
    before, fills = state.last, transform.fills
    steps, _, last = transform.impute(x, times, before if fills else None)
    if before is None:
        return steps, SeriesState(state.series, time, gap, None, update_ring(transform, state, steps))
    if not fills:
        last = steps[-1, : len(transform.columns)].copy() if len(steps) else before  # a view would keep all steps
    return steps, SeriesState(state.series, time, gap, last, update_ring(transform, state, steps))


def update_batch(
    transform: SeriesTransform,
    states: Sequence[SeriesState],
    x: npt.NDArray[Any],
    times: Times | None,
    streams: Sequence[Any],
) -> tuple[Floats, Indices, list[SeriesState]]:
    """Do `update` for one step of each of n streams [n, columns].

    streams: names for messages. Returns the imputed steps that are kept [n', width], the streams that they belong to
    [n'], and all memories.
    """
    clocks = (
        [(None, None)] * len(states)
        if times is None
        else [read_clock(state, times[i : i + 1], f"stream {streams[i]!r}") for i, state in enumerate(states)]
    )
    C = len(transform.columns)
    before = np.zeros((0, C))
    if transform.fills and states:
        before = np.stack([state.last for state in states if state.last is not None])
    steps, keep, last = transform.impute_batch(x, times, before, lambda i: f"stream {streams[i]!r}")
    positions = np.full(len(states), -1)
    positions[keep] = np.arange(len(keep))
    after = []
    for i, (state, at) in enumerate(zip(states, positions.tolist(), strict=True)):
        own = steps[at : at + 1] if at >= 0 else steps[:0]
        newest = state.last
        if newest is not None:
            newest = (last[i] if transform.fills else own[0, :C] if at >= 0 else newest).copy()
        after.append(SeriesState(state.series, *clocks[i], newest, update_ring(transform, state, own)))
    return steps, keep, after


def update_ring(transform: SeriesTransform, state: SeriesState, steps: Floats) -> Floats | None:
    """Return the latest steps after these."""
    if transform.window is None or state.ring is None or not len(steps):
        return state.ring
    reach = transform.window.reach
    return np.concatenate((state.ring[max(0, len(state.ring) + len(steps) - reach) :], steps[-reach:]))


def read_clock(state: SeriesState, times: Times, place: str | None = None) -> tuple[int | None, int | None]:
    """Return time and gap after steps of these times. Raises DataError unless each is later than the one before."""
    if not len(times):
        return state.time, state.gap
    ticks = times.astype("M8[us]").astype(np.int64)
    if len(ticks) == 1 and (state.time is None or ticks[0] > state.time):
        now = int(ticks[0])
        return now, state.gap if state.time is None else now - state.time
    if state.time is not None:
        ticks = np.concatenate(([state.time], ticks))
    gaps = ticks[1:] - ticks[:-1]
    if (gaps <= 0).any():
        t = int((gaps <= 0).argmax())
        before, late = ticks[t : t + 2].astype("M8[us]")
        number = t if state.time is not None else t + 1
        at = place or f"step {number}"
        raise DataError(f"{at}: its time is {late}, and that of the step before it is {before}; times must ascend")
    return int(ticks[-1]), int(gaps[-1]) if len(gaps) else state.gap


def to_bytes(transform: SeriesTransform, state: SeriesState) -> bytes:
    """Convert a stream's memory to bytes, `count_bytes` of them."""
    parts = [] if transform.names is None else [np.array(state.series, "<i8").tobytes()]
    if transform.calendar:
        parts += [np.array(NONE if v is None else v, "<i8").tobytes() for v in (state.time, state.gap)]
    if state.last is not None:
        parts.append(state.last.astype("<f8").tobytes())
    if transform.window is not None and state.ring is not None:
        parts += [
            state.ring.astype("<f8").tobytes(),
            bytes(8 * (transform.window.reach - len(state.ring)) * transform.width),
        ]
    return b"".join(parts)


def from_bytes(transform: SeriesTransform, data: bytes, steps: int) -> SeriesState:
    """Read the bytes that `to_bytes` wrote, of a stream with so many steps. Raises StateError if they do not fit."""
    if len(data) != (size := count_bytes(transform)):
        if len(data) == count_bytes(transform, 4):
            raise StateError(
                "it was saved by an older tidegate, which rounded the numbers of series to float32; start a new stream "
                "and push the latest steps of the series again"
            )
        raise StateError(f"its input's memory has {len(data)} bytes; this model's has {size}")
    at = 8 * (transform.names is not None)
    series = int(np.frombuffer(data, "<i8", 1)[0]) if at else 0
    if transform.names is not None and not 0 <= series < len(transform.names):
        raise StateError(f"its memory belongs to series {series}; this model knows 0 to {len(transform.names) - 1}")
    time = gap = last = ring = None
    if transform.calendar:
        time, gap = (None if v == NONE else int(v) for v in np.frombuffer(data, "<i8", 2, at))
        at += 16
        if (time is None and (gap is not None or steps)) or (gap is not None and gap <= 0):
            raise StateError(f"its memory has time {time} and gap {gap}, which no step can leave there")
    if keeps_last(transform):
        last = np.frombuffer(data, "<f8", len(transform.columns), at).astype(np.float64)
        at += 8 * len(last)
        if not (np.isfinite(last) | (np.isnan(last) & (steps == 0))).all():
            raise StateError("its memory has a missing or infinite number, which no step can leave there")
    if transform.window is not None:
        rows = np.frombuffer(data, "<f8", offset=at).reshape(transform.window.reach, transform.width)
        ring = rows[: min(steps, len(rows))].astype(np.float64)
        if not np.isfinite(ring).all():
            raise StateError("its memory has a missing or infinite number, which no step can leave there")
        if rows[len(ring) :].view(np.uint64).any():
            raise StateError(f"its memory has more steps than the {steps} of the stream")
    return SeriesState(series, time, gap, last, ring)
