"""A bag of token ids: the sum of the rows that the ids of a step select, in order; a negative id stands for none.

Unlike embed with several ids, a step has any number of ids up to `most`, such as the hashed n-grams of a word.

Source: Joulin et al. 2017 (arXiv:1607.01759), section 2, with a sum in place of the mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, Use


@dataclass(frozen=True, kw_only=True)
class Bag(Layer):
    input_option = ""
    uses: ClassVar[Mapping[str, Use]] = {"weight": "table"}
    skips_absent = True

    rows: int
    size: int
    most: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "rows", "size", "most")
        rows = options.check_size(node, "rows", options.MAX_ROWS)
        if width is not None:
            raise OptionError(f"{cls.kind} takes token ids; its input is {width} numbers")
        if (most := options.check_size(node, "most", options.MAX_IDS)) < 2:
            raise OptionError(
                f"most is {most}; expected an integer of 2 to {options.MAX_IDS}, as embed takes single ids"
            )
        return cls(rows=rows, size=options.check_size(node, "size"), most=most, **common)

    @property
    def width(self) -> int:
        return self.size

    @property
    def ids(self) -> int:
        return self.most

    @property
    def vocabulary_size(self) -> int:
        return self.rows

    def resembles(self, other: Layer) -> bool:
        return type(self) is type(other) and self.width == other.width

    def describe(self) -> str:
        return f"{self.rows} -> {self.size}, the sum of up to {self.most}"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.rows, self.size)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        return xp.bag(t["weight"], x), {}
