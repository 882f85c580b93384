"""Read JSON lines: one object per line."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tidegate import strictjson
from tidegate.data.columns import check_column
from tidegate.errors import DataError

Rows = tuple[list[str], list[list[str]], list[int]]


class NumberText(str):
    """The text of a JSON number, so that 1.0 stays 1.0; the type distinguishes it from a string."""

    __slots__ = ()


_TYPE_NAMES: dict[type, str] = {dict: "an object", list: "a list", bool: "a boolean", type(None): "null"}
_TYPE_NAMES |= {str: "a string", NumberText: "a number"}


def read_jsonl(text: str, path: str, columns: Sequence[str] | None = None, *, for_series: bool = False) -> Rows:
    """Return the column names, the rows, and the line of each row.

    Values are strings or numbers; a number keeps its spelling. Without `columns`, every object must have the keys of
    the first one. Empty lines are skipped.

    Args:
        text: the content of the file.
        path: its name in messages.
        columns: the keys to read; other keys are ignored.
        for_series: a value may be null, which is read as the empty text.

    Raises:
        DataError: a line that is not a JSON object; a key that is missing, unexpected or repeated; other values.

    >>> read_jsonl('{"text": "hi", "label": 1.0}\\n', "t.jsonl")
    (['text', 'label'], [['hi', '1.0']], [1])
    """
    names = list(columns) if columns is not None else None
    rows, lines = [], []
    for line, source in enumerate(text.split("\n"), 1):
        if source.strip():
            record = _parse_object(source, f"{path}:{line}")
            names = _list_keys(record, f"{path}:{line}") if names is None else names
            _check_keys(record, names, columns is None, f"{path}:{line}")
            rows.append([_read_value(record[name], name, f"{path}:{line}", for_series) for name in names])
            lines.append(line)
    if names is None or not rows:
        raise DataError(f"{path} has no rows; expected one JSON object a line")
    return names, rows, lines


def _parse_object(source: str, place: str) -> dict[str, object]:
    """Return the JSON object in a line. Raises DataError for anything else."""
    try:
        value = json.loads(
            source,
            parse_int=NumberText,
            parse_float=NumberText,
            parse_constant=strictjson.refuse_constant,
            object_pairs_hook=strictjson.build_object,
        )
    except json.JSONDecodeError as error:
        raise DataError(f"{place}:{error.colno}: not JSON: {error.msg}; expected one object a line") from error
    except RecursionError as error:
        raise DataError(f"{place}: nested too deeply; expected one object with strings and numbers") from error
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
    if not isinstance(value, dict):
        kind = _TYPE_NAMES[type(value)]
        raise DataError(f'{place}: found {kind}; expected an object such as {{"text": "...", "label": "..."}}')
    return value


def _list_keys(record: dict[str, object], place: str) -> list[str]:
    if not record:
        raise DataError(f"{place}: the object has no keys; its keys name the columns")
    return list(record)


def _check_keys(record: dict[str, object], names: list[str], exact: bool, place: str) -> None:
    for name in names:
        if name not in record:
            check_column(place, name, list(record), "object")
    if exact and len(record) > len(names):
        expected = set(names)
        extra = next(key for key in record if key not in expected)
        raise DataError(f"{place}: the key {extra!r} is not in the first object; add it to all objects or to none")


def _read_value(value: object, name: str, place: str, for_series: bool) -> str:
    if value is None and for_series:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{place}: {name!r} is {_TYPE_NAMES[type(value)]}; expected a string or a number")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: {name!r} contains half of a surrogate pair; write the whole character") from error
    return str(value)
