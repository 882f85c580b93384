"""A convolution over time: y_t = activation(W (a window of steps) + b), with zeros outside the row.

The window is the last k steps or, if the layer looks n steps ahead, goes from k - 1 - n steps back to n steps ahead;
then an output comes n steps late in a stream. Older files have centred convolutions, which look k // 2 steps ahead and,
as these files say, need the whole row.
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
    """window: k, the steps that one output reads; `width` in the model file. ahead: how many of them are later ones.

    centred: whether the file says so in place of `ahead`.
    """

    input_option = "inputs"
    uses: ClassVar[Mapping[str, Use]] = {"weight": "matrix"}

    inputs: int
    size: int
    window: int
    ahead: int = 0
    centred: bool = False
    activation: str

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        way = "ahead" if "ahead" in node else "centred"
        common = options.check_keys(cls.kind, node, "inputs", "size", "width", way, "activation")
        inputs = options.check_width(cls.kind, node, "inputs", width)
        window, centred = options.check_size(node, "width", MAX_STEPS), node.get("centred", False)
        ahead = node.get("ahead", 0)
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
        if type(ahead) is not int or not 0 <= ahead < window:
            raise OptionError(f"ahead is {ahead!r}; expected an integer of 0 to {window - 1}, less than width")
        ahead = window // 2 if centred else ahead
        activation = options.check_choice(node, "activation", ACTIVATIONS)
        size = options.check_size(node, "size")
        return cls(
            inputs=inputs, size=size, window=window, ahead=ahead, centred=centred, activation=activation, **common
        )

    def options(self) -> dict[str, Any]:
        left_out = "centred" if self.ahead and not self.centred else "ahead"  # a file has one of them
        named = {("width" if name == "window" else name): v for name, v in super().options().items()}
        return {name: v for name, v in named.items() if name != left_out}

    @property
    def width(self) -> int:
        return self.size

    def describe(self) -> str:
        where = "centred window" if self.centred else "window"
        ahead = f", {self.ahead} ahead" if self.ahead and not self.centred else ""
        return f"{self.inputs} -> {self.size}, {where} of {self.window}{ahead}{describe_activation(self.activation)}"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.size, self.window * self.inputs), "bias": (self.size,)}

    def state(self) -> States:
        return {} if self.centred or self.window == 1 else {"past": ((self.window - 1, self.inputs), 0.0)}

    @property
    def look_ahead(self) -> int:
        return self.ahead

    @property
    def whole_window(self) -> str:
        return f"its convolution looks {count_steps(self.ahead)} ahead" if self.centred else ""

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        if not s:
            return self.apply(xp, t, x), {}
        older, wide = self.window - 1, self.inputs
        window = xp.concat([s["past"].reshape(x.shape[0], older * wide), x])
        return self.apply(xp, t, window), {"past": xp.push(s["past"], x)}

    def whole(self, xp: Any, t: dict[str, Any], xs: list[Any], step: Step | None = None) -> list[Any]:
        """Run over whole rows. If it looks ahead, steps outside the row are zeros and are left out."""
        if not self.ahead:
            return super().whole(xp, t, xs, step)
        k, wide, out = self.window, self.inputs, []
        for i in range(len(xs)):
            first = i + self.ahead - (k - 1)
            here = range(max(0, first), min(len(xs), first + k))
            W = t["weight"][:, (here.start - first) * wide : (here.stop - first) * wide]
            out.append(self.apply(xp, {**t, "weight": W}, xp.concat(xs[here.start : here.stop])))
        return out

    def apply(self, xp: Any, t: dict[str, Any], window: Any) -> Any:
        """Compute the output from the steps of the window, side by side, the oldest first."""
        return activate(xp, self.activation, xp.affine(window, t["weight"], t["bias"]))


def count_steps(steps: int) -> str:
    """Return "1 step", "2 steps" and so on."""
    return f"{steps} step{'s'[: steps != 1]}"
