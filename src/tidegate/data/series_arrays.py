"""Make series from arrays in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidegate.data.collection import Collection, Floats, Series
from tidegate.data.columns import check_columns
from tidegate.data.table import Table
from tidegate.data.table_cells import to_python
from tidegate.errors import DataError

ONE_CHANNEL = "value"
MAX_EXACT = 2**53
SHAPES = "[series, steps, channels] or [series, steps]"


def from_arrays(
    x: Any,
    labels: Sequence[Any] | None = None,
    columns: Sequence[str] | None = None,
    *,
    ids: Sequence[Any] | None = None,
    unlabelled: bool = False,
    groups: Sequence[Any] | None = None,
) -> Collection:
    """Make a collection of the series in arrays, copied to float64.

    Args:
        x: a NumPy array [n, T, C], [n, T] (n series of one channel) or [T] (one series); or a sequence of n arrays
            [T, C] or [T], which may differ in T. Numbers; NaN if a value is missing.
        labels: [n], text, integers or booleans; None: no labels.
        columns: the names of the C channels; None: "value" for one channel, else "c1", "c2", ...
        ids: [n], text or integers, unique; None: no names.
        unlabelled: a label may be the empty text, for series with any number of labels.
        groups: [n], text or integers, equal for series that belong together, such as those of one patient; None: no
            groups.

    Raises:
        DataError: other shapes or types; infinite values; labels, columns or ids that do not fit.

    >>> collection = from_arrays([np.zeros((3, 2)), np.ones((5, 2))], labels=["a", "b"])
    >>> collection.describe(), collection.columns, collection.series[1].label, collection.locate(1, 4)
    ('arrays, 2 series of 3 to 5 steps, 2 channels', ['c1', 'c2'], 'b', 'arrays, series 2, step 5')
    """
    arrays = [_as_array(one, f"arrays, series {i}") for i, one in enumerate(_split_series(x), 1)]
    sums = hashlib.sha256()
    for one in arrays:
        sums.update(json.dumps([one.dtype.str, one.shape]).encode() + one.tobytes())
    for names in (labels, columns, ids, groups):
        if names is not None:
            sums.update(json.dumps(list(names), default=str).encode())
    return build_collection("arrays", arrays, labels, columns, ids, sums.hexdigest(), "arrays", unlabelled, groups)


def build_collection(
    path: str,
    arrays: Sequence[Any],
    labels: Sequence[Any] | None,
    columns: Sequence[str] | None,
    ids: Sequence[Any] | None,
    sha256: str,
    form: str,
    unlabelled: bool = False,
    groups: Sequence[Any] | None = None,
) -> Collection:
    """Make a collection of arrays [T, C] or [T] and check everything; arguments and errors as in `from_arrays`."""
    values = [_to_float64(one, place) for one, place in zip(arrays, _locations(path, len(arrays)), strict=True)]
    width = values[0].shape[1]
    for one, place in zip(values, _locations(path, len(arrays)), strict=True):
        if one.shape[1] != width:
            raise DataError(
                f"{place} has {one.shape[1]} channels, but the first has {width}; give all series the same channels"
            )
    names = _name_columns(path, columns, width)
    label_texts = _to_texts(path, labels, "label", len(values), unlabelled)
    id_texts = _to_texts(path, ids, "id", len(values))
    group_texts = _to_texts(path, groups, "group", len(values))
    if id_texts is not None:
        _check_once(path, id_texts)
    ids = id_texts or [""] * len(values)
    series = [
        Series(
            ids[i],
            one,
            None,
            label_texts[i] if label_texts else None,
            range(1, len(one) + 1),
            group=group_texts[i] if group_texts else None,
        )
        for i, one in enumerate(values)
    ]
    collection = Collection(path, names, series, sha256, form, "step")
    _check_finite(collection)
    return collection


def _split_series(x: Any) -> list[Any]:
    """Return the array of every series."""
    if isinstance(x, np.ndarray):
        _check_kind(x, "the array")
        if x.ndim not in (1, 2, 3):
            raise DataError(f"the array has the shape {list(x.shape)}; expected {SHAPES}; reshape it")
        arrays = [x] if x.ndim == 1 else list(x)
    elif isinstance(x, Sequence) and not isinstance(x, str | bytes):
        arrays = list(x)
    else:
        raise DataError(f"found a {type(x).__name__}; expected a NumPy array {SHAPES}, or a list of arrays")
    if not arrays:
        raise DataError(f"there are no series; expected {SHAPES}, with one series or more")
    return arrays


def _as_array(one: Any, place: str) -> Any:
    """Return the array of a series, uncopied if it is one."""
    try:
        array = one if isinstance(one, np.ndarray) else np.asarray(one)
    except ValueError as error:
        raise DataError(
            f"{place} is not an array, because its rows differ in length; give every step the same channels"
        ) from error
    _check_kind(array, place)
    return array


def _check_kind(array: Any, place: str) -> None:
    """Raise DataError unless the array holds numbers."""
    if isinstance(array, np.ma.MaskedArray):
        raise DataError(f"{place} is masked; fill it, for example with x.filled(numpy.nan)")
    if array.dtype.kind not in "iuf":
        raise DataError(f"{place} holds {array.dtype}; expected integers or floating-point numbers; convert it")


def _to_float64(one: Any, place: str) -> Floats:
    """Return a copy as float64 [T, C]. Raises DataError for other shapes, and numbers that float64 cannot represent."""
    if one.ndim not in (1, 2):
        raise DataError(f"{place} has the shape {list(one.shape)}; expected [steps, channels] or [steps]; reshape it")
    if 0 in one.shape:
        raise DataError(f"{place} has the shape {list(one.shape)} and so no values; leave it out")
    values = np.array(one[:, None] if one.ndim == 1 else one, np.float64, order="C")
    large = one.reshape(values.shape)[np.abs(values) >= MAX_EXACT].tolist() if one.dtype.kind in "iu" else []
    if any(int(float(number)) != number for number in large) or one.dtype.itemsize > values.itemsize:
        raise DataError(f"{place} holds {one.dtype} values that float64 cannot represent; convert it")
    return values


def _check_finite(collection: Collection) -> None:
    """Raise DataError for an infinite value."""
    for i, one in enumerate(collection.series):
        if np.isinf(one.values).any():
            t, c = (int(where[0]) for where in np.nonzero(np.isinf(one.values)))
            fault = f"channel {collection.columns[c]!r} is {one.values[t, c]}"
            raise DataError(f"{collection.locate(i, t)}: {fault}; expected a finite number, or NaN if it is unknown")


def _name_columns(path: str, columns: Sequence[str] | None, width: int) -> list[str]:
    """Return the names of the channels, checked, or the default names."""
    if columns is None:
        return [ONE_CHANNEL] if width == 1 else [f"c{c}" for c in range(1, width + 1)]
    names = list(columns)
    if len(names) != width or not all(isinstance(name, str) and name for name in names):
        shown = ", ".join(map(repr, names[:12]))
        raise DataError(
            f"{path}: the columns are {shown or 'none'}; expected one name for each of the {width} channels"
        )
    check_columns(path, names, (), "array")
    return list(map(str, names))


def _to_texts(path: str, names: Sequence[Any] | None, role: str, count: int, missing: bool = False) -> list[str] | None:
    """Return labels, ids or groups as text, one per series. missing: some may be the empty text."""
    if names is None:
        return None
    plain = to_python(list(names), role, lambda row: f"{path}, series {row + 1}")
    if len(plain) != count:
        raise DataError(f"{path}: found {len(plain)} {role}s for {count} series; give each series one")
    for i, name in enumerate(plain):
        if isinstance(name, float):
            raise DataError(
                f"{path}, series {i + 1}: the {role} is {name}; expected text, integers or booleans; convert it"
            )
        if name == "" and not missing:
            raise DataError(f"{path}, series {i + 1}: the {role} is empty; give it a name")
    return Table(path, {role: plain}, list(range(1, count + 1)), "", unit="row").labels(role)


def _check_once(path: str, ids: list[str]) -> None:
    """Raise DataError for a repeated id."""
    first: dict[str, int] = {}
    for number, name in enumerate(ids, 1):
        if name in first:
            raise DataError(f"{path}: series {first[name]} and {number} both have the id {name!r}; rename one")
        first[name] = number


def _locations(path: str, count: int) -> list[str]:
    """Return the place of every series, for messages."""
    return [f"{path}, series {i}" for i in range(1, count + 1)] if count > 1 else [path]
