"""Where a moment stands in its day, week, month and year: two numbers each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

PERIODS = ("day", "week", "month", "year")
DAY = 86_400_000_000  # microseconds
MONDAY = 4 * DAY  # 1970-01-05, the first one after the epoch

Times = npt.NDArray[np.datetime64]


def positions(times: Times, periods: Sequence[str]) -> npt.NDArray[np.float32]:
    """Sine and cosine of each moment's place in each period, float32 [T, 2 x periods].

    times: datetime64 [T]; NaT is the caller's business. Sine by sine, so that the bits depend on the moment alone.

    >>> positions(np.array(["2024-01-01T06:00"], "M8[us]"), ["day"]).round(3).tolist()
    [[1.0, 0.0]]
    """
    moments = times.astype("M8[us]")
    found = np.empty((len(moments), 2 * len(periods)), np.float32)
    for i, period in enumerate(periods):
        angles = (2 * math.pi * share(moments, period)).tolist()
        found[:, 2 * i] = [math.sin(a) for a in angles]
        found[:, 2 * i + 1] = [math.cos(a) for a in angles]
    return found


def share(times: Times, period: str) -> npt.NDArray[np.float64]:
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
