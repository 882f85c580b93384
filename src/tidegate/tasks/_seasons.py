"""Detection of the season: from the times of a series where it has them, and from what repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..features.frequency import Frequency
from ._baseline_models import Ridge, best_season

COMMON: Final = (4, 7, 12, 24, 48, 52, 60, 96, 144, 168, 288, 336, 365, 672, 720, 1008, 1440, 2016, 8760)
PERIODS: Final = (3600, 86_400, 7 * 86_400, 365.25 * 86_400)  # seconds of an hour, a day, a week, a year


def find_season(
    histories: list[npt.NDArray[Any]], horizon: int, times: Sequence[Any], frequency: Frequency | None = None
) -> int:
    """Find the season in steps whose removal improves forecasts the most, 0 for none.

    histories: float [T, targets], the part of each series that may be used. Candidates are whole periods of the times'
    frequency, or common lengths where there are no times; each must fit three times into the longest series. The three
    with the best seasonal naive forecasts are compared with no season by a ridge regression on twice the horizon,
    fitted on the first four fifths and evaluated on the rest, because removing what repeats is not always better.
    """
    longest = max(map(len, histories))
    known = [s for s in candidate_seasons(times, frequency) if 3 * s <= longest and longest > s * -(-horizon // s)]
    try:
        if best_season(histories, [1, *known], horizon) > 1:
            tried = rank_seasons(histories, known, horizon)
            errors = {season: ridge_error(histories, horizon, season) for season in (*tried, 0)}
            best = min(tried, key=lambda season: errors[season])
            return best if errors[best] <= 1.03 * errors[0] else 0  # on a near tie the season wins
    except DataError:  # too short to compare
        pass
    return 0


def rank_seasons(histories: list[npt.NDArray[Any]], known: list[int], horizon: int, count: int = 3) -> list[int]:
    """Return the `count` seasons that repeat best, best first."""
    ranked: list[int] = []
    while len(ranked) < count and (left := [s for s in known if s not in ranked]):
        ranked.append(best_season(histories, left, horizon))
    return ranked


def ridge_error(histories: list[npt.NDArray[Any]], horizon: int, season: int) -> float:
    """Return a ridge regression's mean absolute error on the last fifth of a series, in units of its deviation.

    Of several series the median counts, so that a few unusual ones do not decide.
    """
    lookback = 2 * horizon
    spread = "training" if len(histories) == 1 else "window"
    cuts = [len(x) * 4 // 5 for x in histories]
    train = [x[:cut] for x, cut in zip(histories, cuts, strict=True)]
    ridge = Ridge.fit(train, lookback, horizon, season, spread=spread)
    errors = []
    for x, cut in zip(histories, cuts, strict=True):
        at = np.arange(max(cut - 1, lookback + season - 1), len(x) - horizon)
        if len(at) and not np.isnan(x).any() and (unit := float(x.std())):
            forecasts = ridge.predict(x, at)
            errors.append(np.abs(forecasts - x[at[:, None] + np.arange(1, horizon + 1)]).mean() / unit)
    if not errors:
        raise DataError("no series is long enough to compare seasons")
    return float(np.median(errors))


def candidate_seasons(times: Sequence[Any], frequency: Frequency | None = None) -> list[int]:
    """List the lengths in steps that a season may have. frequency: that of the times, where one explains them.

    >>> candidate_seasons([np.arange("2024-01-01", "2024-01-03", 30 * 60, "M8[s]").astype("M8[us]")])
    [2, 48, 336, 17532]
    >>> candidate_seasons([np.arange("2020-01", "2024-01", dtype="M8[M]").astype("M8[us]")])
    [12]
    >>> business = np.busday_offset("2024-01-01", np.arange(20)).astype("M8[us]")
    >>> candidate_seasons([business], Frequency("weekdays", weekdays="1111100"))
    [5, 261]
    """
    known = [t for t in times if t is not None and len(t) > 2]
    if not known:
        return list(COMMON)
    gap = float(np.median(np.concatenate([np.diff(t.astype(np.int64)) for t in known]))) / 1e6
    if (
        frequency is not None and frequency.unit == "weekdays"
    ):  # most steps are a day apart, but a week has fewer than 7
        gap = frequency.seconds
    counts = [period / gap for period in PERIODS]
    tolerance = 0.03 if gap > 20 * 86_400 else 0.01  # months and quarters differ in length
    return [round(n) for n in counts if n >= 2 and abs(n - round(n)) < tolerance * n]
