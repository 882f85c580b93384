"""How large each number is, both as it stands and beside its own recent size: the larger of the two.

    y = max(min(|x|, trusted), min(|x| / root(square), most)),   square = square + share (x² - square)

The running mean of squares begins at 1, that of numbers of unit variance, and does not count the present step yet. So
what is far from its unit counts up to `trusted`, however long it lasts; and numbers that are always large count by how
they change, up to `most`. The first `wait` steps leave the mean as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, States

LEAST: Final = 1e-6  # of the mean square, so that a column that stands still has a size at all
MOST: Final = 1e6
MOST_WAIT: Final = 1 << 20  # steps


@dataclass(frozen=True, kw_only=True)
class RecentScale(Layer):
    """share: what the newest step counts in the mean. trusted, most: the largest output, by either size."""

    size: int
    share: float
    trusted: float
    most: float
    wait: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size", "share", "trusted", "most", "wait")
        size = options.check_width(cls.kind, node, "size", width)
        for key, least, largest in (("share", 1e-6, 1.0), ("trusted", 0.0, MOST), ("most", 0.0, MOST)):
            if type(value := node[key]) is not float or not least <= value <= largest:
                raise OptionError(f"{key} is {value!r}; expected a number with a point, from {least:g} to {largest:g}")
        if type(wait := node["wait"]) is not int or not 0 <= wait <= MOST_WAIT:
            raise OptionError(f"wait is {wait!r}; expected an integer of 0 to {MOST_WAIT}")
        own = {key: node[key] for key in ("share", "trusted", "most")}
        return cls(size=size, wait=wait, **own, **common)

    @property
    def width(self) -> int:
        return self.size

    @property
    def registers(self) -> int:
        return self.program.numbers

    def describe(self) -> str:
        return f"of {self.size}, over about {round(1 / self.share):,} steps"

    def state(self) -> States:
        return {"square": ((self.size,), 1.0)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        large, before = xp.abs(x), s["square"]
        recent = large / xp.sqrt(xp.maximum(before, LEAST))
        y = xp.maximum(xp.minimum(large, self.trusted), xp.minimum(recent, self.most))
        square = before + self.share * (x * x - before)
        if self.wait:
            square = xp.select(xp.less(steps, self.wait + 0.5), before, square)
        return y, {"square": square}
