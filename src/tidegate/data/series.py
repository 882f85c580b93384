"""Read series from any source: tables of steps or of series, NumPy archives and arrays, folders of files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidegate.data.collection import Collection, Series
from tidegate.data.series_arrays import from_arrays
from tidegate.data.series_folder import NPZ, check_folder_arguments, read_folder
from tidegate.data.series_npz import read_npz_series, select_channels
from tidegate.data.series_tables import read_rows, read_steps
from tidegate.errors import DataError, OptionError

__all__ = ["LAYOUTS", "Collection", "Series", "from_arrays", "read_series"]

LAYOUTS = ("steps", "rows")


def read_series(
    source: Any,
    *,
    values: Sequence[str] | None = None,
    time: str | None = None,
    id: str | None = None,
    label: str | None = None,
    layout: str | None = None,
    unlabelled: bool = False,
    group: str | None = None,
) -> Collection:
    """Read the series in a file, folder, frame or array.

    Args:
        source: what `table.read_table` reads; a path that ends in .npz; a folder with one series in each file; what
            `from_arrays` takes; or a Collection.
        values: the columns of numbers, one per channel; None: all without another role.
        time: the column of times (ISO 8601 or dates) or of integers that count steps.
        id: the column that identifies the series.
        label: the column of labels; for a folder any name, since the label is the name of the sub-folder.
        layout: "steps" (a row is one step) or "rows" (a row is one series of one channel); None: "steps", unless there
            is a label but neither id nor time. In an archive it decides what a two-dimensional array `x` means.
        unlabelled: a label may be missing (the empty text), for series with any number of labels.
        group: the column that says which series belong together, such as those of one patient; constant in a series.

    Raises:
        OptionError: an unknown layout, or arguments that do not fit the source.
        DataError: a source that cannot be read this way; the message says where, what was found, and what to do.
        MissingExtra: Parquet or Arrow, and pyarrow is not installed.

    >>> collection = read_series(np.array([[1.0, 2.0], [3.0, np.nan]]))
    >>> collection.describe(), collection.series[0].values.tolist()
    ('arrays, 2 series of 2 steps, 1 channel, 1 missing value', [[1.0], [2.0]])
    """
    names = {"time": time, "id": id, "label": label, "group": group}
    if layout is not None and layout not in LAYOUTS:
        raise OptionError(f"unknown layout {layout!r}; choose one of {', '.join(LAYOUTS)}")
    _check_values(values)
    if isinstance(source, Collection):
        return _select_from_collection(source, values, names)
    if isinstance(source, np.ndarray | list | tuple):
        return _read_arrays(source, values, names, layout)
    if isinstance(source, str | os.PathLike) and os.path.isdir(source):
        check_folder_arguments(id, layout)
        return read_folder(
            os.fspath(source), values, label, lambda path, columns: _read_file(path, columns, time, group)
        )
    if _is_npz(source):
        return read_npz_series(os.fspath(source), values, time, id, label, layout, unlabelled, group)
    if layout == "steps" or (layout is None and (label is None or id is not None or time is not None)):
        return read_steps(source, values, time, id, label, unlabelled, group)
    if layout == "rows" and time is not None:
        raise OptionError(
            f"time is {time!r}, but with the layout rows a row is a whole series; leave out one of the two"
        )
    collection = read_rows(source, values, id, label, unlabelled, group)
    if layout is None and max(map(len, collection.series)) == 1:
        raise DataError(
            f"{collection.path}: each of the {len(collection)} rows would be a series of one step; set id to the "
            "column that identifies the series, or layout to rows"
        )
    return collection


def _check_values(values: Sequence[str] | None) -> None:
    if isinstance(values, str):
        raise OptionError(f"values is the text {values!r}; expected a list of columns, such as [{values!r}]")
    if values is not None and not values:
        raise OptionError("values is empty; name one or more columns, or leave it out for all of them")
    if values is not None and len(set(values)) < len(values):
        repeated = next(name for i, name in enumerate(values) if name in values[:i])
        raise OptionError(f"values names the column {repeated!r} twice; name it once")


def _is_npz(source: Any) -> bool:
    return isinstance(source, str | os.PathLike) and os.path.splitext(os.fspath(source))[1].lower() == NPZ


def _read_file(path: str, values: Sequence[str] | None, time: str | None, group: str | None) -> Collection:
    """Read the only series of a file in a folder."""
    if _is_npz(path):
        return read_npz_series(path, values, time, None, None, "steps", group=group)
    return read_steps(path, values, time, None, None, group=group)


def _select_from_collection(
    collection: Collection, values: Sequence[str] | None, names: dict[str, str | None]
) -> Collection:
    """Return a collection with some of its channels."""
    _check_unnamed(
        "a collection of series", {role: name for role, name in names.items() if role not in ("label", "group")}
    )
    if names["label"] is not None and any(one.label is None for one in collection.series):
        raise DataError(f"{collection.path}: its series have no labels; add them with from_arrays(x, labels=...)")
    if names["group"] is not None and any(one.group is None for one in collection.series):
        raise DataError(f"{collection.path}: its series have no groups; add them with from_arrays(x, groups=...)")
    return collection if values is None else select_channels(collection, values)


def _read_arrays(x: Any, values: Sequence[str] | None, names: dict[str, str | None], layout: str | None) -> Collection:
    _check_unnamed("an array", names)
    single = isinstance(x, np.ndarray) and x.ndim == 2 and layout == "steps"
    collection = from_arrays([x] if single else x)
    return collection if values is None else select_channels(collection, values)


def _check_unnamed(what: str, names: dict[str, str | None]) -> None:
    """Raise OptionError if columns are named for a source that has none."""
    for role, name in names.items():
        if name is not None:
            remedy = "use from_arrays(x, labels=..., columns=..., ids=..., groups=...)"
            raise OptionError(f"{role} is the column {name!r}, but {what} has no columns; {remedy}")
