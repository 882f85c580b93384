"""An embedding: each token id selects a row of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, Use


@dataclass(frozen=True, kw_only=True)
class Embed(Layer):
    input_option = ""
    uses: ClassVar[Mapping[str, Use]] = {"weight": "table"}

    rows: int
    size: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "rows", "size")
        rows = options.check_size(node, "rows", options.MAX_ROWS)
        if width is not None:
            raise OptionError(f"embed takes token ids; its input is {width} numbers")
        return cls(rows=rows, size=options.check_size(node, "size"), **common)

    @property
    def width(self) -> int:
        return self.size

    @property
    def ids(self) -> int:
        return self.rows

    def describe(self) -> str:
        return f"{self.rows} -> {self.size}"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.rows, self.size)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        return xp.take(t["weight"], x), {}
