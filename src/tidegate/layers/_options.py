"""Checks of a layer's options; an error names the key, the value found and the value expected."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError

MAX_WIDTH = 1 << 20
MAX_ROWS = 1 << 26
COMMON_KEYS = {"kind", "tensors", "add"}


def check_keys(layer: dict[str, Any], *options: str) -> None:
    """Raise OptionError unless the layer has exactly these options, besides kind, tensors and add."""
    if missing := [k for k in options if k not in layer]:
        raise OptionError(f"{missing[0]!r} is missing; {layer['kind']} needs {', '.join(options) or 'no option'}")
    if extra := sorted(set(layer) - COMMON_KEYS - set(options)):
        raise OptionError(f"unknown option {extra[0]!r}; {layer['kind']} has {', '.join(options) or 'none'}")


def check_size(layer: dict[str, Any], key: str, maximum: int = MAX_WIDTH) -> int:
    """Return the option `key`. Raises OptionError unless it is an integer of 1 to `maximum`."""
    value = layer[key]
    if type(value) is not int or not 1 <= value <= maximum:
        raise OptionError(f"{key} is {value!r}; expected an integer of 1 to {maximum}")
    return value


def check_width(layer: dict[str, Any], key: str, width: int | None) -> int:
    """Return the option `key`, a width. Raises OptionError unless it is the width of the layer's input."""
    value = check_size(layer, key)
    if width is None:
        raise OptionError(f"{layer['kind']} takes numbers; its input is token ids, so an embed layer must come first")
    if value != width:
        raise OptionError(f"{key} is {value}; the input is {width} wide")
    return value
