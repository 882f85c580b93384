"""Errors of a forecaster's baselines on the held-out origins of its own training."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..features.series import SeriesTransform
from ._baseline_models import Ridge, forecast_with_fallback, seasonal_naive
from ._windows import VALID, Floats, Origins, Track
from .base import Indices


def measure_baselines(
    options: Any, transform: SeriesTransform, origins: Origins, truth: Floats, cuts: list[int]
) -> dict[str, float | str]:
    """Return each baseline's mean absolute error on the held-out origins that the model is evaluated on, or the reason
    why it has none.

    The baselines are the last value, seasonal naive, and a ridge regression. truth: of those origins, [n, horizon,
    targets], NaN where nothing is compared. cuts: where the held-out end of each training track begins.
    """
    assert transform.forecast
    H, season = transform.forecast.horizon, options.season or 0
    tries: dict[str, Any] = {"last value": lambda: 1}
    if season > 1:
        tries[f"seasonal naive ({season} steps)"] = lambda: season
    histories = [fill_targets(t, transform)[:cut] for t, cut in zip(origins.tracks, cuts, strict=False)]
    tries["ridge on the same window"] = lambda: Ridge.fit(
        histories, options.lookback, H, season, options.centre, options.spread or "training"
    )
    if np.isnan(truth).all():
        raise DataError(
            "every window of the held-out end is constant, so no forecast can be evaluated; choose --spread training"
        )
    errors: dict[str, float | str] = {}
    for name, make in tries.items():
        try:
            errors[name] = baseline_error(make(), origins, transform, truth)
        except DataError as error:
            errors[name] = f"not possible: {error}"
    return errors


def baseline_error(baseline: int | Ridge, origins: Origins, transform: SeriesTransform, truth: Floats) -> float:
    """Return the mean absolute error of seasonal naive (an int: its season), or of a ridge, on the held-out origins."""
    forecasts = []
    for i, track in enumerate(origins.tracks):
        if not len(ends := origins.ends_of(i, VALID)):
            continue
        forecasts.append(baseline_forecasts(baseline, track, transform, ends, truth.shape[1]))
    return float(np.nanmean(np.abs(np.concatenate(forecasts) - truth)))


def baseline_forecasts(
    baseline: int | Ridge, track: Track, transform: SeriesTransform, ends: Indices, horizon: int
) -> Floats:
    """Forecast after these steps of a track with seasonal naive (an int: its season) or a ridge: [n, horizon, targets].

    Where fewer steps are known than the baseline needs, the last value is repeated.
    """
    if isinstance(baseline, int):
        return forecast_with_fallback(
            lambda at: seasonal_naive(track.truth, at, horizon, baseline), track.truth, ends, horizon, baseline
        )
    known = fill_targets(track, transform)
    return forecast_with_fallback(lambda at: baseline.predict(known, at), known, ends, horizon, baseline.window.reach)


def fill_targets(track: Track, transform: SeriesTransform) -> Floats:
    """Return the targets of a track [T, targets]; missing ones are filled in the same way as for the model."""
    T = len(track.steps)
    read = np.concatenate([track.steps[:, transform.find_columns("target")], track.truth[T:]])
    return np.where(np.isnan(track.truth), read, track.truth)
