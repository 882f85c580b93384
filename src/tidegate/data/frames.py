"""Read frames of pandas, of polars, and of any library that supports Arrow, without importing pandas or polars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tidegate.data.arrow import Columns, read_arrow
from tidegate.data.columns import MissingColumn, check_columns
from tidegate.data.table_cells import Locate
from tidegate.errors import DataError


def name_frame(source: object) -> str:
    """Return what a frame is called in messages and in a model file: its library and type.

    Raises:
        DataError: an object that is not a frame.

    >>> name_frame([["hi", "greet"]])
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: found a list; expected a path, or a frame of pandas, polars or Arrow
    """
    for library in ("pandas", "polars"):
        if _is_frame(source, library):
            return f"{library} frame"
    kind = type(source)
    library = kind.__module__.partition(".")[0]
    if hasattr(source, "__arrow_c_stream__") and kind.__name__ != "Series":
        return f"{library} {kind.__name__}"
    hint = "; collect() it first" if kind.__name__ == "LazyFrame" else ""
    full = kind.__name__ if library == "builtins" else f"{library} {kind.__name__}"
    raise DataError(f"found a {full}; expected a path, or a frame of pandas, polars or Arrow{hint}")


def read_frame(source: Any, path: str, columns: Sequence[str] | None, locate: Locate, dates: bool = False) -> Columns:
    """Read columns of a frame and return their cells as the library converts them to Python.

    Args:
        source: a frame that `name_frame` accepts.
        path: its name in messages.
        columns: the columns to read; None: all.
        locate: returns the place of a row, counted from 0, for messages.
        dates: an Arrow table may have columns of timestamps and dates; other frames are checked in `table_cells`.

    Raises:
        DataError: a column that is missing or repeated, names that are not text or have several levels.
        MissingExtra: an Arrow table, and pyarrow is not installed.
    """
    if _is_frame(source, "pandas"):
        try:
            return _columns(source.columns.tolist(), lambda i: source.iloc[:, i].tolist(), path, columns)
        except MissingColumn as error:
            raise explain_index(source, error) from error
    if _is_frame(source, "polars"):
        return _columns(list(source.columns), lambda i: _polars_cells(source.to_series(i), path), path, columns)
    return read_arrow(source, path, columns, locate, dates)


def _columns(names: list[Any], cells: Callable[[int], list[Any]], path: str, columns: Sequence[str] | None) -> Columns:
    """Return the cells of columns by name. cells: from the index of a column to its cells."""
    for number, name in enumerate(names, 1):
        if isinstance(name, tuple):
            raise DataError(f"{path}: its columns have {len(name)} levels, such as {name}; give each column one name")
        if not isinstance(name, str):
            raise DataError(f"{path}: the name of column {number} is {name!r}, which is not text; rename it")
    check_columns(path, names, columns or (), "frame")
    return {name: cells(names.index(name)) for name in (names if columns is None else columns)}


def explain_index(source: Any, error: MissingColumn) -> DataError:
    """Return the error, with a remedy if the missing column is the index of a pandas frame."""
    if error.wanted not in getattr(getattr(source, "index", None), "names", ()):
        return error
    return DataError(f"{error}; it is the index of the frame: make it a column with reset_index()")


def _polars_cells(column: Any, path: str) -> list[Any]:
    """Return the cells of a column. Raises DataError for nanoseconds, which polars would silently drop."""
    nano = getattr(column.dtype, "time_unit", None) == "ns"
    if nano and (column != column.dt.cast_time_unit("us").dt.cast_time_unit("ns")).any():
        raise DataError(f"{path}: column {column.name!r} has times finer than a microsecond; round the times")
    return list(column.to_list())


def is_category(source: Any, name: str) -> bool:
    """Return whether a column of a pandas or Arrow frame holds categories, whose numbers may be mere names."""
    if _is_frame(source, "pandas"):
        kind = str(dict(zip(source.columns, source.dtypes, strict=True)).get(name))
    else:
        schema: Any = getattr(source, "schema", None)
        kind = str(schema.field(name).type) if hasattr(schema, "field") else ""
    return kind == "category" or kind.startswith("dictionary<")


def _is_frame(source: object, library: str) -> bool:
    """Return whether an object is a DataFrame of a library, without importing it."""
    kinds = type(source).__mro__
    return any(k.__name__ == "DataFrame" and k.__module__.partition(".")[0] == library for k in kinds)
