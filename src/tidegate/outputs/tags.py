"""Tags: each step has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._label_names import LOGITS, check_label_names, check_scores, softmax
from .base import NOT_FINITE, Answer, Context, Output, check_common, is_finite, shortest_decimals

Floats = npt.NDArray[np.float32]


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> TagsOutput:
    """Check the entry of tags and return its output. Raises ModelFileError."""
    place = f"outputs.{name}"
    own = check_common(place, entry, "step", width, "labels", "scores")
    check_label_names(f"{place}.labels", entry["labels"], own)
    check_scores(place, entry)
    return TagsOutput(name, entry, width)


class Tags(Answer):
    """The tags of one step or several, or the reason why there are none.

    values: float32 [T, tags], the probability of each tag after each step, or None. reason: why values is None, else
    "". labels: the names of all tags.

    >>> tags = Tags(np.array([[0.25, 0.75], [1.0, 0.0]], np.float32), ["O", "B-city"])
    >>> tags.tags, tags.scores
    (['B-city', 'O'], [0.75, 1.0])
    >>> tags.as_dict(all_scores=False)
    {'tags': ['B-city', 'O'], 'scores': [0.75, 1.0]}
    """

    __slots__ = ("_reason", "_values", "labels")

    def __init__(self, values: Floats | None, labels: list[str], reason: str = "") -> None:
        self._values, self.labels, self._reason = values, labels, reason

    def __reduce__(self) -> tuple[Any, ...]:
        return Tags, (self._values, self.labels, self._reason)

    @property
    def values(self) -> Floats | None:
        """The probability of each tag after each step: float32 [T, tags], or None."""
        return self._values

    @property
    def reason(self) -> str:
        """Why there are no values; "" if there are."""
        return self._reason

    @property
    def tags(self) -> list[str] | None:
        """The tag of each step: that of the largest probability; None without values."""
        return None if self._values is None else [self.labels[i] for i in self._values.argmax(-1).tolist()]

    @property
    def scores(self) -> list[float] | None:
        """The probability of each step's tag; None without values."""
        return None if self._values is None else shortest_decimals(self._values.max(-1))

    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
        """Return a dict for JSON: `tags` and their `scores`, one for each step.

        all_scores: give `all_scores` too, the probability of each tag by name, for each step. Without values they are
        None, and `reason` says why.
        """
        result: dict[str, Any] = {"tags": self.tags, "scores": self.scores}
        if self._values is None:
            return {**result, "reason": self._reason}
        if all_scores:
            rows = [dict(zip(self.labels, shortest_decimals(row), strict=True)) for row in self._values]
            result["all_scores"] = rows
        return result

    def __repr__(self) -> str:
        return f"Tags(None, {self._reason!r})" if self._values is None else f"Tags({' '.join(self.tags or [])})"


class TagsOutput(Output):
    """A tag for each step. The answer about a whole input has those of all its steps."""

    kind = "tags"
    per_step = True
    whole_reason = "this model tags every step; use answers, which gives a tag for each"
    labels: list[str]

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        super().__init__(name, entry, width)
        self.labels = list(entry["labels"])
        self.from_logits = entry["scores"] == LOGITS

    def convert(self, values: Floats, scaling: Any = None) -> Floats:
        own = self.select(values)
        return softmax(own) if self.from_logits else own

    def answer(self, values: Floats | None, context: Context | None = None, reason: str = "") -> Tags:
        """Return the tag of a step, or the tags of several. values: those of the node [all] or [T, all]."""
        if reason or values is None:
            return Tags(None, self.labels, reason)
        scores = self.convert(values)
        if not is_finite(scores):
            return Tags(None, self.labels, NOT_FINITE)
        return Tags(scores.reshape(-1, self.width).copy(), self.labels)
