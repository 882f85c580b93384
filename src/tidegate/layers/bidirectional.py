"""Two recurrences over a row, one from its first step and one from its last, with their outputs side by side.

Source: Schuster and Paliwal 1997, "Bidirectional recurrent neural networks", section II.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from ..tape import Tape
from ._layer import Shape, States, Step, Use
from .recurrent import Recurrent

DIRECTIONS = ("forward", "backward")


@dataclass(frozen=True, kw_only=True)
class Bidirectional(Recurrent):
    both_directions = True

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Tape]) -> Self:
        if "initial" in node:
            raise OptionError("initial is present, but a bidirectional layer starts from zeros at both ends; remove it")
        return super().parse(node, width, tapes)

    def direction(self, way: str) -> Recurrent:
        """Return the recurrence of one direction, with its own tensors and nothing added."""
        shared = {f.name: getattr(self, f.name) for f in fields(self)}
        return Recurrent(**(shared | {"tensors": select_direction(way, self.tensors), "add": None}))

    @property
    def width(self) -> int:
        return 2 * super().width

    def describe(self) -> str:
        return super().describe() + ", both directions"

    def shapes(self) -> dict[str, Shape]:
        shapes = super().shapes()
        return {f"{way}.{role}": shape for way in DIRECTIONS for role, shape in shapes.items()}

    def use(self, role: str) -> Use:
        return super().use(role.split(".", 1)[1])

    def init(self, rng: np.random.Generator, role: str, params: Mapping[str, float]) -> npt.NDArray[np.float32]:
        way, own = role.split(".", 1)
        return self.direction(way).init(rng, own, params)

    def state(self) -> States:
        return {}

    def carried(self) -> States:
        return self.declared_state()

    @property
    def whole_window(self) -> str:
        return "it reads each input in both directions"

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        return super(Recurrent, self).step(xp, t, s, x, steps)

    def whole(self, xp: Any, t: dict[str, Any], xs: list[Any], step: Step | None = None) -> list[Any]:
        """Run both directions over a whole row."""
        forward, backward = (self.direction(way) for way in DIRECTIONS)
        ahead = forward.whole(xp, select_direction("forward", t), xs, step)
        back = backward.whole(xp, select_direction("backward", t), xs[::-1], step)[::-1]
        return [xp.concat([a, b]) for a, b in zip(ahead, back, strict=True)]


def select_direction(way: str, t: Mapping[str, Any]) -> dict[str, Any]:
    """Select the tensors of one direction, named by the roles of a recurrent layer.

    >>> select_direction("backward", {"forward.W": 1, "backward.W": 2, "backward.p.alpha": 3})
    {'W': 2, 'p.alpha': 3}
    """
    return {role.split(".", 1)[1]: v for role, v in t.items() if role.startswith(way + ".")}
