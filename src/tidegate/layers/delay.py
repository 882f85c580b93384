"""A delay: the input of `steps` steps ago, so that it meets outputs that are as late because a layer looks ahead.

Its output belongs to the step that its input was of. So in a graph it is a layer that looks ahead and uses nothing of
what it sees; over a whole row, it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, States, Step

MAX_STEPS: Final = 1024


@dataclass(frozen=True, kw_only=True)
class Delay(Layer):
    copies = True

    size: int
    steps: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size", "steps")
        size = options.check_width(cls.kind, node, "size", width)
        steps = options.check_size(node, "steps", MAX_STEPS)
        if steps * size > options.MAX_WIDTH:
            raise OptionError(f"steps {steps} times size {size} is over {options.MAX_WIDTH}; use fewer steps")
        return cls(size=size, steps=steps, **common)

    @property
    def width(self) -> int:
        return self.size

    @property
    def look_ahead(self) -> int:
        return self.steps

    def describe(self) -> str:
        return f"of {self.size}, {self.steps} step{'s' * (self.steps > 1)}"

    def state(self) -> States:
        return {"past": ((self.steps, self.size), 0.0)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        past = s["past"].reshape(x.shape[0], self.steps * self.size)
        return xp.split(past, self.steps)[0], {"past": xp.push(s["past"], x)}

    def whole(self, xp: Any, t: dict[str, Any], xs: list[Any], step: Step | None = None) -> list[Any]:
        return xs
