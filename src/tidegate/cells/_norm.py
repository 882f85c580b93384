"""The dialect norm=layer of every cell: each input part and each recurrent product is normalised over H separately.

    x.g     becomes norm(x.g) * gain_x_g + bias_x_g
    R.g(v)  becomes norm(R.g(v)) * gain_h_g + bias_h_g

Source: Ba et al. 2016 (arXiv:1607.06450), equations 20 to 22.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tape import Shape

Step = Callable[..., Any]


def norm_params(gates: tuple[str, ...], recurrent: tuple[str, ...]) -> dict[str, Shape]:
    """Return the shapes of the gains and biases, each H wide."""
    ends = [f"x_{g}" for g in gates] + [f"h_{g}" for g in recurrent]
    return {f"{what}_{end}": ("H",) for end in ends for what in ("gain", "bias")}


def add_layer_norm(step: Step) -> Step:
    """Return the step with its input parts and recurrent products normalised."""

    def inner(op: Any, x: Any, R: Any, p: Any, s: Any, **dialect: str) -> Any:
        def normalise(value: Any, end: str) -> Any:
            return op.norm(value) * getattr(p, f"gain_{end}") + getattr(p, f"bias_{end}")

        return step(op, NormalisedInputs(x, normalise), NormalisedMaps(R, normalise), p, s, **dialect)

    return inner


class NormalisedInputs:
    """The input parts of a step, normalised."""

    def __init__(self, names: Any, normalise: Step) -> None:
        self._names, self._normalise = names, normalise

    def __getattr__(self, name: str) -> Any:
        return self._normalise(getattr(self._names, name), f"x_{name}")


class NormalisedMaps:
    """The recurrent maps of a step, with normalised products; the projection, if any, stays as it is."""

    def __init__(self, names: Any, normalise: Step) -> None:
        self._names, self._normalise = names, normalise

    def __getattr__(self, name: str) -> Any:
        map_of = getattr(self._names, name)
        return map_of if name == "project" else lambda v: self._normalise(map_of(v), f"h_{name}")
