"""Convert y and X, in whatever form they come, to timelines: this module picks the class that fits."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from .pandas_timeline import PandasTimeline
from .polars_timeline import PolarsTimeline
from .table_timeline import ArrowTimeline
from .timeline import Timeline


def timelines(y: Any, what: str = "y") -> tuple[list[Timeline], bool]:
    """The series in y, and whether they were several: a list of arrays, or of frames or columns.

    Raises DataError for what is neither, or numbers that cannot be used.
    """
    if y is None:
        raise DataError(f"{what} is None; expected a series of numbers")
    if isinstance(y, list | tuple) and len(y) and any(np.ndim(one) > 0 for one in y):
        found = [timeline(one, f"{what}[{i}]") for i, one in enumerate(y)]
        if all(one.flat for one in found) and any(one.columns != found[0].columns for one in found):
            for one in found:
                one.columns = None  # each has a name of its own, which no column of all can have
        return found, True
    return [timeline(y, what)], False


def timeline(y: Any, what: str) -> Timeline:
    """One series in whatever form. what: its name in messages."""
    try:
        if of_library(y, "pandas"):
            return PandasTimeline(y)
        if of_library(y, "polars"):
            return PolarsTimeline(y)
        if hasattr(y, "__arrow_c_stream__") and type(y).__name__ not in ("Series", "ChunkedArray"):
            return ArrowTimeline(y)
        return Timeline(y)
    except DataError as error:
        raise DataError(f"{what}: {error}") from error


def of_library(y: Any, library: str) -> bool:
    """Whether y is a frame or column of a library, which is not imported for this."""
    return any(
        kind.__module__.partition(".")[0] == library and kind.__name__ in ("Series", "DataFrame")
        for kind in type(y).__mro__
    )
