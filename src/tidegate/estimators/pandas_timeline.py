"""Series and frames of pandas: the index goes on where y ends. pandas is imported by whoever hands one over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ..data.series import of_arrays
from ..errors import DataError, OptionError
from .timelines import ENDS, Floats, Steps, Timeline, check_ascending, names_of

MOST_AHEAD: Final = 10_000
EXPECTED: Final = "expected a PeriodIndex, a DatetimeIndex or integers"


class PandasTimeline(Timeline):
    """A Series or DataFrame: answers have the index that goes on, and the names of columns."""

    form = "pandas"

    def __init__(self, y: Any) -> None:
        self.flat = y.ndim == 1
        self.names = [y.name] if self.flat else list(y.columns)
        self.columns = None if self.flat and y.name is None else names_of(self.names)
        self.index = ordered(y.index)
        try:
            numbers = y.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise DataError(f"its columns are no numbers: {error}") from error
        self.values = of_arrays([numbers]).series[0].values
        self.times = times_of(self.index)

    def settle(self) -> None:
        self.index = regular(self.index)

    @property
    def cutoff(self) -> Any:
        """The last label, as an index of one, which keeps its frequency."""
        return self.index[-1:]

    def relative(self, fh: Any) -> list[int]:
        found = self.onward(MOST_AHEAD).get_indexer(fh)
        if (found < 0).any():
            raise OptionError(f"fh has {fh[int(np.argmin(found))]}, which is no step after {self.index[-1]}")
        return [int(k) + 1 for k in found]

    def onward(self, count: int) -> Any:
        """The labels of the steps after this series."""
        import pandas

        last, freq = self.index[-1], getattr(self.index, "freq", None)
        if isinstance(self.index, pandas.PeriodIndex):
            found = pandas.period_range(last + 1, periods=count, freq=freq)
        elif isinstance(self.index, pandas.DatetimeIndex):
            found = pandas.date_range(last, periods=count + 1, freq=freq)[1:]
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
        made.times = times_of(made.index)
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


def regular(index: Any) -> Any:
    """An index of equal steps, with its frequency. Raises DataError for one that leaves some out."""
    import pandas

    if isinstance(index, pandas.DatetimeIndex):
        return pandas.DatetimeIndex(index, freq=index.freq or frequency(index))
    numbers = index.asi8 if isinstance(index, pandas.PeriodIndex) else index.to_numpy(np.int64)
    gaps = set(np.diff(numbers).tolist())
    if len(gaps) > 1 or (isinstance(index, pandas.PeriodIndex) and gaps - {1}):
        raise DataError("the index leaves steps out; add them, with NaN where nothing is known")
    return index


def following_up(index: Any, following: Any) -> Any:
    """Both, one after the other, with the frequency of the first."""
    import pandas

    joined = index.append(following)
    return pandas.DatetimeIndex(joined, freq=index.freq) if isinstance(index, pandas.DatetimeIndex) else joined


def frequency(index: Any) -> Any:
    """The frequency of a DatetimeIndex that does not say it. Raises DataError where there is none."""
    import pandas

    gaps = set(np.diff(index.asi8).tolist())
    if len(gaps) == 1:
        return index[1] - index[0]
    found = pandas.DatetimeIndex(index, freq="infer").freq if len(index) > 2 else None
    if found is None:
        raise DataError(
            "the index of times has no frequency, so nobody can tell what follows; give it one by asfreq, or use a "
            "PeriodIndex"
        )
    return found


def times_of(index: Any) -> Any:
    """datetime64[us] [T], in UTC where the index has a zone; None for counted steps."""
    import pandas

    if isinstance(index, pandas.PeriodIndex):
        index = index.to_timestamp()
    if not isinstance(index, pandas.DatetimeIndex):
        return None
    return index.tz_convert("UTC").tz_localize(None).to_numpy("M8[us]") if index.tz else index.to_numpy("M8[us]")


def rows_at(X: Timeline, labels: Any) -> Floats:
    """The rows of X at these labels. Raises DataError for one that it does not have."""
    if not isinstance(X, PandasTimeline):
        raise DataError(f"X is {X.form} and y is pandas; give both in one form")
    found = X.index.get_indexer(labels)
    if (found < 0).any():
        raise DataError(f"X has no row for {labels[int(np.argmin(found))]}; give it one for every step")
    return np.asarray(X.values[found])
