"""How long a season is: from the times of a series where it has them, and from what repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ._baselines import seasons

COMMON: Final = (4, 7, 12, 24, 48, 52, 60, 96, 144, 168, 288, 336, 365, 672, 720, 1008, 1440, 2016, 8760)
PERIODS: Final = (3600, 86_400, 7 * 86_400, 365.25 * 86_400)  # seconds of an hour, a day, a week, a year


def likely_season(histories: list[npt.NDArray[Any]], horizon: int, times: Sequence[Any]) -> int:
    """The season that repeats best, as seasonal naive forecasts up to the horizon show it; 0 for none.

    histories: float [T, targets], what may be looked at. Candidates are whole periods of the times' frequency, or where
    there are no times, common lengths; each must fit in three times.
    """
    longest = max(map(len, histories))
    known = [s for s in candidates(times) if 3 * s <= longest and longest > s * -(-horizon // s)]
    try:
        found = seasons(histories, [1, *known], horizon)
    except DataError:  # too short to compare
        return 0
    return found if found > 1 else 0


def candidates(times: Sequence[Any]) -> list[int]:
    """Lengths that a season may have.

    >>> candidates([np.arange("2024-01-01", "2024-01-03", 30 * 60, "M8[s]").astype("M8[us]")])
    [2, 48, 336, 17532]
    """
    known = [t for t in times if t is not None and len(t) > 2]
    if not known:
        return list(COMMON)
    gap = float(np.median(np.concatenate([np.diff(t.astype(np.int64)) for t in known]))) / 1e6
    counts = [period / gap for period in PERIODS]
    return [round(n) for n in counts if n >= 2 and abs(n - round(n)) < 0.01 * n]
