"""Columns of a forecaster: their roles and order, and targets as series of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..data import lookalikes
from ..data.series import Collection
from ..errors import DataError
from ._series import format_columns

ORDER = ("target", "past", "known", "static")
VALUE_COLUMN = "value"  # the column of targets that are series of their own


@dataclass(frozen=True, eq=False)
class ChannelIndependent(Collection):
    """A collection in which each target is a series of its own, in the first column. targets: their names."""

    targets: tuple[str, ...] = ()


def split_channels(source: Collection, columns: list[int], rest: list[int]) -> ChannelIndependent:
    """Make each of `columns` a series of its own with one column `value`, next to the columns `rest` that all share.

    A series' id becomes `id/column`, or `column` where it has none.
    """
    shared = [source.columns[c] for c in rest]
    name = next(
        name for name in (VALUE_COLUMN, *(f"{VALUE_COLUMN} {n}" for n in range(2, len(rest) + 3))) if name not in shared
    )
    series = [
        replace(s, id="/".join(filter(None, (s.id, source.columns[c]))), values=s.values[:, [c, *rest]])
        for s in source.series
        for c in columns
    ]
    files = [file for file in source.files for _ in columns]
    named = tuple(source.columns[c] for c in columns)
    return ChannelIndependent(
        **{**vars(source), "columns": [name, *shared], "series": series, "files": files}, targets=named
    )


def match_columns(source: Collection, columns: list[str]) -> Collection:
    """Put a source's columns into a model's order. Raises DataError for other columns."""
    if sorted(columns) != sorted(source.columns):
        its = [*source.targets, *source.columns[1:]] if isinstance(source, ChannelIndependent) else source.columns
        raise DataError(
            f"{source.path}: has {format_columns(its)}; the model was fitted on "
            f"{format_columns(columns)}; give it those{lookalikes.describe_lookalikes(columns, its)}"
        )
    return select_columns(source, [source.columns.index(name) for name in columns])


def role_of(name: str, options: Any) -> str:
    """Return a column's role: the named one; else "target" if no targets are named, else "past" (known up to now)."""
    roles: dict[str, str] = options.roles()
    return roles.get(name, "past" if options.targets else "target")


def is_joint(options: Any, columns: list[str]) -> bool:
    """Decide whether all targets are forecast from all columns."""
    if options.channels is not None:
        return bool(options.channels == "together")
    roles = [role_of(name, options) for name in columns]
    return roles.count("target") == 1 or "past" in roles


def select_columns(source: Collection, columns: list[int]) -> Collection:
    """Select columns of a source, in this order."""
    series = [replace(s, values=s.values[:, columns]) for s in source.series]
    return replace(source, columns=[source.columns[c] for c in columns], series=series)
