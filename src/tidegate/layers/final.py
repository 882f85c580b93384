"""The final states of both directions of a bidirectional layer, side by side, as classifiers usually read them.

The first half of the numbers comes from the last step of the row, where the forward direction ends; the second half
comes from the first step, where the backward direction ends. In torch.nn: `torch.cat([h_n[-2], h_n[-1]], -1)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, Step


@dataclass(frozen=True, kw_only=True)
class Final(Layer):
    repeats = True

    size: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size")
        if (size := options.check_width(cls.kind, node, "size", width)) % 2:
            raise OptionError(f"size is {size}; expected an even number, half of it for each direction")
        return cls(size=size, **common)

    @property
    def width(self) -> int:
        return self.size

    @property
    def whole_window(self) -> str:
        return "it takes the final states of both directions"

    def whole(self, xp: Any, t: dict[str, Any], xs: list[Any], step: Step | None = None) -> list[Any]:
        """Return the same output for every step, as only the whole row has final states."""
        forward, _ = xp.split(xs[-1], 2)
        _, backward = xp.split(xs[0], 2)
        return [xp.concat([forward, backward])] * len(xs)
