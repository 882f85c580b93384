"""What `predict` prints and writes of vectors that come without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..text_tables import escape_breaks, shorten
from ._label_predictions import MAX_NAME

MAX_NUMBERS: Final = 6  # of a vector that people see


@dataclass(frozen=True)
class PlainVectors:
    """The vectors of all inputs. noun: what an input is, text or series. names: of the inputs, in the same order.

    answers: of the output `vector`. width: of a vector.
    """

    noun: str
    names: Sequence[str]
    answers: Sequence[Any]
    width: int
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def columns(self) -> dict[str, type]:
        return {self.noun: str, **{f"vector_{k}": float for k in range(1, self.width + 1)}}

    def rows(self) -> Iterator[list[Any]]:
        """Iterate over the rows of a table, in which each number of a vector has a column of its own."""
        nothing = [None] * self.width
        for name, one in zip(self.names, self.answers, strict=True):
            yield [name, *(nothing if one.values is None else one.as_dict()["vector"])]

    def records(self) -> Iterator[dict[str, Any]]:
        return ({self.noun: name, **one.as_dict()} for name, one in zip(self.names, self.answers, strict=True))

    def format(self, width: int | None, unicode: bool) -> Iterator[str]:
        """Format the first numbers of each vector, and the name of its input."""
        for name, one in zip(self.names, self.answers, strict=True):
            yield f"{format_vector(one)}\t{shorten(escape_breaks(name), MAX_NAME)}"

    def vectors(self) -> npt.NDArray[np.float32]:
        """Return the vectors, float32 [n, width]; one of NaN for an input without an answer."""
        return stack_vectors(self.answers, self.width)


def stack_vectors(answers: Sequence[Any], width: int) -> npt.NDArray[np.float32]:
    """Return the vectors of answers, float32 [n, width]; one of NaN for an answer without values."""
    nothing = np.full(width, np.nan, np.float32)
    return np.stack([nothing if one.values is None else one.values for one in answers])


def format_vector(answer: Any) -> str:
    """Format the first numbers of a vector, or the reason why there is none.

    >>> from ..outputs.vector import Vector
    >>> format_vector(Vector(np.array([0.5, -0.25], np.float32))), format_vector(Vector(np.zeros(9, np.float32)))
    ('0.500 -0.250', '0.000 0.000 0.000 0.000 0.000 0.000 ...')
    """
    if answer.values is None:
        return f"(none: {answer.reason})"
    shown = " ".join(f"{value:.3f}" for value in answer.values[:MAX_NUMBERS])
    return shown + " ..." * (len(answer.values) > MAX_NUMBERS)
