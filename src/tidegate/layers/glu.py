"""A gated linear unit: y = (W x + b) * sigmoid(V x + c), where one matrix holds the rows of W and then those of V.

Source: Dauphin et al. 2017 (arXiv:1612.08083), equation 1, for a single step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, Use


@dataclass(frozen=True, kw_only=True)
class Glu(Layer):
    input_option = "inputs"
    uses: ClassVar[Mapping[str, Use]] = {"weight": "matrix"}

    inputs: int
    size: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "inputs", "size")
        inputs = options.check_width(cls.kind, node, "inputs", width)
        if 2 * (size := options.check_size(node, "size")) > options.MAX_WIDTH:
            raise OptionError(
                f"size is {size}; expected at most {options.MAX_WIDTH // 2}, as a matrix has 2 * size rows"
            )
        return cls(inputs=inputs, size=size, **common)

    @property
    def width(self) -> int:
        return self.size

    @property
    def registers(self) -> int:
        return self.program.numbers

    def describe(self) -> str:
        return f"{self.inputs} -> {self.size}"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (2 * self.size, self.inputs), "bias": (2 * self.size,)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        value, gate = xp.split(xp.affine(x, t["weight"], t["bias"]), 2)
        return value * xp.sigmoid(gate), {}
