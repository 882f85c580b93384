"""Series of numbers as a task's input: reading them, and making rows of steps for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.lookalikes import describe_lookalikes
from ..data.series import Collection, Series, read_series
from ..errors import DataError, OptionError, error_context
from ..features.calendar import PERIODS
from ..features.frequency import Frequency, infer_frequency
from ..features.series import FLAT, MISSING, SeriesTransform
from ..inputs.series import SeriesInput
from ..model import Model
from ._holdout import number_keys
from ._options import option
from .base import Array, Indices

Steps = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
FAR = 1 << 10  # deviations from 0: further away, float32 keeps fewer than four digits of a deviation


def transform_of(model: Model) -> SeriesTransform:
    """Return the transform of a model of series, with what its output forecasts. Raises OptionError for another one."""
    (source,) = model.inputs.values()
    if not isinstance(source, SeriesInput):
        raise OptionError(f"this model takes {source.takes}; expected one that takes series")
    return source.transform


@dataclass(frozen=True)
class SeriesOptions:
    """Options of series as input."""

    values: str | None = option(
        None, "columns of numbers, separated by commas; default: all other columns", metavar="COLUMNS"
    )
    time: str | None = option(None, "column of timestamps, ascending within a series", metavar="COLUMN")
    id: str | None = option(None, "column that says which series a row belongs to", metavar="COLUMN")
    layout: str | None = option(
        None,
        "whether a row of the table is one step of a series (steps) or a whole series (rows)",
        choices=("steps", "rows"),
    )
    calendar: str = option(
        "",
        "add the position of each time in these periods as inputs, separated by commas: "
        f"{', '.join(PERIODS)}; needs times",
        metavar="LIST",
        earlier="default",
    )
    missing: str = option(
        "error",
        "missing numbers: report an error, drop such steps, fill them with the last known value (ffill), or fill them "
        "and tell the model (mask)",
        choices=MISSING,
        earlier="default",
    )

    def columns(self) -> list[str] | None:
        """List the columns named by --values. Raises OptionError for an empty or repeated name."""
        return None if self.values is None else split_names("values", self.values)

    def periods(self) -> tuple[str, ...]:
        """List the periods of the calendar. Raises OptionError for an unknown one."""
        periods = split_names("calendar", self.calendar) if self.calendar else []
        if unknown := [p for p in periods if p not in PERIODS]:
            raise OptionError(
                f"unknown period {unknown[0]!r} in calendar; choose from {', '.join(PERIODS)}, separated by commas"
            )
        return tuple(periods)


def split_names(name: str, text: str) -> list[str]:
    """Split an option's value at commas. Raises OptionError for an empty or repeated entry.

    >>> split_names("values", "a, b")
    ['a', 'b']
    """
    entries = [entry.strip() for entry in text.split(",")]
    if not all(entries):
        raise OptionError(f"{name} is {text!r}; an entry is empty")
    if len(set(entries)) != len(entries):
        raise OptionError(f"{name} is {text!r}; an entry appears twice")
    return entries


def read_collection(
    source: Any,
    options: SeriesOptions,
    label: str | None,
    columns: Sequence[str] | None = None,
    unlabelled: bool = False,
    group: str | None = None,
    values: Sequence[str] | None = None,
) -> Collection:
    """Read the series of a source.

    columns: those of a model; the source must have them, in any order. unlabelled: labels may be missing. group: the
    column that says which series belong together. values: the columns of numbers, in place of those of the options.

    Raises DataError, with file, line and column.
    """
    if isinstance(source, Collection):
        collection = source
    else:
        collection = read_series(
            source,
            values=options.columns() if values is None else values,
            time=options.time,
            id=options.id,
            label=label,
            layout=options.layout,
            unlabelled=unlabelled,
            group=group,
        )
    if columns is not None and sorted(columns) == sorted(collection.columns):
        order = [collection.columns.index(name) for name in columns]
        series = [replace(s, values=s.values[:, order]) for s in collection.series]
        collection = replace(collection, columns=list(columns), series=series)
    if columns is not None and list(columns) != collection.columns:
        raise DataError(
            f"{collection.path}: has {format_columns(collection.columns)}; the model was fitted on "
            f"{format_columns(columns)}; give it those{describe_lookalikes(columns, collection.columns)}"
        )
    if options.calendar and any(s.times is None for s in collection.series):
        raise DataError(f"{collection.path}: calendar needs times, and there are none; name their column with --time")
    return collection


def format_columns(columns: Sequence[str]) -> str:
    shown = ", ".join(map(repr, columns[:8])) + (" ..." if len(columns) > 8 else "")
    return f"{len(columns)} column{'s'[: len(columns) != 1]} ({shown})"


def summary(source: Collection, options: SeriesOptions, columns: str = "") -> str:
    """Describe how the columns of a source are read. columns: the description of the numeric ones."""
    parts = [columns or f"values: {format_columns(source.columns)}"]
    parts += [f"{what}: column {name!r}" for what, name in (("time", options.time), ("id", options.id)) if name]
    holes = sum(int(np.isnan(s.values).sum()) for s in source.series)
    if holes:
        parts.append(f"{holes:,} missing numbers ({options.missing})")
    return "; ".join([*parts, *describe_timing(source)])


def series_with_times(source: Collection) -> list[tuple[int, Series]]:
    """List the series that have times, each with its index; of series that share their times only the first."""
    first = {id(s.times): (i, s) for i, s in reversed(list(enumerate(source.series))) if s.times is not None}
    return sorted(first.values(), key=lambda pair: pair[0])


def timing(source: Collection) -> dict[str, Any]:
    """Return the `zone` and `frequency` of a transform: those of the longest series, if all share its frequency."""
    timed = [s for _, s in series_with_times(source)]
    if not timed:
        return {}
    longest = max(timed, key=len)
    assert longest.times is not None
    frequency = infer_frequency(longest.times, longest.local)
    if frequency is not None and not all(s.times is not None and frequency.explains(s.times, s.local) for s in timed):
        frequency = None
    return {"zone": longest.zone, "frequency": frequency}


def describe_timing(source: Collection) -> list[str]:
    """Describe in a sentence how the steps follow each other in time; the list is empty where there are no times."""
    timed, counted = series_with_times(source), [(i, s) for i, s in enumerate(source.series) if s.counts is not None]
    frequency: Frequency | None = timing(source).get("frequency")
    if frequency is not None:
        return [f"one step {frequency}"]
    odd = [
        (i, t)
        for i, s in timed
        if s.times is not None and infer_frequency(s.times, s.local) is None
        for t in uneven_steps(s.times.astype(np.int64))
    ]
    odd += [(i, t) for i, s in counted if s.counts is not None for t in uneven_steps(s.counts)]
    if odd:
        many = f"{len(odd):,} step{'s'[: len(odd) != 1]}"
        where = "" if len({i for i, _ in odd}) == len(timed) + len(counted) else "in such series "
        return [f"time is uneven at {many}, first at {source.locate(*odd[0])}: {where}steps are counted, not times"]
    if any(len(s) > 1 for _, s in timed):
        return ["the times of the series follow different calendars: each series continues by its own"]
    return []


def uneven_steps(ticks: Indices) -> list[int]:
    """List the steps of times or counts [T] whose distance to the step before is unusual.

    A distance counts as unusual from one and a half times the median on, so that months are even; where there is no
    such step, any distance other than the median counts.
    """
    gaps = np.diff(ticks)
    if (gaps == gaps[:1]).all():
        return []
    usual = np.median(gaps)
    odd = np.abs(np.log(gaps / usual)) > np.log(1.5)
    return (np.flatnonzero(odd if odd.any() else gaps != usual) + 1).tolist()


def check_zone(source: Collection, transform: SeriesTransform) -> None:
    """Raises DataError if the calendar is used, and only the source's times or only those in training have a zone."""
    if not transform.calendar or transform.zone is None:
        return
    for i, series in series_with_times(source):
        if (series.local is not None) != bool(transform.zone):
            its, other = ("no zone", "one") if transform.zone else ("a zone", "none")
            raise DataError(
                f"{source.locate(i, 0)}: the times have {its}, and those that the model was fitted on had {other}; "
                "write them in the same way"
            )


