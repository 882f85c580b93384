"""Series of numbers as a task's input: where they come from, and rows of steps for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.lookalikes import hint
from ..data.series import Collection, Series, read_series
from ..errors import DataError, OptionError, error_context
from ..features.calendar import PERIODS
from ..features.frequency import Frequency, inferred
from ..features.series import FLAT, MISSING, SeriesTransform, Window
from ._holdout import numbered
from ._options import option
from ._problem import Array, Indices, pad

Steps = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
FAR = 1 << 10  # deviations from 0: beyond, float32 leaves fewer than four digits of a deviation


@dataclass(frozen=True)
class SeriesSource:
    """Options of series as input."""

    values: str | None = option(None, "columns of numbers, by comma; all others if not given")
    time: str | None = option(None, "column of timestamps, ascending within a series")
    id: str | None = option(None, "column that says which series a row belongs to")
    layout: str | None = option(
        None, "a row of the table is one of the steps of a series, or holds all of it", choices=("steps", "rows")
    )
    calendar: str = option(
        "", f"positions of each time in periods as further inputs, by comma: {', '.join(PERIODS)}; needs times"
    )
    missing: str = option(
        "error",
        "missing numbers: refuse them, drop such steps, fill with the last one seen, or fill and tell the model (mask)",
        choices=MISSING,
    )

    def columns(self) -> list[str] | None:
        """The named columns. Raises OptionError for a name that is empty or stands twice."""
        return None if self.values is None else listed("values", self.values)

    def periods(self) -> tuple[str, ...]:
        """The periods of the calendar. Raises OptionError for one that there is not."""
        periods = listed("calendar", self.calendar) if self.calendar else []
        if unknown := [p for p in periods if p not in PERIODS]:
            raise OptionError(f"unknown period {unknown[0]!r} in calendar; choose of {', '.join(PERIODS)}, by comma")
        return tuple(periods)


def listed(name: str, text: str) -> list[str]:
    """The entries of an option given by comma. Raises OptionError for one that is empty or stands twice.

    >>> listed("values", "a, b")
    ['a', 'b']
    """
    entries = [entry.strip() for entry in text.split(",")]
    if not all(entries):
        raise OptionError(f"{name} is {text!r}; an entry is empty")
    if len(set(entries)) != len(entries):
        raise OptionError(f"{name} is {text!r}; an entry stands twice")
    return entries


def rows(
    source: Any,
    options: SeriesSource,
    label: str | None,
    columns: Sequence[str] | None = None,
    unlabelled: bool = False,
    group: str | None = None,
) -> Collection:
    """The series of a source. columns: those of a model, which the source must then have, in any order. unlabelled: a
    label may be missing. group: the column that says which series belong together.

    Raises DataError, with file, line and column.
    """
    if isinstance(source, Collection):
        found = source
    else:
        found = read_series(
            source,
            values=options.columns(),
            time=options.time,
            id=options.id,
            label=label,
            layout=options.layout,
            unlabelled=unlabelled,
            group=group,
        )
    if columns is not None and sorted(columns) == sorted(found.columns):
        order = [found.columns.index(name) for name in columns]
        series = [replace(s, values=s.values[:, order]) for s in found.series]
        found = replace(found, columns=list(columns), series=series)
    if columns is not None and list(columns) != found.columns:
        raise DataError(
            f"{found.path}: has {counted(found.columns)}; the model was fitted on {counted(columns)}; give it those"
            f"{hint(columns, found.columns)}"
        )
    if options.calendar and any(s.times is None for s in found.series):
        raise DataError(f"{found.path}: calendar needs times, and there are none; name their column with --time")
    return found


def counted(columns: Sequence[str]) -> str:
    shown = ", ".join(map(repr, columns[:8])) + (" ..." if len(columns) > 8 else "")
    return f"{len(columns)} column{'s'[: len(columns) != 1]} ({shown})"


def summary(source: Collection, options: SeriesSource, columns: str = "") -> str:
    """What the columns of a source were taken for, in words. columns: what is said about those of numbers."""
    parts = [columns or f"values: {counted(source.columns)}"]
    parts += [f"{what}: column {name!r}" for what, name in (("time", options.time), ("id", options.id)) if name]
    holes = sum(int(np.isnan(s.values).sum()) for s in source.series)
    if holes:
        parts.append(f"{holes:,} missing numbers ({options.missing})")
    return "; ".join([*parts, *paced(source)])


def clocks(source: Collection) -> list[tuple[int, Series]]:
    """The series that have times, of those that share theirs the first; each with its index."""
    first = {id(s.times): (i, s) for i, s in reversed(list(enumerate(source.series))) if s.times is not None}
    return sorted(first.values(), key=lambda pair: pair[0])


def timing(source: Collection) -> dict[str, Any]:
    """The `zone` and the `frequency` of a transform: those of the longest series, if all have the same frequency."""
    found = [s for _, s in clocks(source)]
    if not found:
        return {}
    longest = max(found, key=len)
    assert longest.times is not None
    frequency = inferred(longest.times, longest.local)
    if frequency is not None and not all(s.times is not None and frequency.explains(s.times, s.local) for s in found):
        frequency = None
    return {"zone": longest.zone, "frequency": frequency}


def paced(source: Collection) -> list[str]:
    """A sentence about how the steps follow each other in time, or none where there are no times."""
    found, counter = clocks(source), [(i, s) for i, s in enumerate(source.series) if s.counts is not None]
    frequency: Frequency | None = timing(source).get("frequency")
    if frequency is not None:
        return [f"one step {frequency}"]
    odd = [
        (i, t)
        for i, s in found
        if s.times is not None and inferred(s.times, s.local) is None
        for t in uneven(s.times.astype(np.int64))
    ]
    odd += [(i, t) for i, s in counter if s.counts is not None for t in uneven(s.counts)]
    if odd:
        many = f"{len(odd):,} step{'s'[: len(odd) != 1]}"
        where = "" if len({i for i, _ in odd}) == len(found) + len(counter) else "in such series "
        return [f"time is uneven at {many}, first at {source.place(*odd[0])}: {where}steps are counted, not times"]
    if any(len(s) > 1 for _, s in found):
        return ["the series' times follow different calendars: each series goes on by its own"]
    return []


def uneven(ticks: Indices) -> list[int]:
    """The steps of times or counts [T] whose distance to the one before is not the usual one.

    Half as far again as usual is uneven, so that months are even; where there is no such step, any other distance is.
    """
    gaps = np.diff(ticks)
    if (gaps == gaps[:1]).all():
        return []
    usual = np.median(gaps)
    odd = np.abs(np.log(gaps / usual)) > np.log(1.5)
    return (np.flatnonzero(odd if odd.any() else gaps != usual) + 1).tolist()


def check_zone(source: Collection, transform: SeriesTransform) -> None:
    """Raises DataError where the calendar is used, and a source's times have a zone and those in training had none, or
    the other way about.
    """
    if not transform.calendar or transform.zone is None:
        return
    for i, series in clocks(source):
        if (series.local is not None) != bool(transform.zone):
            its, other = ("no zone", "one") if transform.zone else ("a zone", "none")
            raise DataError(
                f"{source.place(i, 0)}: the times have {its}, and those that the model was fitted on had {other}; "
                "write them as there"
            )


def treated(source: Collection, transform: SeriesTransform) -> list[tuple[Floats, Indices]]:
    """For every series its steps with nothing missing, and which steps of the source they are.

    Raises DataError with the place of a number that cannot be used, and as `check_zone`.
    """
    check_zone(source, transform)
    found = []
    for i, series in enumerate(source.series):
        refuse(source, i, series.values, transform.missing)
        with error_context(source.place(i, 0)):
            steps, keep, _ = transform.impute(series.values, series.times)
            if not len(steps):
                raise DataError("nothing is left of the series without its missing numbers; leave it out")
        found.append((steps, keep))
    return found


def bare(options: SeriesSource, source: Collection) -> SeriesTransform:
    """The transform of a source's columns, which are not scaled yet."""
    roles = ("past",) * len(source.columns)
    return SeriesTransform(tuple(source.columns), roles, options.periods(), options.missing, **timing(source))


