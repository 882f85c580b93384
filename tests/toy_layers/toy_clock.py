"""The input divided by the number of the step: a layer without states that reads the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tidegate.layers import Layer


@dataclass(frozen=True, kw_only=True)
class Clock(Layer):
    size: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        return cls(**node)

    @property
    def width(self) -> int:
        return self.size

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        return x / steps, {}
