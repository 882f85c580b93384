"""Back-tests of a forecaster over rolling origins of known series, and its forecasts of what comes next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.series import Collection, Series
from ..errors import DataError, OptionError, error_context
from ..features.calendar import parse_times
from ..features.frequency import extend_times, format_times, infer_frequency
from ..features.series import SeriesTransform
from ..model import Model
from ..outputs.forecast import Forecast
from ._baselines import fill_targets, forecast_all, recall_baselines
from ._channels import ChannelIndependent
from ._fingerprints import digest
from ._forecast_errors import Part, baseline_warning, list_targets, name_parts, score_parts, score_points
from ._forecast_metrics import seasonal_scale
from ._left_out import list_left_out
from ._training_units import find_units
from ._windows import Track, format_steps, make_tracks, shift_known

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

DEVIATION = "standard deviation in training"


@dataclass(frozen=True)
class SeriesBacktest:
    """The back-test of one series.

    origins: int64 [origins], the steps after which forecasts were made. forecasts: float64 [origins, horizon, targets,
    quantiles]. truth: float64 [origins, horizon, targets]. track: the series as the model reads it. times: of all its
    steps and of those ahead of it; None where there are none.
    """

    name: str
    origins: npt.NDArray[np.int64]
    forecasts: Floats
    truth: Floats
    track: Track
    times: Times | None = None


@dataclass(frozen=True)
class Backtest:
    """The results of a back-test.

    series: the forecasts of each series; with channels apart, each channel is a series. quantiles: their levels.
    columns: the targets that the model reads; targets: the names of all channels that are forecast. metrics: those of
    `tasks._forecast_metrics.score` over all forecasts together, in `per_target` of each channel by name, and in
    `per_series` of each series by name; `unit` is "data" or, of scaled errors, "standard deviation in training". With
    several targets in the data's units, which may differ, the `mae`, `mse`, `rmse` and `pinball` of all together are
    dominated by the largest; compare their `mase`. baselines: the mean absolute error of each baseline on the same
    origins, or why it has none; where fewer steps are known than a baseline needs, it repeats the last value.
    baseline_figures: `mae` and `mase` of each, also `per_target`. warning: a sentence if a baseline is not beaten,
    else "". begins: where the forecasts start, in words. left_out: series that are not in the metrics, with the reason.
    short: number of forecasts made from fewer steps than the look-back. dropped: number of steps that were dropped for
    their missing numbers.
    """

    series: list[SeriesBacktest]
    quantiles: list[float]
    columns: list[str]
    metrics: dict[str, Any]
    baselines: dict[str, float | str]
    warning: str
    begins: str = ""
    left_out: list[dict[str, str]] = field(default_factory=list)
    short: int = 0
    dropped: int = 0
    targets: list[str] = field(default_factory=list)
    baseline_figures: dict[str, Any] = field(default_factory=dict)


def run_backtest(
    predictor: Any,
    options: Any,
    transform: SeriesTransform,
    source: Collection,
    start: int | str | None = None,
    every: int = 1,
    scaled: bool = False,
) -> Backtest:
    """Forecast after every step of a source from `start` on, and measure the errors; see `tidegate.backtest.backtest`.

    predictor, options, transform: those of a forecaster.
    """
    if every < 1:
        raise OptionError(f"every is {every}; it must be at least 1")
    tracks = make_tracks(source, transform)
    firsts, begins = first_origins(source, tracks, transform, predictor.model.document["provenance"], start)
    results, names, reasons = [], [], {}
    named = name_parts(source, [transform.columns[c] for c in transform.find_columns("target")])
    for i, track in enumerate(tracks):
        if (one := forecast_series(predictor, source, i, track, transform, firsts[i], every)) is None:
            reasons[i] = omission_reason(track, transform, firsts[i])
            continue
        results.append(one)
        names.append(named[i])
        if np.isnan(one.truth).all():
            reasons[i] = "has no known target to compare forecasts with"
    if not results:
        assert transform.forecast
        raise DataError(
            f"{source.path}: no step is left to forecast {begins.partition(',')[0]}: a forecast needs "
            f"{steps_needed(transform)} steps before it and {transform.forecast.horizon} to be compared with; give "
            "more rows, or another first step with --start"
        )
    if all(np.isnan(one.truth).all() for one in results):
        raise DataError(f"{source.path}: all targets {begins} are missing; give rows that have them")
    read = (len(shift_known(series.values, transform)) for series in source.series)
    dropped = sum(count - len(track.kept) for count, track in zip(read, tracks, strict=True))
    found = evaluate(results, names, predictor.model, options, transform, scaled)
    return replace(found, begins=begins, left_out=list_left_out(source, reasons), dropped=dropped)


def omission_reason(track: Track, transform: SeriesTransform, first: int) -> str:
    """Return why no forecast of a track can be evaluated. first: the step after which the first one would be made."""
    assert transform.forecast
    needs, H, T = steps_needed(transform), transform.forecast.horizon, len(track.truth)
    if track.fault or needs + H > T:
        return track.fault or f"has {format_steps(T)}; a forecast needs {needs} before it and {H} to be compared with"
    return f"has {format_steps(max(0, T - 1 - first))} to compare forecasts with; the horizon takes {H}"


@dataclass(frozen=True)
class SeriesForecast:
    """The forecast after the last known step of a series.

    history: float64 [T, targets]. steps: names of the steps ahead: numbers, or the times that the source has for them
    or that continue its own. times, past: datetime64[us] of the steps ahead and of the history in local time; None
    where there are none. assumed: a sentence about where the names come from; "" where the source has no times.
    """

    name: str
    history: Floats
    forecast: Forecast
    steps: list[str]
    times: Times | None
    past: Times | None
    assumed: str = ""

    @property
    def values(self) -> Floats:
        """Return the forecast, float64 [horizon, targets, quantiles]. Raises DataError for a series without one."""
        if self.forecast.values is None:
            raise DataError(f"the series {self.name!r} has no forecast: {self.forecast.reason}")
        return self.forecast.values


def forecast_ahead(predictor: Any, transform: SeriesTransform, source: Collection) -> list[SeriesForecast]:
    """Forecast after the last known step of every series of a source; see `tidegate.backtest.forecast_ahead`."""
    assert transform.forecast
    names = [transform.columns[c] for c in transform.find_columns("target")]
    forecasts = []
    for i, track in enumerate(make_tracks(source, transform)):
        series = source.series[i]
        last = len(series.values) - 1 - (transform.forecast.horizon if transform.find_columns("known") else 0)
        values = shift_known(series.values, transform)
        count = int(np.searchsorted(track.kept, last + 1))
        if count < steps_needed(transform):
            reason = track.fault or f"has {format_steps(count)}; this model needs {steps_needed(transform)}"
            none = Forecast(None, transform.forecast.quantiles, names, reason)
            forecasts.append(SeriesForecast(track.name, track.truth[:count], none, [], None, None))
            continue
        with error_context(source.locate(i, last)):
            ahead = predictor.forecasts(
                values,
                [last],
                times=input_times(series, values, transform),
                series=series.id if transform.names else None,
            )[0]
        steps, times, assumed = name_steps_ahead(series, track.kept, last, len(ahead), transform)
        clock = series.times if series.local is None else series.local
        past = None if clock is None else clock[track.kept[:count]]
        of_series = Forecast(ahead, list(transform.forecast.quantiles), names)
        forecasts.append(SeriesForecast(track.name, track.truth[:count], of_series, steps, times, past, assumed))
    if all(one.forecast.reason for one in forecasts):
        place = source.locate(0, len(source.series[0]) - 1)
        raise DataError(f"{place}: the series {forecasts[0].forecast.reason}; give earlier rows too")
    return forecasts


def name_steps_ahead(
    series: Series, kept: npt.NDArray[np.int64], last: int, count: int, transform: SeriesTransform
) -> tuple[list[str], Times | None, str]:
    """Name the steps ahead, and return their names, their local times, and a sentence about where these come from.

    kept: the indices of the steps that were read. last: the last known step. Times are only continued by a frequency
    that explains all of them: that of training if it does, else the simplest one that does.
    """
    numbered = [f"+{h}" for h in range(1, count + 1)]
    times, local = series.times, series.local
    if times is None:
        return numbered, None, ""
    if transform.find_columns("known"):
        ahead = times[last + 1 :], None if local is None else local[last + 1 :]
        assumed = "the steps ahead have the times of the file's last rows"
    else:
        rule = transform.frequency if transform.frequency and transform.frequency.explains(times, local) else None
        rule = rule or infer_frequency(times, local)
        continued = extend_times(times[kept], count, rule, None if local is None else local[kept], series.zone)
        if continued is None:
            return numbered, None, "the times follow no calendar, so the steps ahead are counted: +1, +2, ..."
        ahead, assumed = continued, f"the steps ahead continue the times: one step {rule}"
        if series.zone.startswith(("+", "-")):
            assumed += f", at the offset {series.zone} of the last one"
    clock = ahead[0] if ahead[1] is None else ahead[1]
    return format_times(*ahead, series.zone), clock, assumed


def input_times(series: Series, values: Floats, transform: SeriesTransform) -> npt.NDArray[np.datetime64] | None:
    """Return the times of steps if the model reads them, else None."""
    return series.times[: len(values)] if transform.calendar and series.times is not None else None


def steps_needed(transform: SeriesTransform) -> int:
    """Return the number of known steps that a forecast needs."""
    return transform.window.steps_needed if transform.window else 1


def first_origins(
    source: Collection,
    tracks: list[Track],
    transform: SeriesTransform,
    provenance: dict[str, Any],
    start: int | str | None,
) -> tuple[list[int], str]:
    """Return for each series the first imputed step after which to forecast, and a description of the choice."""
    least = steps_needed(transform) - 1
    trained = [steps_trained_on(track, provenance) for track in tracks]
    count = sum(n > 0 for n in trained)
    what = "channels" if isinstance(source, ChannelIndependent) else "series"
    if start is None:
        begins = (
            f"after the rows that the model was fitted on ({count} {what})"
            if count
            else "as soon as enough steps are known"
        )
        return [max(least, n - 1) for n in trained], begins
    at = [find_step(source, i, start) for i in range(len(tracks))]
    firsts = [int(np.searchsorted(t.kept, n)) - 1 for t, n in zip(tracks, at, strict=True)]
    begins = f"from {start}"
    if late := sum(first < least for first in firsts):
        begins += f", in {late} of {len(tracks)} {what} as soon as enough steps are known"
    if sum(max(first, least) < n - 1 for first, n in zip(firsts, trained, strict=True)):
        begins += ", some of which the model was fitted on: these figures are no test"
    return [max(least, first) for first in firsts], begins


def steps_trained_on(track: Track, provenance: dict[str, Any]) -> int:
    """Return how many steps of a track the model was fitted on; 0 where it is another series."""
    for known in provenance.get("fitted_on", []):
        n = known["steps"]
        if known["id"] == track.name and 0 < n <= len(track.truth) and digest(track.truth[:n]) == known["digest"]:
            return int(n)
    return 0


def find_step(source: Collection, i: int, start: int | str) -> int:
    """Find the index of the first step of series i to forecast."""
    series = source.series[i]
    if isinstance(start, int | np.integer) or start.isdigit():
        if int(start) < 0:
            raise OptionError(f"start is {start}; steps are counted from 0")
        return int(start)
    if series.times is None:
        raise OptionError(f"start is {start!r}, and {source.path} has no times; give the number of a step")
    try:
        moment = datetime.fromisoformat(start)
    except ValueError as error:
        raise OptionError(f"start is {start!r}; expected the number of a step or a time such as 2026-01-31") from error
    parse_times(start)  # refuses times finer than a microsecond
    if moment.tzinfo is None:  # a local time
        return int(np.searchsorted(series.times if series.local is None else series.local, np.datetime64(moment, "us")))
    if series.local is None:
        raise OptionError(
            f"start is {start}, which has a zone, and the times of {source.path} have none; leave the zone out"
        )
    return int(np.searchsorted(series.times, np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")))


def forecast_series(
    predictor: Any, source: Collection, i: int, track: Track, transform: SeriesTransform, first: int, every: int
) -> SeriesBacktest | None:
    """Forecast one series after every origin; None where there are no origins."""
    assert transform.forecast
    H = transform.forecast.horizon
    ends = np.arange(first, len(track.truth) - H, every)
    if not len(ends):
        return None
    series = source.series[i]
    values = shift_known(series.values, transform)
    name = series.id if transform.names else None
    with error_context(source.locate(i, 0)):
        forecasts = predictor.forecasts(
            values, track.kept[ends], times=input_times(series, values, transform), series=name
        )
    truth = track.truth[ends[:, None] + np.arange(1, H + 1)]
    return SeriesBacktest(track.name, ends, forecasts, truth, track, clock_times(series, track, len(values)))


def clock_times(series: Series, track: Track, read: int) -> Times | None:
    """Return the local times of a track's steps, and of those after the series' first `read` steps."""
    clock = series.times if series.local is None else series.local
    return None if clock is None else np.concatenate([clock[:read][track.kept], clock[read:]])


def evaluate(
    results: list[SeriesBacktest],
    names: list[tuple[str, tuple[str, ...]]],
    model: Model,
    options: Any,
    transform: SeriesTransform,
    scaled: bool,
) -> Backtest:
    """Compute the errors of the forecasts, and of the baselines on the same origins.

    names: of each result, the series and its targets. scaled: in units of the deviation in training.
    """
    assert transform.forecast
    H, season = transform.forecast.horizon, max(1, options.season or 0)
    parts = [
        Part(name, targets, one.forecasts, one.truth, seasonal_scale(history(one), season))
        for one, (name, targets) in zip(results, names, strict=True)
    ]
    unknown, targets = sum(int(np.isnan(part.truth).sum()) for part in parts), list_targets(parts)
    if scaled:
        channels = [targets.index(part.targets[0]) for part in parts]
        units = find_units(model.document["provenance"], [one.name for one in results], channels)
        parts = [part.in_units(unit) for part, unit in zip(parts, units, strict=True)]
    else:
        units = [np.ones(len(part.targets)) for part in parts]
    metrics = score_parts(parts, transform.forecast.quantiles)
    metrics |= {"unknown": unknown, "without_unit": metrics["unknown"] - unknown, "mase_season": season}
    metrics["unit"] = DEVIATION if scaled else "data"
    before = [fill_targets(one.track, transform)[: one.origins[0] + 1] for one in results]
    models = recall_baselines(model.document["provenance"], model.tensors, before, options, H)
    made = forecast_all(models, [one.track for one in results], [one.origins for one in results], transform, H)
    figures = {
        name: score_points(parts, [point / unit for point, unit in zip(points, units, strict=True)])
        for name, points in made.items()
        if not isinstance(points, str)
    }
    metric = "mase" if len(targets) > 1 and not scaled else "mae"
    rivals = {name: one[metric] for name, one in figures.items() if one[metric] is not None}
    reach = transform.window.reach if transform.window else 1
    return Backtest(
        results,
        list(transform.forecast.quantiles),
        [transform.columns[c] for c in transform.find_columns("target")],
        metrics,
        {name: points if isinstance(points, str) else figures[name]["mae"] for name, points in made.items()},
        baseline_warning(metrics[metric], rivals, metric.upper()) or "",
        baseline_figures=figures,
        targets=targets,
        short=sum(int((one.origins + 1 < reach).sum()) for one in results),
    )


def history(one: SeriesBacktest) -> Floats:
    """Return the targets before the first origin's forecast."""
    return one.track.truth[: one.origins[0] + 1]
