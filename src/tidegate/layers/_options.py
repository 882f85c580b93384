"""Checks of a layer's options, in the words of the file: key, value found, value expected."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError

MAX_WIDTH = 1 << 20
MAX_ROWS = 1 << 26
ALWAYS = {"kind", "tensors", "add"}


def keys(layer: dict[str, Any], *options: str) -> None:
    """Raises OptionError unless the layer has exactly these options beside kind, tensors and add."""
    if missing := [k for k in options if k not in layer]:
        raise OptionError(f"{missing[0]!r} is missing; {layer['kind']} needs {', '.join(options) or 'no option'}")
    if extra := sorted(set(layer) - ALWAYS - set(options)):
        raise OptionError(f"unknown option {extra[0]!r}; {layer['kind']} has {', '.join(options) or 'none'}")


def size(layer: dict[str, Any], key: str, most: int = MAX_WIDTH) -> int:
    value = layer[key]
    if type(value) is not int or not 1 <= value <= most:
        raise OptionError(f"{key} is {value!r}; expected an integer of 1 to {most}")
    return value


def same_width(layer: dict[str, Any], key: str, width: int | None) -> int:
    """The layer's declared input width, which must be what comes in."""
    value = size(layer, key)
    if width is None:
        raise OptionError(f"{layer['kind']} takes numbers; its input is token ids, so an embed layer must come first")
    if value != width:
        raise OptionError(f"{key} is {value}; the input is {width} wide")
    return value