def impute_series(source: Collection, transform: SeriesTransform) -> list[tuple[Floats, Indices]]:
    """Impute every series: its steps without missing values, and their indices in the source.

    Raises DataError with the place of a number that cannot be used, and as `check_zone` does.
    """
    check_zone(source, transform)
    imputed = []
    for i, series in enumerate(source.series):
        check_missing(source, i, series.values, transform.missing)
        with error_context(source.locate(i, 0)):
            steps, keep, _ = transform.impute(series.values, series.times)
            if not len(steps):
                raise DataError("every step of the series has missing numbers; leave the series out")
        imputed.append((steps, keep))
    return imputed


def unscaled_transform(options: SeriesOptions, source: Collection) -> SeriesTransform:
    """Make the transform of a source's columns, without statistics to scale by."""
    roles = ("past",) * len(source.columns)
    return SeriesTransform(tuple(source.columns), roles, options.periods(), options.missing, **timing(source))


def number_equal_series(sources: Sequence[Collection], transform: SeriesTransform) -> Indices:
    """Number the series of all sources by their imputed steps, int64 [n]: equal series have equal numbers.

    Raises DataError with the place of a number that cannot be used.
    """
    for source in sources:
        for i, series in enumerate(source.series):
            check_missing(source, i, series.values, transform.missing)
    if transform.missing == "error" and not transform.calendar:  # imputing would change nothing, and costs more
        rows: list[Array] = [s.values for source in sources for s in source.series]
    else:
        rows = [steps for source in sources for steps, _ in impute_series(source, transform)]
    return number_keys((len(steps), (steps + 0).tobytes()) for steps in rows)  # -0 + 0 is 0


