"""A vector that stands for the whole input: what an encoder gives, to compare or to search with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .base import Context, LazyAnswer, Output, check_common, shortest_decimals

Floats = npt.NDArray[np.float32]


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> VectorOutput:
    """Check the entry of a vector and return its output. Raises ModelFileError."""
    check_common(f"outputs.{name}", entry, "end", width)
    return VectorOutput(name, entry, width)


class Vector(LazyAnswer[Floats]):
    """The vector of an input so far, or the reason why there is none.

    >>> Vector(np.array([0.5, -1.0], np.float32)).as_dict()
    {'vector': [0.5, -1.0]}
    >>> Vector(None, "no step yet").as_dict()
    {'vector': None, 'reason': 'no step yet'}
    """

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return Vector, (self.values, self.reason)

    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
        """Return a dict for JSON."""
        values = self.values
        return {"vector": None, "reason": self.reason} if values is None else {"vector": shortest_decimals(values)}

    def __repr__(self) -> str:
        return f"Vector(None, {self.reason!r})" if self.values is None else f"Vector({len(self.values)} numbers)"


class VectorOutput(Output):
    """The numbers of a node after the last step, together; those after earlier steps are previews."""

    kind = "vector"
    at = "end"
    encodes = True

    def answer(self, values: Floats | None, context: Context | None = None, reason: str = "") -> Vector:
        return Vector(None, reason) if reason or values is None else Vector(self.select(values))
