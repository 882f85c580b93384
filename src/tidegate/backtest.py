"""Back-testing: a forecaster over rolling origins of known series, beside what it has to beat."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from .data.series import Collection, Series
from .errors import DataError, OptionError, error_context
from .features.calendar import moments
from .features.frequency import following, inferred, shown
from .features.series import SeriesTransform
from .model import Model, as_model
from .runtime import Predictor
from .runtime.forecast import Forecast
from .tasks import forecast
from .tasks._baseline_models import Ridge, verdict
from .tasks._baselines import filled, forecasts_of
from .tasks._forecast_metrics import score, seasonal_scale
from .tasks._left_out import named
from .tasks._options import recalled
from .tasks._windows import Track, digest, moved, steps_of, tracks

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Rolled:
    """One series' forecasts, float64 [origins, horizon, targets, quantiles], their truth [origins, horizon, targets],
    and the steps after which they were made. times: of all steps of the track and those ahead of it, where there are.
    """

    name: str
    origins: npt.NDArray[np.int64]
    forecasts: Floats
    truth: Floats
    track: Track
    times: Times | None = None


@dataclass(frozen=True)
class Backtest:
    """What a back-test found.

    quantiles, columns: their levels, and the targets. metrics: of all forecasts together, see
    `tasks._forecast_metrics.score`. baselines: name -> mean absolute error on the same origins, or why there is none;
    where fewer steps are known than one takes, it repeats the last value. warning: a sentence where a baseline is not
    beaten, or "". begins: how the first origin was chosen, in words. left_out: series that are not in the figures, and
    why. short: forecasts that were made from fewer steps than the look-back. dropped: steps with missing numbers, which
    do not count.
    """

    series: list[Rolled]
    quantiles: list[float]
    columns: list[str]
    metrics: dict[str, Any]
    baselines: dict[str, float | str]
    warning: str
    begins: str
    left_out: list[dict[str, str]] = field(default_factory=list)
    short: int = 0
    dropped: int = 0


def backtest(
    model: Model | Predictor | str | os.PathLike[str], data: Any, start: int | str | None = None, every: int = 1
) -> Backtest:
    """Forecasts after every step from `start` on, each from the steps before it alone, and how far they were off.

    model: a forecaster. data: what `fit` takes, with the columns of the model. start: the first step that is forecast,
    as a number counted from 0 or a timestamp; None: after the rows that the model was fitted on, where the data begins
    with them, else as soon as the look-back is full. every: origins this many steps apart. The ridge is fitted on the
    steps before `start`.

    Raises OptionError for another model or a start that leaves nothing; DataError.
    """
    if every < 1:
        raise OptionError(f"every is {every}; it must be at least 1")
    predictor, options, transform = forecaster(model)
    source = forecast.rows(data, options, list(transform.columns))
    found = tracks(source, transform)
    firsts, begins = first_origins(source, found, transform, predictor.model.document["provenance"], start)
    rolled, reasons = [], {}
    for i, track in enumerate(found):
        if (one := roll(predictor, source, i, track, transform, firsts[i], every)) is None:
            reasons[i] = unrolled(track, transform, firsts[i])
            continue
        rolled.append(one)
        if np.isnan(one.truth).all():
            reasons[i] = "has no known target to compare forecasts with"
    if not rolled:
        assert transform.forecast
        said = begins.partition(",")[0]
        raise DataError(
            f"{source.path}: no step is left to forecast {said}: an origin needs {needs_of(transform)} steps up to it "
            f"and {transform.forecast.horizon} after it; give more rows, or say from which step on with --start"
        )
    if all(np.isnan(one.truth).all() for one in rolled):
        raise DataError(f"{source.path}: what was forecast {begins} is missing everywhere; give rows that have it")
    read = (len(moved(series.values, transform)) for series in source.series)
    dropped = sum(count - len(track.kept) for count, track in zip(read, found, strict=True))
    return replace(judged(rolled, options, transform, begins), left_out=named(source, reasons), dropped=dropped)


def unrolled(track: Track, transform: SeriesTransform, first: int) -> str:
    """Why no forecast of a track is compared with what came. first: the step that the first would be made after."""
    assert transform.forecast
    needs, H, T = needs_of(transform), transform.forecast.horizon, len(track.truth)
    if track.fault or needs + H > T:
        return track.fault or f"has {steps_of(T)}; a forecast takes {needs} before it and {H} to be compared with"
    return f"has {steps_of(max(0, T - 1 - first))} to compare forecasts with; the horizon takes {H}"


@dataclass(frozen=True)
class Onward:
    """The forecast after the last known step of a series: history float64 [T, targets], and what the steps ahead are
    called: by number, or by the times that the source has for them or that follow.

    times, past: datetime64[us] of the steps ahead and of the history, as clocks in the source's zone show them; None
    where there are none. assumed: a sentence about why the steps ahead are called so; "" where the source has no times.
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
        """float64 [horizon, targets, quantiles]. Raises DataError for a series that has no forecast."""
        if self.forecast.values is None:
            raise DataError(f"the series {self.name!r} has no forecast: {self.forecast.reason}")
        return self.forecast.values


