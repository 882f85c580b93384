"""Frames of pandas, polars and whatever speaks Arrow. Neither pandas nor polars is imported here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tidegate.data.arrow import Columns, read_arrow
from tidegate.data.columns import MissingColumn, check_columns
from tidegate.data.table_cells import Locate
from tidegate.errors import DataError


def name_frame(source: object) -> str:
    """What a frame is called in messages and in a model file: its library.

    Raises:
        DataError: an object that is no frame.

    >>> name_of([["hi", "greet"]])
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
    found = kind.__name__ if library == "builtins" else f"{library} {kind.__name__}"
    raise DataError(f"found a {found}; expected a path, or a frame of pandas, polars or Arrow{hint}")


def read_frame(source: Any, path: str, columns: Sequence[str] | None, locate: Locate, dates: bool = False) -> Columns:
    """The cells of a frame's columns as its library gives them to Python.

    Args:
        source: a frame that `name_of` knows.
        path: its name, for messages.
        columns: those to read; None: all.
        place: the place of a row, counted from 0.
        dates: a table of Arrow may have columns of timestamps and dates; `cells` says it of other frames.

    Raises:
        DataError: a column that is missing or there twice, names that are no text or of several levels.
        MissingExtra: a table of Arrow, and pyarrow is not installed.
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
    for number, name in enumerate(names, 1):
        if isinstance(name, tuple):
            raise DataError(f"{path}: its columns have {len(name)} levels, as {name}; give each one name")
        if not isinstance(name, str):
            raise DataError(f"{path}: column {number} is named {name!r}, which is no text; rename it")
    check_columns(path, names, columns or (), "frame")
    return {name: cells(names.index(name)) for name in (names if columns is None else columns)}


def explain_index(source: Any, error: MissingColumn) -> DataError:
    """The error, with what to do where the column is the index of a pandas frame."""
    if error.wanted not in getattr(getattr(source, "index", None), "names", ()):
        return error
    return DataError(f"{error}; it is the frame's index: reset_index() makes it a column")


def _polars_cells(column: Any, path: str) -> list[Any]:
    """The cells of a column; Python's dates end at microseconds, where polars would cut them in silence."""
    nano = getattr(column.dtype, "time_unit", None) == "ns"
    if nano and (column != column.dt.cast_time_unit("us").dt.cast_time_unit("ns")).any():
        raise DataError(f"{path}: column {column.name!r} has times finer than a microsecond; round the times")
    return list(column.to_list())


def is_category(source: Any, name: str) -> bool:
    """Return whether a column of a frame of pandas or Arrow holds categories, which may be numbers by name only."""
    if _is_frame(source, "pandas"):
        kind = str(dict(zip(source.columns, source.dtypes, strict=True)).get(name))
    else:
        schema: Any = getattr(source, "schema", None)
        kind = str(schema.field(name).type) if hasattr(schema, "field") else ""
    return kind == "category" or kind.startswith("dictionary<")


def _is_frame(source: object, library: str) -> bool:
    kinds = type(source).__mro__
    return any(k.__name__ == "DataFrame" and k.__module__.partition(".")[0] == library for k in kinds)
