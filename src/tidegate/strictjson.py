"""Parse JSON strictly, and format values for error messages.

Files may come from anywhere. Depth and the number of values are checked before parsing, so that no file can use up the
stack or the memory, and texts that parsers read in different ways are refused.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from .errors import DataError, ModelFileError

MAX_DEPTH: Final = 32
MAX_VALUES: Final = 200_000
MAX_DIGITS: Final = 20

_STRING = re.compile(r'"[^"]*"?')
_BRACKET = re.compile(r"[\[{\]}]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: str) -> Any:
    """Parse a JSON text.

    Raises: ModelFileError for broken JSON, a duplicate key, NaN or an infinity, an integer of more than 20 characters,
    half of a surrogate pair, more than 32 levels or more than 200,000 values.

    >>> parse('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> parse('{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    tidegate.errors.ModelFileError: in the JSON, the key 'a' appears twice in one object
    """
    _check_limits(text)
    try:
        value = _DECODER.decode(text)
        if _ESCAPED_SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except DataError as error:
        raise ModelFileError(f"in the JSON, {error}") from None
    except UnicodeEncodeError:
        raise ModelFileError("the JSON has half of a surrogate pair in a string") from None
    except ValueError as error:
        raise ModelFileError(f"the JSON is broken: {error}") from None
    return value


def canonical(value: Any) -> bytes:
    """Write a value as canonical JSON, for hashing: sorted keys, no spaces, ASCII. Raises ValueError for NaN.

    >>> canonical({"b": [1, 0.5], "a": "é"})
    b'{"a":"\\\\u00e9","b":[1,0.5]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def show(value: object, most: int = 60) -> str:
    """Format a value for a message: its repr on one line, cut off if it is longer than `most` characters.

    >>> show("a" * 100, 10)
    "'aaaaaa..."
    """
    if isinstance(value, str | bytes | list | tuple):
        value = value[: most + 1]
    text = repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def _check_limits(text: str) -> None:
    unescaped = text.replace("\\\\", "").replace('\\"', "")  # strings now end at the next quote
    structure = _STRING.sub("", unescaped)
    depth, values = 0, 1 + structure.count(",")
    for match in _BRACKET.finditer(structure):
        bracket = match.group()
        opens = bracket in "[{"
        depth += 1 if opens else -1
        values += opens
        if depth < 0:
            raise ModelFileError(f"the JSON is broken: {bracket} without an opening bracket")
        if depth > MAX_DEPTH:
            raise ModelFileError(f"the JSON is nested deeper than {MAX_DEPTH} levels")
        if values > MAX_VALUES:
            break
    if values > MAX_VALUES:
        raise ModelFileError(f"the JSON has more than {MAX_VALUES} values")


def build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, as an `object_pairs_hook`. Raises DataError for a key that appears twice."""
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise DataError(f"the key {show(key)} appears twice in one object")
        result[key] = value
    return result


def refuse_constant(name: str) -> Any:
    """Raise DataError, as a `parse_constant`: Python reads NaN and infinities, but they are not JSON."""
    raise DataError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ModelFileError(f"the JSON has the number {show(text)}, which is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ModelFileError(f"the JSON has an integer of {len(text)} characters; at most {MAX_DIGITS} are allowed")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=build_object, parse_constant=refuse_constant, parse_float=_finite, parse_int=_integer
)
