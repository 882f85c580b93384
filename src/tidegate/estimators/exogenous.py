"""A forecaster's series and what is known beside them, as the collection that the task takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.series import Collection, of_arrays
from ..errors import DataError
from .convert import timelines
from .timeline import Floats, Timeline


@dataclass(frozen=True)
class Known:
    """What is known ahead: names, and for each series rows [T, columns]."""

    columns: list[str]
    values: list[Floats]

    def joined(self, more: Known) -> Known:
        """This and what comes right after it. Raises DataError for other columns."""
        check_names(more.columns, self)
        return Known(self.columns, [np.concatenate(pair) for pair in zip(self.values, more.values, strict=True)])


def known_of(lines: list[Timeline], X: Any, several: bool) -> Known:
    """What X says about the steps of y. Raises DataError."""
    found, many = timelines(X, "X")
    if (len(found), many) != (len(lines), several):
        raise DataError(f"X has {len(found)} series and y has {len(lines)}; give one for each")
    made = Known(known_names(found[0]), [line.beside(one) for line, one in zip(lines, found, strict=True)])
    if twice := set(made.columns) & set(columns_of(lines[0])):
        raise DataError(f"the column {sorted(twice)[0]!r} is in y and in X; rename one")
    return made


def check_names(found: list[str], expected: Known) -> None:
    """Raises DataError for columns that are not those of `expected`, in its order."""
    if found != expected.columns:
        raise DataError(f"X has the columns {', '.join(found)}; fit had {', '.join(expected.columns)}")


def known_names(X: Timeline) -> list[str]:
    """The names of X's columns; x1, x2, ... where they have none."""
    return X.columns or [f"x{c}" for c in range(1, X.values.shape[1] + 1)]


def columns_of(line: Timeline) -> list[str]:
    """The names of y's columns; value, or c1, c2, ..., where they have none."""
    return line.columns or of_arrays([line.values]).columns


def collection(lines: list[Timeline], beside: Known | None, future: list[Floats] | None = None) -> Collection:
    """The series as a task takes them. future: rows of what is known after the end, where the targets are missing."""
    columns, arrays = columns_of(lines[0]), [line.values for line in lines]
    if beside is not None:
        columns = [*columns, *beside.columns]
        arrays = [np.concatenate(pair, 1) for pair in zip(arrays, beside.values, strict=True)]
    if future is not None:
        ends = [np.concatenate([np.full((len(x), lines[0].values.shape[1]), np.nan), x], 1) for x in future]
        arrays = [np.concatenate(pair) for pair in zip(arrays, ends, strict=True)]
    found = of_arrays(
        arrays, columns=columns, ids=[str(i) for i in range(1, len(lines) + 1)] if len(lines) > 1 else None
    )
    series = [
        replace(s, times=line.times, local=line.local, zone=line.zone, counts=line.counts)
        for s, line in zip(found.series, lines, strict=True)
    ]
    return replace(found, path="y", series=series)
