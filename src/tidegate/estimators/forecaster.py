"""Forecast series with quantiles, by the arguments that sktime's forecasters have."""

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
from ..runtime.forecast import Forecast
from ..tasks import forecast
from ..tasks._options import recalled
from ..tasks._windows import lead_of, moved
from ..tasks.forecast import Options
from .convert import timelines
from .exogenous import Known, check_names, collection, columns_of, known_names, known_of
from .fitted import Fitted, as_scikit_learn, learnt
from .parameters import Fitting, chosen, takes
from .timeline import Floats, Timeline

if TYPE_CHECKING:

    @dataclass(frozen=True)
    class Parameters(Options, Fitting):
        """What editors and type checkers see of the constructor: more than there is by `COLUMNS`."""
else:
    Parameters = object

MEDIAN: Final = 0.5


@takes(Options)
class Forecaster(Fitted, Parameters):
    """A recurrent forecaster of one series or several.

    Parameters are the options of `tidegate fit forecast` (all but those that name columns of a file), `threads` and
    `verbose`; the constructor stores them, `fit` checks them. `horizon` is the largest of `fh` if not given.

    y is a Series or DataFrame of pandas (indexed by periods, times or integers) or polars, a table of Arrow, an array
    [T] or [T, columns], or a list of these; a missing number is NaN. In a frame the column `ds`, or the only one of
    dates, holds the times; all others are targets and hold numbers. X has what is known ahead, a row for each step of
    y, and in `predict` for the steps after it. Answers have y's form, and its index or times go on by the calendar that
    explains every gap.

    After fit: `cutoff`; `options_`, as decided; `predictor_` and `model_`, which stream, verify and export as any
    other.

    >>> wave = np.sin(np.arange(200) / 3)
    >>> made = Forecaster(hidden=16, epochs=20, season=0).fit(wave, fh=[1, 2, 3])
    >>> bool(np.abs(made.predict() - np.sin(np.arange(200, 203) / 3)).max() < 0.2)
    True
    """

    options_: Options

    # ---- learning, and going on without

    def fit(self, y: Any, X: Any = None, fh: Any = None) -> Forecaster:
        """The same forecaster, fitted. fh: steps ahead, an integer or several; see `predict`.

        Raises WrongData (a ValueError and a DataError), WrongValue (a ValueError and an OptionError), MissingExtra
        without torch.
        """
        with as_scikit_learn():
            lines, several = timelines(y)
            for line in lines:
                line.settle()
                lines[0].check_alike(line)
            beside = None if X is None else known_of(lines, X, several)
            steps = None if fh is None else relative(fh, lines[0])
            options = self._chosen(lines, beside, steps)
            predictor = learnt(self, "forecast", options, collection(lines, beside))
            recorded = recalled(Options, predictor.model.document["task"]["options"])
            self.predictor_, self.options_ = (
                predictor,
                recorded,
            )  # with what follows: nothing that may fail between them
            self._asked, self._lines, self._beside, self._several, self._fh = options, lines, beside, several, steps
        return self

    def update(self, y: Any, X: Any = None, update_params: bool = False) -> Forecaster:
        """The same forecaster, which goes on from the end of y, the steps right after those that it has seen.

        Nothing is learnt: what is remembered goes on. y, X: in the form of `fit`. Raises as `fit`; WrongValue for
        update_params, as learning from part of a series alone would forget the rest: call fit.
        """
        check_is_fitted(self)
        with as_scikit_learn():
            if update_params:
                raise OptionError("update_params is True, and update learns nothing; call fit with all of y")
            more, several = timelines(y)
            self._check_count(len(more), several)
            if (X is None) != (self._beside is None):
                raise DataError(f"X was {'not ' * (self._beside is None)}given to fit; do the same here")
            beside = None if X is None else known_of(more, X, several)
            lines = [one.joined(each) for one, each in zip(self._lines, more, strict=True)]
            if beside is not None and self._beside is not None:
                beside = self._beside.joined(beside)
            self._lines, self._beside = lines, beside
        return self

    @property
    def cutoff(self) -> Any:
        """What y's last step is called: an index of one (pandas), a time (polars) or a number; a list of them for
        several series.
        """
        check_is_fitted(self)
        found = [one.cutoff for one in self._lines]
        return found if self._several else found[0]

    # ---- answers

    def predict(self, fh: Any = None, X: Any = None) -> Any:
        """The medians of the steps ahead, in the form of y.

        fh: how many steps after the end of y, an integer or several; an index of times or periods; or what has
        `to_relative`. Those of `fit` if not given, or else all up to the horizon. X: where fit had one, its rows for
        the whole horizon. Raises as `fit`.
        """
        return self._told(fh, X, lambda line, steps, at: line.answer(steps, at(MEDIAN)))

    def predict_quantiles(self, fh: Any = None, X: Any = None, alpha: Any = None) -> Any:
        """Quantiles of the steps ahead. alpha: their levels, within those of the model; all of those if not given.

        For pandas a DataFrame whose columns are pairs (variable, alpha); for polars columns `variable_alpha`; for
        arrays float64 [steps, levels] or [steps, columns, levels]. Raises as `fit`.
        """
        check_is_fitted(self)
        with as_scikit_learn():
            levels = list(self.options_.levels()) if alpha is None else numbers("alpha", alpha)
        return self._told(
            fh, X, lambda line, steps, at: line.spread(steps, np.stack([at(q) for q in levels], -1), levels)
        )

    def predict_interval(self, fh: Any = None, X: Any = None, coverage: Any = None) -> Any:
        """Intervals that the steps ahead lie in with probability `coverage`; the model's widest if not given.

        For pandas a DataFrame whose columns are triples (variable, coverage, 'lower' or 'upper'); for polars columns
        `variable_lower_coverage`; for arrays float64 [steps, coverages, 2] or [steps, columns, coverages, 2].
        """
        check_is_fitted(self)
        with as_scikit_learn():
            shares = [widest(self.options_.levels())] if coverage is None else numbers("coverage", coverage)
        ends = [[(1 - share) / 2, (1 + share) / 2] for share in shares]
        return self._told(
            fh,
            X,
            lambda line, steps, at: line.spread(
                steps, np.stack([np.stack([at(q) for q in pair], -1) for pair in ends], -2), shares
            ),
        )

    def score(self, y: Any, X: Any = None, fh: Any = None) -> float:
        """Return minus the mean absolute error of the medians, so that greater is better.

        y: what came right after the end, in the form of `fit`; as many of its steps as are forecast, or as it has, are
        compared, and those that are missing left out. X, fh: as of `predict`. Raises as `fit`.
        """
        check_is_fitted(self)
        with as_scikit_learn():
            more, several = timelines(y)
            self._check_count(len(more), several)
            made, found = self._forecasts(X), []
            for line, came, one in zip(self._lines, more, made, strict=True):
                line.joined(came)
                at = np.array([k for k in self._steps(fh) if k <= len(came)], np.int64) - 1
                found.append(np.abs(one.quantile(MEDIAN)[at] - came.values[at]).ravel())
            errors = np.concatenate(found)
            if np.isnan(errors).all():
                raise DataError(f"none of the steps that are forecast is known in y, which has {len(more[0])}")
        return -float(np.nanmean(errors))

    def _told(self, fh: Any, X: Any, form: Callable[[Timeline, Any, Callable[[float], Floats]], Any]) -> Any:
        """What `form` makes of each series, the steps, and the quantile [steps, columns] of a level."""
        check_is_fitted(self)
        with as_scikit_learn():
            steps = np.array(self._steps(fh), np.int64)
            made = self._forecasts(X)
            found = [
                form(line, steps, lambda level, one=one: one.quantile(level)[steps - 1])  # type: ignore[misc]
                for line, one in zip(self._lines, made, strict=True)
            ]
        return found if self._several else found[0]

    # ---- how

    def _chosen(self, lines: list[Timeline], beside: Known | None, steps: list[int] | None) -> Options:
        """The options that the parameters, the columns and the horizon make."""
        timed = all(one.times is not None for one in lines)
        if self.calendar and not timed:
            raise OptionError("calendar needs times, and y has none; give it a DatetimeIndex or a PeriodIndex")
        named: dict[str, Any] = {}
        if beside is not None:
            own = columns_of(lines[0])
            for name in [*own, *beside.columns]:
                if name != name.strip() or "," in name or not name:
                    raise DataError(f"the column {name!r} has a comma, or blanks at its ends; rename it")
            named = {"targets": ",".join(own), "known": ",".join(beside.columns)}
        options: Options = chosen(self, Options, **named, **({"time": "time"} if timed else {}))
        if options.horizon is None and steps is None:
            raise OptionError("neither fh nor the horizon is given; say how many steps ahead to forecast")
        if options.horizon is not None and steps is not None and max(steps) > options.horizon:
            raise OptionError(f"fh goes to step {max(steps)} and the horizon is {options.horizon}; give one of them")
        return options if options.horizon is not None else replace(options, horizon=max(steps or ()))

    def _steps(self, fh: Any) -> list[int]:
        """The steps ahead that are asked for. Raises OptionError for one beyond the horizon."""
        horizon = self.options_.horizon or 0
        steps = (self._fh or list(range(1, horizon + 1))) if fh is None else relative(fh, self._lines[0])
        if max(steps) > horizon:
            raise OptionError(f"fh goes to step {max(steps)}, and the model was fitted for {horizon}; fit it for more")
        return steps

    def _check_count(self, count: int, several: bool) -> None:
        if (count, several) != (len(self._lines), self._several):
            raise DataError(f"there are {count} series; fit was given {len(self._lines)}, and in the same order")

    def _forecasts(self, X: Any) -> list[Forecast]:
        """The forecast of every series after its last step."""
        document, tensors = self.predictor_.model.document, self.predictor_.model.tensors
        transform = SeriesTransform.from_json(document["input"], tensors)
        assert transform.forecast
        future = self._future(X, transform.forecast.horizon)
        source = forecast.rows(collection(self._lines, self._beside, future), self._asked, list(transform.columns))
        made = [
            self._forecast(source, i, transform, 0 if future is None else transform.forecast.horizon)
            for i in range(len(source))
        ]
        each = len(made) // len(self._lines)
        names = [columns_of(line) for line in self._lines]
        return [
            Forecast(np.concatenate(made[i * each : (i + 1) * each], 1), transform.forecast.quantiles, names[i])
            for i in range(len(self._lines))
        ]

    def _forecast(self, source: Collection, i: int, transform: SeriesTransform, future: int) -> Floats:
        """The forecast of a series as the model reads it, [horizon, targets, quantiles]. future: rows after its end."""
        series = source.series[i]
        T = len(series.values) - future
        values, known = series.values, None
        if future and self.options_.head == "autoregressive":
            known = values[None, T:, transform.of("known")]
        if future:
            values = moved(values[: T + lead_of(transform)], transform)
        times = series.times[:T] if transform.calendar and series.times is not None else None
        name = series.id if transform.names else None
        with error_context(f"series {series.id}") if len(source) > 1 else nullcontext():
            return np.asarray(self.predictor_.forecasts(values, times=times, series=name, known=known)[0])

    def _future(self, X: Any, horizon: int) -> list[Floats] | None:
        """What is known of the steps ahead of each series [horizon, columns]; None where nothing is."""
        if self._beside is None:
            if X is not None:
                raise DataError("X was not given to fit; leave it out")
            return None
        if X is None:
            raise DataError(
                f"the model reads X of the {horizon} steps ahead ({', '.join(self._beside.columns)}); give it"
            )
        found, several = timelines(X, "X")
        self._check_count(len(found), several)
        check_names(known_names(found[0]), self._beside)
        return [line.ahead(one, horizon) for line, one in zip(self._lines, found, strict=True)]


