"""Typed cells, as in frames and Parquet files: each column has one type, and missing cells only where allowed."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tidegate.errors import DataError

KINDS: dict[type, str] = {str: "text", int: "integers", bool: "booleans", float: "numbers"}
MISSING_TYPES = ("NoneType", "NAType", "NaTType")
MAX_CHARACTERS = 40

Locate = Callable[[int], str]  # from a row, counted from 0, to its place in a message: "frame, row 3"


def to_python(cells: Sequence[Any], name: str, locate: Locate) -> list[Any]:
    """Return cells as str, int, bool or float, all of the same type.

    Args:
        cells: values of Python or NumPy.
        name: of the column, in messages.
        locate: returns the place of a row, counted from 0, for messages.

    Raises:
        DataError: a cell that is missing (None, NaN, NaT), of another type than the first, or of an unsupported type.

    >>> to_python(["a", None], "text", lambda row: f"frame, row {row + 1}")
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: frame, row 2: no value in column 'text' (None); fill it or leave the row out
    """
    plain = [cell.item() if isinstance(cell, np.generic) else cell for cell in cells]
    for row, cell in enumerate(plain):
        if type(cell).__name__ in MISSING_TYPES or (type(cell) is float and cell != cell):
            raise DataError(f"{locate(row)}: no value in column {name!r} ({cell}); fill it or leave the row out")
        if type(cell) not in KINDS:
            expected = "expected text, integers, booleans or numbers"
            raise DataError(f"{locate(row)}: column {name!r} holds a {type(cell).__name__}; {expected}; convert it")
        if type(cell) is not type(plain[0]):
            mixture = f"{format_cell(cell)} among {KINDS[type(plain[0])]}"
            raise DataError(f"{locate(row)}: column {name!r} is {mixture}; give all cells of a column one type")
    if plain and isinstance(plain[0], str):
        _check_characters(plain, name, locate)
    return plain


def to_python_or_none(cells: Sequence[Any], name: str, locate: Locate) -> list[Any]:
    """Return cells as `to_python` does, but with None for missing cells, and dates allowed.

    Args and raises: as `to_python`; dates are datetime.date, datetime.datetime or pandas.Timestamp.

    >>> to_python_or_none([1.5, float("nan"), None], "load", lambda row: f"frame, row {row + 1}")
    [1.5, None, None]
    """
    plain = _replace_missing(cells)
    kinds: dict[str, int] = {}
    for kind in set(map(type, plain)) - {type(None)}:
        row = next(row for row, cell in enumerate(plain) if type(cell) is kind)
        kinds[_describe_kind(kind, name, locate(row))] = row
    if len(kinds) > 1:
        first, row = sorted(kinds.values())[:2]
        among = _describe_kind(type(plain[first]), name, "")
        raise DataError(
            f"{locate(row)}: column {name!r} is {format_cell(plain[row])} among {among}; give all cells of a column "
            "one type"
        )
    if "text" in kinds:
        _check_characters([cell or "" for cell in plain], name, locate)
    return plain


def _replace_missing(cells: Sequence[Any]) -> list[Any]:
    """Return cells as Python values, None if missing; fast if they are all Python values already."""
    kinds = set(map(type, cells))
    if kinds <= {str, int, bool, type(None)}:
        return list(cells)
    if kinds == {float}:
        return [None if cell != cell else cell for cell in cells]
    scalar = np.number | np.bool_
    return [None if is_missing(cell) else cell.item() if isinstance(cell, scalar) else cell for cell in cells]


def is_missing(cell: object) -> bool:
    """Return whether a cell of a frame is missing: None, NaN, NaT or NA.

    >>> is_missing(None), is_missing(float("nan")), is_missing("")
    (True, True, False)
    """
    return type(cell).__name__ in MISSING_TYPES or (isinstance(cell, float | np.floating) and cell != cell)


def _describe_kind(kind: type, name: str, place: str) -> str:
    """Return what cells of a type are called. Raises DataError for an unsupported type."""
    if issubclass(kind, datetime.date):
        return "dates"
    if kind in KINDS:
        return KINDS[kind]
    expected = "expected text, integers, booleans, numbers or dates"
    raise DataError(f"{place}: column {name!r} holds a {kind.__name__}; {expected}; convert it")


def format_cell(cell: object) -> str:
    """Return a cell for a message, truncated if it is long.

    >>> format_cell("ab"), format_cell(3)
    ("'ab'", '3')
    """
    text = repr(cell)
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "..."


def hash_columns(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return the SHA-256 of columns: of a line of JSON each, [name, [cells]], in UTF-8; the library does not matter.

    >>> hash_columns({"text": ["hi"]}) == hashlib.sha256(b'["text",["hi"]]' + bytes([10])).hexdigest()
    True
    """
    digest = hashlib.sha256()
    for name, cells in columns.items():
        line = json.dumps([name, cells], ensure_ascii=False, separators=(",", ":"), default=str) + "\n"
        digest.update(line.encode())
    return digest.hexdigest()


def _check_characters(cells: list[str], name: str, locate: Locate) -> None:
    """Raise DataError for text that cannot be encoded in UTF-8."""
    for row, cell in enumerate(cells):
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            fault = "contains half of a surrogate pair; write the whole character"
            raise DataError(f"{locate(row)}: column {name!r} {fault}") from error