def onward(model: Model | Predictor | str | os.PathLike[str], data: Any) -> list[Onward]:
    """Forecasts after the last known step of every series. Of columns known ahead, the last rows are the future.

    A series with too few steps has a Forecast without values, and the reason. Raises OptionError for a model that does
    not forecast; DataError, also where no series has a forecast.
    """
    predictor, options, transform = forecaster(model)
    assert transform.forecast
    source = forecast.rows(data, options, list(transform.columns))
    names = [transform.columns[c] for c in transform.of("target")]
    found = []
    for i, track in enumerate(tracks(source, transform)):
        series = source.series[i]
        last = len(series.values) - 1 - (transform.forecast.horizon if transform.of("known") else 0)
        values = moved(series.values, transform)
        seen = int(np.searchsorted(track.kept, last + 1))
        if seen < needs_of(transform):
            reason = track.fault or f"has {steps_of(seen)}; this model needs {needs_of(transform)}"
            none = Forecast(None, transform.forecast.quantiles, names, reason)
            found.append(Onward(track.name, track.truth[:seen], none, [], None, None))
            continue
        with error_context(source.place(i, last)):
            made = predictor.forecasts(
                values, [last], times=timed(series, values, transform), series=series.id if transform.names else None
            )[0]
        forecast_now = Forecast(made, list(transform.forecast.quantiles), names)
        steps, times, assumed = called(series, track.kept, last, len(made), transform)
        clock = series.times if series.local is None else series.local
        past = None if clock is None else clock[track.kept[:seen]]
        found.append(Onward(track.name, track.truth[:seen], forecast_now, steps, times, past, assumed))
    if all(one.forecast.reason for one in found):
        place = source.place(0, len(source.series[0]) - 1)
        raise DataError(f"{place}: the series {found[0].forecast.reason}; give earlier rows too")
    return found


def called(
    series: Series, kept: npt.NDArray[np.int64], last: int, count: int, transform: SeriesTransform
) -> tuple[list[str], Times | None, str]:
    """What the steps ahead are called, their times as clocks show them, and why, in a sentence.

    kept: which steps were read. last: the last one that was known. Times go on only by a frequency that explains all of
    them: that of training if it does, else the simplest one that does.
    """
    numbered = [f"+{h}" for h in range(1, count + 1)]
    times, local = series.times, series.local
    if times is None:
        return numbered, None, ""
    if transform.of("known"):
        ahead = times[last + 1 :], None if local is None else local[last + 1 :]
        said = "the steps ahead have the times of the file's last rows"
    else:
        rule = transform.frequency if transform.frequency and transform.frequency.explains(times, local) else None
        rule = rule or inferred(times, local)
        found = following(times[kept], count, rule, None if local is None else local[kept], series.zone)
        if found is None:
            return numbered, None, "the times follow no calendar, so the steps ahead are counted: +1, +2, ..."
        ahead, said = found, f"the steps ahead go on as the times do: one step {rule}"
        if series.zone.startswith(("+", "-")):
            said += f", at the offset {series.zone} of the last one"
    clock = ahead[0] if ahead[1] is None else ahead[1]
    return shown(*ahead, series.zone), clock, said


def timed(series: Series, values: Floats, transform: SeriesTransform) -> npt.NDArray[np.datetime64] | None:
    """The times of steps, where the model reads them."""
    return series.times[: len(values)] if transform.calendar and series.times is not None else None


def forecaster(
    model: Model | Predictor | str | os.PathLike[str],
) -> tuple[Predictor, forecast.Options, SeriesTransform]:
    """A model that forecasts, its options and its input. Raises OptionError for one that does not."""
    predictor = model if isinstance(model, Predictor) else Predictor(as_model(model))
    document = predictor.model.document
    if document["task"]["kind"] != forecast.KIND:
        raise OptionError(f"the model is for {document['task']['kind']}; expected one that forecasts")
    options = recalled(forecast.Options, document["task"]["options"])
    return predictor, options, SeriesTransform.from_json(document["input"], predictor.model.tensors)


def needs_of(transform: SeriesTransform) -> int:
    """How many steps a forecast takes."""
    return transform.window.needs if transform.window else 1


def first_origins(
    source: Collection,
    found: list[Track],
    transform: SeriesTransform,
    provenance: dict[str, Any],
    start: int | str | None,
) -> tuple[list[int], str]:
    """For each series the first treated step after which forecasts are made, and how it was chosen."""
    least = needs_of(transform) - 1
    learnt = [learnt_of(track, provenance) for track in found]
    seen = sum(n > 0 for n in learnt)
    if start is None:
        said = f"after the rows that the model was fitted on ({seen} series)" if seen else "as soon as it is warm"
        return [max(least, n - 1) for n in learnt], said
    at = [begin(source, i, start) for i in range(len(found))]
    firsts = [int(np.searchsorted(t.kept, n)) - 1 for t, n in zip(found, at, strict=True)]
    said = f"from {start}"
    if late := sum(first < least for first in firsts):
        said += f", in {late} of {len(found)} series as soon as it is warm"
    if sum(max(first, least) < n - 1 for first, n in zip(firsts, learnt, strict=True)):
        said += ", some of which the model was fitted on: these figures are no test"
    return [max(least, first) for first in firsts], said


