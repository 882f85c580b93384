"""Causal self-attention with several heads over the last steps, this one included.

Each step appends its key and value to a window of steps, whose oldest falls out. The weight of a step is the softmax of
q k / sqrt(size / heads) plus a learnt number for its age and the head; slots that are not filled yet are left out. Sums
over the window run from the oldest step to the newest.

Source: Vaswani et al. 2017 (arXiv:1706.03762), section 3.2; a bias for each distance as in Raffel et al. 2020
(arXiv:1910.10683), section 2.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, States, Use, draw_xavier

MAX_WINDOW = 4096
EMPTY = -1e30  # below every score, so that the peak is that of a filled slot


@dataclass(frozen=True, kw_only=True)
class Attend(Layer):
    uses: ClassVar[Mapping[str, Use]] = {"weight": "matrix", "out_weight": "matrix", "age": "fixed"}

    size: int
    heads: int
    window: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size", "heads", "window")
        size = options.check_width(cls.kind, node, "size", width)
        heads, window = options.check_size(node, "heads"), options.check_size(node, "window", MAX_WINDOW)
        if size % heads:
            raise OptionError(f"heads is {heads}; expected a divisor of size, which is {size}")
        if window * size > options.MAX_WIDTH or 3 * size > options.MAX_WIDTH:
            raise OptionError(f"window {window} times size {size} is over {options.MAX_WIDTH}; use a shorter window")
        return cls(size=size, heads=heads, window=window, **common)

    @property
    def width(self) -> int:
        return self.size

    @property
    def registers(self) -> int:
        return self.program.numbers

    def describe(self) -> str:
        return f"of {self.size}, {self.heads} head{'s' * (self.heads > 1)}, window of {self.window}"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        D = self.size
        own = {"position": (self.window, self.heads), "age": (self.window, 1)}
        return {"weight": (3 * D, D), "bias": (3 * D,), **own, "out_weight": (D, D), "out_bias": (D,)}

    def init(self, rng: np.random.Generator, role: str, params: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Draw the first values of a tensor; the ages count down to 1, that of the newest step."""
        if role == "age":
            return np.arange(self.window, 0, -1, dtype=np.float32)[:, None]
        return draw_xavier(rng, self.shapes()[role], self.size) if role == "weight" else super().init(rng, role, params)

    def state(self) -> States:
        shape = (self.window, self.heads, self.size // self.heads)
        return {"keys": (shape, 0.0), "values": (shape, 0.0)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        rows, n, heads, each = x.shape[0], self.window, self.heads, self.size // self.heads
        query, key, value = xp.split(xp.affine(x, t["weight"], t["bias"]), 3)
        keys = xp.push(s["keys"], key.reshape(rows, heads, each))
        values = xp.push(s["values"], value.reshape(rows, heads, each))
        scores = xp.dot(query.reshape(rows, 1, heads, each), keys).reshape(rows, n, heads)
        scores = scores * (1 / math.sqrt(each)) + t["position"]
        empty = xp.less(steps.reshape(rows, 1, 1), t["age"])
        peak = xp.peak(xp.select(empty, EMPTY, scores), -2)
        # The operand of exp is selected too, so that no number of an empty slot can overflow.
        weights = xp.select(empty, 0.0, xp.exp(xp.select(empty, peak, scores) - peak))
        total = xp.sum(weights, -2).reshape(rows, heads, 1)
        mixed = xp.sum(weights.reshape(rows, n, heads, 1) * values, -3).reshape(rows, heads, each) / total
        y = xp.affine(mixed.reshape(rows, self.size), t["out_weight"], t["out_bias"])
        return y, {"keys": keys, "values": values}
