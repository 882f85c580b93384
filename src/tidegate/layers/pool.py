"""Pooling over all steps so far, into one vector: any of last, mean, max and attention, concatenated.

Each is a running value, so pooling a prefix gives the value after that prefix's last step. Attention is a softmax over
time of a learnt score, computed from a running peak, weight and weighted sum (Milakov and Gimelshein 2018,
arXiv:1805.02867).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, States

OVER = ("last", "mean", "max", "attention")


@dataclass(frozen=True, kw_only=True)
class Pool(Layer):
    is_pool = True

    size: int
    over: tuple[str, ...]

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size", "over")
        H, over = options.check_width(cls.kind, node, "size", width), node["over"]
        if not isinstance(over, list) or not over or not all(isinstance(k, str) and k in OVER for k in over):
            raise OptionError(f"over is {over!r}; expected a list of {', '.join(OVER)}")
        if len(set(over)) != len(over):
            raise OptionError(f"over is {over!r}; an entry appears twice")
        if H * len(over) > options.MAX_WIDTH:
            raise OptionError(f"size {H} times {len(over)} entries is over {options.MAX_WIDTH}; pool fewer")
        return cls(size=H, over=tuple(over), **common)

    @property
    def width(self) -> int:
        return self.size * len(self.over)

    def describe(self) -> str:
        return f"{', '.join(self.over)} of {self.size}"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"score": (self.size,), "score_bias": (1,)} if "attention" in self.over else {}

    def state(self) -> States:
        H = self.size
        parts: dict[str, States] = {
            "last": {},
            "mean": {"mean": ((H,), 0.0)},
            "max": {"max": ((H,), -math.inf)},
            "attention": {"peak": ((1,), -math.inf), "weight": ((1,), 0.0), "sum": ((H,), 0.0)},
        }
        return {name: v for one in self.over for name, v in parts[one].items()}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        s, out = dict(s), []
        for one in self.over:
            if one == "last":
                out.append(x)
            elif one == "mean":
                s["mean"] = s["mean"] + x
                out.append(s["mean"] / steps)
            elif one == "max":
                s["max"] = xp.maximum(s["max"], x)
                out.append(s["max"])
            else:
                out.append(attend(xp, t, s, x))
        return xp.concat(out), s


def attend(xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any) -> Any:
    """Update the attention's part of the state in place and return its pooled value."""
    e = xp.dot(x, t["score"]) + t["score_bias"]
    peak = xp.maximum(s["peak"], e)
    keep, new = xp.exp(s["peak"] - peak), xp.exp(e - peak)
    s["peak"], s["weight"], s["sum"] = peak, s["weight"] * keep + new, s["sum"] * keep + new * x
    return s["sum"] / s["weight"]
