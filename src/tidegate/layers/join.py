"""What the sources give, side by side and unchanged; it ends a graph whose outputs are read from several layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from . import _options as options
from ._layer import Layer


@dataclass(frozen=True, kw_only=True)
class Join(Layer):
    copies = True

    size: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "size")
        return cls(size=options.check_width(cls.kind, node, "size", width), **common)

    @property
    def width(self) -> int:
        return self.size

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        return x, {}
