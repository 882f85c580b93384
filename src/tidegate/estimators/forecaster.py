"""Forecast series with quantiles, with the arguments of sktime's forecasters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from ..data.series import Collection
from ..errors import DataError, OptionError, error_context
from ..features.series import SeriesTransform
from ..outputs.forecast import Forecast
from ..tasks import forecast
from ..tasks._options import restore_options
from ..tasks._windows import lead_of, shift_known
from ..tasks.forecast import Options
from .base import TidegateEstimator, fit_predictor, raise_value_errors
from .convert import as_timelines
from .exogenous import Exogenous, align_exogenous, check_exogenous_names, exogenous_names, make_collection, target_names
from .parameters import CommonParameters, make_options, with_parameters
from .timeline import Floats, Steps, Timeline

if TYPE_CHECKING:

    @dataclass(frozen=True)
    class Parameters(Options, CommonParameters):
        """The constructor for editors and type checkers; the real one lacks the `COLUMN_OPTIONS`."""
else:
    Parameters = object

MEDIAN: Final = 0.5

Quantile = Callable[[float], Floats]  # from a level to values [steps, columns]


@with_parameters(Options)
class Forecaster(TidegateEstimator, Parameters):
    """A recurrent forecaster of one or several series.

    The parameters are the options of `tidegate fit forecast` (except those that name columns of a file), `threads` and
    `verbose`; the constructor stores them, `fit` checks them. `horizon` defaults to the largest step in `fh`.

    y is a Series or DataFrame of pandas (indexed by periods, times or integers) or polars, an Arrow table, an array
    [T] or [T, columns], or a list of these; a missing number is NaN. In a frame the column `ds`, or the only column of
    dates, holds the times; all others are targets and hold numbers. X holds exogenous columns that are known ahead: a
    row for each step of y, and in `predict` for the steps after it. Forecasts have the type of y and continue its index
    or times, with the frequency that explains every gap.

    After fit: `cutoff`; `options_`, the options with every default resolved; `predictor_` and `model_`, to stream,
    verify and export like any other model.

    >>> wave = np.sin(np.arange(200) / 3)
    >>> forecaster = Forecaster(hidden=16, epochs=20, season=0).fit(wave, fh=[1, 2, 3])
    >>> bool(np.abs(forecaster.predict() - np.sin(np.arange(200, 203) / 3)).max() < 0.2)
    True
    """

    options_: Options

    # ---- fitting and updating

    def fit(self, y: Any, X: Any = None, fh: Any = None) -> Forecaster:
        """Train the forecaster and return it.

        y, X: see the class. fh: the steps ahead to forecast, an integer or several; see `predict`.

        Raises WrongData (a ValueError and a DataError), WrongValue (a ValueError and an OptionError), MissingExtra
        without torch.
        """
        with raise_value_errors():
            timelines, several = as_timelines(y)
            for timeline in timelines:
                timeline.infer_frequency()
                timelines[0].check_compatible(timeline)
            exogenous = None if X is None else align_exogenous(timelines, X, several)
            steps = None if fh is None else to_relative(fh, timelines[0])
            options = self._make_options(timelines, exogenous, steps)
            predictor = fit_predictor(self, forecast.KIND, options, make_collection(timelines, exogenous))
            recorded = restore_options(Options, predictor.model.document["task"]["options"])
            # set together, once nothing can fail any more
            self.predictor_, self.options_ = predictor, recorded
            self._timelines, self._exogenous, self._several = timelines, exogenous, several
            self._fit_options, self._fh = options, steps
        return self

    def update(self, y: Any, X: Any = None, update_params: bool = False) -> Forecaster:
        """Append the next steps, so that forecasts start after them, and return the forecaster. Nothing is trained.

        y, X: the steps right after those seen so far, of the same type as in `fit`. Raises as `fit`, and WrongValue for
        update_params=True, because training on the new steps alone would forget the others: call `fit` with all.
        """
        check_is_fitted(self)
        with raise_value_errors():
            if update_params:
                raise OptionError("update_params is True, but update does not train; call fit with all of y")
            more, several = as_timelines(y)
            self._check_count(len(more), several)
            if (X is None) != (self._exogenous is None):
                raise DataError(f"X was {'not ' * (self._exogenous is None)}given to fit; do the same in update")
            exogenous = None if X is None else align_exogenous(more, X, several)
            timelines = [timeline.append(steps) for timeline, steps in zip(self._timelines, more, strict=True)]
            if exogenous is not None and self._exogenous is not None:
                exogenous = self._exogenous.append(exogenous)
            self._timelines, self._exogenous = timelines, exogenous
        return self

    @property
    def cutoff(self) -> Any:
        """The label of the last step of y: an index of length one (pandas), a time (polars) or a number; a list of them
        for several series.
        """
        check_is_fitted(self)
        cutoffs = [timeline.cutoff for timeline in self._timelines]
        return cutoffs if self._several else cutoffs[0]

    # ---- forecasts

    def predict(self, fh: Any = None, X: Any = None) -> Any:
        """Forecast the median of each step ahead, in the type of y.

        fh: the steps ahead, an integer or several, counted from 1 at the end of y; an index of times or periods; or an
        object with `to_relative`, such as sktime's ForecastingHorizon. None: as in `fit`, or else all steps up to the
        horizon. X: if fit had X, its rows for the whole horizon. Raises as `fit`.
        """
        return self._predict_each(
            fh, X, lambda timeline, steps, quantile: timeline.format_predictions(steps, quantile(MEDIAN))
        )

    def predict_quantiles(self, fh: Any = None, X: Any = None, alpha: Any = None) -> Any:
        """Forecast quantiles of each step ahead.

        alpha: their levels, between the lowest and highest of the model; None: all levels of the model. fh, X: as in
        `predict`.

        Returns a DataFrame with columns (variable, alpha) for pandas; columns `variable_alpha` for polars and Arrow;
        float64 [steps, levels] or [steps, columns, levels] for arrays. Raises as `fit`.
        """
        check_is_fitted(self)
        with raise_value_errors():
            levels = list(self.options_.levels()) if alpha is None else check_probabilities("alpha", alpha)

        def quantiles(timeline: Timeline, steps: Steps, quantile: Quantile) -> Any:
            return timeline.format_quantiles(steps, np.stack([quantile(level) for level in levels], -1), levels)

        return self._predict_each(fh, X, quantiles)

    def predict_interval(self, fh: Any = None, X: Any = None, coverage: Any = None) -> Any:
        """Forecast the interval that contains each step ahead with probability `coverage`.

        coverage: a number between 0 and 1, or several; None: that of the model's widest interval. fh, X: as in
        `predict`.

        Returns a DataFrame with columns (variable, coverage, 'lower' or 'upper') for pandas; columns
        `variable_lower_coverage` and `variable_upper_coverage` for polars and Arrow; float64 [steps, coverages, 2] or
        [steps, columns, coverages, 2] for arrays. Raises as `fit`.
        """
        check_is_fitted(self)
        with raise_value_errors():
            if coverage is None:
                coverages = [widest_coverage(self.options_.levels())]
            else:
                coverages = check_probabilities("coverage", coverage)
        bounds = [[(1 - share) / 2, (1 + share) / 2] for share in coverages]

        def intervals(timeline: Timeline, steps: Steps, quantile: Quantile) -> Any:
            values = np.stack([np.stack([quantile(level) for level in pair], -1) for pair in bounds], -2)
            return timeline.format_quantiles(steps, values, coverages)

        return self._predict_each(fh, X, intervals)

    def score(self, y: Any, X: Any = None, fh: Any = None) -> float:
        """Return minus the mean absolute error of the medians, so that greater is better.

        y: the steps right after those seen so far, of the same type as in `fit`. Those that are both forecast and known
        are compared. X, fh: as in `predict`. Raises as `fit`.
        """
        check_is_fitted(self)
        with raise_value_errors():
            more, several = as_timelines(y)
            self._check_count(len(more), several)
            parts = []
            for timeline, actual, one in zip(self._timelines, more, self._forecasts(X), strict=True):
                timeline.append(actual)  # raises unless it comes right after the end
                at = np.array([k for k in self._steps(fh) if k <= len(actual)], np.int64) - 1
                parts.append(np.abs(one.quantile(MEDIAN)[at] - actual.values[at]).ravel())
            errors = np.concatenate(parts)
            if np.isnan(errors).all():
                raise DataError("y has no value at any of the forecast steps; give a y that covers some of them")
        return -float(np.nanmean(errors))

    def _predict_each(self, fh: Any, X: Any, form: Callable[[Timeline, Steps, Quantile], Any]) -> Any:
        """Forecast every series and return its output in the type of y.

        form: makes the output from the timeline, the steps, and a function from a level to its quantiles.
        """
        check_is_fitted(self)
        with raise_value_errors():
            steps = np.array(self._steps(fh), np.int64)
            outputs = [
                form(timeline, steps, lambda level, one=one: one.quantile(level)[steps - 1])  # type: ignore[misc]
                for timeline, one in zip(self._timelines, self._forecasts(X), strict=True)
            ]
        return outputs if self._several else outputs[0]

    # ---- implementation

    def _make_options(self, timelines: list[Timeline], exogenous: Exogenous | None, steps: list[int] | None) -> Options:
        """Return the options of the task: the parameters, with the columns and the horizon of the data."""
        timed = all(timeline.times is not None for timeline in timelines)
        if self.calendar and not timed:
            raise OptionError(
                f"calendar={self.calendar!r} needs times, but y has none; give y a DatetimeIndex or a PeriodIndex"
            )
        columns: dict[str, Any] = {"time": "time"} if timed else {}
        if exogenous is not None:
            targets = target_names(timelines[0])
            for name in [*targets, *exogenous.columns]:
                if name != name.strip() or "," in name or not name:
                    raise DataError(
                        f"the column name {name!r} is empty, or has a comma or a space at an end; rename it"
                    )
            columns |= {"targets": ",".join(targets), "known": ",".join(exogenous.columns)}
        options: Options = make_options(self, Options, **columns)
        if options.horizon is None and steps is None:
            raise OptionError("neither fh nor horizon= is given; say how many steps ahead to forecast")
        if options.horizon is not None and steps is not None and max(steps) > options.horizon:
            raise OptionError(
                f"fh goes up to step {max(steps)}, beyond horizon={options.horizon}; raise the horizon, or leave it out"
            )
        return options if options.horizon is not None else replace(options, horizon=max(steps or ()))

    def _steps(self, fh: Any) -> list[int]:
        """Return the requested steps ahead. Raises OptionError for one beyond the horizon."""
        horizon = self.options_.horizon or 0
        steps = (self._fh or list(range(1, horizon + 1))) if fh is None else to_relative(fh, self._timelines[0])
        if max(steps) > horizon:
            raise OptionError(
                f"fh goes up to step {max(steps)}, but the model was fitted for {horizon}; fit it with a longer horizon"
            )
        return steps

    def _check_count(self, count: int, several: bool) -> None:
        """Raise DataError unless there are as many series as in `fit`."""
        if (count, several) != (len(self._timelines), self._several):
            raise DataError(
                f"found {count} series; fit was given {len(self._timelines)}; pass the same ones, in the same order"
            )

    def _forecasts(self, X: Any) -> list[Forecast]:
        """Return the forecast of every series from its last step."""
        model = self.predictor_.model
        transform = forecast.restore(model)[1]
        assert transform.forecast
        future = self._future(X, transform.forecast.horizon)
        source = forecast.read(
            make_collection(self._timelines, self._exogenous, future), self._fit_options, list(transform.columns)
        )
        values = [
            self._forecast(source, i, transform, 0 if future is None else transform.forecast.horizon)
            for i in range(len(source))
        ]
        each = len(values) // len(self._timelines)  # a series of several columns can be several series to the model
        names = [target_names(timeline) for timeline in self._timelines]
        return [
            Forecast(np.concatenate(values[i * each : (i + 1) * each], 1), transform.forecast.quantiles, names[i])
            for i in range(len(self._timelines))
        ]

    def _forecast(self, source: Collection, i: int, transform: SeriesTransform, future: int) -> Floats:
        """Return the forecast of series i of the model, [horizon, targets, quantiles]. future: rows after its end."""
        series = source.series[i]
        T = len(series.values) - future
        values, known = series.values, None
        if future and self.options_.head == "autoregressive":
            known = values[None, T:, transform.find_columns("known")]
        if future:
            values = shift_known(values[: T + lead_of(transform)], transform)
        times = series.times[:T] if transform.calendar and series.times is not None else None
        name = series.id if transform.names else None
        with error_context(f"series {series.id}") if len(source) > 1 else nullcontext():
            return np.asarray(self.predictor_.forecasts(values, times=times, series=name, known=known)[0])

    def _future(self, X: Any, horizon: int) -> list[Floats] | None:
        """Return the rows of X ahead of each series, [horizon, columns]; None if the model reads no X."""
        if self._exogenous is None:
            if X is not None:
                raise DataError("X was not given to fit; leave it out here")
            return None
        if X is None:
            raise DataError(
                f"the model reads X ({', '.join(self._exogenous.columns)}) for {horizon} steps ahead; pass X"
            )
        parts, several = as_timelines(X, "X")
        self._check_count(len(parts), several)
        check_exogenous_names(exogenous_names(parts[0]), self._exogenous)
        return [timeline.align_future(part, horizon) for timeline, part in zip(self._timelines, parts, strict=True)]


def to_relative(fh: Any, timeline: Timeline) -> list[int]:
    """Return fh as steps ahead, increasing. Raises OptionError unless they are integers from 1."""
    if hasattr(fh, "to_relative"):
        fh = fh.to_relative(timeline.cutoff).to_numpy()
    labels = np.atleast_1d(fh) if getattr(fh, "dtype", None) is None else fh
    if not len(labels):
        raise OptionError("fh is empty; give one step or more")
    steps = [int(k) for k in labels] if np.asarray(labels).dtype.kind in "iu" else timeline.to_relative(labels)
    if min(steps) < 1 or sorted(set(steps)) != steps:
        raise OptionError(f"fh is {steps}; expected steps ahead in increasing order, from 1")
    return steps


def check_probabilities(name: str, value: Any) -> list[float]:
    """Return one probability or several as a list. Raises OptionError unless they are between 0 and 1."""
    numbers: npt.NDArray[Any] = np.atleast_1d(value)
    if numbers.dtype.kind not in "fiu" or not len(numbers) or not ((numbers > 0) & (numbers < 1)).all():
        raise OptionError(f"{name} is {value!r}; expected numbers between 0 and 1")
    return [float(number) for number in numbers]


def widest_coverage(levels: Sequence[float]) -> float:
    """Return the coverage of the widest interval around the median. Raises OptionError if there is only the median.

    >>> widest_coverage((0.1, 0.5, 0.9))
    0.8
    """
    half = min(0.5 - levels[0], levels[-1] - 0.5)
    if half <= 0:
        raise OptionError("the model has no quantiles on both sides of the median; fit it with quantiles='0.1,0.5,0.9'")
    return round(2 * half, 12)
