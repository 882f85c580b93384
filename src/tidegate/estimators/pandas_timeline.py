"""Series and frames of pandas: the index goes on where y ends. pandas is imported by whoever hands one over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ..data.series_frames import Steps as FrameSteps
from ..data.series_frames import of_frame
from ..data.times import zone_of
from ..errors import DataError, OptionError
from ..features.frequency import known_zone
from .timeline import ENDS, Floats, Steps, Timeline, check_ascending, names_of

FEW_AHEAD, MOST_AHEAD = 16, 10_000
EXPECTED: Final = "expected a PeriodIndex, a DatetimeIndex or integers"


class PandasTimeline(Timeline):
    """A Series or DataFrame: answers have the index that goes on, and the names of columns."""

    form = "pandas"

    def __init__(self, y: Any) -> None:
        self.flat = y.ndim == 1
        names = ["y" if self.flat and y.name is None else y.name] if self.flat else list(y.columns)
        texts = names_of(names)
        frame = (y.to_frame() if self.flat else y).set_axis(texts, axis=1)
        found = of_frame(frame)
        self.values = found.values
        self.names = [name for name, text in zip(names, texts, strict=True) if text != found.clock]
        self.names = [None] if self.flat and y.name is None else self.names
        self.columns = None if self.names == [None] else found.names
        self.index = ordered(y.index if found.clock is None else indexed(found, y.index))
        self.times, self.local, self.zone = times_of(self.index)

    def settle(self) -> None:
        import pandas

        if not isinstance(self.index, pandas.DatetimeIndex):
            check_whole(self.index)
        elif self.index.freq is None:
            self.settle_times("of the index")

    @property
    def cutoff(self) -> Any:
        """The last label, as an index of one, which keeps its frequency."""
        return self.index[-1:]

    def relative(self, fh: Any) -> list[int]:
        count = FEW_AHEAD
        while (ahead := self.onward(count))[-1] < max(fh) and count < MOST_AHEAD:
            count *= 4
        found = ahead.get_indexer(fh)
        if (found < 0).any():
            raise OptionError(f"fh has {fh[int(np.argmin(found))]}, which is no step after {self.index[-1]}")
        return [int(k) + 1 for k in found]

    def onward(self, count: int) -> Any:
        """The labels of the steps after this series."""
        import pandas

        last, freq = self.index[-1], getattr(self.index, "freq", None)
        if isinstance(self.index, pandas.PeriodIndex):
            found = pandas.period_range(last + 1, periods=count, freq=freq)
        elif isinstance(self.index, pandas.DatetimeIndex) and freq is not None:
            found = pandas.date_range(last, periods=count + 1, freq=freq)[1:]
        elif isinstance(self.index, pandas.DatetimeIndex):
            found = at_home(self.following(count)[0], self.index.tz).as_unit(self.index.unit)
        else:
            gap = int(last - self.index[-2]) if len(self.index) > 1 else 1
            found = pandas.RangeIndex(last + gap, last + gap * (count + 1), gap)
        return found.rename(self.index.name)

    def joined(self, more: Timeline) -> Timeline:
        made = super().joined(more)
        assert isinstance(more, PandasTimeline)
        assert isinstance(made, PandasTimeline)
        following = self.onward(len(more))
        if not bool(np.all(following == more.index)):
            first = more.index[0]
            raise DataError(f"y goes on at {first}; the step after the last one, {self.index[-1]}, is {following[0]}")
        made.index = following_up(self.index, following)
        made.times, made.local, made.zone = times_of(made.index)
        return made

    def beside(self, X: Timeline) -> Floats:
        return rows_at(X, self.index)

    def ahead(self, X: Timeline, count: int) -> Floats:
        return rows_at(X, self.onward(count))

    # ---- answers

    def answer(self, steps: Steps, values: Floats) -> Any:
        import pandas

        index = self.onward(int(steps.max()))[steps - 1]
        if self.flat:
            return pandas.Series(values[:, 0], index, name=self.names[0])
        return pandas.DataFrame(values, index, self.names)

    def spread(self, steps: Steps, values: Floats, levels: Sequence[Any]) -> Any:
        import pandas

        names = [0] if self.flat and self.names[0] is None else self.names
        parts = [names, list(levels)] if values.ndim == 3 else [names, list(levels), list(ENDS)]
        columns = pandas.MultiIndex.from_product(parts)
        index = self.onward(int(steps.max()))[steps - 1]
        return pandas.DataFrame(values.reshape(len(steps), -1), index, columns)


def ordered(index: Any) -> Any:
    """An index that ascends. Raises DataError for another one."""
    import pandas

    if isinstance(index, pandas.PeriodIndex | pandas.DatetimeIndex):
        check_ascending(index.asi8, index)
    elif index.dtype.kind in "iu":
        check_ascending(index.to_numpy(np.int64), index)
    else:
        raise DataError(f"the index holds {index.dtype}; {EXPECTED}")
    return index


def check_whole(index: Any) -> None:
    """Raises DataError for periods or integers that leave some out."""
    import pandas

    periods = isinstance(index, pandas.PeriodIndex)
    gaps = set(np.diff(index.asi8 if periods else index.to_numpy(np.int64)).tolist())
    if len(gaps) > 1 or (periods and gaps - {1}):
        raise DataError("the index leaves steps out; add them, with NaN where nothing is known")


def indexed(found: FrameSteps, index: Any) -> Any:
    """The column of times as an index. Raises DataError where the frame's own index holds times too."""
    import pandas

    if isinstance(index, pandas.PeriodIndex | pandas.DatetimeIndex):
        raise DataError(f"its index and its column {found.clock!r} both hold times; leave one of them out")
    times, local, zone, counts = found.stamps
    if times is None:
        return pandas.Index(counts, name=found.clock)
    return at_home(times, None if local is None else known_zone(zone)).rename(found.clock)


