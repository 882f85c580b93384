"""One series in a frame, a row a step: columns of numbers, and when the steps were."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tidegate.data import cells, numbers
from tidegate.data.collection import Floats
from tidegate.data.frames import is_category, name_of, read_frame
from tidegate.data.table import Table
from tidegate.data.times import Clock, Stamps, clock_among
from tidegate.errors import DataError

CONVERT = "convert it, or leave it out"


class Steps(NamedTuple):
    """What a frame says: names of the columns of numbers, their values float64 [T, columns], and the times.

    clock: the column that the times are in; None where the frame has none.
    """

    names: list[str]
    values: Floats
    clock: str | None
    stamps: Stamps


def of_frame(source: Any) -> Steps:
    """Read one series, a row a step, from a frame of pandas, polars or Arrow.

    The column `ds`, or the only one of dates, holds the times; every other one must hold numbers.

    Raises:
        DataError: a column of another type, times that do not ascend, no rows or no column of numbers.
        MissingExtra: a table of Arrow, and pyarrow is not installed.
    """
    table = typed(source)
    clock = clock_among(table.columns, table.path)
    names = [name for name in table.columns if name != clock]
    if not names:
        beside = "" if clock is None else f" beside the times in {clock!r}"
        raise DataError(f"{table.path}: has no column of numbers{beside}; add one")
    values = matrix(source, table, names)
    steps = np.arange(len(table))
    stamps = Stamps() if clock is None else Clock(table.columns[clock], clock, table.place, apart=True).steps(steps)
    return Steps(names, values, clock, stamps)


def typed(source: Any) -> Table:
    """Read all columns of a frame, whose cells may be missing, without their sum. Raises as `of_frame`."""
    path = name_of(source)

    def place(row: int) -> str:
        return f"{path}, row {row + 1}"

    found = read_frame(source, path, None, place, dates=True)
    plain = {name: cells.gapped(given, name, place) for name, given in found.items()}
    if not (rows := max(map(len, plain.values()), default=0)):
        raise DataError(f"{path}: has no rows or no columns; expected one or more of both")
    return Table(path, plain, list(range(1, rows + 1)), "", unit="row")


def matrix(source: Any, table: Table, names: list[str], remedy: str = CONVERT) -> Floats:
    """The numbers of these columns, float64 [rows, columns]. Raises DataError for one of another type."""
    for name in names:
        if is_category(source, name):
            raise DataError(f"{table.path}: column {name!r} holds categories; expected numbers; {remedy}")
    return np.stack([numbers.column(table, name, remedy) for name in names], axis=1)
