"""y = activation(W x + b)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from . import _options as options
from ._layer import Layer, Use

ACTIVATIONS = ("none", "relu", "tanh", "sigmoid")


@dataclass(frozen=True, kw_only=True)
class Dense(Layer):
    input_option = "inputs"
    uses: ClassVar[Mapping[str, Use]] = {"weight": "matrix"}
    is_affine = True

    inputs: int
    size: int
    activation: str = "none"

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "inputs", "size", "activation")
        inputs = options.check_width(cls.kind, node, "inputs", width)
        activation = options.check_choice(node, "activation", ACTIVATIONS)
        return cls(inputs=inputs, size=options.check_size(node, "size"), activation=activation, **common)

    @property
    def width(self) -> int:
        return self.size

    @property
    def ends_in(self) -> str:
        return self.activation if self.activation == "sigmoid" else ""

    def describe(self) -> str:
        return f"{self.inputs} -> {self.size}" + describe_activation(self.activation)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.size, self.inputs), "bias": (self.size,)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        return activate(xp, self.activation, self.logits(xp, t, x)), {}

    def logits(self, xp: Any, t: dict[str, Any], x: Any) -> Any:
        return xp.affine(x, t["weight"], t["bias"])


def activate(xp: Any, activation: str, y: Any) -> Any:
    """Apply an activation, one of ACTIVATIONS."""
    return y if activation == "none" else getattr(xp, activation)(y)


def describe_activation(activation: str) -> str:
    """Describe an activation behind other options; nothing for none."""
    return "" if activation == "none" else f", {activation}"
