"""Numbers of another graph behind the input, the same at every step: what a text gives to the text that answers it.

They are a state that steps only read. Whoever starts a row of the graph sets it.

Source: the summary c of the input sentence, which each step of the decoder reads, in Cho et al. 2014 (arXiv:1406.1078),
section 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from . import _options as options
from ._layer import Layer, Outside, States


@dataclass(frozen=True, kw_only=True)
class Given(Layer):
    """size: how many numbers of the other graph there are. initial: those before others are given, [[size]]."""

    input_option = "inputs"
    held: ClassVar[tuple[str, ...]] = ("values",)

    inputs: int
    size: int
    initial: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "inputs", "size", optional=("initial",))
        inputs = options.check_width(cls.kind, node, "inputs", width)
        size = options.check_size(node, "size", options.MAX_WIDTH - inputs)
        initial: Any = options.check_initial(node, size, 1)
        return cls(inputs=inputs, size=size, initial=initial, **common)

    def options(self) -> dict[str, Any]:
        return options.leave_out_empty(super().options(), "initial")

    @property
    def width(self) -> int:
        return self.inputs + self.size

    def describe(self) -> str:
        return f"{self.inputs}, and {self.size} of another graph"

    @property
    def outside(self) -> Outside:
        return Outside(self.size)

    def state(self) -> States:
        return self.fill({"values": (self.size,)}, self.initial)

    def hold(self, rows: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        return {"values": rows[-1]}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        return xp.concat([x, s["values"]]), s
