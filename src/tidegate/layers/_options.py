"""Checks of a layer's options; an error names the key, the value found and the value expected."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError

MAX_WIDTH = 1 << 20
MAX_ROWS = 1 << 26
COMMON_KEYS = {"tensors", "sources", "add"}


def check_keys(kind: str, node: dict[str, Any], *options: str) -> dict[str, Any]:
    """Return what every layer has, `tensors`, `sources` and `add`, as they stand in the object.

    Raises OptionError unless the object has exactly these options besides.
    """
    if missing := [k for k in options if k not in node]:
        raise OptionError(f"{missing[0]!r} is missing; {kind} needs {', '.join(options) or 'no option'}")
    if extra := sorted(set(node) - COMMON_KEYS - set(options)):
        raise OptionError(f"unknown option {extra[0]!r}; {kind} has {', '.join(options) or 'none'}")
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


def check_choice(node: dict[str, Any], key: str, choices: tuple[str, ...]) -> str:
    """Return the option `key`. Raises OptionError unless it is one of `choices`."""
    value = node[key]
    if value not in choices:
        raise OptionError(f"{key} is {value!r}; choose one of {', '.join(choices)}")
    return str(value)
