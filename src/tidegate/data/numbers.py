"""Parse columns of cells as numbers, with NaN for missing cells."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidegate.data.collection import Floats
from tidegate.data.delimited import NUMBER
from tidegate.data.table import Table
from tidegate.data.table_cells import KINDS, format_cell
from tidegate.errors import DataError

MISSING = frozenset({"", "nan", "NaN", "NA"})
MAX_EXACT = 2**53
OTHER_SPELLINGS = frozenset({"null", "none", "n/a", "#n/a", "<na>", "na", "nat", "nil", "missing", "?", "-", "--", "."})
NAN = float("nan")


class NotNumeric(DataError):
    """A column holds something other than numbers."""


def parse_column(table: Table, name: str, remedy: str = "") -> Floats:
    """Return the numbers of a column, float64 [rows], NaN if a cell is missing.

    Missing are None, and in text files "", "nan", "NaN" and "NA", with or without surrounding spaces. In frames and
    Parquet files, which have types, text is never a number.

    Args:
        table: one that was read with `for_series`.
        name: of an existing column.
        remedy: what to do about a column of another type, for the message; "": the usual remedy for a file.

    Raises:
        NotNumeric: text that is not a number, booleans, dates.
        DataError: an infinite number, or one that float64 cannot represent.

    >>> parse_column(Table("t.csv", {"x": ["1", "", "-2.5e3"]}, [2, 3, 4], ""), "x").tolist()
    [1.0, nan, -2500.0]
    """
    cells = table.columns[name]
    kind = next((type(cell) for cell in cells if cell is not None), float)
    if kind is str and table.unit == "line":
        return _parse_texts(table, name, cells)
    if kind not in (int, float):
        row = next(row for row, cell in enumerate(cells) if cell is not None)
        what = KINDS.get(kind, "dates")
        shown = format_cell(cells[row]) if kind in KINDS else str(cells[row])
        fault = f"column {name!r} holds {what}, such as {shown}; expected numbers; "
        fault += remedy or _suggest_remedy(name, cells[row], "convert it")
        raise NotNumeric(f"{table.locate(row)}: {fault}")
    if kind is int:
        _check_integers(table, name, cells)
    values = np.array(cells, np.float64)
    _check_finite(table, name, values)
    return values


def _parse_texts(table: Table, name: str, cells: Sequence[Any]) -> Floats:
    """Return the numbers in a column of text."""
    texts: list[str] = ["" if cell is None else cell for cell in cells]
    characters = "".join(texts)
    try:
        if not characters.isascii() or "_" in characters:  # float() would accept both
            raise ValueError
        values = np.array(_parse_floats(texts), np.float64)
    except ValueError:
        for row, text in enumerate(texts):
            if text.strip() not in MISSING and not NUMBER.fullmatch(text.strip()) and not _is_infinite(text):
                expected = "expected a number such as -1.5 or 2e3"
                if text.strip().lower() in OTHER_SPELLINGS:
                    expected = "expected a number, or an empty cell, nan, NaN or NA if it is missing"
                fault = (
                    f"column {name!r} is {format_cell(text)}; {expected}; {_suggest_remedy(name, text, 'correct it')}"
                )
                raise NotNumeric(f"{table.locate(row)}: {fault}") from None
        values = np.array([NAN if text.strip() in MISSING else float(text) for text in texts], np.float64)
    _check_nan(table, name, texts, values)
    _check_finite(table, name, values)
    return values


def _suggest_remedy(name: str, cell: Any, default: str) -> str:
    """Return what to do about a cell that is not a number: a column of dates may be the column of times."""
    try:
        date = isinstance(cell, datetime.date) or bool(datetime.datetime.fromisoformat(cell))
    except (ValueError, TypeError):
        date = False
    return f"if it is the column of times, add --time {shlex.quote(name)}" if date else default


def _parse_floats(texts: list[str]) -> list[float]:
    try:
        return list(map(float, texts))
    except ValueError:
        return [NAN if text in MISSING else float(text) for text in texts]


def _is_infinite(text: str) -> bool:
    return text.strip().lower().lstrip("+-") in ("inf", "infinity")


def _check_nan(table: Table, name: str, texts: list[str], values: Floats) -> None:
    """Raise DataError for spellings of NaN that only float() knows, such as -nan."""
    for row in np.flatnonzero(np.isnan(values)).tolist():
        if texts[row].strip() not in MISSING:
            expected = "expected a number, or an empty cell, nan, NaN or NA if it is missing; correct it"
            raise DataError(f"{table.locate(row)}: column {name!r} is {format_cell(texts[row])}; {expected}")


def _check_finite(table: Table, name: str, values: Floats) -> None:
    """Raise DataError for an infinite value, or one too large for float64."""
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        cell = table.columns[name][row]
        if isinstance(cell, str) and not _is_infinite(cell):
            fault = f"column {name!r} is {format_cell(cell)}, which float64 cannot represent"
            raise DataError(f"{table.locate(row)}: {fault}; correct it")
        fault = (
            f"column {name!r} is {format_cell(cell)}; expected a finite number; leave the cell empty if it is unknown"
        )
        raise DataError(f"{table.locate(row)}: {fault}")


def _check_integers(table: Table, name: str, cells: Sequence[Any]) -> None:
    """Raise DataError for an integer that float64 cannot represent."""
    for row, cell in enumerate(cells):
        if cell is not None and abs(cell) > MAX_EXACT and not _is_exact(cell):
            fault = f"column {name!r} is {format_cell(cell)}, which float64 cannot represent"
            raise DataError(f"{table.locate(row)}: {fault}; correct it")


def _is_exact(cell: int) -> bool:
    try:
        return int(float(cell)) == cell
    except OverflowError:
        return False
