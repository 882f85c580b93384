"""Which rows choose the weights: a share of every class, and whole groups of rows that belong together."""

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
from ._labels import Targets, counted, kinds_of
from ._problem import Indices

Source = Table | Collection


@dataclass(frozen=True)
class HoldOut:
    """Rows to learn from, and rows that choose the weights.

    groups: for each row, the number of those that it stays with. said: what the figures are of, in words. notes: for
    each source, sentences about its rows.
    """

    train_rows: Indices
    valid_rows: Indices
    groups: Indices
    description: str
    notes: list[list[str]]


def hold_out(
    options: Any, source: Source, judged: Source | None, y: Targets, labels: list[str], alike: Indices
) -> HoldOut:
    """Choose the rows to learn from, and those that choose the weights: some of the source's, or those of `judged`.

    Args:
        options: of the classifier: hold_out, seed, group.
        source, judged: tables of messages, or series.
        y: the labels of each row of both, int64 [n] or [n, labels].
        labels: their names.
        alike: equal for rows that the model cannot tell apart, int64 [n].

    Raises DataError where nothing can be held out, or both have the same rows.
    """
    noun = "series" if isinstance(source, Collection) else "row"
    labelled = y if y.ndim == 1 else numbered(row.tobytes() for row in y)
    groups, warnings = groups_of(options.group, [each for each in (source, judged) if each is not None], noun)
    if judged is not None:
        n, rows = len(source), alike * (int(labelled.max()) + 1) + labelled
        if source.sha256 == judged.sha256 or np.array_equal(np.sort(rows[:n]), np.sort(rows[n:])):
            raise DataError(
                f"{judged.path}: holds the same rows as {source.path}, so it cannot judge what is learnt from them; "
                "give other rows, or leave --valid out, and some of the rows are held out"
            )
        found = by_file(n, alike, groups, noun)
    else:
        found = part_of(kinds_of(y), labels, alike, groups, options.hold_out or 0.1, options.seed, noun)
        found.notes[0][:0] = repeated(alike, labelled, noun, apart=groups is None)
    if not len(found.valid_rows):
        differ = "series that differ" if noun == "series" else "rows that differ"
        raise DataError(
            f"{source.path}: too few rows to hold some out; a class needs two or more {differ}"
            f"{' and are of two groups' if groups is not None else ''}; add some, or give a file to judge by as --valid"
        )
    return replace(found, notes=[warnings + found.notes[0], *found.notes[1:]])


def groups_of(column: str | None, sources: list[Source], noun: str) -> tuple[Indices | None, list[str]]:
    """Number the groups of the rows of all sources, int64 [n], and warn of names that look alike.

    None where no column says it. Raises DataError for a row without a group.
    """
    if column is None:
        return None, []
    found: list[str] = []
    for source in sources:
        if isinstance(source, Collection):
            names = [(source.place(i, 0), s.group or "") for i, s in enumerate(source.series)]
        else:
            names = [(source.place(i), name) for i, name in enumerate(source.labels(column, "group"))]
        for place, name in names:
            if not name.strip():
                raise DataError(f"{place}: no group in column {column!r}; fill it or leave the row out")
        found += [name for _, name in names]
    return numbered(found), lookalikes.warnings(Counter(found), "group", noun)


