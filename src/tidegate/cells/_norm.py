"""The dialect norm=layer of every cell: each input part and each recurrent product normalised over H, apart.

    x.g     becomes norm(x.g) * gain_x_g + bias_x_g
    R.g(v)  becomes norm(R.g(v)) * gain_h_g + bias_h_g

Source: Ba et al. 2016 (arXiv:1607.06450), equations 20 to 22.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tape import Shape

Step = Callable[..., Any]


def params(gates: tuple[str, ...], recurrent: tuple[str, ...]) -> dict[str, Shape]:
    """The gains and biases, each H wide."""
    ends = [f"x_{g}" for g in gates] + [f"h_{g}" for g in recurrent]
    return {f"{what}_{end}": ("H",) for end in ends for what in ("gain", "bias")}


def normed(step: Step) -> Step:
    """The step whose input parts and recurrent products are normalised."""

    def inner(op: Any, x: Any, R: Any, p: Any, s: Any, **dialect: str) -> Any:
        def part(value: Any, end: str) -> Any:
            return op.norm(value) * getattr(p, f"gain_{end}") + getattr(p, f"bias_{end}")

        return step(op, Parts(x, part), Maps(R, part), p, s, **dialect)

    return inner


class Parts:
    """The input parts, normalised."""

    def __init__(self, names: Any, part: Step) -> None:
        self._names, self._part = names, part

    def __getattr__(self, name: str) -> Any:
        return self._part(getattr(self._names, name), f"x_{name}")


class Maps:
    """The recurrent maps, their products normalised; a projection is none of them."""

    def __init__(self, names: Any, part: Step) -> None:
        self._names, self._part = names, part

    def __getattr__(self, name: str) -> Any:
        map_of = getattr(self._names, name)
        return map_of if name == "project" else lambda v: self._part(map_of(v), f"h_{name}")
