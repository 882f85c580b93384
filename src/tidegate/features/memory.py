"""What a series' transform keeps of a stream between steps: as a value, for many streams at once, and as bytes.

The bytes, little-endian, of one size for a model: `series` int64, the row of its statistics, where they have names;
`time` and `gap` int64, microseconds since 1970 of the last step and between the last two, the least int64 for none,
where the calendar is used; `last` float64 [columns], what was last seen of each, where holes are filled or forecasts
are fed back; `ring` float64 [reach, width], the latest steps with nothing missing, oldest first, then zeros, where
there is a window.
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
    """One stream's memory; never changes. series: the row of its statistics. time, gap: microseconds, or None.

    last: float64 [columns], or None. ring: the latest steps float64 [up to reach, width], or None without a window.
    """

    series: int = 0
    time: int | None = None
    gap: int | None = None
    last: Floats | None = None
    ring: Floats | None = None


def keeps_last(transform: SeriesTransform) -> bool:
    """Whether a stream keeps what it saw last of each column."""
    return transform.fills or (transform.forecast is not None and transform.forecast.head == "autoregressive")


def memory_bytes(transform: SeriesTransform, number: int = 8) -> int:
    """The size of a stream's memory as bytes. number: bytes of a number."""
    ring = transform.window.reach * transform.width if transform.window else 0
    last = len(transform.columns) if keeps_last(transform) else 0
    return 8 * (transform.names is not None) + 16 * bool(transform.calendar) + number * (last + ring)


def init(transform: SeriesTransform, series: int) -> SeriesState:
    """The memory of a stream that has seen nothing."""
    last = transform.fill_values(series) if keeps_last(transform) else None
    return SeriesState(series, last=last, ring=np.zeros((0, transform.width)) if transform.window else None)


def update(
    transform: SeriesTransform, seen: SeriesState, x: npt.NDArray[Any], times: Times | None
) -> tuple[Floats, SeriesState]:
    """The treated steps [T', width] of steps [T, columns] of one stream, and its memory after them.

    times: datetime64[us] [T] where the calendar is used. Raises DataError, and then nothing has changed.
    """
    time, gap = read_clock(seen, times) if times is not None else (None, None)
    steps, _, last = transform.impute(x, times, seen.last if transform.fills else None)
    if seen.last is not None and not transform.fills:
        last = steps[-1, : len(transform.columns)].copy() if len(steps) else seen.last  # a view would keep all steps
    return steps, SeriesState(
        seen.series, time, gap, last if seen.last is not None else None, update_ring(transform, seen, steps)
    )


def update_batch(
    transform: SeriesTransform,
    seen: Sequence[SeriesState],
    x: npt.NDArray[Any],
    times: Times | None,
    streams: Sequence[Any],
) -> tuple[Floats, Indices, list[SeriesState]]:
    """`after` for one step of each of n streams [n, columns]: the treated steps kept [n', width], whose they are [n'],
    and all memories. streams: names for messages.
    """
    clocks = (
        [(None, None)] * len(seen)
        if times is None
        else [read_clock(one, times[i : i + 1], f"stream {streams[i]!r}") for i, one in enumerate(seen)]
    )
    C = len(transform.columns)
    before = (
        np.stack([one.last for one in seen if one.last is not None]) if transform.fills and seen else np.zeros((0, C))
    )
    steps, keep, last = transform.impute_batch(x, times, before, lambda i: f"stream {streams[i]!r}")
    place = np.full(len(seen), -1)
    place[keep] = np.arange(len(keep))
    found = []
    for i, (one, at) in enumerate(zip(seen, place.tolist(), strict=True)):
        own = steps[at : at + 1] if at >= 0 else steps[:0]
        newest = one.last if one.last is None else last[i] if transform.fills else own[0, :C] if at >= 0 else one.last
        newest = None if newest is None else newest.copy()
        found.append(SeriesState(one.series, *clocks[i], newest, update_ring(transform, one, own)))
    return steps, keep, found


