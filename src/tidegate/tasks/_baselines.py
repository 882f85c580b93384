"""The baselines of a forecaster: fitted on the rows that it learns from, measured on those held out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from ..data.series import Collection
from ..errors import DataError
from ..features.series import SeriesTransform
from ..limits import MAX_BASELINE_BYTES
from ._baseline_models import MAX_INPUTS, Ridge, RidgeWindow, forecast_with_fallback, seasonal_naive
from ._forecast_errors import name_parts
from ._forecast_metrics import seasonal_scale, stack_scales
from ._stored_baselines import load_baselines, store_baselines
from ._training_units import training_deviation
from ._windows import VALID, Floats, Origins, Track, format_steps
from .base import Array, Indices

Baseline = int | Ridge  # an integer: the season of seasonal naive, and 1 repeats the last value
RIDGE: Final = "ridge on the same window"


def make_baselines(
    options: Any, transform: SeriesTransform, origins: Origins, truth: Floats, cuts: list[int], source: Collection
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Measure the baselines on the held-out origins, and fit those that the model file stores.

    Returns entries of the provenance, and tensors by name. `judging_nothing`: how many held-out forecasts are compared
    with nothing. `baselines`: the mean absolute error of each baseline on the others, or why it has none.
    `baselines_mase`: the same errors, scaled as in MASE. `baseline_models`: those that the file stores, which forecast
    the whole horizon and were fitted on the rows that the model learns from, with the held-out end if the last epochs
    train on it. `training_deviation`: what `score --scaled` divides by. `targets`: the names of the channels.

    truth: of the held-out origins, [n, horizon, targets], NaN where nothing is compared. cuts: where the held-out end
    of each training track begins. Raises: DataError where no forecast can be evaluated.
    """
    assert transform.forecast
    if np.isnan(truth).all():
        raise DataError(
            "every window of the held-out end is constant, so no forecast can be evaluated; choose --spread training"
        )
    H = transform.forecast.horizon
    whole = [fill_targets(track, transform) for track in origins.tracks]
    learnt = [known[:cut] for known, cut in zip(whole, cuts, strict=False)]
    models, stored_models = fit_baselines(learnt, options, H, whole if options.refit_epochs else learnt)
    judged = [i for i in range(len(origins.tracks)) if len(origins.ends_of(i, VALID))]
    ends = [origins.ends_of(i, VALID) for i in judged]
    scales = stack_scales([origins.tracks[i].scale for i in judged], truth.shape[2])
    scale = np.repeat(scales, [len(at) for at in ends], 0)[:, None]
    errors: dict[str, float | str] = {}
    scaled: dict[str, float] = {}
    for name, made in forecast_all(models, [origins.tracks[i] for i in judged], ends, transform, H).items():
        if isinstance(made, str):
            errors[name] = made
            continue
        error = np.abs(np.concatenate(made) - truth)
        errors[name] = float(np.nanmean(error))
        if (~np.isnan(error / scale)).any():
            scaled[name] = float(np.nanmean(error / scale))
    if options.horizon != H:
        stored_models, _ = fit_baselines(whole if options.refit_epochs else learnt, options, options.horizon)
    stored, tensors = store_baselines(stored_models)
    idle = int(np.isnan(truth).all((1, 2)).sum())
    provenance = {"judging_nothing": idle, "baselines": errors, "baselines_mase": scaled, "baseline_models": stored}
    columns = [transform.columns[c] for c in transform.find_columns("target")]
    targets = list(dict.fromkeys(name for _, names in name_parts(source, columns) for name in names))
    return {
        **provenance,
        "targets": targets,
        "training_deviation": training_deviation(origins.tracks[: len(cuts)]),
    }, tensors


def fit_baselines(
    histories: Sequence[Floats], options: Any, horizon: int, longer: Sequence[Floats] | None = None
) -> tuple[dict[str, Baseline | str], dict[str, Baseline | str]]:
    """Fit the last value, seasonal naive and a ridge regression to histories, and to longer ones: each baseline by
    name, or why it is not possible.

    histories: of each series, [T, targets]. options: complete ones of a forecaster. longer: the histories with later
    steps, and further histories; None: they end there.
    """
    season = options.season or 0
    naive = {"last value": 1, **({f"seasonal naive ({season} steps)": season} if season > 1 else {})}
    wanted = options.lookback or 2 * horizon
    lookback = choose_lookback(wanted, season, horizon, histories[0].shape[1], max(map(len, histories)))
    name = RIDGE if lookback == wanted else f"ridge on the last {format_steps(lookback)}"
    window = RidgeWindow(lookback, horizon, season, options.centre, options.spread or "training")
    try:
        fits = Ridge.fit_windows(window, histories, longer=() if longer is None or longer is histories else longer)
    except DataError as reason:
        return ({**naive, name: not_possible(reason)},) * 2
    return {**naive, name: fits[0]}, {**naive, name: fits[-1]}


def choose_lookback(lookback: int, season: int, horizon: int, targets: int, longest: int) -> int:
    """Return the look-back of ridge: the model's, or a shorter one where that would take more than MAX_INPUTS steps,
    more than MAX_BASELINE_BYTES in the file, or more steps than the longest series has.

    >>> choose_lookback(720, 24, 96, 1, 8640), choose_lookback(720, 24, 720, 7, 8640), choose_lookback(60, 0, 20, 1, 90)
    (720, 206, 25)
    """
    numbers = MAX_BASELINE_BYTES // 4 // targets
    shorter = min(lookback, MAX_INPUTS, (numbers - horizon) // (horizon + 1))
    if shorter + season + 2 * horizon > longest:
        shorter = (longest - season - 2 * horizon) // 2
    return max(1, shorter)


def not_possible(reason: DataError) -> str:
    return f"not possible: {reason}"


def forecast_all(
    models: Mapping[str, Baseline | str],
    tracks: Sequence[Track],
    ends: Sequence[Indices],
    transform: SeriesTransform,
    horizon: int,
) -> dict[str, list[Floats] | str]:
    """Forecast with every baseline after these steps of each track: [n, horizon, targets] each, or why it cannot."""
    found: dict[str, list[Floats] | str] = {}
    for name, model in models.items():
        try:
            found[name] = (
                model
                if isinstance(model, str)
                else [
                    baseline_forecasts(model, track, transform, at, horizon)
                    for track, at in zip(tracks, ends, strict=True)
                ]
            )
        except DataError as reason:
            found[name] = not_possible(reason)
    return found


def recall_baselines(
    provenance: Mapping[str, Any],
    tensors: Mapping[str, Array],
    histories: Sequence[Floats],
    options: Any,
    horizon: int,
) -> dict[str, Baseline | str]:
    """Return the baselines that a model file stores, or fit those of an older file to these histories."""
    stored = load_baselines(provenance, tensors, horizon, histories[0].shape[1])
    return fit_baselines(histories, options, horizon)[0] if stored is None else stored


def baseline_forecasts(
    baseline: Baseline, track: Track, transform: SeriesTransform, ends: Indices, horizon: int
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


def scale_tracks(origins: Origins, cuts: list[int], season: int | None) -> Origins:
    """Return the origins with the scale of each track's errors in MASE: how far known values a season apart differ.

    cuts: where the held-out end of each training track begins; it does not count. Validation tracks count as a whole.
    """
    ends = [*cuts, *(len(track.truth) for track in origins.tracks[len(cuts) :])]
    scales = (seasonal_scale(t.truth[:end], max(1, season or 0)) for t, end in zip(origins.tracks, ends, strict=True))
    return replace(origins, tracks=[replace(t, scale=s) for t, s in zip(origins.tracks, scales, strict=True)])
