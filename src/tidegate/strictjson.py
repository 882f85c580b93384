"""JSON without its traps, and values as messages may quote them.

Files come from anywhere, so depth and the number of values are counted before parsing: neither the stack
nor the memory can be driven up, and there is one reading of every text.
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

_TOKEN = re.compile(r'"[^"]*"?|[\[{\]},]')
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse(text: str) -> Any:
    """The value that a JSON text stands for.

    Raises: ModelFileError for broken JSON, a duplicate key, NaN or an infinity, an integer of over 20
    characters, half of a surrogate pair, over 32 levels or over 200,000 values.

    >>> parse('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> parse('{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    tidegate.errors.ModelFileError: in the JSON, the key 'a' stands twice in one object
    """
    _bound(text)
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
    """The one text of a value, for hashing: sorted keys, no spaces, ASCII. Raises ValueError for NaN.

    >>> canonical({"b": [1, 0.5], "a": "é"})
    b'{"a":"\\\\u00e9","b":[1,0.5]}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def show(value: object, most: int = 60) -> str:
    """A value as a message may quote it: its repr on one line, cut when it is long.

    >>> show("a" * 100, 10)
    "'aaaaaa..."
    """
    if isinstance(value, str | bytes | list | tuple):
        value = value[: most + 1]
    text = repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def _bound(text: str) -> None:
    depth, values = 0, 1
    unescaped = text.replace("\\\\", "").replace('\\"', "")  # strings now end at the next quote
    for match in _TOKEN.finditer(unescaped):
        first = unescaped[match.start()]
        depth += (first in "[{") - (first in "]}")
        values += first in "[{,"
        if depth < 0:
            raise ModelFileError(f"the JSON is broken: {first} closes nothing")
        if depth > MAX_DEPTH:
            raise ModelFileError(f"the JSON is nested deeper than {MAX_DEPTH} levels")
        if values > MAX_VALUES:
            raise ModelFileError(f"the JSON has more than {MAX_VALUES} values")


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `object_pairs_hook`: an object whose keys stand once each. Raises DataError for one that stands twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DataError(f"the key {show(key)} stands twice in one object")
        found[key] = value
    return found


def no_constant(name: str) -> Any:
    """For `parse_constant`: raises DataError for NaN and the infinities, which Python reads and JSON has not."""
    raise DataError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ModelFileError(f"the JSON has the number {show(text)}, which is too large")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ModelFileError(f"the JSON has an integer of {len(text)} characters; at most {MAX_DIGITS} are allowed")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=unique, parse_constant=no_constant, parse_float=_finite, parse_int=_integer
)
