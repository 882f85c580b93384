"""Labels of rows: one each, or any number of them; from cells to targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.lookalikes import difference, seen
from ..errors import DataError
from ._problem import Indices

Cells = list[tuple[str, str]]  # the place of every row, and its cell
Targets = npt.NDArray[Any]  # one label a row: int64 [n]; several: float32 [n, labels], 1 where the label holds
REMEDY = "count such rows as wrong with --unseen wrong"


def one_each(
    found: Cells, column: str, known: list[str] | None = None, unseen: str = "error", remedy: str = REMEDY
) -> tuple[Indices, list[str]]:
    """The index of every row's label, and the labels.

    known: those of a model; None: those that the rows have, sorted. unseen: what a label that is not among them is: an
    'error', or 'wrong' (target -1). remedy: what the error tells to do. Raises DataError with the place.
    """
    for place, name in found:
        if not name.strip():
            raise DataError(f"{place}: the label in column {column!r} is empty; give one or leave the row out")
    labels = sorted({name for _, name in found}) if known is None else known
    index = {name: i for i, name in enumerate(labels)}
    if unseen == "error":
        for place, name in found:
            check_seen(place, name, index, remedy)
    return np.array([index.get(name, -1) for _, name in found], np.int64), labels


def several(
    found: Cells,
    column: str,
    separator: str,
    known: list[str] | None = None,
    unseen: str = "error",
    remedy: str = REMEDY,
) -> tuple[Targets, list[str]]:
    """Which labels every row has, float32 [n, labels], and the labels; arguments as those of `one_each`.

    'wrong': a label that is not known has a column of its own behind the others, and no name.
    """
    rows = [(place, entries(place, cell, column, separator)) for place, cell in found]
    seen = sorted({name for _, names in rows for name in names})
    labels = seen if known is None else known
    index = {name: i for i, name in enumerate(labels)}
    if unseen == "error":
        for place, names in rows:
            for name in names:
                check_seen(place, name, index, remedy)
    for name in seen:
        index.setdefault(name, len(index))
    targets = np.zeros((len(rows), len(index)), np.float32)
    for i, (_, names) in enumerate(rows):
        targets[i, [index[name] for name in names]] = 1
    return targets, labels


def entries(place: str, cell: str, column: str, separator: str) -> list[str]:
    """The labels in a cell, none where it is empty. Raises DataError for an entry that is empty or stands twice.

    >>> entries("t.csv:2", "rain; wind", "label", ";")
    ['rain', 'wind']
    """
    if not cell.strip():
        return []
    names = [name.strip() for name in cell.split(separator)]
    said = f"{place}: the labels in column {column!r} are {cell[:80]!r}"
    if not all(names):
        raise DataError(f"{said}; an entry is empty; leave out the {separator!r} beside it")
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(f"{said}; {twice!r} stands twice; leave one out")
    return names


def check_seen(place: str, name: str, known: dict[str, int], remedy: str) -> None:
    if name not in known:
        near = next((other for other in known if seen(other).casefold() == seen(name).casefold()), None)
        how = "" if near is None else f"; it differs from {near!r} by {difference(near, name)}"
        raise DataError(f"{place}: label {name!r} was not seen in training{how}; {remedy}")


def check_differ(targets: Targets, labels: list[str], path: str, column: str) -> None:
    """Raises DataError where there is nothing to tell apart: every row has the same label, or the same ones."""
    if targets.ndim == 1:
        if len(labels) < 2:
            raise DataError(f"{path}: column {column!r} has one class only, {labels[0]!r}; needs two or more")
        return
    if not labels:
        raise DataError(f"{path}: column {column!r} is empty in every row; needs labels")
    if (targets == targets[0]).all():
        raise DataError(
            f"{path}: column {column!r} has the same labels in every row, {', '.join(map(repr, labels))}; needs rows "
            "that differ"
        )


def counts(targets: Targets, labels: list[str]) -> dict[str, int]:
    """Count the rows of every label.

    >>> counts(np.array([0, 1, 1]), ["a", "b"])
    {'a': 1, 'b': 2}
    """
    many = targets.sum(0) if targets.ndim == 2 else np.bincount(targets, minlength=len(labels))
    return dict(zip(labels, many.astype(int).tolist(), strict=True))


def described(targets: Targets, cells: Cells, separator: str | None) -> str:
    """How many labels rows have, in words.

    >>> described(np.array([[1, 1], [0, 0]]), [("", "a;b"), ("", "")], ";")
    "2 labels separated by ';', 0 to 2 a row, 1 row without"
    """
    if separator is None or targets.ndim == 1:
        return counted(len(np.unique(targets)), "label")
    many, never = targets.sum(1).astype(int), not any(separator in cell for _, cell in cells)
    said = f"{counted(int(targets.any(0).sum()), 'label')} separated by {separator!r}"
    said += ", which never occurs" if never else ""
    least, most = int(many.min()), int(many.max())
    said += f", {least} to {most} a row" if least < most else f", {least} a row"
    return said + (f", {counted(int((many == 0).sum()), 'row')} without" if not many.all() else "")


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + "s" * (number != 1)


def kinds_of(targets: Targets) -> Indices:
    """What a share of is held out: the label of each row, or the rarest of its labels; without any, one kind more.

    >>> kinds_of(np.array([[1, 0], [1, 1], [0, 0]])).tolist()
    [0, 1, 2]
    """
    if targets.ndim == 1:
        return targets
    often = np.where(targets > 0, targets.sum(0), np.inf)
    return np.asarray(np.where(targets.any(1), often.argmin(1), targets.shape[1]), np.int64)


def weights(targets: Targets, classes: int, balanced: bool) -> npt.NDArray[np.float32]:
    """float32 [classes]: how much each class counts in the loss, mean 1 over the rows; or, of rows with several labels,
    how much a row with the label counts beside one without it.
    """
    if not balanced:
        return np.ones(classes, np.float32)
    if targets.ndim == 2:
        having = targets.sum(0)
        return np.asarray((len(targets) - having).clip(1) / having.clip(1), np.float32)
    counts = np.bincount(targets, minlength=classes).clip(1)
    return np.asarray(len(targets) / (classes * counts), np.float32)
