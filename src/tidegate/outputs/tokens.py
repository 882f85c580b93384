"""Tokens that a decoder writes at the end of an input: a reply, a translation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError
from ._label_names import check_label_names
from .base import Context, LazyAnswer, Output, check_common

Indices = npt.NDArray[np.int64]
ALONE: Final = "this graph runs without its decoder, so nothing is written"


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> TokensOutput:
    """Check the entry of tokens and return its output. Raises ModelFileError."""
    place = f"outputs.{name}"
    check_label_names(f"{place}.labels", entry.get("labels"), check_common(place, entry, "end", width, "labels"))
    return TokensOutput(name, entry, width)


class Tokens(LazyAnswer[Indices]):
    """What was written, or the reason why nothing was.

    values: int64 [T], the ids, with that of the end if it was reached; or None. reason: why values is None, else "".
    labels: the names of all ids. end: the id of the end. write: makes the ids, when they are first read.

    >>> tokens = Tokens(np.array([2, 3, 0]), ["<end>", "<begin>", "no", "way"], 0)
    >>> tokens.tokens, tokens.is_complete
    (['no', 'way'], True)
    >>> tokens.as_dict()
    {'tokens': ['no', 'way'], 'complete': True}
    """

    __slots__ = ("end", "labels")

    def __init__(
        self,
        values: Indices | None,
        labels: list[str],
        end: int,
        reason: str = "",
        write: Callable[[Any], Indices] | None = None,
    ) -> None:
        super().__init__(values, reason, write)
        self.labels, self.end = labels, end

    def __reduce__(self) -> tuple[Any, ...]:
        return Tokens, (self.values, self.labels, self.end, self.reason)

    @property
    def tokens(self) -> list[str] | None:
        """The tokens that were written, without that of the end; None without values."""
        return None if (ids := self.values) is None else [self.labels[i] for i in ids.tolist() if i != self.end]

    @property
    def is_complete(self) -> bool:
        """Whether the end was written, and not the most tokens that the decoder writes."""
        return (ids := self.values) is not None and self.end in ids[-1:]

    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
        """Return a dict for JSON."""
        if self.values is None:
            return {"tokens": None, "reason": self.reason}
        return {"tokens": self.tokens, "complete": self.is_complete}

    def __repr__(self) -> str:
        return f"Tokens(None, {self.reason!r})" if self.values is None else f"Tokens({' '.join(self.tokens or [])!r})"


class TokensOutput(Output):
    """The ids that a decoder writes, which drives a graph of its own. labels: the names of all ids."""

    kind = "tokens"
    at = "end"
    decoded = "the ids that it writes"
    whole_reason = "this model writes tokens; use answers, which gives what it writes about each input"
    labels: list[str]

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        super().__init__(name, entry, width)
        self.labels = list(entry["labels"])

    @property
    def end(self) -> int:
        """The id of the end."""
        if self.decoder is None:
            raise ModelFileError(f"outputs.{self.name}.from: reads a node; an output of kind tokens needs a decoder")
        return self.decoder.end

    def answer(self, values: Any, context: Context | None = None, reason: str = "") -> Tokens:
        """Return the answer at the end, which is written when it is first read. `context.roll` writes it."""
        if reason or context is None or context.roll is None:
            return Tokens(None, self.labels, self.end, reason or ALONE)
        roll = context.roll
        return Tokens(np.zeros(0, np.int64), self.labels, self.end, write=lambda _: roll())
