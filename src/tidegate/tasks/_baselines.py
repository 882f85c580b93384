"""What a forecaster has to beat, on the held-out origins of its own training."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..features.series import SeriesTransform
from ._baseline_models import Ridge, reached, seasonal_naive
from ._problem import Indices
from ._windows import VALID, Floats, Origins, Track


def baselines(
    options: Any, transform: SeriesTransform, places: Origins, truth: Floats, cuts: list[int]
) -> dict[str, float | str]:
    """Mean absolute errors on the held-out origins that judge the model too, or why there is none: last value, seasonal
    naive, and a ridge regression. truth: of those origins [n, horizon, targets], NaN for what judges nothing. cuts: of
    each track that is learnt from, where its held-out end begins.
    """
    assert transform.forecast
    H, season = transform.forecast.horizon, options.season or 0
    tries: dict[str, Any] = {"last value": lambda: 1}
    if season > 1:
        tries[f"seasonal naive ({season} steps)"] = lambda: season
    histories = [filled(t, transform)[:cut] for t, cut in zip(places.tracks, cuts, strict=False)]
    tries["ridge on the same window"] = lambda: Ridge.fit(
        histories, options.lookback, H, season, options.centre, options.spread or "training"
    )
    if np.isnan(truth).all():
        raise DataError("every window of the held-out end is constant, which judges nothing; choose --spread training")
    found: dict[str, float | str] = {}
    for name, make in tries.items():
        try:
            found[name] = error_of(make(), places, transform, truth)
        except DataError as error:
            found[name] = f"not possible: {error}"
    return found


def error_of(baseline: int | Ridge, places: Origins, transform: SeriesTransform, truth: Floats) -> float:
    """The mean absolute error of a season's naive forecast, or of a ridge, on the held-out origins."""
    made = []
    for i, track in enumerate(places.tracks):
        if not len(ends := places.of(i, VALID)):
            continue
        made.append(forecasts_of(baseline, track, transform, ends, truth.shape[1]))
    return float(np.nanmean(np.abs(np.concatenate(made) - truth)))


def forecasts_of(
    baseline: int | Ridge, track: Track, transform: SeriesTransform, ends: Indices, horizon: int
) -> Floats:
    """The forecasts of a season's naive forecast, or of a ridge, after these steps of a track [n, horizon, targets];
    where fewer steps are known than it takes, the last value.
    """
    if isinstance(baseline, int):
        return reached(
            lambda at: seasonal_naive(track.truth, at, horizon, baseline), track.truth, ends, horizon, baseline
        )
    known = filled(track, transform)
    return reached(lambda at: baseline.predict(known, at), known, ends, horizon, baseline.view.reach)


def filled(track: Track, transform: SeriesTransform) -> Floats:
    """The targets of a track [T, targets], where they are missing as the model reads them."""
    T = len(track.steps)
    read = np.concatenate([track.steps[:, transform.of("target")], track.truth[T:]])
    return np.where(np.isnan(track.truth), read, track.truth)