def update_ring(transform: SeriesTransform, seen: SeriesState, steps: Floats) -> Floats | None:
    """The latest steps once these have come."""
    if transform.window is None or seen.ring is None or not len(steps):
        return seen.ring
    reach = transform.window.reach
    return np.concatenate((seen.ring[max(0, len(seen.ring) + len(steps) - reach) :], steps[-reach:]))


def read_clock(seen: SeriesState, times: Times, place: str | None = None) -> tuple[int | None, int | None]:
    """Time and gap after steps of these times. Raises DataError unless each is later than the one before."""
    if not len(times):
        return seen.time, seen.gap
    ticks = times.astype("M8[us]").astype(np.int64)
    if seen.time is not None:
        ticks = np.concatenate(([seen.time], ticks))
    gaps = ticks[1:] - ticks[:-1]
    if (gaps <= 0).any():
        t = int((gaps <= 0).argmax())
        before, late = ticks[t : t + 2].astype("M8[us]")
        number = t if seen.time is not None else t + 1
        at = place or f"step {number}"
        raise DataError(f"{at}: its time is {late}, and that of the step before it {before}; times must ascend")
    return int(ticks[-1]), int(gaps[-1]) if len(gaps) else seen.gap


def to_bytes(transform: SeriesTransform, seen: SeriesState) -> bytes:
    """A stream's memory as bytes, `memory_bytes` of them."""
    parts = [] if transform.names is None else [np.array(seen.series, "<i8").tobytes()]
    if transform.calendar:
        parts += [np.array(NONE if v is None else v, "<i8").tobytes() for v in (seen.time, seen.gap)]
    if seen.last is not None:
        parts.append(seen.last.astype("<f8").tobytes())
    if transform.window is not None and seen.ring is not None:
        parts += [
            seen.ring.astype("<f8").tobytes(),
            bytes(8 * (transform.window.reach - len(seen.ring)) * transform.width),
        ]
    return b"".join(parts)


def from_bytes(transform: SeriesTransform, data: bytes, steps: int) -> SeriesState:
    """The memory that `to_bytes` wrote, of a stream that has kept so many steps. Raises StateError for another's."""
    if len(data) != (size := memory_bytes(transform)):
        if len(data) == memory_bytes(transform, 4):
            raise StateError(
                "it was saved by an older tidegate, which rounded a series' numbers to float32; start a fresh stream "
                "and push the series' latest steps again"
            )
        raise StateError(f"its input's memory has {len(data)} bytes; this model's has {size}")
    at = 8 * (transform.names is not None)
    series = int(np.frombuffer(data, "<i8", 1)[0]) if at else 0
    if transform.names is not None and not 0 <= series < len(transform.names):
        raise StateError(f"its memory is of series {series}; this model knows 0 to {len(transform.names) - 1}")
    time = gap = last = ring = None
    if transform.calendar:
        time, gap = (None if v == NONE else int(v) for v in np.frombuffer(data, "<i8", 2, at))
        at += 16
        if (time is None and (gap is not None or steps)) or (gap is not None and gap <= 0):
            raise StateError(f"its memory holds the time {time} and the gap {gap}, which no step left there")
    if keeps_last(transform):
        last = np.frombuffer(data, "<f8", len(transform.columns), at).astype(np.float64)
        at += 8 * len(last)
        if not (np.isfinite(last) | (np.isnan(last) & (steps == 0))).all():
            raise StateError("its memory holds a number that is missing or infinite, which no step left there")
    if transform.window is not None:
        rows = np.frombuffer(data, "<f8", offset=at).reshape(transform.window.reach, transform.width)
        ring = rows[: min(steps, len(rows))].astype(np.float64)
        if not np.isfinite(ring).all():
            raise StateError("its memory holds a number that is missing or infinite, which no step left there")
        if rows[len(ring) :].view(np.uint64).any():
            raise StateError(f"its memory holds more than the {steps} steps that it has seen")
    return SeriesState(series, time, gap, last, ring)
