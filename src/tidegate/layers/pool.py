"""Pooling over all steps so far, into one vector: any of last, mean, max and attention, concatenated.

Each is a running value, so pooling a prefix gives the value after that prefix's last step. Attention is a softmax over
time of a learnt score, computed from a running peak, weight and weighted sum (Milakov and Gimelshein 2018,
arXiv:1805.02867).
"""

from __future__ import annotations

import math
from typing import Any

from ..errors import OptionError
from . import _options as options

OVER = ("last", "mean", "max", "attention")


def check(layer: dict[str, Any], width: int | None, tapes: dict[str, Any]) -> int:
    options.check_keys(layer, "size", "over")
    H, over = options.check_width(layer, "size", width), layer["over"]
    if not isinstance(over, list) or not over or not all(isinstance(k, str) and k in OVER for k in over):
        raise OptionError(f"over is {over!r}; expected a list of {', '.join(OVER)}")
    if len(set(over)) != len(over):
        raise OptionError(f"over is {over!r}; an entry appears twice")
    if H * len(over) > options.MAX_WIDTH:
        raise OptionError(f"size {H} times {len(over)} entries is over {options.MAX_WIDTH}; pool fewer")
    return H * len(over)


def tensors(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {"score": (layer["size"],), "score_bias": (1,)} if "attention" in layer["over"] else {}


def state(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], float]]:
    H = layer["size"]
    parts: dict[str, dict[str, tuple[tuple[int, ...], float]]] = {
        "last": {},
        "mean": {"mean": ((H,), 0.0)},
        "max": {"max": ((H,), -math.inf)},
        "attention": {"peak": ((1,), -math.inf), "weight": ((1,), 0.0), "sum": ((H,), 0.0)},
    }
    return {name: v for kind in layer["over"] for name, v in parts[kind].items()}


def step(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Any], t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any
) -> tuple[Any, dict[str, Any]]:
    s, out = dict(s), []
    for kind in layer["over"]:
        if kind == "last":
            out.append(x)
        elif kind == "mean":
            s["mean"] = s["mean"] + x
            out.append(s["mean"] / steps)
        elif kind == "max":
            s["max"] = xp.maximum(s["max"], x)
            out.append(s["max"])
        else:
            out.append(attend(xp, t, s, x))
    return xp.concat(out), s


def attend(xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any) -> Any:
    """Update the attention's part of the state in place and return its pooled value."""
    e = xp.affine(x, t["score"].reshape(1, -1), t["score_bias"])
    peak = xp.maximum(s["peak"], e)
    keep, new = xp.exp(s["peak"] - peak), xp.exp(e - peak)
    s["peak"], s["weight"], s["sum"] = peak, s["weight"] * keep + new, s["sum"] * keep + new * x
    return s["sum"] / s["weight"]