def relative(fh: Any, line: Timeline) -> list[int]:
    """Steps ahead, ascending. Raises OptionError unless they are integers from 1."""
    if hasattr(fh, "to_relative"):
        fh = fh.to_relative(line.cutoff).to_numpy()
    found = np.atleast_1d(fh) if getattr(fh, "dtype", None) is None else fh
    if not len(found):
        raise OptionError("fh is empty; give one step or more")
    steps = [int(k) for k in found] if np.asarray(found).dtype.kind in "iu" else line.relative(found)
    if min(steps) < 1 or sorted(set(steps)) != steps:
        raise OptionError(f"fh is {steps}; expected steps ahead that ascend, from 1")
    return steps


def numbers(name: str, given: Any) -> list[float]:
    """One share or several. Raises OptionError unless they are between 0 and 1."""
    found: npt.NDArray[Any] = np.atleast_1d(given)
    if found.dtype.kind not in "fiu" or not len(found) or not ((found > 0) & (found < 1)).all():
        raise OptionError(f"{name} is {given!r}; expected numbers between 0 and 1")
    return [float(share) for share in found]


def widest(levels: Sequence[float]) -> float:
    """The coverage of the widest interval about the median. Raises OptionError for a model of the median alone.

    >>> widest((0.1, 0.5, 0.9))
    0.8
    """
    half = min(0.5 - levels[0], levels[-1] - 0.5)
    if half <= 0:
        raise OptionError("the model has no quantiles on both sides of the median; fit it with quantiles='0.1,0.5,0.9'")
    return round(2 * half, 12)
