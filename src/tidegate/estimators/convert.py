"""Convert y and X of any type to timelines: this module selects the class that knows the type."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from .pandas_timeline import PandasTimeline
from .polars_timeline import PolarsTimeline
from .table_timeline import ArrowTimeline
from .timeline import Timeline


def as_timelines(y: Any, what: str = "y") -> tuple[list[Timeline], bool]:
    """Return the series in y, and whether y was a list of several: of arrays, of frames or of columns.

    what: the name of y in messages. Raises DataError for any other type, and for unusable numbers.
    """
    if y is None:
        raise DataError(f"{what} is None; expected a series of numbers")
    if isinstance(y, list | tuple) and len(y) and any(np.ndim(one) > 0 for one in y):
        timelines = [as_timeline(one, f"{what}[{i}]") for i, one in enumerate(y)]
        if all(one.is_1d for one in timelines) and any(one.columns != timelines[0].columns for one in timelines):
            for one in timelines:
                one.columns = None  # each series has its own name, so the one column of all has none
        return timelines, True
    return [as_timeline(y, what)], False


def as_timeline(y: Any, what: str) -> Timeline:
    """Return one series. what: its name in messages. Raises DataError as `as_timelines`."""
    try:
        if is_from_library(y, "pandas"):
            return PandasTimeline(y)
        if is_from_library(y, "polars"):
            return PolarsTimeline(y)
        if hasattr(y, "__arrow_c_stream__") and type(y).__name__ not in ("Series", "ChunkedArray"):
            return ArrowTimeline(y)
        return Timeline(y)
    except DataError as error:
        raise DataError(f"{what}: {error}") from error


def is_from_library(y: Any, library: str) -> bool:
    """Return whether y is a frame or column of a library, without importing that library."""
    return any(
        kind.__module__.partition(".")[0] == library and kind.__name__ in ("Series", "DataFrame")
        for kind in type(y).__mro__
    )
