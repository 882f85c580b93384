"""Combine y and X, the exogenous columns that are known ahead, into the collection that the task reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.series import Collection, from_arrays
from ..errors import DataError
from .convert import as_timelines
from .timeline import Floats, Timeline


@dataclass(frozen=True)
class Exogenous:
    """Exogenous columns, known ahead: their names, and for each series float64 [T, columns]."""

    columns: list[str]
    values: list[Floats]

    def append(self, more: Exogenous) -> Exogenous:
        """Return these rows followed by the next ones. Raises DataError if the columns differ."""
        check_exogenous_names(more.columns, self)
        return Exogenous(self.columns, [np.concatenate(pair) for pair in zip(self.values, more.values, strict=True)])


def align_exogenous(timelines: list[Timeline], X: Any, several: bool) -> Exogenous:
    """Return the rows of X that belong to the steps of y. Raises DataError if some are missing or a name is in both."""
    parts, many = as_timelines(X, "X")
    if (len(parts), many) != (len(timelines), several):
        raise DataError(f"X has {len(parts)} series and y has {len(timelines)}; give one for each")
    exogenous = Exogenous(exogenous_names(parts[0]), [y.align(part) for y, part in zip(timelines, parts, strict=True)])
    if both := set(exogenous.columns) & set(target_names(timelines[0])):
        raise DataError(f"the column {sorted(both)[0]!r} is in y and in X; rename one")
    return exogenous


def check_exogenous_names(names: list[str], expected: Exogenous) -> None:
    """Raise DataError unless the names are those of `expected`, in the same order."""
    if names != expected.columns:
        raise DataError(
            f"X has the columns {', '.join(names)}; fit was given {', '.join(expected.columns)}; pass the same"
        )


def exogenous_names(X: Timeline) -> list[str]:
    """Return the names of X's columns: x1, x2, ... if they have none."""
    return X.columns or [f"x{c}" for c in range(1, X.values.shape[1] + 1)]


def target_names(timeline: Timeline) -> list[str]:
    """Return the names of y's columns: value, or c1, c2, ..., if they have none."""
    return timeline.columns or from_arrays([timeline.values]).columns


def make_collection(
    timelines: list[Timeline], exogenous: Exogenous | None, future: list[Floats] | None = None
) -> Collection:
    """Return the series as the task reads them.

    future: for each series, exogenous rows [horizon, columns] after its end, where the targets are NaN.
    """
    columns, arrays = target_names(timelines[0]), [line.values for line in timelines]
    if exogenous is not None:
        columns = [*columns, *exogenous.columns]
        arrays = [np.concatenate(pair, 1) for pair in zip(arrays, exogenous.values, strict=True)]
    if future is not None:
        ends = [np.concatenate([np.full((len(x), timelines[0].values.shape[1]), np.nan), x], 1) for x in future]
        arrays = [np.concatenate(pair) for pair in zip(arrays, ends, strict=True)]
    collection = from_arrays(
        arrays, columns=columns, ids=[str(i) for i in range(1, len(timelines) + 1)] if len(timelines) > 1 else None
    )
    series = [
        replace(s, times=line.times, local=line.local, zone=line.zone, counts=line.counts)
        for s, line in zip(collection.series, timelines, strict=True)
    ]
    return replace(collection, path="y", series=series)
