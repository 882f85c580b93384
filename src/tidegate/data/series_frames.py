"""Read a single series from a frame with one step per row: columns of numbers, and the times of the steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tidegate.data import numbers
from tidegate.data.collection import Floats
from tidegate.data.frames import is_category, name_frame, read_frame
from tidegate.data.table import Table
from tidegate.data.table_cells import to_python_or_none
from tidegate.data.times import TimeColumn, TimeIndex, find_time_column
from tidegate.errors import DataError

REMEDY = "convert it, or leave it out"


class FrameSeries(NamedTuple):
    """The series in a frame: names of the columns of numbers, their values float64 [T, columns], and the times.

    time_column: the name of the column of times; None if the frame has none.
    """

    names: list[str]
    values: Floats
    time_column: str | None
    time_index: TimeIndex


def read_frame_series(source: Any) -> FrameSeries:
    """Read a series with one step per row from a frame of pandas, polars or Arrow.

    The column `ds`, or the only column of dates, holds the times; every other column must hold numbers.

    Raises:
        DataError: a column of another type, times that do not increase, no rows or no column of numbers.
        MissingExtra: an Arrow table, and pyarrow is not installed.
    """
    table = read_frame_table(source)
    time_column = find_time_column(table.columns, table.path)
    names = [name for name in table.columns if name != time_column]
    if not names:
        beside = "" if time_column is None else f" beside the times in {time_column!r}"
        raise DataError(f"{table.path} has no column of numbers{beside}; add one")
    values = read_matrix(source, table, names)
    steps = np.arange(len(table))
    time_index = TimeIndex()
    if time_column is not None:
        time_index = TimeColumn(table.columns[time_column], time_column, table.locate, has_id=True).index(steps)
    return FrameSeries(names, values, time_column, time_index)


def read_frame_table(source: Any) -> Table:
    """Read all columns of a frame, with None for missing cells, and no checksum. Raises as `read_frame_series`."""
    path = name_frame(source)

    def locate(row: int) -> str:
        return f"{path}, row {row + 1}"

    columns = read_frame(source, path, None, locate, dates=True)
    plain = {name: to_python_or_none(cells, name, locate) for name, cells in columns.items()}
    if not (rows := max(map(len, plain.values()), default=0)):
        raise DataError(f"{path} has no rows or no columns; expected one or more of each")
    return Table(path, plain, list(range(1, rows + 1)), "", unit="row")


def read_matrix(source: Any, table: Table, names: list[str], remedy: str = REMEDY) -> Floats:
    """Return the numbers of columns, float64 [rows, columns]. Raises DataError for a column of another type."""
    for name in names:
        if is_category(source, name):
            raise DataError(f"{table.path}: column {name!r} holds categories; expected numbers; {remedy}")
    return np.stack([numbers.parse_column(table, name, remedy) for name in names], axis=1)
