"""An exponentially weighted mean of the squares of each number, behind the mean of these.

    mean = mean + share (x² - mean),   output = (mean over all numbers, mean)

The mean begins at 1, that of numbers of unit variance, and the first `wait` steps leave it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, States

MOST_WAIT = 1 << 20  # steps


@dataclass(frozen=True, kw_only=True)
class MeanSquare(Layer):
    """share: what the newest step counts. wait: how many steps at the start count nothing."""

    size: int
    share: float
    wait: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size", "share", "wait")
        if type(share := node["share"]) is not float or not 1e-6 <= share <= 1.0:
            raise OptionError(f"share is {share!r}; expected a number such as 0.1, from 0.000001 to 1")
        if type(wait := node["wait"]) is not int or not 0 <= wait <= MOST_WAIT:
            raise OptionError(f"wait is {wait!r}; expected an integer of 0 to {MOST_WAIT}")
        return cls(size=options.check_width(cls.kind, node, "size", width), share=share, wait=wait, **common)

    @property
    def width(self) -> int:
        return 1 + self.size

    @property
    def registers(self) -> int:
        return self.program.numbers

    def describe(self) -> str:
        wait = f", after {self.wait} steps" if self.wait else ""
        return f"of {self.size}, the newest counts {self.share:g}{wait}"

    def state(self) -> States:
        return {"mean": ((self.size,), 1.0)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        mean = s["mean"] + self.share * (x * x - s["mean"])
        if self.wait:
            mean = xp.select(xp.less(steps, self.wait + 0.5), s["mean"], mean)
        return xp.concat([xp.mean(mean), mean]), {"mean": mean}
