"""A convolution over time: y_t = activation(W (a window of steps) + b), with zeros outside the row.

If it is causal, the window is the last k steps, and the layer streams. If it is centred, the window goes from
(k - 1) // 2 steps back to k // 2 steps ahead, and the layer needs the whole row.
"""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from . import _options as options
from .dense import ACTIVATIONS

MAX_STEPS = 4096


def check(layer: dict[str, Any], width: int | None, tapes: dict[str, Any]) -> int:
    options.check_keys(layer, "inputs", "size", "width", "centred", "activation")
    inputs, steps = options.check_width(layer, "inputs", width), options.check_size(layer, "width", MAX_STEPS)
    if inputs * steps > options.MAX_WIDTH:
        raise OptionError(f"width {steps} times inputs {inputs} is over {options.MAX_WIDTH}; use a narrower window")
    if type(layer["centred"]) is not bool:
        raise OptionError(f"centred is {layer['centred']!r}; expected true or false")
    if layer["centred"] and steps == 1:
        raise OptionError("centred is true and width is 1; a window of one step has no centre, so set centred to false")
    if layer["activation"] not in ACTIVATIONS:
        raise OptionError(f"activation is {layer['activation']!r}; choose one of {', '.join(ACTIVATIONS)}")
    return options.check_size(layer, "size")


def tensors(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {"weight": (layer["size"], layer["width"] * layer["inputs"]), "bias": (layer["size"],)}


def state(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], float]]:
    if layer["centred"] or layer["width"] == 1:
        return {}
    return {"past": ((layer["width"] - 1, layer["inputs"]), 0.0)}


def whole_window(layer: dict[str, Any]) -> str:
    ahead = layer["width"] // 2
    return f"its convolution looks {ahead} step{'s' * (ahead > 1)} ahead" if layer["centred"] else ""


def step(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Any], t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any
) -> tuple[Any, dict[str, Any]]:
    if not s:
        return activate(xp, layer, xp.affine(x, t["weight"], t["bias"])), {}
    k, wide = layer["width"], layer["inputs"]
    window = [*xp.split(s["past"].reshape(-1, (k - 1) * wide), k - 1), x]
    y = activate(xp, layer, xp.affine(xp.concat(window), t["weight"], t["bias"]))
    return y, {"past": xp.concat(window[1:]).reshape(-1, k - 1, wide)}


def whole(xp: Any, layer: dict[str, Any], tapes: dict[str, Any], t: dict[str, Any], xs: list[Any]) -> list[Any]:
    """Run a centred convolution over a whole row. At its ends, steps outside the row are zeros and are left out."""
    k, wide, out = layer["width"], layer["inputs"], []
    for i in range(len(xs)):
        first = i - (k - 1) // 2
        here = range(max(0, first), min(len(xs), first + k))
        W = t["weight"][:, (here.start - first) * wide : (here.stop - first) * wide]
        out.append(activate(xp, layer, xp.affine(xp.concat(xs[here.start : here.stop]), W, t["bias"])))
    return out


def activate(xp: Any, layer: dict[str, Any], y: Any) -> Any:
    """Apply the layer's activation."""
    return y if layer["activation"] == "none" else getattr(xp, layer["activation"])(y)
