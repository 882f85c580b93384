"""The final states of both directions of a bidirectional layer, side by side, as classifiers usually read them.

The first half of the numbers comes from the last step of the row, where the forward direction ends; the second half
comes from the first step, where the backward direction ends. In torch.nn: `torch.cat([h_n[-2], h_n[-1]], -1)`.
"""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from . import _options as options


def check(layer: dict[str, Any], width: int | None, tapes: dict[str, Any]) -> int:
    options.check_keys(layer, "size")
    if (size := options.check_width(layer, "size", width)) % 2:
        raise OptionError(f"size is {size}; expected an even number, half of it for each direction")
    return size


def tensors(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {}


def state(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], float]]:
    return {}


def whole_window(layer: dict[str, Any]) -> str:
    return "it takes the final states of both directions"


def whole(xp: Any, layer: dict[str, Any], tapes: dict[str, Any], t: dict[str, Any], xs: list[Any]) -> list[Any]:
    """Return the same output for every step, as only the whole row has final states."""
    forward, _ = xp.split(xs[-1], 2)
    _, backward = xp.split(xs[0], 2)
    return [xp.concat([forward, backward])] * len(xs)