def at_home(times: Any, zone: Any) -> Any:
    """Moments datetime64[us] [T], in UTC where there is a zone, as an index in that zone."""
    import pandas

    found = pandas.DatetimeIndex(times)
    return found if zone is None else found.tz_localize("UTC").tz_convert(zone)


def following_up(index: Any, following: Any) -> Any:
    """Both, one after the other, with the frequency of the first."""
    import pandas

    joined = index.append(following)
    return pandas.DatetimeIndex(joined, freq=index.freq) if isinstance(index, pandas.DatetimeIndex) else joined


def times_of(index: Any) -> tuple[Any, Any, str]:
    """Moments datetime64[us] [T], in UTC where the index has a zone, then its wall clocks [T] and the zone; None for
    counted steps. Raises DataError for times that are finer than a microsecond.
    """
    import pandas

    if isinstance(index, pandas.PeriodIndex):
        index = index.to_timestamp()
    if not isinstance(index, pandas.DatetimeIndex):
        return None, None, ""
    if len(finer := np.flatnonzero(index.nanosecond)):
        raise DataError(f"the index has {index[int(finer[0])]}, finer than a microsecond; round the times")
    if index.tz is None:
        return index.to_numpy("M8[us]"), None, ""
    local = index.tz_localize(None).to_numpy("M8[us]")
    return index.tz_convert("UTC").tz_localize(None).to_numpy("M8[us]"), local, zone_of(index[-1])


def rows_at(X: Timeline, labels: Any) -> Floats:
    """The rows of X at these labels. Raises DataError for one that it does not have."""
    if not isinstance(X, PandasTimeline):
        raise DataError(f"X is {X.form} and y is pandas; give both in one form")
    found = X.index.get_indexer(labels)
    if (found < 0).any():
        raise DataError(f"X has no row for {labels[int(np.argmin(found))]}; give it one for every step")
    return np.asarray(X.values[found])
