"""A layer of two sources of one width, joined as [a, b]: y = g a + (1 - g) b, where g = sigmoid(W [a, b] + c)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from tidegate.errors import OptionError
from tidegate.layers import Layer


@dataclass(frozen=True, kw_only=True)
class Blend(Layer):
    input_option = "inputs"
    uses: ClassVar[Mapping[str, Any]] = {"weight": "matrix"}

    inputs: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        if width is None or node["inputs"] != width or width % 2:
            raise OptionError(f"inputs is {node['inputs']}; expected two sources of one width, found {width} together")
        return cls(**node)

    @property
    def width(self) -> int:
        return self.inputs // 2

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.width, self.inputs), "bias": (self.width,)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        a, b = xp.split(x, 2)
        gate = xp.sigmoid(xp.affine(x, t["weight"], t["bias"]))
        return gate * a + (1.0 - gate) * b, {}
