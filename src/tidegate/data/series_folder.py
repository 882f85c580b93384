"""Read series from a folder: one per file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tidegate.data import compression
from tidegate.data.collection import Collection, Series
from tidegate.data.table import PARQUET, READERS
from tidegate.errors import DataError, OptionError

NPZ = ".npz"

ReadFile = Callable[[str, Sequence[str] | None], Collection]


def read_folder(folder: str, values: Sequence[str] | None, label: str | None, read_file: ReadFile) -> Collection:
    """Read the series of a folder, in the order of their names.

    Args:
        folder: its path. Files whose names begin with a dot are skipped.
        values: the columns of every file; None: those of the first file, and all others must have the same.
        label: not None: the label of a series is the name of the sub-folder that contains its file.
        read_file: reads columns of the file at a path.

    Raises:
        DataError: a file that is not supported or contains several series; other columns than in the first file; a file
            in no sub-folder although labels are requested; two files that differ only in their extension.
    """
    files: list[Collection] = []
    ids: dict[str, str] = {}
    sums = hashlib.sha256()
    for name in _list_files(folder):
        path = os.path.join(folder, name)
        one = read_file(path, values)
        _check_one(one, files[0] if files else one, label)
        series_id = _make_id(folder, name, ids)
        sums.update(f"{name}\0{one.sha256}\n".encode())
        series = replace(one.series[0], id=series_id, label=None if label is None else _find_label(folder, series_id))
        files.append(replace(one, series=[series]))
    if not files:
        raise DataError(f"{folder} has no files; put one file per series there")
    form = f"folder of: {', '.join(dict.fromkeys(one.form for one in files))}"
    all_series = [one.series[0] for one in files]
    places = [(one.path, one.unit) for one in files]
    return Collection(folder, files[0].columns, all_series, sums.hexdigest(), form, "line", places)


def check_folder_arguments(id: str | None, layout: str | None) -> None:
    """Raise OptionError for an id, or the layout of one series per row, which a folder cannot have."""
    if id is not None:
        raise OptionError(f"id is {id!r}, but in a folder each file is a series, and its name is the id; leave id out")
    if layout == "rows":
        raise OptionError("the layout is rows, but in a folder each file is a series with a step per row; leave it out")


def _list_files(folder: str) -> Iterator[str]:
    """Yield the names of all files, with forward slashes, sorted."""
    names = []
    for parent, folders, files in os.walk(folder, onerror=_raise_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if os.path.islink(os.path.join(parent, name)):
                raise DataError(
                    f"{os.path.join(parent, name)} is a link to a folder; replace it with the folder itself"
                )
        names += [os.path.relpath(os.path.join(parent, name), folder) for name in files if not name.startswith(".")]
    names = [name.replace(os.sep, "/") for name in names]
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{folder} has a file whose name {name!r} is not UTF-8; rename it") from error
    yield from sorted(names)


def _raise_unreadable(error: OSError) -> None:
    """Raise DataError for a folder that cannot be listed."""
    raise DataError(f"{error.filename} cannot be read: {error.strerror or error}; change its permissions") from error


def _make_id(folder: str, name: str, ids: dict[str, str]) -> str:
    """Return the name without its extensions. Raises DataError if another file has the same."""
    stem, _ = compression.split_extension(name)
    supported = os.path.splitext(stem)[1].lower() in (*READERS, PARQUET, NPZ)
    series_id = os.path.splitext(stem)[0] if supported else stem
    if series_id in ids:
        raise DataError(f"{folder} has {ids[series_id]!r} and {name!r}, which would have the same id; rename one")
    ids[series_id] = name
    return series_id


def _describe_times(one: Series) -> str:
    """Return what kind of times a series has."""
    if one.times is None:
        return "no times" if one.counts is None else "integers that count steps"
    return "times without a zone" if one.local is None else "times with a zone"


def _find_label(folder: str, series_id: str) -> str:
    """Return the sub-folder of a file, which is its label. Raises DataError if there is none."""
    parent, _, name = series_id.rpartition("/")
    if not parent:
        raise DataError(
            f"{folder} has the file {name!r} outside of any sub-folder; move it into one that has the name of its label"
        )
    return parent


def _check_one(one: Collection, first: Collection, label: str | None) -> None:
    """Raise DataError for a file that does not fit the first one, or contains several series."""
    kinds = [_describe_times(c.series[0]) for c in (one, first)]
    if kinds[0] != kinds[1]:
        raise DataError(
            f"{one.path} has {kinds[0]}, but {first.path} has {kinds[1]}; write all of them in the same way"
        )
    if len(one) > 1:
        raise DataError(f"{one.path} contains {len(one)} series; expected one per file of a folder; divide it")
    if label is not None and label in one.columns:
        remedy = "in a folder the label is the name of the sub-folder; remove the column, or set label to another name"
        raise DataError(f"{one.path}: label is {label!r}, a column of numbers in this file; {remedy}")
    if sorted(one.columns) != sorted(first.columns):
        columns, expected = (", ".join(map(repr, c.columns[:12])) for c in (one, first))
        raise DataError(
            f"{one.path}: found the columns {columns}; {first.path} has {expected}; give all files the same"
        )
    if one.columns != first.columns:
        raise DataError(f"{one.path}: its columns are in another order than in {first.path}; fix the order with values")
