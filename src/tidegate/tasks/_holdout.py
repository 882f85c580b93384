"""Split rows into training and held-out rows: a share of every class, with groups of related rows kept together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data import lookalikes
from ..data.series import Collection
from ..data.table import Table
from ..errors import DataError
from ._labels import Targets, format_count, strata_of
from ._options import option
from .base import Indices

Source = Table | Collection


@dataclass(frozen=True)
class HoldOutOptions:
    """Options of a task that holds out rows."""

    hold_out: float | None = option(
        None,
        "share of rows held out to select the best weights; default: 0.1, at most 1,500 rows",
        least=0.0001,
        most=0.9,
    )
    refit_epochs: int | None = option(
        None,
        "further epochs at the end that also train on the held-out rows; default: a quarter of the epochs, or 0 with "
        "--valid",
        least=0,
    )


@dataclass(frozen=True)
class HoldOut:
    """The training rows, and the held-out rows that select the weights.

    groups: the number of each row's group. description: the held-out rows in words. notes: for each source, sentences
    about its rows.
    """

    train_rows: Indices
    valid_rows: Indices
    groups: Indices
    description: str
    notes: list[list[str]]


def hold_out(
    options: Any, source: Source, valid: Source | None, y: Targets, labels: list[str], alike: Indices
) -> HoldOut:
    """Split off the rows that select the weights: some rows of the source, or all rows of `valid`.

    Args:
        options: of the classifier: hold_out, seed, group.
        source, valid: tables of messages, or series.
        y: the labels of each row of both, int64 [n] or [n, labels].
        labels: their names.
        alike: equal for rows that the model cannot tell apart, int64 [n].

    Raises DataError where nothing can be held out, or where both sources have the same rows.
    """
    noun = "series" if isinstance(source, Collection) else "row"
    label_keys = y if y.ndim == 1 else number_keys(row.tobytes() for row in y)
    groups, warnings = read_groups(options.group, [each for each in (source, valid) if each is not None], noun)
    if valid is not None:
        n, rows = len(source), alike * (int(label_keys.max()) + 1) + label_keys
        if source.sha256 == valid.sha256 or np.array_equal(np.sort(rows[:n]), np.sort(rows[n:])):
            raise DataError(
                f"{valid.path}: has the same rows as {source.path}, so it cannot validate a model trained on them; "
                "give other rows, or leave --valid out to hold some of the rows out"
            )
        split_rows = hold_out_file(n, alike, groups, noun)
    else:
        split_rows = hold_out_share(strata_of(y), labels, alike, groups, options.hold_out or 0.1, options.seed, noun)
        split_rows.notes[0][:0] = describe_repeats(alike, label_keys, noun, together=groups is None)
    if not len(split_rows.valid_rows):
        differ = (
            f"{'series' if noun == 'series' else 'rows'} that differ{' and are of two groups' * (groups is not None)}"
        )
        no = "no class has" if len(labels) > 1 else "there are not"
        raise DataError(
            f"{source.path}: too few rows to hold some out: {no} two or more {differ}; add some, or give a validation "
            "file with --valid"
        )
    return replace(split_rows, notes=[warnings + split_rows.notes[0], *split_rows.notes[1:]])


def read_groups(column: str | None, sources: list[Source], noun: str) -> tuple[Indices | None, list[str]]:
    """Number the groups of the rows of all sources, int64 [n] (None without a group column), and warn about names that
    look alike.

    Raises DataError for a row without a group.
    """
    if column is None:
        return None, []
    groups: list[str] = []
    for source in sources:
        if isinstance(source, Collection):
            names = [(source.locate(i, 0), s.group or "") for i, s in enumerate(source.series)]
        else:
            names = [(source.locate(i), name) for i, name in enumerate(source.labels(column, "group"))]
        for place, name in names:
            if not name.strip():
                raise DataError(f"{place}: column {column!r} has no group; fill it in or leave the row out")
        groups += [name for _, name in names]
    return number_keys(groups), lookalikes.make_warnings(Counter(groups), "group", noun)


def number_keys(keys: Iterable[Hashable]) -> Indices:
    """Number keys in the order of their first occurrence, int64 [n].

    >>> number_keys(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    seen: dict[Hashable, int] = {}
    return np.fromiter((seen.setdefault(key, len(seen)) for key in keys), np.int64)


def describe_repeats(alike: Indices, label_keys: Indices, noun: str, together: bool) -> list[str]:
    """Describe in a sentence how many rows repeat another one, and how many of them with a different label.

    The list is empty where none does.

    Args:
        alike: equal for rows that the model cannot tell apart, int64 [n].
        label_keys: equal for rows with the same labels, int64 [n].
        noun: what a row is, "row" or "series".
        together: whether equal rows are kept on one side of the split.

    >>> describe_repeats(np.array([0, 1, 0]), np.array([0, 1, 0]), "row", False)
    ['1 of 3 rows repeats another one']
    >>> describe_repeats(np.array([0, 1, 0, 1]), np.array([0, 1, 0, 0]), "row", False)
    ['2 of 4 rows repeat another one, 1 of them with a different label']
    """
    _, first, number = np.unique(alike, return_index=True, return_inverse=True)
    if len(first) == len(alike):
        return []
    again = len(alike) - len(first)
    sentence = f"{again:,} of {format_rows(len(alike), noun)} {'repeats' if again == 1 else 'repeat'} another one"
    if other := int((label_keys != label_keys[first[number]]).sum()):
        sentence += f", {other:,} of them with a different label"
    return [sentence + f"; equal {noun if noun == 'series' else 'rows'} stay on one side of the hold-out" * together]


def hold_out_share(
    kinds: Indices, names: list[str], alike: Indices, groups: Indices | None, share: float, seed: int, noun: str
) -> HoldOut:
    """Hold out `share` of every class.

    Equal rows stay together, so that no held-out row is trained on. Where there are groups, the groups stay together
    instead, and a held-out row that equals a row of another group is dropped: otherwise common messages would tie all
    conversations together.

    Args:
        kinds: the class of each row, int64 [n].
        names: of the classes; rows without a label have one number more.
        alike: equal for rows that the model cannot tell apart, int64 [n].
        groups: equal for rows that belong together, int64 [n], or None.
        share, seed: as for `split`.
        noun: what a row is, "row" or "series".
    """
    train_rows, valid_rows = split(kinds, share, seed, alike if groups is None else groups)
    notes, n, rows = [], len(kinds), "series" if noun == "series" else "rows"
    if groups is not None:
        repeats = np.isin(alike[valid_rows], alike[train_rows])
        if dropped := int(repeats.sum()):
            notes.append(
                f"{dropped:,} of the {rows} held out {'reads' if dropped == 1 else 'read'} the same as training {rows} "
                "of other groups and are left out of the held-out figures"
            )
            valid_rows = valid_rows[~repeats]
    without = np.setdiff1d(kinds, kinds[valid_rows])
    if len(valid_rows) and len(without) and len(names) > 1:
        shown = ", ".join(repr(names[k]) if 0 <= k < len(names) else "no label" for k in without[:8])
        has, them = ("has", "it") if len(without) == 1 else ("have", "them")
        notes.append(
            f"nothing is held out of {format_count(len(without), 'label')} ({shown}{', ...' * (len(without) > 8)}), "
            f"which {has} too few {rows} that differ{'' if groups is None else ' in group'}: the held-out figures say "
            f"nothing about {them}"
        )
    description = f"{len(valid_rows):,} of {format_rows(n, noun)}, held out"
    if groups is not None:
        count = len(np.unique(groups[valid_rows]))
        description = f"{description}, of {count:,} of {format_count(len(np.unique(groups)), 'group')}"
    return HoldOut(train_rows, valid_rows, alike if groups is None else groups, description, [notes])


def hold_out_file(count: int, alike: Indices, groups: Indices | None, noun: str) -> HoldOut:
    """Hold out the rows of another file, which follow the `count` training rows."""
    known = np.isin(alike[count:], alike[:count])
    what = "also in the training data"
    if groups is not None:
        known |= np.isin(groups[count:], groups[:count])
        what += " or of a group there"
    description, notes = f"{format_rows(len(known), noun)} of another file", []
    if n := int(known.sum()):
        be = "is" if n == 1 and noun != "series" else "are"
        description += f", {n:,} of which {be} {what}"
        notes.append(f"{n:,} of {format_rows(len(known), noun)} {be} {what}: on those the figures are no test")
    rows = np.arange(len(alike))
    return HoldOut(rows[:count], rows[count:], alike, description, [[], notes])


def format_rows(number: int, noun: str) -> str:
    return f"{number:,} series" if noun == "series" else format_count(number, noun)


def split(targets: Indices, share: float, seed: int, groups: Indices | None = None) -> tuple[Indices, Indices]:
    """Split rows into training rows and held-out rows, the latter `share` of every class.

    A class of one row is only trained on. Groups stay whole: the rows of each class are visited in a random order that
    follows from the seed, and a group is held out where that brings the classes nearer to their share and leaves each
    of them a training row. A class that then has no held-out rows, but two groups, holds out the group that fits best.

    Args:
        targets: the class of each row, int64 [n].
        share: between 0 and 1.
        seed: of the order.
        groups: equal for rows that stay together, int64 [n]; None: each row is by itself.

    >>> train, valid = split(np.array([0] * 10 + [1] * 10), 0.2, 0)
    >>> len(train), len(valid)
    (16, 4)
    >>> train, valid = split(np.array([0, 0, 1, 1]), 0.5, 0, np.array([7, 8, 7, 8]))
    >>> bool(valid[1] - valid[0] == 2)  # both rows of a group
    True
    """
    rng = np.random.default_rng([seed, 2])
    classes, of = np.unique(targets, return_inverse=True)
    orders = [rng.permutation(np.flatnonzero(of == k)) for k in range(len(classes))]
    wanted = [min(len(rows) - 1, max(1, round(share * len(rows)))) for rows in orders]
    group = np.arange(len(of)) if groups is None else np.unique(groups, return_inverse=True)[1]
    parts = GroupSplit(of, group, wanted)
    for k, rows in enumerate(orders):
        for g in dict.fromkeys(group[rows].tolist()):
            if parts.missing[k] <= 0:
                break
            if not parts.is_held_out[g] and parts.can_hold_out(g) and parts.gain(g) > 0:
                parts.hold_out(g)
    for k, rows in enumerate(orders):
        if parts.missing[k] == wanted[k] > 0 and (able := list(filter(parts.can_hold_out, group[rows].tolist()))):
            parts.hold_out(max(able, key=parts.gain))
    out = np.flatnonzero(parts.is_held_out[group])
    return np.setdiff1d(np.arange(len(targets)), out), out


class GroupSplit:
    """A split in progress: the groups held out so far, and the number of rows each class still lacks for its share.

    Args:
        classes: the number of each row's class, int64 [n].
        groups: the number of each row's group, int64 [n].
        wanted: the number of rows of each class to hold out.
    """

    def __init__(self, classes: Indices, groups: Indices, wanted: list[int]) -> None:
        pairs, counts = np.unique(groups * len(wanted) + classes, return_counts=True)
        self.classes, self.counts = (pairs % len(wanted)).tolist(), counts.tolist()
        self.starts = np.searchsorted(pairs // len(wanted), np.arange(groups.max() + 2)).tolist()
        self.remaining = np.bincount(classes).tolist()
        self.missing = list(wanted)
        self.is_held_out = np.zeros(groups.max() + 1, bool)

    def class_counts(self, g: int) -> list[tuple[int, int]]:
        """List the classes of a group, each with its number of rows."""
        part = slice(self.starts[g], self.starts[g + 1])
        return list(zip(self.classes[part], self.counts[part], strict=True))

    def can_hold_out(self, g: int) -> bool:
        """Check that every class keeps a training row when a group is held out."""
        return all(count < self.remaining[k] for k, count in self.class_counts(g))

    def gain(self, g: int) -> int:
        """Count how many rows nearer the classes come to their shares when a group is held out."""
        return sum(abs(self.missing[k]) - abs(self.missing[k] - count) for k, count in self.class_counts(g))

    def hold_out(self, g: int) -> None:
        """Hold a group out."""
        self.is_held_out[g] = True
        for k, count in self.class_counts(g):
            self.missing[k] -= count
            self.remaining[k] -= count