def alike(sources: Sequence[Collection], transform: SeriesTransform) -> Indices:
    """Number the series of all sources by their steps with nothing missing, int64 [n]: equal ones have one number.

    Raises DataError with the place of a number that cannot be used.
    """
    for source in sources:
        for i, series in enumerate(source.series):
            refuse(source, i, series.values, transform.missing)
    if transform.missing == "error" and not transform.calendar:  # nothing is filled or added, and treating costs more
        found: list[Array] = [s.values for source in sources for s in source.series]
    else:
        found = [steps for source in sources for steps, _ in treated(source, transform)]
    return numbered((len(steps), (steps + 0).tobytes()) for steps in found)  # -0 + 0 is 0


def refuse(
    source: Collection, i: int, x: npt.NDArray[np.float64], missing: str, known: Sequence[int] = (), lead: int = 0
) -> None:
    """Raises DataError for the first missing number of series i, at its own line and column, where none is allowed.

    x: the numbers as they are read, [T, columns], those of the columns `known` from `lead` rows further on.
    """
    if missing == "error" and len(holes := np.argwhere(np.isnan(x))):
        t, c = (int(v) for v in holes[0])
        place = source.place(i, t + (lead if c in known else 0))
        raise DataError(
            f"{place}: no number in column {source.columns[c]!r}; fill it, or choose --missing drop, ffill or mask"
        )


