"""Checks of a layer's options; an error names the key, the value found and the value expected."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError

MAX_WIDTH = 1 << 20
MAX_ROWS = 1 << 26
MAX_IDS = 512  # of a bag in a step
LARGEST_FLOAT = 3.4028234663852886e38
COMMON_KEYS = {"tensors", "sources", "add"}


def check_keys(kind: str, node: dict[str, Any], *options: str, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what every layer has, `tensors`, `sources` and `add`, as they stand in the object.

    Raises OptionError unless the object has exactly these options besides, and perhaps some of the optional ones.
    """
    if missing := [k for k in options if k not in node]:
        raise OptionError(f"{missing[0]!r} is missing; {kind} needs {', '.join(options) or 'no option'}")
    if extra := sorted(set(node) - COMMON_KEYS - set(options) - set(optional)):
        raise OptionError(f"unknown option {extra[0]!r}; {kind} has {', '.join((*options, *optional)) or 'none'}")
    return {key: node[key] for key in COMMON_KEYS if key in node}


def check_size(node: dict[str, Any], key: str, maximum: int = MAX_WIDTH) -> int:
    """Return the option `key`. Raises OptionError unless it is an integer of 1 to `maximum`."""
    value = node[key]
    if type(value) is not int or not 1 <= value <= maximum:
        raise OptionError(f"{key} is {value!r}; expected an integer of 1 to {maximum}")
    return value


def check_width(kind: str, node: dict[str, Any], key: str, width: int | None) -> int:
    """Return the option `key`, a width. Raises OptionError unless it is the width of the layer's input."""
    value = check_size(node, key)
    if width is None:
        raise OptionError(f"{kind} takes numbers; its input is token ids, so an embed layer must come first")
    if value != width:
        raise OptionError(f"{key} is {value}; the input is {width} wide")
    return value


def check_initial(node: dict[str, Any], width: int, most: int) -> list[list[float]]:
    """Return the option `initial`, rows of another graph that are there before others are given; [] if it is left out.

    Raises OptionError unless it is a list of 1 to `most` rows of `width` float32 numbers.
    """
    if "initial" not in node:
        return []
    rows = node["initial"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= most:
        raise OptionError(f"initial must be a list of 1 to {most} rows; leave it out for none")
    for i, row in enumerate(rows):
        numbers = isinstance(row, list) and len(row) == width and all(type(v) is float for v in row)
        if not numbers or not all(abs(v) <= LARGEST_FLOAT for v in row):
            raise OptionError(f"initial[{i}] must be {width} float32 numbers")
    return rows


def leave_out_empty(options: dict[str, Any], name: str) -> dict[str, Any]:
    """Return options without one of them if that is empty."""
    return {key: value for key, value in options.items() if key != name or value}


def check_choice(node: dict[str, Any], key: str, choices: tuple[str, ...]) -> str:
    """Return the option `key`. Raises OptionError unless it is one of `choices`."""
    value = node[key]
    if value not in choices:
        raise OptionError(f"{key} is {value!r}; choose one of {', '.join(choices)}")
    return str(value)
