"""An embedding: each token id selects a row of a table."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from . import _options as options


def check(layer: dict[str, Any], width: int | None, tapes: dict[str, Any]) -> int:
    options.check_keys(layer, "rows", "size")
    options.check_size(layer, "rows", options.MAX_ROWS)
    if width is not None:
        raise OptionError(f"embed takes token ids; its input is {width} numbers")
    return options.check_size(layer, "size")


def tensors(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {"weight": (layer["rows"], layer["size"])}


def state(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], float]]:
    return {}


def step(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Any], t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any
) -> tuple[Any, dict[str, Any]]:
    return xp.take(t["weight"], x), {}
