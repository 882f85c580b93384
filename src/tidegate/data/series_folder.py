"""Series from a folder: each file is one."""

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
    """The series of a folder, in the order of their names.

    Args:
        folder: its path. Names that begin with a dot are passed over.
        values: the columns of every file; None: those of the first, and every other must have the same.
        label: not None: the label of a series is the name of the sub-folder that its file lies in.
        read_file: from a path, and the columns, to a collection.

    Raises:
        DataError: a file that is not supported or holds several series, other columns than the first has, a file
            without a sub-folder where labels are asked for, two files that differ in their extension only.
    """
    found: list[Collection] = []
    ids: dict[str, str] = {}
    sums = hashlib.sha256()
    for name in _list_files(folder):
        path = os.path.join(folder, name)
        one = read_file(path, values)
        _check_one(one, found[0] if found else one, label)
        series_id = _make_id(folder, name, ids)
        sums.update(f"{name}\0{one.sha256}\n".encode())
        series = replace(one.series[0], id=series_id, label=None if label is None else _find_label(folder, series_id))
        found.append(replace(one, series=[series]))
    if not found:
        raise DataError(f"{folder} has no files; put one file a series there")
    forms = ", ".join(dict.fromkeys(one.form for one in found))
    series_of = [one.series[0] for one in found]
    files = [(one.path, one.unit) for one in found]
    return Collection(folder, found[0].columns, series_of, sums.hexdigest(), f"folder of: {forms}", "line", files)


def check_folder_arguments(time: str | None, id: str | None, layout: str | None) -> str | None:
    """`time`, if the other arguments fit a folder.

    Raises:
        OptionError: an id, or the layout of one series a row.
    """
    if id is not None:
        raise OptionError(f"id names {id!r}, but in a folder each file is a series, with its name as id; leave it out")
    if layout == "rows":
        raise OptionError("in a folder each file is a series, one step a row; leave out the layout rows")
    return time


def _list_files(folder: str) -> Iterator[str]:
    """The names of all files, with forward slashes, sorted."""
    names = []
    for parent, folders, files in os.walk(folder, onerror=_raise_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if os.path.islink(os.path.join(parent, name)):
                raise DataError(f"{os.path.join(parent, name)} is a link to a folder; put the folder itself there")
        names += [os.path.relpath(os.path.join(parent, name), folder) for name in files if not name.startswith(".")]
    names = [name.replace(os.sep, "/") for name in names]
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{folder} has a file whose name {name!r} is not UTF-8; rename it") from error
    yield from sorted(names)


def _raise_unreadable(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read: {error.strerror or error}; change its permissions") from error


def _make_id(folder: str, name: str, ids: dict[str, str]) -> str:
    """The name without its extensions, which no other file has."""
    stem, _ = compression.split_extension(name)
    known = os.path.splitext(stem)[1].lower() in (*READERS, PARQUET, NPZ)
    found = os.path.splitext(stem)[0] if known else stem
    if found in ids:
        raise DataError(f"{folder} has {ids[found]!r} and {name!r}, which would be one series; rename one")
    ids[found] = name
    return found


def _describe_times(one: Series) -> str:
    if one.times is None:
        return "no times" if one.counts is None else "integers that count steps"
    return "times without a zone" if one.local is None else "times with a zone"


def _find_label(folder: str, series_id: str) -> str:
    parent, _, name = series_id.rpartition("/")
    if not parent:
        raise DataError(f"{folder} has the file {name!r} in no sub-folder; put it into one that is named as its label")
    return parent


def _check_one(one: Collection, first: Collection, label: str | None) -> None:
    kinds = [_describe_times(c.series[0]) for c in (one, first)]
    if kinds[0] != kinds[1]:
        raise DataError(f"{one.path}: has {kinds[0]}, and {first.path} has {kinds[1]}; write all of them in one way")
    if len(one) > 1:
        raise DataError(f"{one.path} holds {len(one)} series; in a folder each file is one")
    if label is not None and label in one.columns:
        remedy = "in a folder the label is the name of the sub-folder; take the column out, or give label another name"
        raise DataError(f"{one.path}: label names {label!r}, which is a column of numbers there; {remedy}")
    if sorted(one.columns) != sorted(first.columns):
        columns, expected = (", ".join(map(repr, c.columns[:12])) for c in (one, first))
        raise DataError(
            f"{one.path}: found the columns {columns}; {first.path} has {expected}; give all files the same"
        )
    if one.columns != first.columns:
        raise DataError(f"{one.path}: its columns are in another order than those of {first.path}; name them in values")
