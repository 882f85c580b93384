"""Softmax: turn scores into probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from . import _options as options
from ._layer import Layer


@dataclass(frozen=True, kw_only=True)
class Softmax(Layer):
    size: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size")
        return cls(size=options.check_width(cls.kind, node, "size", width), **common)

    @property
    def width(self) -> int:
        return self.size

    @property
    def ends_in(self) -> str:
        return "softmax"

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        e = xp.exp(x - xp.peak(x))
        return e / xp.sum(e), {}

    def logits(self, xp: Any, t: dict[str, Any], x: Any) -> Any:
        return x
