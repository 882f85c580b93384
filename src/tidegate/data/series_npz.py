"""Read series from an .npz archive: an array `x` of numbers, and arrays that describe each series."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tidegate.data.collection import Collection, Times
from tidegate.data.columns import MissingColumn, check_column
from tidegate.data.npz import Array, read_npz
from tidegate.data.series_arrays import build_collection
from tidegate.data.table import read_bytes
from tidegate.data.times import TimeColumn
from tidegate.errors import DataError

LABELS, IDS, TIME, LENGTHS, COLUMNS = "y", "ids", "time", "lengths", "columns"


def read_npz_series(
    path: str,
    values: Sequence[str] | None,
    time: str | None,
    id: str | None,
    label: str | None,
    layout: str | None,
    unlabelled: bool = False,
    group: str | None = None,
) -> Collection:
    """Read the series of an archive; arguments as in `series.read_series`, arrays as in docs/data.md."""
    data = read_bytes(path, os.path.splitext(path)[1].lower())
    arrays = read_npz(data, path)
    label = LABELS if label == "label" and label not in arrays else label
    for wanted in ("x", *(name for name in (time, id, label, group) if name is not None)):
        if wanted not in arrays:
            listed = ", ".join(map(repr, arrays)) or "none"
            remedy = "save the numbers as x" if wanted == "x" else "name one of them, or add the array"
            error = MissingColumn(f"{path}: no array {wanted!r}; the archive has {listed}; {remedy}")
            error.wanted = wanted
            raise error
    x, parts = arrays["x"], _split_series(path, arrays, label, id, layout)
    ids = arrays.get(IDS if id is None else id)
    collection = build_collection(
        path,
        [x] if parts is None else parts,
        None if label is None else _to_list(path, label, arrays[label]),
        _read_columns(path, arrays),
        None if ids is None else _to_list(path, IDS if id is None else id, ids),
        hashlib.sha256(data).hexdigest(),
        "NPZ" if label is None else f"NPZ, labels {label!r}",
        unlabelled,
        None if group is None else _to_list(path, group, arrays[group]),
    )
    name = TIME if time is None else time
    collection = collection if name not in arrays else _add_times(collection, arrays, name)
    return collection if values is None else select_channels(collection, values)


def select_channels(collection: Collection, values: Sequence[str]) -> Collection:
    """Return the collection with only these channels, in this order."""
    for name in values:
        check_column(collection.path, name, collection.columns, "source")
    index = [collection.columns.index(name) for name in values]
    series = [replace(one, values=np.ascontiguousarray(one.values[:, index])) for one in collection.series]
    return replace(collection, columns=list(values), series=series)


def _split_series(
    path: str, arrays: dict[str, Array], label: str | None, id: str | None, layout: str | None
) -> list[Array] | None:
    """Return the array of each series; None if `x` is a single series."""
    x = arrays["x"]
    if x.dtype.kind not in "iuf":
        raise DataError(f"{path}: array 'x' holds {x.dtype}; expected integers or floating-point numbers; convert it")
    if LENGTHS in arrays:
        return _split_by_lengths(path, x, arrays[LENGTHS])
    if x.ndim not in (1, 2, 3) or 0 in x.shape:
        expected = "[series, steps, channels], [series, steps], [steps, channels] or [steps], none of them 0"
        raise DataError(f"{path}: array 'x' has the shape {list(x.shape)}; expected {expected}; reshape it")
    named = label is not None or id is not None or IDS in arrays
    if x.ndim == 1 or (x.ndim == 2 and (layout == "steps" or (layout is None and not named))):
        return None
    return list(x)


def _split_by_lengths(path: str, x: Array, lengths: Array) -> list[Array]:
    """Return the arrays of series that follow each other in `x`."""
    if x.ndim not in (1, 2) or lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not lengths.size:
        shapes = f"'x' {list(x.shape)} and 'lengths' {lengths.dtype} {list(lengths.shape)}"
        raise DataError(f"{path}: found {shapes}; expected [all steps, channels] and integers [series]; reshape them")
    counts = list(map(int, lengths))
    if min(counts) < 1 or sum(counts) != len(x):
        raise DataError(
            f"{path}: 'lengths' has the minimum {min(counts)} and the sum {sum(counts)}; expected positive lengths "
            f"with the sum {len(x)}, the number of steps in 'x'; correct it"
        )
    return np.split(x, np.cumsum(counts)[:-1])


def _read_columns(path: str, arrays: dict[str, Array]) -> list[str] | None:
    """Return the names of the channels, or None."""
    if COLUMNS not in arrays:
        return None
    names = arrays[COLUMNS]
    if names.dtype.kind != "U" or names.ndim != 1:
        kind = f"{names.dtype} {list(names.shape)}"
        raise DataError(f"{path}: array {COLUMNS!r} is {kind}; expected the names of the channels as text; convert it")
    return list(map(str, names.tolist()))


def _to_list(path: str, name: str, array: Array) -> list[object]:
    """Return an array with one value per series as a list."""
    if array.ndim != 1:
        raise DataError(
            f"{path}: array {name!r} has the shape {list(array.shape)}; expected one value per series; reshape it"
        )
    return list(array.tolist())


def _add_times(collection: Collection, arrays: dict[str, Array], name: str) -> Collection:
    """Return the series with the times in the array `name`: one per step, or shared by all series."""
    times, counts = arrays[name], [len(one) for one in collection.series]
    ends = np.cumsum(counts)
    if times.shape == (counts[0],) and len(set(counts)) == 1:
        times = np.tile(times, len(counts))
    x = arrays["x"].shape
    if times.shape not in ((ends[-1],), x[:1], x[:2]) or times.size != ends[-1]:
        fault = f"array {name!r} has the shape {list(times.shape)}; expected one time per step"
        raise DataError(f"{collection.path}: {fault}; reshape it")

    def locate(row: int) -> str:
        i = int(np.searchsorted(ends, row, "right"))
        return collection.locate(i, row - int(ends[i] - counts[i]))

    time_column = TimeColumn(_time_cells(collection.path, name, times.ravel()), name, locate)
    rows = np.split(np.arange(ends[-1]), ends[:-1])
    indices = [time_column.index(r) for r in rows]
    series = [replace(one, **index._asdict()) for one, index in zip(collection.series, indices, strict=True)]
    return replace(collection, series=series)


def _time_cells(path: str, name: str, times: Times | Array) -> list[object]:
    """Return the cells of an array of times, None if a time is missing."""
    if times.dtype.kind != "M":
        return list(times.tolist())
    fine = times.astype("datetime64[us]")
    present = ~np.isnat(times)
    if (fine.astype(times.dtype) != times)[present].any():
        raise DataError(f"{path}: array {name!r} has times finer than a microsecond; round the times")
    cells: list[object] = list(fine.tolist())
    if any(type(cell) is int for cell in cells):  # NumPy returns integers for dates that Python does not have
        raise DataError(f"{path}: array {name!r} has times outside of the years 1 to 9999; correct them")
    return cells