def learnt_of(track: Track, provenance: dict[str, Any]) -> int:
    """Up to which step a track is what the model was fitted on; 0 where it is another series."""
    for known in provenance.get("fitted_on", []):
        n = known["steps"]
        if known["id"] == track.name and 0 < n <= len(track.truth) and digest(track.truth[:n]) == known["digest"]:
            return int(n)
    return 0


def begin(source: Collection, i: int, start: int | str) -> int:
    """The number of the first step of series i that is forecast."""
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
    moments(start)  # refuses what is finer than a microsecond
    if moment.tzinfo is None:  # then it is what clocks show
        return int(np.searchsorted(series.times if series.local is None else series.local, np.datetime64(moment, "us")))
    if series.local is None:
        raise OptionError(f"start is {start}, with a zone, and the times of {source.path} have none; leave it out")
    return int(np.searchsorted(series.times, np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")))


def roll(
    predictor: Predictor, source: Collection, i: int, track: Track, transform: SeriesTransform, first: int, every: int
) -> Rolled | None:
    """The forecasts of one series; None where there are no origins."""
    assert transform.forecast
    H = transform.forecast.horizon
    ends = np.arange(first, len(track.truth) - H, every)
    if not len(ends):
        return None
    series = source.series[i]
    values = moved(series.values, transform)
    name = series.id if transform.names else None
    with error_context(source.place(i, 0)):
        made = predictor.forecasts(values, track.kept[ends], times=timed(series, values, transform), series=name)
    truth = track.truth[ends[:, None] + np.arange(1, H + 1)]
    return Rolled(track.name, ends, made, truth, track, stamped(series, track, len(values)))


def stamped(series: Series, track: Track, read: int) -> Times | None:
    """The times of a track's steps, as clocks show them, and of those ahead of the `read` steps of the series."""
    clock = series.times if series.local is None else series.local
    return None if clock is None else np.concatenate([clock[:read][track.kept], clock[read:]])


def judged(rolled: list[Rolled], options: forecast.Options, transform: SeriesTransform, begins: str) -> Backtest:
    """The figures of forecasts and of the baselines on the same origins."""
    assert transform.forecast
    H, season = transform.forecast.horizon, options.season or 0
    scales = [np.repeat(seasonal_scale(history(one), max(1, season))[None], len(one.origins), 0) for one in rolled]
    forecasts, truth = np.concatenate([o.forecasts for o in rolled]), np.concatenate([o.truth for o in rolled])
    metrics = score(forecasts, truth, transform.forecast.quantiles, np.concatenate(scales))
    beside: dict[str, float | str] = {}
    for name, lag in {"last value": 1, f"seasonal naive ({season} steps)": season}.items():
        if lag:
            beside[name] = attempt(
                lambda lag=lag: [forecasts_of(lag, o.track, transform, o.origins, H) for o in rolled], truth
            )
    beside["ridge on the same window"] = attempt(lambda: ridged(rolled, options, transform, H, season), truth)
    figures = {name: v for name, v in beside.items() if isinstance(v, float)}
    names = [transform.columns[c] for c in transform.of("target")]
    reach = transform.window.reach if transform.window else 1
    return Backtest(
        rolled,
        list(transform.forecast.quantiles),
        names,
        metrics,
        beside,
        verdict(metrics["mae"], figures) or "",
        begins,
        short=sum(int((one.origins + 1 < reach).sum()) for one in rolled),
    )


def history(one: Rolled) -> Floats:
    """The targets before the first origin's forecast."""
    return one.track.truth[: one.origins[0] + 1]


def ridged(
    rolled: list[Rolled], options: forecast.Options, transform: SeriesTransform, H: int, season: int
) -> list[Floats]:
    """A ridge's forecasts, fitted on what lies before each series' first origin."""
    histories = [filled(one.track, transform) for one in rolled]
    ridge = Ridge.fit(
        [known[: one.origins[0] + 1] for known, one in zip(histories, rolled, strict=True)],
        options.lookback or 2 * H,
        H,
        season,
        options.centre,
        options.spread or "training",
    )
    return [forecasts_of(ridge, one.track, transform, one.origins, H) for one in rolled]


def attempt(make: Any, truth: Floats) -> float | str:
    """The mean absolute error of a baseline, or why it has none."""
    try:
        made: Sequence[Floats] = make()
    except DataError as error:
        return f"not possible: {error}"
    return float(np.nanmean(np.abs(np.concatenate(made) - truth)))
