"""How long a season is: from the times of a series where it has them, and from what repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..features.frequency import Frequency
from ._baseline_models import Ridge, seasons

COMMON: Final = (4, 7, 12, 24, 48, 52, 60, 96, 144, 168, 288, 336, 365, 672, 720, 1008, 1440, 2016, 8760)
PERIODS: Final = (3600, 86_400, 7 * 86_400, 365.25 * 86_400)  # seconds of an hour, a day, a week, a year


def likely_season(
    histories: list[npt.NDArray[Any]], horizon: int, times: Sequence[Any], frequency: Frequency | None = None
) -> int:
    """The season whose removal makes forecasts better, 0 for none.

    histories: float [T, targets], what may be looked at. Candidates are whole periods of the times' frequency, or where
    there are no times, common lengths; each must fit in three times. The three that repeat best, as seasonal naive
    forecasts show, are compared with none by a ridge regression on twice the horizon, fitted on the first four fifths
    and judged on the rest: what repeats is not always better taken off.
    """
    longest = max(map(len, histories))
    known = [s for s in candidates(times, frequency) if 3 * s <= longest and longest > s * -(-horizon // s)]
    try:
        if seasons(histories, [1, *known], horizon) > 1:
            tried = likeliest(histories, known, horizon)
            errors = {season: judged(histories, horizon, season) for season in (*tried, 0)}
            best = min(tried, key=lambda season: errors[season])
            return best if errors[best] <= 1.03 * errors[0] else 0  # of near equals the one that repeats
    except DataError:  # too short to compare
        pass
    return 0


def likeliest(histories: list[npt.NDArray[Any]], known: list[int], horizon: int, count: int = 3) -> list[int]:
    """The seasons that repeat best, best first."""
    found: list[int] = []
    while len(found) < count and (left := [s for s in known if s not in found]):
        found.append(seasons(histories, left, horizon))
    return found


def judged(histories: list[npt.NDArray[Any]], horizon: int, season: int) -> float:
    """The mean absolute error of a ridge regression on the last fifth of a series, in units of its deviation; of
    several, that of the middle one, so that a few wild ones do not decide.
    """
    lookback = 2 * horizon
    spread = "training" if len(histories) == 1 else "window"
    cuts = [len(x) * 4 // 5 for x in histories]
    learnt = [x[:cut] for x, cut in zip(histories, cuts, strict=True)]
    ridge = Ridge.fit(learnt, lookback, horizon, season, spread=spread)
    errors = []
    for x, cut in zip(histories, cuts, strict=True):
        at = np.arange(max(cut - 1, lookback + season - 1), len(x) - horizon)
        if len(at) and not np.isnan(x).any() and (unit := float(x.std())):
            made = ridge.predict(x, at)
            errors.append(np.abs(made - x[at[:, None] + np.arange(1, horizon + 1)]).mean() / unit)
    if not errors:
        raise DataError("no series is long enough to compare seasons")
    return float(np.median(errors))


def candidates(times: Sequence[Any], frequency: Frequency | None = None) -> list[int]:
    """Lengths that a season may have. frequency: by which the times follow each other, where one explains them.

    >>> candidates([np.arange("2024-01-01", "2024-01-03", 30 * 60, "M8[s]").astype("M8[us]")])
    [2, 48, 336, 17532]
    >>> candidates([np.arange("2020-01", "2024-01", dtype="M8[M]").astype("M8[us]")])
    [12]
    >>> business = np.busday_offset("2024-01-01", np.arange(20)).astype("M8[us]")
    >>> candidates([business], Frequency("weekdays", weekdays="1111100"))
    [5, 261]
    """
    known = [t for t in times if t is not None and len(t) > 2]
    if not known:
        return list(COMMON)
    gap = float(np.median(np.concatenate([np.diff(t.astype(np.int64)) for t in known]))) / 1e6
    if frequency is not None and frequency.unit == "weekdays":  # most steps are a day apart, and a week has no seven
        gap = frequency.seconds
    counts = [period / gap for period in PERIODS]
    uneven = 0.03 if gap > 20 * 86_400 else 0.01  # months and quarters are not all alike
    return [round(n) for n in counts if n >= 2 and abs(n - round(n)) < uneven * n]
