"""Scores of slices: the rows of a file that have the same value in a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from ..errors import DataError
from ._answered_rows import AnsweredRows
from ._holdout import number_keys
from ._intervals import Units, bootstrap
from ._reliability import measure_reliability
from .base import Indices

MAX_VALUES: Final = 50  # of a column
FIGURES: Final = ("accuracy", "subset_accuracy", "micro_f1", "macro_f1", "log_loss")


def check_values(path: str, columns: Mapping[str, Sequence[str]]) -> None:
    """Raise DataError for a column with too many different values, such as numbers. columns: their cells by name."""
    for name, cells in columns.items():
        if (count := len(set(cells))) > MAX_VALUES:
            raise DataError(
                f"{path}: column {name!r} has {count:,} different values, and --by takes at most {MAX_VALUES}; name a "
                "column of few values, such as a source or a speaker"
            )


def measure_slices(
    rows: AnsweredRows, units: Units, columns: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Compute the figures of the rows with each value of each column, those of most rows first.

    columns: of each by name the value of each row. Each slice has its `rows`, its figures and their `intervals`. Its
    macro F1 is the mean over the labels that occur in it.

    >>> rows = AnsweredRows(np.array([[.9, .1], [.4, .6]]), np.array([0, 0]), ["no", "yes"], np.zeros(2, bool), 0.5)
    >>> {name: of["accuracy"] for name, of in measure_slices(rows, Units(np.arange(2)), {"a": ["x", "y"]})["a"].items()}
    {'x': 1.0, 'y': 0.0}
    """
    return {name: measure_values(rows, units, cells) for name, cells in columns.items()}


def measure_values(rows: AnsweredRows, units: Units, cells: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Do `measure_slices` for one column."""
    number = number_keys(cells)
    names = list(dict.fromkeys(cells))
    count = np.bincount(number).tolist()
    ordered = sorted(range(len(names)), key=lambda k: (-count[k], names[k]))
    return {names[k]: measure_slice(rows, units, np.flatnonzero(number == k)) for k in ordered}


def measure_slice(rows: AnsweredRows, units: Units, chosen: Indices) -> dict[str, Any]:
    """Compute the figures of some of the rows."""
    part = rows.select(chosen)
    metrics, decisions = part.measure(), part.decide()
    figures: dict[str, Any] = {name: metrics[name] for name in FIGURES if name in metrics}
    ece = measure_reliability(decisions.probability, decisions.right)["ece"]
    return {"rows": len(part), **figures, "ece": ece, "intervals": bootstrap(part, units.select(chosen))}
