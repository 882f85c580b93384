"""Cells that have a type, as frames and Parquet files have them: each column is of one kind; gaps only if asked for."""

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

Locate = Callable[[int], str]


def to_python(cells: Sequence[Any], name: str, locate: Locate) -> list[Any]:
    """The cells as plain str, int, bool or float, all of them alike.

    Args:
        cells: Python values, or NumPy's.
        name: of the column, for messages.
        place: the place of a row, counted from 0.

    Raises:
        DataError: a cell that is missing (None, NaN, NaT), of another kind than the first, or of no such type.

    >>> checked(["a", None], "text", lambda row: f"frame, row {row + 1}")
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
            found = f"{format_cell(cell)} among {KINDS[type(plain[0])]}"
            raise DataError(f"{locate(row)}: column {name!r} is {found}; make all cells of a column alike")
    if plain and isinstance(plain[0], str):
        _check_characters(plain, name, locate)
    return plain


def to_python_or_none(cells: Sequence[Any], name: str, locate: Locate) -> list[Any]:
    """The cells as `checked` gives them, but a cell may be missing, and is then None, and dates may stand there.

    Args and raises: as `checked`; dates are datetime.date, datetime.datetime or pandas' Timestamp.

    >>> gapped([1.5, float("nan"), None], "load", lambda row: f"frame, row {row + 1}")
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
            f"{locate(row)}: column {name!r} is {format_cell(plain[row])} among {among}; make its cells alike"
        )
    if "text" in kinds:
        _check_characters([cell or "" for cell in plain], name, locate)
    return plain


def _replace_missing(cells: Sequence[Any]) -> list[Any]:
    """Python's own values, None where a cell is missing; quick where the cells are of Python's own types already."""
    kinds = set(map(type, cells))
    if kinds <= {str, int, bool, type(None)}:
        return list(cells)
    if kinds == {float}:
        return [None if cell != cell else cell for cell in cells]
    own = np.number | np.bool_
    return [None if is_missing(cell) else cell.item() if isinstance(cell, own) else cell for cell in cells]


def is_missing(cell: object) -> bool:
    """Whether a cell of a frame holds nothing: None, NaN, NaT or NA.

    >>> is_missing(None), is_missing(float("nan")), is_missing("")
    (True, True, False)
    """
    return type(cell).__name__ in MISSING_TYPES or (isinstance(cell, float | np.floating) and cell != cell)


def _describe_kind(kind: type, name: str, place: str) -> str:
    if issubclass(kind, datetime.date):
        return "dates"
    if kind in KINDS:
        return KINDS[kind]
    expected = "expected text, integers, booleans, numbers or dates"
    raise DataError(f"{place}: column {name!r} holds a {kind.__name__}; {expected}; convert it")


def format_cell(cell: object) -> str:
    """A cell for a message, long ones cut.

    >>> shown("ab"), shown(3)
    ("'ab'", '3')
    """
    text = repr(cell)
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "..."


def hash_columns(columns: Mapping[str, Sequence[Any]]) -> str:
    """The SHA-256 of columns: of one line of JSON each, [name, [cells]], in UTF-8; whatever library held them.

    >>> sha256({"text": ["hi"]}) == hashlib.sha256(b'["text",["hi"]]' + bytes([10])).hexdigest()
    True
    """
    found = hashlib.sha256()
    for name, cells in columns.items():
        line = json.dumps([name, cells], ensure_ascii=False, separators=(",", ":"), default=str) + "\n"
        found.update(line.encode())
    return found.hexdigest()


def _check_characters(cells: list[str], name: str, locate: Locate) -> None:
    for row, cell in enumerate(cells):
        try:
            cell.encode()
        except UnicodeEncodeError as error:
            fault = "holds half of a surrogate pair; write the whole character"
            raise DataError(f"{locate(row)}: column {name!r} {fault}") from error
