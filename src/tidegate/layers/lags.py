"""The latest inputs side by side, column by column, from the oldest step to this one: the window of a linear forecast.

An input is `parts` steps of a series end to end, as a window in segments gives them; without segments, it is one part.
Of each part, only the first `columns` numbers are kept. Steps before the first of a row are zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, States


@dataclass(frozen=True, kw_only=True)
class Lags(Layer):
    """steps: how many inputs there are in the output, this one included."""

    gathers = True

    size: int
    parts: int
    columns: int
    steps: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size", "parts", "columns", "steps")
        size = options.check_width(cls.kind, node, "size", width)
        parts, steps = options.check_size(node, "parts"), options.check_size(node, "steps")
        if size % parts:
            raise OptionError(f"parts is {parts}; expected a divisor of size, which is {size}")
        columns = options.check_size(node, "columns", size // parts)
        if steps * parts * columns > options.MAX_WIDTH:
            raise OptionError(
                f"steps {steps} times parts {parts} times columns {columns} is over {options.MAX_WIDTH}; use fewer"
            )
        return cls(size=size, parts=parts, columns=columns, steps=steps, **common)

    @property
    def width(self) -> int:
        return self.steps * self.parts * self.columns

    @property
    def registers(self) -> int:
        return self.program.numbers

    def describe(self) -> str:
        several = f", {self.columns} columns" if self.columns > 1 else ""
        return f"{self.size} -> {self.width}, the last {self.steps * self.parts}{several}"

    def state(self) -> States:
        """Return the inputs before this one, oldest first: of each, its columns one after another."""
        return {"past": ((self.steps - 1, self.columns * self.parts), 0.0)} if self.steps > 1 else {}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        rows, each = x.shape[0], self.size // self.parts
        kept = xp.split(x.reshape(rows, self.parts, each), each)[: self.columns]
        now = [column.reshape(rows, self.parts) for column in kept]
        if not s:
            return xp.concat(now), {}
        older = (self.steps - 1) * self.parts
        past = [column.reshape(rows, older) for column in xp.split(s["past"], self.columns)]
        out = xp.concat([numbers for pair in zip(past, now, strict=True) for numbers in pair])
        return out, {"past": xp.push(s["past"], xp.concat(now))}

    def gather(self, x: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> npt.NDArray[Any]:
        at = lengths + np.arange(-self.steps, 0)[:, None]
        latest = x[np.maximum(at, 0), np.arange(x.shape[1])]
        latest[at < 0] = 0
        kept = latest.reshape(self.steps, x.shape[1], self.parts, -1)[..., : self.columns]
        return np.ascontiguousarray(kept.transpose(1, 3, 0, 2)).reshape(x.shape[1], self.width)
