"""Columns and frames of polars: a column of times, where there is one, goes on."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ..data.times import Stamps
from ..features.frequency import shown
from .table_timeline import TableTimeline
from .timeline import Floats, Steps


class PolarsTimeline(TableTimeline):
    """A Series, or a DataFrame of columns of numbers and at most one of times, which answers have too."""

    form = "polars"

    def __init__(self, y: Any) -> None:
        flat = not hasattr(y, "columns")
        frame = y.to_frame() if flat else y
        super().__init__(frame, flat)
        self.kind: Any = None if self.clock is None else frame.schema[self.clock]

    def listed(self, stamps: Stamps) -> list[Any]:
        return list(self.column(stamps).to_list())

    def column(self, stamps: Stamps) -> Any:
        import polars

        if stamps.times is None:
            return polars.Series(self.clock, stamps.counts).cast(self.kind)
        if not self.kind.is_temporal():
            return polars.Series(self.clock, shown(stamps.times, stamps.local, stamps.zone))
        found = polars.Series(self.clock, stamps.times.astype("M8[us]"))
        if zone := getattr(self.kind, "time_zone", None):
            found = found.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
        return found.cast(self.kind)

    def made(self, columns: dict[str, npt.NDArray[Any]], stamps: Stamps | None) -> Any:
        import polars

        times: dict[Any, Any] = {} if stamps is None else {self.clock: self.column(stamps)}
        return polars.DataFrame({**times, **columns})

    def answer(self, steps: Steps, values: Floats) -> Any:
        import polars

        return polars.Series(self.names[0], values[:, 0]) if self.flat else super().answer(steps, values)
