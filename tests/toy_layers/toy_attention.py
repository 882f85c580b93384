"""Attention over the latest steps: keys and values in windows [n, heads, d], the newest last.

Positions are ages: a learnt bias of each head for each age. Slots that no step has filled yet are selected out before
the softmax. The output is added to the input.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tidegate.layers import Layer, States

MATRICES = ("query", "key", "value", "out")


@dataclass(frozen=True, kw_only=True)
class Attend(Layer):
    uses: ClassVar[Mapping[str, Any]] = {**dict.fromkeys(MATRICES, "matrix"), "age": "fixed"}

    size: int
    heads: int
    window: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        return cls(**node)

    @property
    def width(self) -> int:
        return self.size

    def shapes(self) -> dict[str, tuple[int, ...]]:
        square = (self.size, self.size)
        matrices = dict.fromkeys(MATRICES, square)
        return {**matrices, "bias": (self.size,), "position": (self.window, self.heads, 1), "age": (self.window, 1, 1)}

    def state(self) -> States:
        shape = (self.window, self.heads, self.size // self.heads)
        return {"keys": (shape, 0.0), "values": (shape, 0.0)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        rows, each = x.shape[0], (self.heads, self.size // self.heads)
        q, k, v = (xp.matmul(x, t[role]).reshape(rows, *each) for role in ("query", "key", "value"))
        keys, values = xp.push(s["keys"], k), xp.push(s["values"], v)
        score = xp.dot(keys, q.reshape(rows, 1, *each)) * (1 / math.sqrt(each[1])) + t["position"]
        filled = xp.less(t["age"], steps.reshape(rows, 1, 1, 1))  # the newest has age 0
        score = xp.select(filled, score, -1e30)
        weight = xp.exp(score - xp.peak(score, 1))
        pooled = xp.sum(weight * values, 1) / xp.sum(weight, 1)
        y = x + xp.affine(pooled.reshape(rows, self.size), t["out"], t["bias"])
        return y, {"keys": keys, "values": values}
