"""A running sum of the rows that token ids select, over the root of a running sum of squares.

After t steps the output is the sum of `weight`, [rows, size], over all ids of steps 1 to t, divided by the root of the
sum of `square`, [rows, 1], over the same ids. With the rows of a linear model, each times the inverse document
frequency of its n-gram, and the squares of these frequencies, it is what the model makes of a text so far: tf-idf that
streams. A negative id stands for none.

Source: Salton and Buckley 1988, Term-weighting approaches in automatic text retrieval, section 4, with a norm over
occurrences in place of terms, so that it is a running sum too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from . import _options as options
from ._layer import Layer, States, Use

LEAST: Final = 1e-6  # of the sum of squares, so that a text without any known id gives zeros


@dataclass(frozen=True, kw_only=True)
class RunningBag(Layer):
    input_option = ""
    uses: ClassVar[Mapping[str, Use]] = {"weight": "table", "square": "fixed"}
    looked_up = ("square",)
    skips_absent = True
    fitted_apart = True

    rows: int
    size: int
    most: int

    @classmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Any]) -> Self:
        common = options.check_keys(cls.kind, node, "rows", "size", "most")
        rows = options.check_size(node, "rows", options.MAX_ROWS)
        if width is not None:
            raise OptionError(f"running_bag takes token ids; its input is {width} numbers")
        if (most := options.check_size(node, "most", options.MAX_IDS)) < 2:
            raise OptionError(f"most is {most}; expected an integer of 2 to {options.MAX_IDS}")
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

    def describe(self) -> str:
        return f"{self.rows} -> {self.size}, the normalised sum of up to {self.most} a step"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.rows, self.size), "square": (self.rows, 1)}

    def init(self, rng: np.random.Generator, role: str, params: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Return ones for the squares, which whoever fits the weights replaces."""
        return np.ones((self.rows, 1), np.float32) if role == "square" else super().init(rng, role, params)

    def state(self) -> States:
        return {"sum": ((self.size,), 0.0), "squares": ((1,), 0.0)}

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        total = s["sum"] + xp.bag(t["weight"], x)
        squares = s["squares"] + xp.bag(t["square"], x)
        return total / xp.sqrt(xp.maximum(squares, LEAST)), {"sum": total, "squares": squares}
