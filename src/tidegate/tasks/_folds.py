"""Split rows or series into folds for cross-validation: every row in one, labels in equal shares, groups whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ._holdout import Source, read_groups
from ._labels import NO_LABEL, OUT_OF_SCOPE, Targets, strata_of
from .base import Fold, Indices


class Kept(NamedTuple):
    """What folds keep together is called so, in messages."""

    one: str
    many: str

    def say(self, number: int) -> str:
        """Say how many of them there are.

        >>> ROWS.say(1), ROWS.say(2000)
        ('1 row', '2,000 rows that differ')
        """
        return f"{number:,} {self.one if number == 1 else self.many}"


ROWS, SERIES = Kept("row", "rows that differ"), Kept("series", "series that differ")
GROUPS, CONVERSATIONS = Kept("group", "groups"), Kept("conversation", "conversations")
FEWEST = 2  # folds that a label has to be in, so that what is trained for each fold knows it


def split_rows(
    source: Source,
    count: int,
    together: Indices,
    targets: Targets | None = None,
    names: list[str] | None = None,
    seed: int = 0,
    what: Kept = ROWS,
    must_know: bool = True,
) -> list[Fold]:
    """Split a table or a collection into folds.

    Args:
        source: its rows or series.
        count: of folds.
        together: equal for rows that stay in one fold, int64 [n].
        targets: int64 [n] or float32 [n, labels], see `_labels`; None: there are no labels.
        names: of the labels.
        seed: of the order in which rows are visited.
        what: what rows that stay together are called.
        must_know: whether rows of a label that training does not have are an error.

    Raises DataError where a fold would be empty, or a label would be in one fold alone.

    >>> from ..data.table import Table
    >>> table = Table("t.csv", {"x": list("abcdef")}, [2, 3, 4, 5, 6, 7], "")
    >>> folds = split_rows(table, 3, np.arange(6), np.array([0, 0, 0, 1, 1, 1]), ["no", "yes"])
    >>> [(len(fold.source), len(fold.valid), fold.held_out) for fold in folds]
    [(4, 2, 2), (4, 2, 2), (4, 2, 2)]
    """
    if targets is None:
        targets = np.zeros(len(source), np.int64)
    strata, groups = strata_of(targets), np.unique(together, return_inverse=True)[1]
    judged = strata != NO_LABEL
    if (there := len(np.unique(groups[judged]))) < count:
        raise DataError(
            f"{source.path}: has {what.say(there)}, and {count} folds take {count}; add some, or make fewer "
            "folds (--folds)"
        )
    fold = assign_folds(strata, groups, count, seed)
    if must_know and names:
        check_labels(source, targets, names, groups, fold, what)
    parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(count)]
    return [
        Fold(source.take(train.tolist()), source.take(valid.tolist()), int(judged[valid].sum()))
        for train, valid in parts
    ]


def number_together(
    source: Source, group: str | None, alike: Callable[[], Indices], what: Kept = ROWS
) -> tuple[Indices, Kept]:
    """Number what folds keep together, int64 [n], and return what it is called: groups, or without a column of groups
    what the model cannot tell apart, which `alike` numbers. what: that is called.

    Raises DataError.
    """
    if group is None:
        return alike(), what
    groups, _ = read_groups(group, [source], what.one)
    assert groups is not None
    return groups, GROUPS


def assign_folds(strata: Indices, groups: Indices, count: int, seed: int) -> Indices:
    """Assign one of `count` folds to each row, int64 [n].

    Groups are visited in a random order that follows from the seed, large ones first. Each goes to the fold that has
    the least of its labels, as shares of all rows of a label; then to the smallest.

    >>> assign_folds(np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 1, 2, 3, 4]), 2, 0).tolist()
    [0, 0, 1, 1, 1, 0]
    """
    classes, of = np.unique(strata, return_inverse=True)
    sizes = np.bincount(groups)
    pairs, counts = np.unique(groups * len(classes) + of, return_counts=True)
    starts = np.searchsorted(pairs // len(classes), np.arange(len(sizes) + 1))
    own, share = (pairs % len(classes)).tolist(), (counts / np.bincount(of)[pairs % len(classes)]).tolist()
    order = np.random.default_rng([seed, 5]).permutation(len(sizes))
    taken, rows = [[0.0] * count for _ in classes], [0] * count  # plain numbers: groups are many, and folds are few
    chosen = np.zeros(len(sizes), np.int64)
    for g in order[np.argsort(-sizes[order], kind="stable")].tolist():
        parts = [(share[i], taken[own[i]]) for i in range(starts[g], starts[g + 1])]
        costs = [sum(a * of_label[k] for a, of_label in parts) for k in range(count)]
        k = min(zip(costs, rows, range(count), strict=True))[2]
        for a, of_label in parts:
            of_label[k] += a
        chosen[g], rows[k] = k, rows[k] + int(sizes[g])
    return chosen[groups]


def check_labels(
    source: Source, targets: Targets, names: list[str], groups: Indices, fold: Indices, what: Kept
) -> None:
    """Raise DataError for a label that is in one fold alone: what is trained for that fold would not know it."""
    has: list[tuple[str, npt.NDArray[np.bool_]]]
    if targets.ndim == 2:
        has = [(f"label {name!r}", targets[:, k] > 0) for k, name in enumerate(names)]
    else:
        has = [(f"label {name!r}", targets == k) for k, name in enumerate(names)]
        has += [("what is out of scope", targets == OUT_OF_SCOPE)]
    for name, rows in has:
        if rows.any() and len(np.unique(fold[rows])) < FEWEST:
            there = what.say(len(np.unique(groups[rows])))
            raise DataError(
                f"{source.path}: {name} has {there}, and has to be in {FEWEST} folds or more, so that it is trained on "
                "when one of them measures; add rows of it, leave those out, or leave --folds out"
            )
