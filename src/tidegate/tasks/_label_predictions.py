"""What `predict` prints and writes of labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..text_tables import escape_breaks, shorten, shortest_decimal

MAX_NAME = 60
SEPARATOR = "|"  # of labels in a table, if the model was not trained on a file with one


@dataclass(frozen=True)
class LabelPrediction:
    """The prediction for one input.

    noun: what it is, text or series. name: the text, or the name of the series. answer: its scores, or the reason why
    there are none. top: how many labels to print, or None for all that are predicted.
    """

    noun: str
    name: str
    answer: Any
    top: int | None

    def labels(self) -> list[tuple[str, float]]:
        """Return the labels to print with their probabilities, most likely first; ties in the order of the model."""
        values = self.answer.values
        if values is None:
            return []
        count = len(self.answer.predicted_labels) if self.top is None else self.top
        return [(self.answer.labels[i], shortest_decimal(values[i])) for i in select_largest(values, count)]

    def as_dict(self) -> dict[str, Any]:
        """Return an object for JSON; without an answer its label and score are null, and `reason` says why."""
        result = {self.noun: self.name, **self.answer.as_dict(all_scores=False)}
        return {**result, "top": [list(pair) for pair in self.labels()]} if self.top and self.top > 1 else result

    def as_row(self, separator: str) -> list[Any]:
        """Return the cells of a table, see `list_columns`. separator: joins the labels of a row that can have several.

        The second label and those after it are among the largest `top` of the same numbers, so the first is `label`,
        unless a rule can leave that out.
        """
        one, count = self.as_dict(), min(self.top or 1, len(self.answer.labels))
        pairs: list[Any] = [*one.get("top", []), *[[None, None]] * count][:count]
        several = [separator.join(one["labels"])] if "labels" in one else []
        may_lack = self.answer.reject is not None
        further = [cell for pair in pairs[0 if may_lack and count > 1 else 1 :] for cell in pair]
        reason = [one.get("reason")] if may_lack else []
        return [self.name, one["label"], one["score"], *several, *further, *reason]

    def format(self) -> str:
        labels = ", ".join(f"{escape_breaks(label)} {score:.3f}" for label, score in self.labels())
        if reason := self.answer.reason:
            labels = f"(none: {reason}) {labels}".rstrip()
        return f"{labels or '(none)'}\t{shorten(self.name, MAX_NAME)}"


@dataclass(frozen=True)
class LabelPredictions:
    """The predictions for all inputs.

    several: whether an input can have several labels. separator: joins them. may_lack: whether a rule can leave out the
    label of an input that has scores.
    """

    predictions: Sequence[LabelPrediction]
    noun: str
    top: int
    several: bool
    separator: str
    may_lack: bool = False
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def columns(self) -> dict[str, type]:
        return list_columns(self.noun, self.top, self.several, self.may_lack)

    def rows(self) -> Iterator[list[Any]]:
        return (one.as_row(self.separator) for one in self.predictions)

    def records(self) -> Iterator[dict[str, Any]]:
        return (one.as_dict() for one in self.predictions)

    def format(self, width: int | None, unicode: bool) -> Iterator[str]:
        return (one.format() for one in self.predictions)


def select_largest(row: Any, k: int) -> list[int]:
    """Return the indices of the k largest of some numbers, largest first; ties in the order of the row.

    >>> select_largest(np.array([0.1, 0.3, 0.3, 0.2]), 2)
    [1, 2]
    """
    if 0 < k < len(row):
        least = np.partition(row, -k)[-k]
        chosen = np.flatnonzero(row >= least)
        if len(chosen) >= k:  # fewer only if a number is NaN
            return [int(i) for i in chosen[np.argsort(-row[chosen], kind="stable")][:k]]
    return [int(i) for i in np.argsort(-row, kind="stable")[:k]]


def list_columns(noun: str, top: int, several: bool, may_lack: bool = False) -> dict[str, type]:
    """List the columns of a table of predictions and the types of their cells.

    Where `label` may be left out although there are scores, `label_1` is that of the largest score, and `reason` says
    why.

    >>> list(list_columns("text", 2, False))
    ['text', 'label', 'score', 'label_2', 'score_2']
    >>> list(list_columns("text", 2, False, True))
    ['text', 'label', 'score', 'label_1', 'score_1', 'label_2', 'score_2', 'reason']
    """
    labels = {"labels": str} if several else {}
    pairs = ({f"label_{k}": str, f"score_{k}": float} for k in range(1 if may_lack and top > 1 else 2, top + 1))
    further = {name: cell for pair in pairs for name, cell in pair.items()}
    return {noun: str, "label": str, "score": float, **labels, **further, **({"reason": str} if may_lack else {})}