def check_missing(
    source: Collection, i: int, x: npt.NDArray[np.float64], missing: str, known: Sequence[int] = (), lead: int = 0
) -> None:
    """Raises DataError with line and column for the first missing number of series i, where none is allowed.

    x: the numbers as the model reads them, [T, columns]; those of the columns `known` are from `lead` rows later.
    """
    if missing == "error" and len(holes := np.argwhere(np.isnan(x))):
        t, c = (int(v) for v in holes[0])
        place = source.locate(i, t + (lead if c in known else 0))
        raise DataError(
            f"{place}: no number in column {source.columns[c]!r}; fill it in, or choose --missing drop, ffill or mask"
        )


def statistics(
    values: npt.NDArray[np.float64], columns: Sequence[str], place: str, varied: bool = True
) -> tuple[Array, Array]:
    """Compute mean and standard deviation of columns [n, columns], float64, without NaN.

    Raises DataError for a column without a number, and if `varied` for one that never changes, or by no more than
    float64 rounds numbers of its size.
    """
    if (empty := np.isnan(values).all(0)).any():
        raise DataError(
            f"{place}: column {columns[int(empty.argmax())]!r} has no number to learn from; leave it out, or give more "
            "rows"
        )
    first = np.take_along_axis(values, np.isnan(values).argmin(0)[None], 0)  # sums of what is far from 0 lose digits
    mean, deviation = first[0] + np.nanmean(values - first, 0), np.nanstd(values - first, 0)
    flat = ~(deviation > FLAT * np.abs(mean).clip(1e-30))
    if varied and flat.any():
        c = int(flat.argmax())
        fault = f"is {mean[c]:.6g} at every step, so it carries no information; leave it out of --values"
        if deviation[c]:
            fault = (
                f"varies by {deviation[c]:.3g} about {mean[c]:.15g}, no more than rounding; leave it out of --values"
            )
        raise DataError(f"{place}: column {columns[c]!r} {fault}")
    return mean, deviation


def scale_in_float64(transform: SeriesTransform, mean: Floats, deviation: Floats) -> SeriesTransform:
    """Return a transform that scales in float64 where a column is far from 0; otherwise return the same one.

    In float32 such a column would lose its digits before a layer scales it.
    """
    if not (np.abs(mean) > FAR * deviation).any():
        return transform
    return replace(transform, mean=mean[None], deviation=deviation[None])
