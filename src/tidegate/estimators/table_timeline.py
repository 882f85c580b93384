"""Tables, with or without a column of times that forecasts continue: the part that all libraries share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.series_frames import read_frame_series
from ..data.times import TimeIndex
from ..errors import DataError
from ..features.frequency import format_times
from .timeline import BOUNDS, Floats, Steps, Timeline, to_column_names


class TableTimeline(Timeline):
    """A table of columns of numbers and at most one column of times or counts, which forecasts have too.

    Subclasses make the columns and tables of a library.
    """

    form = "table"

    def __init__(self, y: Any, is_1d: bool = False) -> None:
        to_column_names(list(y.columns if hasattr(y, "columns") else ()))
        series = read_frame_series(y)
        self.is_1d, self.names, self.values = is_1d, series.names, series.values
        self.columns = None if is_1d and not self.names[0] else self.names
        self.time_column = series.time_column
        self.times, self.local, self.zone, self.counts = series.time_index

    @property
    def time_index(self) -> TimeIndex:
        return TimeIndex(self.times, self.local, self.zone, self.counts)

    def infer_frequency(self) -> None:
        if self.time_column is not None and self.counts is None:
            self.infer_time_frequency(f"in column {self.time_column!r}")
        elif self.counts is not None and len(set(np.diff(self.counts).tolist())) > 1:
            raise DataError(
                f"steps are missing in column {self.time_column!r}; add them, and leave unknown values empty"
            )

    @property
    def cutoff(self) -> Any:
        """The last time or count, or the index of the last step."""
        if self.time_column is None:
            return len(self) - 1
        return self.format_times(self.time_index.select(slice(-1, None)))[0]

    def future_index(self, count: int) -> TimeIndex:
        """Return the times or counts of the next `count` steps."""
        if self.counts is not None:
            gap = int(self.counts[-1] - self.counts[-2]) if len(self.counts) > 1 else 1
            return TimeIndex(counts=self.counts[-1] + gap * np.arange(1, count + 1))
        return TimeIndex(*self.future_times(count), self.zone)

    def append(self, more: Timeline) -> Timeline:
        longer = super().append(more)
        assert isinstance(more, TableTimeline)
        assert isinstance(longer, TableTimeline)
        if self.time_column is None or more.time_column is None:
            if (self.time_column is None) != (more.time_column is None):
                raise DataError(
                    "one part of y has a column of times and the other has none; give it in both or in neither"
                )
            return longer
        ahead = self.future_index(len(more))
        expected, found = ahead.ticks, more.time_index.ticks
        if expected is None or found is None or not np.array_equal(expected, found):
            first, last, next_ = (
                self.format_times(s.select(slice(k, k + 1 or None)))[0]
                for s, k in ((more.time_index, 0), (self.time_index, -1), (ahead, 0))
            )
            raise DataError(f"y continues at {first}; expected {next_}, the step after the last one ({last})")
        longer.times, longer.local, longer.counts = (
            None if old is None or new is None else np.concatenate([old, new])
            for old, new in ((self.times, ahead.times), (self.local, ahead.local), (self.counts, ahead.counts))
        )
        return longer

    def align(self, X: Timeline) -> Floats:
        return super().align(X) if self.time_column is None else self.select_rows(X, self.time_index)

    def align_future(self, X: Timeline, count: int) -> Floats:
        return (
            super().align_future(X, count)
            if self.time_column is None
            else self.select_rows(X, self.future_index(count))
        )

    def select_rows(self, X: Timeline, wanted: TimeIndex) -> Floats:
        """Return the rows of X at these times. Raises DataError if one is missing."""
        if not isinstance(X, TableTimeline) or X.time_index.ticks is None or (X.times is None) != (self.times is None):
            raise DataError("y has a column of times and X has none of the same kind; add one to X")
        rows = {tick: i for i, tick in enumerate(X.time_index.ticks.tolist())}
        ticks = [] if wanted.ticks is None else wanted.ticks.tolist()
        for k, tick in enumerate(ticks):
            if tick not in rows:
                raise DataError(f"X has no row for {self.format_times(wanted)[k]}; give it one for every step")
        return np.asarray(X.values[[rows[tick] for tick in ticks]])

    # ---- forecasts

    def format_times(self, index: TimeIndex) -> list[Any]:
        """Return times or counts as Python values, for messages and `cutoff`."""
        raise NotImplementedError

    def make_table(self, columns: dict[str, npt.NDArray[Any]], index: TimeIndex | None) -> Any:
        """Return a table of the column of times, if there is one, and these columns."""
        raise NotImplementedError

    def format_predictions(self, steps: Steps, values: Floats) -> Any:
        return self.make_future_table(steps, dict(zip(self.names, values.T, strict=True)))

    def format_quantiles(self, steps: Steps, values: Floats, levels: Sequence[Any]) -> Any:
        columns: dict[str, npt.NDArray[Any]] = {}
        for c, name in enumerate(self.names):
            for k, level in enumerate(levels):
                if values.ndim == 3:
                    columns["_".join(filter(None, (name, str(level))))] = values[:, c, k]
                    continue
                for e, end in enumerate(BOUNDS):
                    columns["_".join(filter(None, (name, end, str(level))))] = values[:, c, k, e]
        return self.make_future_table(steps, columns)

    def make_future_table(self, steps: Steps, columns: dict[str, npt.NDArray[Any]]) -> Any:
        """Return a table of these columns for steps ahead, int64 [n] from 1."""
        if self.time_column is None:
            return self.make_table(columns, None)
        return self.make_table(columns, self.future_index(int(steps.max())).select(steps - 1))


class ArrowTimeline(TableTimeline):
    """An Arrow table; forecasts are tables of pyarrow."""

    form = "Arrow"

    def __init__(self, y: Any) -> None:
        import pyarrow

        table = pyarrow.table(y)
        to_column_names(table.column_names)
        super().__init__(table)
        self.time_type: Any = None if self.time_column is None else table.schema.field(self.time_column).type

    def format_times(self, index: TimeIndex) -> list[Any]:
        return list(self.make_time_column(index).to_pylist())

    def make_time_column(self, index: TimeIndex) -> Any:
        """Return times or counts as an array of pyarrow, of the type that the column of y has."""
        import pyarrow

        if index.times is None:
            return pyarrow.array(index.counts).cast(self.time_type)
        if not pyarrow.types.is_timestamp(self.time_type) and not pyarrow.types.is_date(self.time_type):
            return pyarrow.array(format_times(index.times, index.local, index.zone)).cast(self.time_type)
        times = pyarrow.array(index.times.astype("M8[us]"))
        zone = getattr(self.time_type, "tz", None)
        return (times.cast(pyarrow.timestamp("us", zone)) if zone else times).cast(self.time_type)

    def make_table(self, columns: dict[str, npt.NDArray[Any]], index: TimeIndex | None) -> Any:
        import pyarrow

        times: dict[Any, Any] = {} if index is None else {self.time_column: self.make_time_column(index)}
        return pyarrow.table({**times, **columns})
