"""Series and DataFrames of pandas: forecasts continue the index of y. pandas is imported only when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ..data.series_frames import FrameSeries, read_frame_series
from ..data.times import find_zone
from ..errors import DataError, OptionError
from ..features.frequency import load_zone
from .timeline import BOUNDS, Floats, Steps, Timeline, check_ascending, to_column_names

FIRST_SEARCH, MAX_SEARCH = 16, 10_000
EXPECTED_INDEX: Final = "expected a PeriodIndex, a DatetimeIndex or integers"


class PandasTimeline(Timeline):
    """A Series or DataFrame; forecasts continue its index and keep the names of its columns."""

    form = "pandas"

    def __init__(self, y: Any) -> None:
        self.is_1d = y.ndim == 1
        names = ["y" if self.is_1d and y.name is None else y.name] if self.is_1d else list(y.columns)
        texts = to_column_names(names)
        frame = (y.to_frame() if self.is_1d else y).set_axis(texts, axis=1)
        series = read_frame_series(frame)
        self.values = series.values
        self.names = [name for name, text in zip(names, texts, strict=True) if text != series.time_column]
        self.names = [None] if self.is_1d and y.name is None else self.names
        self.columns = None if self.names == [None] else series.names
        self.index = check_index(y.index if series.time_column is None else make_index(series, y.index))
        self.times, self.local, self.zone = index_times(self.index)

    def infer_frequency(self) -> None:
        import pandas

        if not isinstance(self.index, pandas.DatetimeIndex):
            check_no_gaps(self.index)
        elif self.index.freq is None:
            self.infer_time_frequency("of the index")

    @property
    def cutoff(self) -> Any:
        """The last label, as an index of length one that keeps the frequency."""
        return self.index[-1:]

    def to_relative(self, fh: Any) -> list[int]:
        count = FIRST_SEARCH
        while (ahead := self.future_index(count))[-1] < max(fh) and count < MAX_SEARCH:
            count *= 4
        positions = ahead.get_indexer(fh)
        if (positions < 0).any():
            missing = fh[int(np.argmin(positions))]
            raise OptionError(f"fh has {missing}, which is not one of the steps after {self.index[-1]}; correct fh")
        return [int(k) + 1 for k in positions]

    def future_index(self, count: int) -> Any:
        """Return the labels of the next `count` steps."""
        import pandas

        last, freq = self.index[-1], getattr(self.index, "freq", None)
        if isinstance(self.index, pandas.PeriodIndex):
            index = pandas.period_range(last + 1, periods=count, freq=freq)
        elif isinstance(self.index, pandas.DatetimeIndex) and freq is not None:
            index = pandas.date_range(last, periods=count + 1, freq=freq)[1:]
        elif isinstance(self.index, pandas.DatetimeIndex):
            index = to_datetime_index(self.future_times(count)[0], self.index.tz).as_unit(self.index.unit)
        else:
            gap = int(last - self.index[-2]) if len(self.index) > 1 else 1
            index = pandas.RangeIndex(last + gap, last + gap * (count + 1), gap)
        return index.rename(self.index.name)

    def append(self, more: Timeline) -> Timeline:
        longer = super().append(more)
        assert isinstance(more, PandasTimeline)
        assert isinstance(longer, PandasTimeline)
        expected = self.future_index(len(more))
        if not bool(np.all(expected == more.index)):
            first, last = more.index[0], self.index[-1]
            raise DataError(f"y continues at {first}; expected {expected[0]}, the step after the last one ({last})")
        longer.index = append_index(self.index, expected)
        longer.times, longer.local, longer.zone = index_times(longer.index)
        return longer

    def align(self, X: Timeline) -> Floats:
        return select_rows(X, self.index)

    def align_future(self, X: Timeline, count: int) -> Floats:
        return select_rows(X, self.future_index(count))

    # ---- forecasts

    def format_predictions(self, steps: Steps, values: Floats) -> Any:
        import pandas

        index = self.future_index(int(steps.max()))[steps - 1]
        if self.is_1d:
            return pandas.Series(values[:, 0], index, name=self.names[0])
        return pandas.DataFrame(values, index, self.names)

    def format_quantiles(self, steps: Steps, values: Floats, levels: Sequence[Any]) -> Any:
        import pandas

        names = [0] if self.is_1d and self.names[0] is None else self.names
        parts = [names, list(levels)] if values.ndim == 3 else [names, list(levels), list(BOUNDS)]
        columns = pandas.MultiIndex.from_product(parts)
        index = self.future_index(int(steps.max()))[steps - 1]
        return pandas.DataFrame(values.reshape(len(steps), -1), index, columns)


def check_index(index: Any) -> Any:
    """Return the index. Raises DataError unless it increases and holds periods, times or integers."""
    import pandas

    if isinstance(index, pandas.PeriodIndex | pandas.DatetimeIndex):
        check_ascending(index.asi8, index)
    elif index.dtype.kind in "iu":
        check_ascending(index.to_numpy(np.int64), index)
    else:
        raise DataError(f"the index holds {index.dtype}; {EXPECTED_INDEX}")
    return index


def check_no_gaps(index: Any) -> None:
    """Raise DataError if periods or integers are missing between others."""
    import pandas

    periods = isinstance(index, pandas.PeriodIndex)
    gaps = set(np.diff(index.asi8 if periods else index.to_numpy(np.int64)).tolist())
    if len(gaps) > 1 or (periods and gaps - {1}):
        raise DataError("steps are missing in the index; add them, with NaN for unknown values")


def make_index(series: FrameSeries, index: Any) -> Any:
    """Turn the column of times into an index. Raises DataError if the frame's own index holds times too."""
    import pandas

    if isinstance(index, pandas.PeriodIndex | pandas.DatetimeIndex):
        raise DataError(f"its index and its column {series.time_column!r} both hold times; drop one of them")
    times, local, zone, counts = series.time_index
    if times is None:
        return pandas.Index(counts, name=series.time_column)
    return to_datetime_index(times, None if local is None else load_zone(zone)).rename(series.time_column)


def to_datetime_index(times: Any, zone: Any) -> Any:
    """Return an index of times datetime64[us] [T], which are in UTC if there is a zone; the index is in that zone."""
    import pandas

    index = pandas.DatetimeIndex(times)
    return index if zone is None else index.tz_localize("UTC").tz_convert(zone)


def append_index(index: Any, more: Any) -> Any:
    """Return both indexes, one after the other, with the frequency of the first."""
    import pandas

    longer = index.append(more)
    return pandas.DatetimeIndex(longer, freq=index.freq) if isinstance(index, pandas.DatetimeIndex) else longer


def index_times(index: Any) -> tuple[Any, Any, str]:
    """Return the times datetime64[us] [T] of an index, in UTC if it has a zone; then the local times [T] and the zone.

    Times are None if the index counts steps, local times are None without a zone. Raises DataError for times finer
    than a microsecond.
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
    return index.tz_convert("UTC").tz_localize(None).to_numpy("M8[us]"), local, find_zone(index[-1])


def select_rows(X: Timeline, labels: Any) -> Floats:
    """Return the rows of X at these labels. Raises DataError if one is missing."""
    if not isinstance(X, PandasTimeline):
        raise DataError(f"X is {X.form} and y is pandas; give both in the same type")
    positions = X.index.get_indexer(labels)
    if (positions < 0).any():
        raise DataError(f"X has no row for {labels[int(np.argmin(positions))]}; give it one for every step")
    return np.asarray(X.values[positions])
