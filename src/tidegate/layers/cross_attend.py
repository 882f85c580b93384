"""Attention to the steps of another graph, with several heads: a translation looks at the words of the sentence.

The other graph gives a key and a value for each of its steps, as one row: first the keys of all heads, then the values.
The weight of a step is the softmax of q k / sqrt(size / heads), where q comes from this layer's input. The rows are a
state that steps only read, with how many there are; the others count for nothing. Sums run from the first row to the
last. Without a row, the output is 0.

Source: Vaswani et al. 2017 (arXiv:1706.03762), section 3.2.3; the idea in Bahdanau et al. 2015 (arXiv:1409.0473).
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
from ._layer import Layer, Outside, States, Use, draw_xavier

MOST = 4096  # rows


@dataclass(frozen=True, kw_only=True)
class CrossAttend(Layer):
    """size: of a key and of a value, over all heads. most: how many rows there can be. initial: rows before others are
    given, [rows, 2 * size].
    """

    input_option = "inputs"
    held: ClassVar[tuple[str, ...]] = ("keys", "values", "count")
    uses: ClassVar[Mapping[str, Use]] = {"weight": "matrix", "number": "fixed"}

    inputs: int
    size: int
    heads: int
    most: int
    initial: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "inputs", "size", "heads", "most", optional=("initial",))
        inputs, size = options.check_width(cls.kind, node, "inputs", width), options.check_size(node, "size")
        heads, most = options.check_size(node, "heads"), options.check_size(node, "most", MOST)
        if size % heads:
            raise OptionError(f"heads is {heads}; expected a divisor of size, which is {size}")
        if most * size > options.MAX_WIDTH:
            raise OptionError(f"most {most} times size {size} is over {options.MAX_WIDTH}; keep fewer rows")
        initial: Any = options.check_initial(node, 2 * size, most)
        return cls(inputs=inputs, size=size, heads=heads, most=most, initial=initial, **common)

    def options(self) -> dict[str, Any]:
        return options.leave_out_empty(super().options(), "initial")

    @property
    def width(self) -> int:
        return self.size

    @property
    def registers(self) -> int:
        return self.program.numbers

    def describe(self) -> str:
        return f"of {self.size}, {self.heads} head{'s' * (self.heads > 1)}, over at most {self.most} steps"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.size, self.inputs), "bias": (self.size,), "number": (self.most, 1)}

    def init(self, rng: np.random.Generator, role: str, params: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Draw the first values of a tensor; the numbers of the rows count from 1."""
        if role == "number":
            return np.arange(1, self.most + 1, dtype=np.float32)[:, None]
        return draw_xavier(rng, self.shapes()[role], self.size) if role == "weight" else super().init(rng, role, params)

    @property
    def outside(self) -> Outside:
        return Outside(2 * self.size, self.most)

    def state(self) -> States:
        shape = (self.most, self.heads, self.size // self.heads)
        return self.fill({"keys": shape, "values": shape, "count": (1,)}, self.initial)

    def hold(self, rows: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        keys, values = np.zeros((2, self.most, self.heads, self.size // self.heads), np.float32)
        each = rows.reshape(len(rows), 2, self.heads, -1)
        keys[: len(rows)], values[: len(rows)] = each[:, 0], each[:, 1]
        return {"keys": keys, "values": values, "count": np.array([len(rows)], np.float32)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        rows, n, heads, each = x.shape[0], self.most, self.heads, self.size // self.heads
        query = xp.affine(x, t["weight"], t["bias"]).reshape(rows, 1, heads, each)
        scores = xp.dot(query, s["keys"]).reshape(rows, n, heads) * (1 / math.sqrt(each))
        empty = xp.less(s["count"].reshape(rows, 1, 1), t["number"])
        peak = xp.peak(xp.select(empty, -1e30, scores), -2)
        # The operand of exp is selected too, so that no number of an empty row can overflow.
        weights = xp.select(empty, 0.0, xp.exp(xp.select(empty, peak, scores) - peak))
        total = xp.maximum(xp.sum(weights, -2), 1.0)  # at least the 1 of the peak, if there is a row
        mixed = xp.sum(weights.reshape(rows, n, heads, 1) * s["values"], -3).reshape(rows, heads, each)
        return (mixed / total.reshape(rows, heads, 1)).reshape(rows, self.size), s
