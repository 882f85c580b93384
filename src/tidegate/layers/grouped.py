"""A dense layer for each group of its input's numbers: y = W_j x_j + b_j for part j, whose results are interleaved.

The input is `groups` equal parts, of each of which `size` numbers are made. They come out as the first number of every
group, then the second of every group, and so on, each of them `times` times in a row: as forecasts do, step by step,
with several quantiles for each column.

Source: Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural networks, section 3.2 (groups).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, Use


@dataclass(frozen=True, kw_only=True)
class Grouped(Layer):
    input_option = "inputs"
    uses: ClassVar[Mapping[str, Use]] = {"weight": "matrix"}

    inputs: int
    groups: int
    size: int
    times: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "inputs", "groups", "size", "times")
        inputs = options.check_width(cls.kind, node, "inputs", width)
        groups, size, times = (options.check_size(node, key) for key in ("groups", "size", "times"))
        if inputs % groups:
            raise OptionError(f"groups is {groups}; expected a divisor of inputs, which is {inputs}")
        if groups * size * times > options.MAX_WIDTH:
            raise OptionError(
                f"groups {groups} of size {size}, each {times} times, are over {options.MAX_WIDTH} numbers; use fewer"
            )
        return cls(inputs=inputs, groups=groups, size=size, times=times, **common)

    @property
    def width(self) -> int:
        return self.groups * self.size * self.times

    @property
    def registers(self) -> int:
        return self.program.numbers

    def describe(self) -> str:
        each = f"{self.groups} times {self.inputs // self.groups} -> {self.size}"
        return each + (f", each {self.times} times" if self.times > 1 else "")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.groups * self.size, self.inputs // self.groups), "bias": (self.groups * self.size,)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        rows, n, made = x.shape[0], self.size, []
        for j, part in enumerate(xp.split(x, self.groups)):
            own = slice(j * n, (j + 1) * n)
            y = xp.affine(part, t["weight"][own], t["bias"][own])
            made += [y.reshape(rows, n, 1)] * self.times
        return xp.concat(made).reshape(rows, self.width), {}
