"""A convolution over time: y_t = activation(W (a window of steps) + b), with zeros outside the row.

If it is causal, the window is the last k steps, and the layer streams. If it is centred, the window goes from
(k - 1) // 2 steps back to k // 2 steps ahead, and the layer needs the whole row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, States, Step, Use
from .dense import ACTIVATIONS, activate, describe_activation

MAX_STEPS = 4096


@dataclass(frozen=True, kw_only=True)
class Conv(Layer):
    """window: k, the steps that one output reads; `width` in the model file."""

    input_option = "inputs"
    uses: ClassVar[Mapping[str, Use]] = {"weight": "matrix"}

    inputs: int
    size: int
    window: int
    centred: bool
    activation: str

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "inputs", "size", "width", "centred", "activation")
        inputs = options.check_width(cls.kind, node, "inputs", width)
        window, centred = options.check_size(node, "width", MAX_STEPS), node["centred"]
        if inputs * window > options.MAX_WIDTH:
            raise OptionError(
                f"width {window} times inputs {inputs} is over {options.MAX_WIDTH}; use a narrower window"
            )
        if type(centred) is not bool:
            raise OptionError(f"centred is {centred!r}; expected true or false")
        if centred and window == 1:
            raise OptionError(
                "centred is true and width is 1; a window of one step has no centre, so set centred to false"
            )
        activation = options.check_choice(node, "activation", ACTIVATIONS)
        size = options.check_size(node, "size")
        return cls(inputs=inputs, size=size, window=window, centred=centred, activation=activation, **common)

    def options(self) -> dict[str, Any]:
        return {("width" if name == "window" else name): v for name, v in super().options().items()}

    @property
    def width(self) -> int:
        return self.size

    def describe(self) -> str:
        where = "centred window" if self.centred else "window"
        return f"{self.inputs} -> {self.size}, {where} of {self.window}{describe_activation(self.activation)}"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.size, self.window * self.inputs), "bias": (self.size,)}

    def state(self) -> States:
        return {} if self.centred or self.window == 1 else {"past": ((self.window - 1, self.inputs), 0.0)}

    @property
    def whole_window(self) -> str:
        ahead = self.window // 2
        return f"its convolution looks {ahead} step{'s' * (ahead > 1)} ahead" if self.centred else ""

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        if not s:
            return self.apply(xp, t, x), {}
        older, wide = self.window - 1, self.inputs
        window = xp.concat([s["past"].reshape(x.shape[0], older * wide), x])
        return self.apply(xp, t, window), {"past": xp.push(s["past"], x)}

    def whole(self, xp: Any, t: dict[str, Any], xs: list[Any], step: Step | None = None) -> list[Any]:
        """Run over whole rows. At the ends of a centred one, steps outside the row are zeros and are left out."""
        if not self.centred:
            return super().whole(xp, t, xs, step)
        k, wide, out = self.window, self.inputs, []
        for i in range(len(xs)):
            first = i - (k - 1) // 2
            here = range(max(0, first), min(len(xs), first + k))
            W = t["weight"][:, (here.start - first) * wide : (here.stop - first) * wide]
            out.append(self.apply(xp, {**t, "weight": W}, xp.concat(xs[here.start : here.stop])))
        return out

    def apply(self, xp: Any, t: dict[str, Any], window: Any) -> Any:
        """Compute the output from the steps of the window, side by side, the oldest first."""
        return activate(xp, self.activation, xp.affine(window, t["weight"], t["bias"]))
