"""How far each number is from what the step before forecast of it, in units of that forecast's spread, and from zero.

An input has parts of `columns` numbers end to end: the present values, the forecast of the next ones, the spread of
that forecast, and perhaps flags of values that are missing, 1 each. With the forecast and the spread of the step
before, the output is

    (value - forecast) / max(spread, deviation),   and behind these the values themselves,

each at least -most and at most `most`. The first step has no forecast before it, so its errors are zeros. A missing
value gives two zeros, and then the others are multiplied by the root of columns / known, so that the mean of their
squares is over those that are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, States, Use

PARTS: Final = (3, 4)
MOST: Final = 1e6  # whose square is far from the largest float32


@dataclass(frozen=True, kw_only=True)
class Surprise(Layer):
    """columns: how many values a step has. most: the largest output. deviation: the least that an error is divided by,
    so that a column that hardly ever changes has an output at all.
    """

    uses: ClassVar[Mapping[str, Use]] = {"deviation": "fixed"}

    size: int
    columns: int
    most: float

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size", "columns", "most")
        size, columns = options.check_width(cls.kind, node, "size", width), options.check_size(node, "columns")
        if size not in [parts * columns for parts in PARTS]:
            raise OptionError(f"columns is {columns}; expected a third or a quarter of size, which is {size}")
        if type(most := node["most"]) is not float or not 1.0 <= most <= MOST:
            raise OptionError(f"most is {most!r}; expected a number such as 100.0, from 1 to {MOST:.0f}")
        return cls(size=size, columns=columns, most=most, **common)

    @property
    def width(self) -> int:
        return 2 * self.columns

    @property
    def registers(self) -> int:
        return self.program.numbers

    def describe(self) -> str:
        missing = ", with flags of missing ones" if self.size == 4 * self.columns else ""
        return f"of {self.columns} values{missing}, at most {self.most:g}"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"deviation": (self.columns,)}

    def init(self, rng: np.random.Generator, role: str, params: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Return ones, which the task replaces."""
        return np.ones(self.columns, np.float32)

    def state(self) -> States:
        return {"forecast": ((self.columns,), 0.0), "spread": ((self.columns,), 0.0)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        value, forecast, spread, *flags = xp.split(x, self.size // self.columns)
        error = (value - s["forecast"]) / xp.maximum(s["spread"], t["deviation"])
        y = xp.concat([xp.select(xp.less(steps, 1.5), 0.0, error), value])
        y = xp.minimum(xp.maximum(y, -self.most), self.most)
        if flags:
            known = xp.sum(1.0 - flags[0])
            missing = xp.concat([flags[0], flags[0]])
            y = xp.select(missing, 0.0, y) * xp.sqrt(self.columns / xp.maximum(known, 1.0))
        return y, {"forecast": forecast, "spread": spread}
