"""Two recurrences over a row, one from its first step and one from its last, with their outputs side by side.

Source: Schuster and Paliwal 1997, "Bidirectional recurrent neural networks", section II.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import OptionError
from ..tape import Tape
from . import recurrent

DIRECTIONS = ("forward", "backward")


def check(layer: dict[str, Any], width_in: int | None, tapes: dict[str, Tape]) -> int:
    if "initial" in layer:
        raise OptionError("initial is present, but a bidirectional layer starts from zeros at both ends; remove it")
    return 2 * recurrent.check(layer, width_in, tapes)


def tensors(layer: dict[str, Any], tapes: dict[str, Tape]) -> dict[str, tuple[int, ...]]:
    shapes = recurrent.tensors(layer, tapes)
    return {f"{way}.{role}": shape for way in DIRECTIONS for role, shape in shapes.items()}


def state(layer: dict[str, Any], tapes: dict[str, Tape]) -> dict[str, tuple[tuple[int, ...], float]]:
    return {}


def run_state(layer: dict[str, Any], tapes: dict[str, Tape]) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return the state that each direction carries from step to step within one run: name -> (shape, first value)."""
    return recurrent.state(layer, tapes)


def whole_window(layer: dict[str, Any]) -> str:
    return "it reads each input in both directions"


def select_direction(way: str, t: dict[str, Any]) -> dict[str, Any]:
    """Select the tensors of one direction, named by the roles of a recurrent layer.

    >>> select_direction("backward", {"forward.W": 1, "backward.W": 2, "backward.p.alpha": 3})
    {'W': 2, 'p.alpha': 3}
    """
    return {role.split(".", 1)[1]: v for role, v in t.items() if role.startswith(way + ".")}


def whole(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Tape], t: dict[str, Any], xs: list[Any], step: Any = recurrent.step
) -> list[Any]:
    """Run both directions over a whole row. step: computes one step of a direction, as `recurrent.step` does."""
    ahead = run_direction(xp, layer, tapes, select_direction("forward", t), xs, step)
    back = run_direction(xp, layer, tapes, select_direction("backward", t), xs[::-1], step)[::-1]
    return [xp.concat([a, b]) for a, b in zip(ahead, back, strict=True)]


def run_direction(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Tape], t: dict[str, Any], xs: list[Any], step: Any
) -> list[Any]:
    """Run one recurrence over the steps in the order of `xs`, from zeros."""
    s: dict[str, Any] = {
        name: np.full((xs[0].shape[0], *shape), fill) for name, (shape, fill) in recurrent.state(layer, tapes).items()
    }
    out = []
    for x in xs:
        y, s = step(xp, layer, tapes, t, s, x, None)
        out.append(y)
    return out
