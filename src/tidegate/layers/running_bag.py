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
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from ._layer import States, Use
from .bag import Bag

LEAST: Final = 1e-6  # of the sum of squares, so that a text without any known id gives zeros


@dataclass(frozen=True, kw_only=True)
class RunningBag(Bag):
    uses: ClassVar[Mapping[str, Use]] = {"weight": "table", "square": "fixed"}
    looked_up = ("square",)
    fitted_apart = True

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