def statistics(
    values: npt.NDArray[np.float64], columns: Sequence[str], place: str, varied: bool = True
) -> tuple[Array, Array]:
    """Mean and deviation of columns [n, columns], float64; NaN is left out.

    Raises DataError for a column without a number, and if `varied` for one that never changes, or by no more than
    float64's rounding of numbers of its size.
    """
    if (empty := np.isnan(values).all(0)).any():
        raise DataError(
            f"{place}: column {columns[int(empty.argmax())]!r} has no number to learn from; leave it out, or give more"
        )
    first = np.take_along_axis(values, np.isnan(values).argmin(0)[None], 0)  # sums of what is far from 0 lose digits
    mean, deviation = first[0] + np.nanmean(values - first, 0), np.nanstd(values - first, 0)
    flat = ~(deviation > FLAT * np.abs(mean).clip(1e-30))
    if varied and flat.any():
        c = int(flat.argmax())
        fault = f"is {mean[c]:.6g} at every step, which tells nothing; leave it out of --values"
        if deviation[c]:
            fault = f"varies by {deviation[c]:.3g} about {mean[c]:.15g}, as rounding does; leave it out of --values"
        raise DataError(f"{place}: column {columns[c]!r} {fault}")
    return mean, deviation


def centred(transform: SeriesTransform, mean: Floats, deviation: Floats) -> SeriesTransform:
    """A transform that scales in float64 where a column is far from 0, as float32 would lose its digits before a layer
    scales it; else the same.
    """
    if not (np.abs(mean) > FAR * deviation).any():
        return transform
    return replace(transform, mean=mean[None], deviation=deviation[None])


@dataclass(frozen=True)
class Variation:
    """What training changes of rows, so that the model lives with other sensors than those it learnt from: noise on
    every number, and for each row and column an offset and a factor about the mean, all normal.

    mean, deviation: of each feature [features], the latter 0 for a feature that stays as it is. noise, shift: shares of
    the deviation. gain: deviation of the factor from 1.
    """

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    noise: float
    shift: float
    gain: float

    def of(self, x: Steps, random: np.random.Generator) -> Steps:
        """Rows float32 [T, B, features], changed."""

        def draws(shape: tuple[int, ...]) -> Steps:
            return random.standard_normal(shape, np.float32)

        each = x.shape[1:]
        if self.gain:
            varied = (self.deviation > 0).astype(np.float32)
            x = x + (x - self.mean) * np.float32(self.gain) * draws(each) * varied
        if self.shift:
            x = x + draws(each) * self.deviation * np.float32(self.shift)
        return x + draws(x.shape) * self.deviation * np.float32(self.noise) if self.noise else x


def variation(options: Any, mean: Array, deviation: Array, columns: int) -> Variation:
    """What training changes of the columns; what says that a number was missing, and the calendar, stay."""
    varied = np.where(np.arange(len(deviation)) < columns, deviation, 0).astype(np.float32)
    return Variation(mean.astype(np.float32), varied, options.noise, options.shift, options.gain)


class Sequences:
    """Rows of steps float32 [T, features]. variation: what training changes of them."""

    def __init__(self, steps: list[Steps], targets: Array, variation: Variation) -> None:
        self.steps, self.targets, self.variation = steps, targets, variation
        self.lengths: Indices = np.array([len(row) for row in steps], np.int64)

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> tuple[Array, Indices, Array]:
        """See `Rows`: float32 [T, B, features]."""
        x, lengths = pad([self.steps[i] for i in rows])
        if random is not None:
            x = self.variation.of(x, random)
        return x, lengths, self.targets[rows]


@dataclass(frozen=True)
class Pieces:
    """Rows for a classifier, and the series that each is a piece of."""

    steps: list[Steps]
    origin: Indices


def pieces(source: Collection, transform: SeriesTransform) -> Pieces:
    """Whole series, or where the transform has a window, windows every half of its length and the last one."""
    steps: list[Steps] = []
    origin: list[int] = []
    for i, (found, _) in enumerate(treated(source, transform)):
        if transform.window is None:
            parts = [transform.scale_fixed(found, 0)]
        else:
            parts = list(transform.windows(found, ends(len(found), transform.window, source, i))[0])
        steps += parts
        origin += [i] * len(parts)
    return Pieces(steps, np.array(origin, np.int64))


def ends(length: int, window: Window, source: Collection, i: int) -> Indices:
    """Where the windows of a series end. Raises DataError for a series that is shorter than one."""
    if length < window.reach:
        raise DataError(
            f"{source.place(i, 0)}: the series has {length} steps; the window needs {window.reach}; leave it out, or "
            "choose a shorter --window"
        )
    stride = max(1, window.length // 2)
    return np.arange(length - 1, window.reach - 2, -stride)[::-1].copy()


def lengths(source: Collection, window: int) -> list[int]:
    """Steps of every row that `pieces` gives where no step is left out: of each series, or of each of its windows.

    Raises DataError for a series that is shorter than a window.
    """
    if not window:
        return [len(s.values) for s in source.series]
    cut = Window(window)
    return [window] * sum(len(ends(len(s.values), cut, source, i)) for i, s in enumerate(source.series))


def fixed(series: list[Series]) -> npt.NDArray[np.float64]:
    """All steps of all series, one after the other."""
    return np.concatenate([s.values for s in series])
