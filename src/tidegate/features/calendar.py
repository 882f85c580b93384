"""Where a moment stands in its day, week, month and year: two numbers each."""

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
FINER = re.compile(r"[.,][0-9]{6}0*[1-9]")

Times = npt.NDArray[np.datetime64]


def encode_times(times: Times, periods: Sequence[str]) -> npt.NDArray[np.float32]:
    """Sine and cosine of each moment's place in each period, float32 [T, 2 x periods].

    times: datetime64 [T]; NaT is the caller's business. Sine by sine, so that the bits depend on the moment alone.

    >>> positions(np.array(["2024-01-01T06:00"], "M8[us]"), ["day"]).round(3).tolist()
    [[1.0, 0.0]]
    """
    moments = times.astype("M8[us]")
    found = np.empty((len(moments), 2 * len(periods)), np.float32)
    for i, period in enumerate(periods):
        angles = (2 * math.pi * elapsed_share(moments, period)).tolist()
        found[:, 2 * i] = [math.sin(a) for a in angles]
        found[:, 2 * i + 1] = [math.cos(a) for a in angles]
    return found


def elapsed_share(times: Times, period: str) -> npt.NDArray[np.float64]:
    """How much of its period has gone by at each moment: float64 [T], from 0 to under 1.

    >>> share(np.array(["2024-01-08", "2024-01-11T12:00"], "M8[us]"), "week").tolist()
    [0.0, 0.5]
    """
    if period in ("month", "year"):
        unit = "M8[M]" if period == "month" else "M8[Y]"
        begun = times.astype(unit)
        whole = (begun + 1).astype("M8[us]") - begun.astype("M8[us]")
        return np.asarray((times - begun.astype("M8[us]")) / whole, np.float64)
    length, first = (DAY, 0) if period == "day" else (7 * DAY, MONDAY)
    return np.asarray((times.astype(np.int64) - first) % length / length, np.float64)


def moments(time: Any, zone: str | None = None) -> Times:
    """One or several times as datetime64[us] [n]; those with a zone in UTC, the others as they are.

    Args:
        time: datetime, ISO 8601 text or datetime64, or a sequence of them.
        zone: that of the times in training, "" where they had none; None: not known. datetime64 fits either.

    Raises:
        DataError: what is no time, or finer than a microsecond; a time with a zone beside one without, or in training.

    >>> moments(["2024-01-01T06:00+02:00"])
    array(['2024-01-01T04:00:00.000000'], dtype='datetime64[us]')
    """
    found: npt.NDArray[Any] = time
    if not isinstance(time, np.ndarray) or time.dtype.kind != "M":
        given = time.ravel().tolist() if isinstance(time, np.ndarray) else time
        given = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
        found = np.array([parse_time(t) for t in given], "M8[us]")
        check_zones(given, zone)
    exact, found = found.reshape(-1), found.reshape(-1).astype("M8[us]")
    if np.isnat(found).any():
        raise DataError("a time is missing (NaT); each step has one")
    if (finer := found != exact).any():
        raise DataError(f"{exact[finer.argmax()]} is finer than a microsecond; round the times")
    return found


def check_zones(times: Sequence[Any], zone: str | None) -> None:
    """Raises DataError for a time that has a zone where another one, or those in training, have none, or lacks one."""
    expected, beside = (None, "") if zone is None else (bool(zone), "those that the model was fitted on")
    for time in times:
        found = datetime.fromisoformat(time) if isinstance(time, str) else time
        if not isinstance(found, datetime):
            continue
        has = found.tzinfo is not None
        if expected is None:
            expected, beside = has, str(time)
        if has != expected:
            its, other = ("a zone", "none") if has else ("no zone", "one")
            verb = "had" if zone is not None else "has"
            raise DataError(f"the time {time} has {its}, and {beside} {verb} {other}; write all of them in one way")


def parse_time(time: Any) -> Any:
    """One time as datetime64[us], in UTC where it has a zone. Raises DataError."""
    if isinstance(time, str):
        text = time
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            raise DataError(f"{text[:40]!r} is no time; expected ISO 8601, such as 2024-01-31T23:30:00") from error
        if FINER.search(text):
            raise DataError(f"{text!r} is finer than a microsecond; round the times")
    if isinstance(time, datetime):
        if getattr(time, "nanosecond", 0):  # a datetime of pandas
            raise DataError(f"{time} is finer than a microsecond; round the times")
        try:
            return np.datetime64(time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None))
        except OverflowError as error:
            raise DataError(f"{time} is outside of the years 1 to 9999 in UTC") from error
    if isinstance(time, np.datetime64):
        return moments(np.array([time]))[0]
    raise DataError(f"a time is a datetime, ISO 8601 text or datetime64; {type(time).__name__} was given")
