"""Series and DataFrames of polars: forecasts continue the column of times, if there is one."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ..data.times import TimeIndex
from ..features.frequency import format_times
from .table_timeline import TableTimeline
from .timeline import Floats, Steps


class PolarsTimeline(TableTimeline):
    """A Series, or a DataFrame of columns of numbers and at most one column of times; forecasts have them too."""

    form = "polars"

    def __init__(self, y: Any) -> None:
        is_1d = not hasattr(y, "columns")
        frame = y.to_frame() if is_1d else y
        super().__init__(frame, is_1d)
        self.time_type: Any = None if self.time_column is None else frame.schema[self.time_column]

    def format_times(self, index: TimeIndex) -> list[Any]:
        return list(self.make_time_column(index).to_list())

    def make_time_column(self, index: TimeIndex) -> Any:
        """Return times or counts as a Series, of the type that the column of y has."""
        import polars

        if index.times is None:
            return polars.Series(self.time_column, index.counts).cast(self.time_type)
        if not self.time_type.is_temporal():
            return polars.Series(self.time_column, format_times(index.times, index.local, index.zone))
        column = polars.Series(self.time_column, index.times.astype("M8[us]"))
        if zone := getattr(self.time_type, "time_zone", None):
            column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        return column.cast(self.time_type)

    def make_table(self, columns: dict[str, npt.NDArray[Any]], index: TimeIndex | None) -> Any:
        import polars

        times: dict[Any, Any] = {} if index is None else {self.time_column: self.make_time_column(index)}
        return polars.DataFrame({**times, **columns})

    def format_predictions(self, steps: Steps, values: Floats) -> Any:
        import polars

        return polars.Series(self.names[0], values[:, 0]) if self.is_1d else super().format_predictions(steps, values)
