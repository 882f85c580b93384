"""An embedding: each token id selects a row of a table; several ids of a step give the sum of their rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, ClassVar, Final, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, Use

MAX_IDS: Final = 64


@dataclass(frozen=True, kw_only=True)
class Embed(Layer):
    input_option = ""
    uses: ClassVar[Mapping[str, Use]] = {"weight": "table"}

    rows: int
    size: int
    ids: int = 1

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "rows", "size", *(("ids",) if "ids" in node else ()))
        rows = options.check_size(node, "rows", options.MAX_ROWS)
        if width is not None:
            raise OptionError(f"embed takes token ids; its input is {width} numbers")
        ids = options.check_size(node, "ids", MAX_IDS) if "ids" in node else 1
        return cls(rows=rows, size=options.check_size(node, "size"), ids=ids, **common)

    def options(self) -> dict[str, Any]:
        """Return the options; a file does not say that a step has one id."""
        return {name: v for name, v in super().options().items() if (name, v) != ("ids", 1)}

    @property
    def width(self) -> int:
        return self.size

    @property
    def vocabulary_size(self) -> int:
        return self.rows

    def resembles(self, other: Layer) -> bool:
        return type(self) is type(other) and self.width == other.width

    def describe(self) -> str:
        return f"{self.rows} -> {self.size}" + (f", the sum of {self.ids}" if self.ids > 1 else "")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.rows, self.size)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        columns = xp.columns(x, self.ids) if self.ids > 1 else [x]
        return reduce(add, (xp.take(t["weight"], one) for one in columns)), {}
