"""y = activation(W x + b)."""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from . import _options as options

ACTIVATIONS = ("none", "relu", "tanh", "sigmoid")


def check(layer: dict[str, Any], width: int | None, tapes: dict[str, Any]) -> int:
    options.check_keys(layer, "inputs", "size", "activation")
    options.check_width(layer, "inputs", width)
    if layer["activation"] not in ACTIVATIONS:
        raise OptionError(f"activation is {layer['activation']!r}; choose one of {', '.join(ACTIVATIONS)}")
    return options.check_size(layer, "size")


def tensors(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {"weight": (layer["size"], layer["inputs"]), "bias": (layer["size"],)}


def state(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], float]]:
    return {}


def step(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Any], t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any
) -> tuple[Any, dict[str, Any]]:
    y = xp.affine(x, t["weight"], t["bias"])
    return y if layer["activation"] == "none" else getattr(xp, layer["activation"])(y), {}
