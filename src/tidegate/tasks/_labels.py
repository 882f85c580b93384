"""Labels of rows, one or any number each: from the cells of a table to targets."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..data.lookalikes import describe_difference, visible_form
from ..errors import DataError
from .base import Indices

Cells = list[tuple[str, str]]  # of each row its place and its cell
Targets = npt.NDArray[Any]  # one label per row: int64 [n]; several: float32 [n, labels], 1 where the row has the label
REMEDY = "count such rows as wrong with --unseen wrong"
NO_LABEL: Final = -2  # the target of a message without a label, which is only context
OUT_OF_SCOPE: Final = -3  # the target of a row that has none of the labels


def single_targets(
    cells: Cells,
    column: str,
    known: list[str] | None = None,
    unseen: str = "error",
    remedy: str = REMEDY,
    may_lack: bool = False,
    outside: str | None = None,
) -> tuple[Indices, list[str]]:
    """Return the index of each row's label, int64 [n], and the labels.

    known: a model's labels; None: those of the rows, sorted. unseen: how a label that is not among them is treated:
    'error', or 'wrong' (target -1). remedy: the advice at the end of the error. may_lack: whether a row may have no
    label (target `NO_LABEL`). outside: what stands in the cells of rows out of scope, which is no label (target
    `OUT_OF_SCOPE`). Raises DataError with the place.
    """
    named = [(place, name) for place, name in cells if name.strip() or not may_lack]
    for place, name in named:
        if not name.strip():
            raise DataError(f"{place}: the label in column {column!r} is empty; fill it in or leave the row out")
    if not named:
        raise DataError(f"{cells[0][0]}: column {column!r} is empty in every row; expected labels")
    labels = sorted({name for _, name in named} - {outside}) if known is None else known
    index = {name: i for i, name in enumerate(labels)}
    if outside is not None:
        index[outside] = OUT_OF_SCOPE
    if unseen == "error":
        for place, name in named:
            check_known(place, name, index, remedy)
    targets = [index.get(name, -1) if name.strip() else NO_LABEL for _, name in cells]
    return np.array(targets, np.int64), labels


def multi_targets(
    cells: Cells,
    column: str,
    separator: str,
    known: list[str] | None = None,
    unseen: str = "error",
    remedy: str = REMEDY,
) -> tuple[Targets, list[str]]:
    """Return which labels each row has, float32 [n, labels], and the labels; arguments as for `single_targets`.

    With unseen='wrong' each unknown label gets a column of its own after the others, and no name.
    """
    rows = [(place, split_labels(place, cell, column, separator)) for place, cell in cells]
    seen = sorted({name for _, names in rows for name in names})
    labels = seen if known is None else known
    index = {name: i for i, name in enumerate(labels)}
    if unseen == "error":
        for place, names in rows:
            for name in names:
                check_known(place, name, index, remedy)
    for name in seen:
        index.setdefault(name, len(index))
    targets = np.zeros((len(rows), len(index)), np.float32)
    for i, (_, names) in enumerate(rows):
        targets[i, [index[name] for name in names]] = 1
    return targets, labels


def split_labels(place: str, cell: str, column: str, separator: str) -> list[str]:
    """Split a cell into its labels; an empty cell has none. Raises DataError for an empty or repeated entry.

    >>> split_labels("t.csv:2", "rain; wind", "label", ";")
    ['rain', 'wind']
    """
    if not cell.strip():
        return []
    names = [name.strip() for name in cell.split(separator)]
    context = f"{place}: the labels in column {column!r} are {cell[:80]!r}"
    if not all(names):
        raise DataError(f"{context}; an entry is empty; remove the extra {separator!r}")
    if len(set(names)) < len(names):
        repeated = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(f"{context}; {repeated!r} appears twice; remove one")
    return names


def check_known(place: str, name: str, known: dict[str, int], remedy: str) -> None:
    """Raises DataError for a label that is not known; the message names a known one that looks the same."""
    if name not in known:
        near = next((other for other in known if visible_form(other).casefold() == visible_form(name).casefold()), None)
        how = "" if near is None else f"; it differs from {near!r} by {describe_difference(near, name)}"
        raise DataError(f"{place}: label {name!r} was not seen in training{how}; {remedy}")


def check_differ(targets: Targets, labels: list[str], path: str, column: str) -> None:
    """Raises DataError where there is nothing to learn: every row has the same label or the same set of labels."""
    if targets.ndim == 1:
        if len(labels) < 2:
            found = f"has only one class, {labels[0]!r}" if labels else "has no row in scope"
            raise DataError(f"{path}: column {column!r} {found}; training needs two or more classes")
        return
    if not labels:
        raise DataError(f"{path}: column {column!r} is empty in every row; training needs labels")
    if (targets == targets[0]).all():
        raise DataError(
            f"{path}: column {column!r} has the same labels in every row, {', '.join(map(repr, labels))}; training "
            "needs rows that differ"
        )


def count_labels(targets: Targets, labels: list[str]) -> dict[str, int]:
    """Count the rows of every label.

    >>> count_labels(np.array([0, 1, 1]), ["a", "b"])
    {'a': 1, 'b': 2}
    """
    many = targets.sum(0) if targets.ndim == 2 else np.bincount(targets[targets >= 0], minlength=len(labels))
    return dict(zip(labels, many.astype(int).tolist(), strict=True))


def describe_labels(targets: Targets, cells: Cells, separator: str | None) -> str:
    """Describe the labels of rows: how many there are, and how many a row has.

    >>> describe_labels(np.array([[1, 1], [0, 0]]), [("", "a;b"), ("", "")], ";")
    "2 labels separated by ';', 0 to 2 per row, 1 row without"
    """
    if separator is None or targets.ndim == 1:
        without, outside = int((targets == NO_LABEL).sum()), int((targets == OUT_OF_SCOPE).sum())
        words = format_count(len(np.unique(targets[targets >= 0])), "label")
        words += f", {format_count(outside, 'row')} out of scope" if outside else ""
        return words + (f", {format_count(without, 'row')} without" if without else "")
    per_row, never = targets.sum(1).astype(int), not any(separator in cell for _, cell in cells)
    words = f"{format_count(int(targets.any(0).sum()), 'label')} separated by {separator!r}"
    words += ", which never occurs" if never else ""
    least, most = int(per_row.min()), int(per_row.max())
    words += f", {least} to {most} per row" if least < most else f", {least} per row"
    return words + (f", {format_count(int((per_row == 0).sum()), 'row')} without" if not per_row.all() else "")


def format_count(number: int, what: str) -> str:
    return f"{number:,} {what}" + "s" * (number != 1)


def strata_of(targets: Targets) -> Indices:
    """Return the class by which each row is stratified: its label, or the rarest of its labels.

    Rows without a label form a class of their own, numbered after the labels.

    >>> strata_of(np.array([[1, 0], [1, 1], [0, 0]])).tolist()
    [0, 1, 2]
    """
    if targets.ndim == 1:
        return targets
    often = np.where(targets > 0, targets.sum(0), np.inf)
    return np.asarray(np.where(targets.any(1), often.argmin(1), targets.shape[1]), np.int64)


def class_weights(targets: Targets, classes: int, balanced: bool) -> npt.NDArray[np.float32]:
    """Return the weight of each class in the loss, float32 [classes], with mean 1 over the rows.

    Where rows may have several labels, it is the weight of a row with the label relative to one without it.
    """
    if not balanced:
        return np.ones(classes, np.float32)
    if targets.ndim == 2:
        having = targets.sum(0)
        return np.asarray((len(targets) - having).clip(1) / having.clip(1), np.float32)
    targets = targets[targets >= 0]
    counts = np.bincount(targets, minlength=classes).clip(1)
    return np.asarray(len(targets) / (classes * counts), np.float32)
