"""Calendar features: the position of a time in its day, week, month and year, two numbers each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError

PERIODS = ("day", "week", "month", "year")
DAY = 86_400_000_000  # microseconds
MONDAY = 4 * DAY  # 1970-01-05, the first one after the epoch
TICKS = {"day": (DAY, 0), "week": (7 * DAY, MONDAY)}  # microseconds of a period, and where one begins
FINER = re.compile(r"[.,][0-9]{6}0*[1-9]")

Times = npt.NDArray[np.datetime64]


def encode_times(times: Times, periods: Sequence[str]) -> npt.NDArray[np.float32]:
    """Encode each time as the sine and cosine of its position in each period: float32 [T, 2 x periods].

    times: datetime64 [T], without NaT.

    >>> encode_times(np.array(["2024-01-01T06:00"], "M8[us]"), ["day"]).round(3).tolist()
    [[1.0, 0.0]]
    """
    times = times.astype("M8[us]")
    features = np.empty((len(times), 2 * len(periods)), np.float32)
    for i, period in enumerate(periods):
        if len(times) == 1 and period in TICKS:  # a stream waits for it; integers give the same bits, sooner
            length, first = TICKS[period]
            angles = [2 * math.pi * ((int(times.view(np.int64)[0]) - first) % length / length)]
        else:
            angles = (2 * math.pi * elapsed_share(times, period)).tolist()
        features[:, 2 * i] = [math.sin(a) for a in angles]  # one by one: the bits depend on nothing but the time
        features[:, 2 * i + 1] = [math.cos(a) for a in angles]
    return features


def elapsed_share(times: Times, period: str) -> npt.NDArray[np.float64]:
    """Return the share of its period that has passed at each time: float64 [T], from 0 to under 1.

    >>> elapsed_share(np.array(["2024-01-08", "2024-01-11T12:00"], "M8[us]"), "week").tolist()
    [0.0, 0.5]
    """
    if period in ("month", "year"):
        unit = "M8[M]" if period == "month" else "M8[Y]"
        start = times.astype(unit)
        length = (start + 1).astype("M8[us]") - start.astype("M8[us]")
        return np.asarray((times - start.astype("M8[us]")) / length, np.float64)
    length, first = TICKS[period]
    return np.asarray((times.astype(np.int64) - first) % length / length, np.float64)


def parse_times(time: Any, zone: str | None = None) -> Times:
    """Convert one or several times to datetime64[us] [n]: those with a time zone to UTC, the others as they are.

    Args:
        time: datetime, ISO 8601 text or datetime64, or a sequence of them.
        zone: the time zone in training, "" if the times had none; None: unknown. datetime64 is accepted in any case.

    Raises:
        DataError: not a time, or finer than a microsecond; times with and without a zone, together or since training.

    >>> parse_times(["2024-01-01T06:00+02:00"])
    array(['2024-01-01T04:00:00.000000'], dtype='datetime64[us]')
    """
    times: npt.NDArray[Any] = np.array([time]) if isinstance(time, np.datetime64) else time
    if not isinstance(times, np.ndarray) or times.dtype.kind != "M":
        values = time.ravel().tolist() if isinstance(time, np.ndarray) else time
        values = [values] if isinstance(values, str) or not isinstance(values, Iterable) else list(values)
        times = np.array([parse_time(value) for value in values], "M8[us]")
        check_zones(values, zone)
    exact, times = times.reshape(-1), times.reshape(-1).astype("M8[us]")
    if np.isnat(times).any():
        raise DataError("a time is missing (NaT); each step needs one")
    if exact.dtype != times.dtype and (finer := times != exact).any():
        raise DataError(f"{exact[finer.argmax()]} is finer than a microsecond; round the times")
    return times


def check_zones(times: Sequence[Any], zone: str | None) -> None:
    """Raise DataError unless either all times have a time zone, as those in training did, or none has."""
    expected, others = (None, "") if zone is None else (bool(zone), "the times that the model was fitted on")
    for time in times:
        value = datetime.fromisoformat(time) if isinstance(time, str) else time
        if not isinstance(value, datetime):
            continue
        has_zone = value.tzinfo is not None
        if expected is None:
            expected, others = has_zone, str(time)
        if has_zone != expected:
            this, other = ("a time zone", "none") if has_zone else ("no time zone", "one")
            verb = "had" if zone is not None else "has"
            raise DataError(f"the time {time} has {this}, and {others} {verb} {other}; write all times in the same way")


def parse_time(time: Any) -> Any:
    """Convert one time to datetime64[us], to UTC if it has a time zone. Raises DataError."""
    if isinstance(time, str):
        text = time
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise DataError(f"{text[:40]!r} is not a time; expected ISO 8601, such as 2024-01-31T23:30:00") from error
        if FINER.search(text):
            raise DataError(f"{text!r} is finer than a microsecond; round the times")
    if isinstance(time, datetime):
        if getattr(time, "nanosecond", 0):  # a datetime of pandas
            raise DataError(f"{time} is finer than a microsecond; round the times")
        try:
            return np.datetime64(time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None))
        except OverflowError as error:
            raise DataError(f"{time} is outside of the years 1 to 9999 in UTC; correct it") from error
    if isinstance(time, np.datetime64):
        return parse_times(np.array([time]))[0]
    raise DataError(f"a time is a datetime, ISO 8601 text or datetime64; {type(time).__name__} was given")