def numbered(keys: Iterable[Hashable]) -> Indices:
    """Number keys in the order in which they first stand, int64 [n].

    >>> numbered(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    seen: dict[Hashable, int] = {}
    return np.fromiter((seen.setdefault(key, len(seen)) for key in keys), np.int64)


def repeated(alike: Indices, labelled: Indices, noun: str, apart: bool) -> list[str]:
    """Tell in a sentence how many rows repeat another, and how many with another label; none where none does.

    Args:
        alike: equal for rows that the model cannot tell apart, int64 [n].
        labelled: equal for rows with the same labels, int64 [n].
        noun: what a row is, "row" or "series".
        apart: whether they are kept on one side of the hold-out.

    >>> repeated(np.array([0, 1, 0]), np.array([0, 1, 0]), "row", False)
    ['1 of 3 rows repeats another one']
    >>> repeated(np.array([0, 1, 0, 1]), np.array([0, 1, 0, 0]), "row", False)
    ['2 of 4 rows repeat another one, 1 of them with another label']
    """
    _, first, number = np.unique(alike, return_index=True, return_inverse=True)
    if len(first) == len(alike):
        return []
    again = len(alike) - len(first)
    said = f"{again:,} of {many(len(alike), noun)} {'repeats' if again == 1 else 'repeat'} another one"
    if other := int((labelled != labelled[first[number]]).sum()):
        said += f", {other:,} of them with another label"
    return [said + f"; equal {noun if noun == 'series' else 'rows'} stay on one side of the hold-out" * apart]


def part_of(
    kinds: Indices, names: list[str], alike: Indices, groups: Indices | None, share: float, seed: int, noun: str
) -> HoldOut:
    """Hold out `share` of every class.

    Equal rows stay together, so that none that judges is learnt from. Where there are groups these do, and a held-out
    row that equals one of another group is set aside: common messages would otherwise tie all conversations together.

    Args:
        kinds: the class of each row, int64 [n].
        names: of the classes; a further one has rows without a label.
        alike: equal for rows that the model cannot tell apart, int64 [n].
        groups: equal for rows that belong together, int64 [n], or None.
        share, seed: as for `split`.
        noun: what a row is, "row" or "series".
    """
    kept, held = split(kinds, share, seed, alike if groups is None else groups)
    notes, n, rows = [], len(kinds), "series" if noun == "series" else "rows"
    if groups is not None:
        aside = np.isin(alike[held], alike[kept])
        if gone := int(aside.sum()):
            notes.append(
                f"{gone:,} of the {rows} held out {'reads' if gone == 1 else 'read'} the same as {rows} of other "
                "groups, which are learnt from, so they judge nothing"
            )
            held = held[~aside]
    without = np.setdiff1d(kinds, kinds[held])
    if len(held) and len(without):
        shown = ", ".join(repr(names[k]) if k < len(names) else "no label" for k in without[:8])
        notes.append(
            f"nothing is held out of {counted(len(without), 'label')} ({shown}{', ...' if len(without) > 8 else ''}), "
            f"with too few {rows} that differ{'' if groups is None else ' in group'}: the held-out figures say nothing "
            "about them"
        )
    said = f"{len(held):,} of {many(n, noun)}, held out"
    if groups is not None:
        said = f"{said}, of {len(np.unique(groups[held])):,} of {counted(len(np.unique(groups)), 'group')}"
    return HoldOut(kept, held, alike if groups is None else groups, said, [notes])


def by_file(count: int, alike: Indices, groups: Indices | None, noun: str) -> HoldOut:
    """Judge by the rows of another file, which stand behind the `count` rows that are learnt from."""
    known = np.isin(alike[count:], alike[:count])
    what = "also in what is learnt from"
    if groups is not None:
        known |= np.isin(groups[count:], groups[:count])
        what += ", or of a group there"
    said, notes = f"{many(len(known), noun)} of another file", []
    if n := int(known.sum()):
        be = "is" if n == 1 and noun != "series" else "are"
        said += f", {n:,} of which {be} {what}"
        notes.append(f"{n:,} of {many(len(known), noun)} {be} {what}: on those the figures are no test")
    rows = np.arange(len(alike))
    return HoldOut(rows[:count], rows[count:], alike, said, [[], notes])


def many(number: int, noun: str) -> str:
    return f"{number:,} series" if noun == "series" else counted(number, noun)


def split(targets: Indices, share: float, seed: int, groups: Indices | None = None) -> tuple[Indices, Indices]:
    """Part rows to train on from rows held out, the latter `share` of every class.

    A class of one row is only trained on. Groups stay whole: the rows of each class are gone through in an order drawn
    from the seed, and a group is held out where that brings the classes nearer to their share and leaves each of them a
    row to train on. A class that is then without held-out rows, and has two groups, gives the one that fits best.

    Args:
        targets: the class of each row, int64 [n].
        share: of 0 to 1.
        seed: of the order.
        groups: equal for rows that stay together, int64 [n]; None: each row is by itself.

    >>> kept, held = split(np.array([0] * 10 + [1] * 10), 0.2, 0)
    >>> len(kept), len(held)
    (16, 4)
    >>> kept, held = split(np.array([0, 0, 1, 1]), 0.5, 0, np.array([7, 8, 7, 8]))
    >>> bool(held[1] - held[0] == 2)  # both rows of a group
    True
    """
    rng = np.random.default_rng([seed, 2])
    classes, of = np.unique(targets, return_inverse=True)
    orders = [rng.permutation(np.flatnonzero(of == k)) for k in range(len(classes))]
    wanted = [min(len(rows) - 1, max(1, round(share * len(rows)))) for rows in orders]
    group = np.arange(len(of)) if groups is None else np.unique(groups, return_inverse=True)[1]
    parts = Parts(of, group, wanted)
    for k, rows in enumerate(orders):
        for g in dict.fromkeys(group[rows].tolist()):
            if parts.missing[k] <= 0:
                break
            if not parts.out[g] and parts.spares(g) and parts.gain(g) > 0:
                parts.hold(g)
    for k, rows in enumerate(orders):
        if parts.missing[k] == wanted[k] > 0 and (able := list(filter(parts.spares, group[rows].tolist()))):
            parts.hold(max(able, key=parts.gain))
    out = np.flatnonzero(parts.out[group])
    return np.setdiff1d(np.arange(len(targets)), out), out


class Parts:
    """Which groups are held out so far, and how many rows of each class are missing from its share.

    Args:
        classes: the number of the class of each row, int64 [n].
        groups: that of its group, int64 [n].
        wanted: how many rows of each class are to be held out.
    """

    def __init__(self, classes: Indices, groups: Indices, wanted: list[int]) -> None:
        pairs, counts = np.unique(groups * len(wanted) + classes, return_counts=True)
        self.classes, self.counts = (pairs % len(wanted)).tolist(), counts.tolist()
        self.starts = np.searchsorted(pairs // len(wanted), np.arange(groups.max() + 2)).tolist()
        self.left = np.bincount(classes).tolist()
        self.missing = list(wanted)
        self.out = np.zeros(groups.max() + 1, bool)

    def of(self, g: int) -> list[tuple[int, int]]:
        """List the classes of a group, each with its number of rows."""
        part = slice(self.starts[g], self.starts[g + 1])
        return list(zip(self.classes[part], self.counts[part], strict=True))

    def spares(self, g: int) -> bool:
        """Tell whether every class has rows left without a group."""
        return all(count < self.left[k] for k, count in self.of(g))

    def gain(self, g: int) -> int:
        """Count by how many rows the classes come nearer to their shares with a group held out."""
        return sum(abs(self.missing[k]) - abs(self.missing[k] - count) for k, count in self.of(g))

    def hold(self, g: int) -> None:
        """Hold a group out."""
        self.out[g] = True
        for k, count in self.of(g):
            self.missing[k] -= count
            self.left[k] -= count
