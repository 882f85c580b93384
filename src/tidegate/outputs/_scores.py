"""Scores: an answer that has a number for each label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ._reject import Reject
from .base import LazyAnswer, shortest_decimals

THRESHOLD: Final = 0.5

Floats = npt.NDArray[np.float32]


def select_labels(
    values: Floats, labels: list[str], multi_label: bool, threshold: float = THRESHOLD, reject: Reject | None = None
) -> list[list[str]]:
    """Return the labels of each row of values [n, labels]: that of the largest, or if multi-label those from the
    threshold on. reject: the rule by which a row has none.

    >>> select_labels(np.array([[0.9, 0.5, 0.1], [0.4, 0.2, 0.0]]), ["a", "b", "c"], True)
    [['a', 'b'], []]
    """
    if not multi_label:
        none = [reject is not None and bool(reject.reason(row)) for row in values]
        return [[] if without else [labels[i]] for without, i in zip(none, values.argmax(-1).tolist(), strict=True)]
    return [[labels[i] for i in np.flatnonzero(row)] for row in values >= threshold]


class Scores(LazyAnswer[Floats]):
    """The model's output after a step, or the reason why there is none yet.

    values: float32 [outputs], or None; if one is not finite, they become None, with a reason. reason: why values is
    None, or why there is no label in spite of them; else "". labels: the names of the outputs, or None. multi_label:
    whether an input may have any number of labels: those with a value of at least `threshold`. convert: makes the
    values from those given, when they are first read; None: copies them. reject: the rule by which an input has none
    of the labels, or None.

    >>> scores = Scores(np.array([0.25, 0.75], np.float32), ["no", "yes"])
    >>> scores.label, scores.score, scores.top(1)
    ('yes', 0.75, [('yes', 0.75)])
    >>> Scores(None, ["no", "yes"], "no complete word yet").label is None
    True
    >>> Scores(np.array([0.75, 0.5, 0.25], np.float32), ["rain", "wind", "sun"], multi_label=True).predicted_labels
    ['rain', 'wind']
    >>> from tidegate.outputs import Reject
    >>> scores = Scores(np.array([0.25, 0.375], np.float32), ["no", "yes"], reject=Reject("max_probability", 0.5))
    >>> scores.label, scores.score, scores.reason
    (None, 0.375, 'out of scope: the largest probability is 0.375, below 0.5')
    """

    __slots__ = ("labels", "multi_label", "reject", "threshold")

    def __init__(
        self,
        values: Floats | None,
        labels: list[str] | None,
        reason: str = "",
        multi_label: bool = False,
        threshold: float = THRESHOLD,
        convert: Callable[[Floats], Floats] | None = None,
        reject: Reject | None = None,
    ) -> None:
        super().__init__(values, reason, convert)
        self.labels, self.multi_label, self.threshold, self.reject = labels, multi_label, threshold, reject

    def __reduce__(self) -> tuple[Any, ...]:
        values, reason = self._settle()
        return Scores, (values, self.labels, reason, self.multi_label, self.threshold, None, self.reject)

    @property
    def reason(self) -> str:
        """Why there are no values, or why there is no label in spite of them; "" if there is one."""
        values, reason = self._settle()
        return reason if values is None or self.reject is None else self.reject.reason(values)

    @property
    def label(self) -> str | None:
        """The label of the largest value; None without values or labels, or if the rule `reject` says so.

        If multi-label, it is given even if its value is below the threshold; see `predicted_labels`.
        """
        values = self.values
        if values is None or self.labels is None or self.reason:
            return None
        return self.labels[int(values.argmax())]

    @property
    def predicted_labels(self) -> list[str]:
        """The label of the largest value, or if multi-label all labels with a value from the threshold on, in order.

        Empty without values or labels, or if the rule `reject` says so.
        """
        values = self.values
        if values is None or self.labels is None:
            return []
        return select_labels(values[None], self.labels, self.multi_label, self.threshold, self.reject)[0]

    @property
    def score(self) -> float | None:
        """The largest value, whether its label is given or not: a probability if values are; None without values."""
        return None if (values := self.values) is None else float(values.max())

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the k largest values with their labels, or indices without labels, largest first; ties by index."""
        if (values := self.values) is None:
            return []
        order = np.argsort(-values, kind="stable")[:k].tolist()
        return [(str(i) if self.labels is None else self.labels[i], float(values[i])) for i in order]

    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
        """Return a dict for JSON: `label`, `score` and `scores` by label, and if multi-label `labels` too.

        all_scores: whether to give `scores`. Without labels the dict has only `values`. Without values they are None,
        and `reason` says why. Where the rule `reject` says that there is no label, only `label` is None.

        >>> Scores(None, None, "no step yet").as_dict()
        {'values': None, 'reason': 'no step yet'}
        """
        values = None if self.values is None else shortest_decimals(self.values)
        reason = {"reason": why} if (why := self.reason) else {}
        if self.labels is None:
            return {"values": values, **reason}
        result: dict[str, Any] = {"label": self.label, "score": None if values is None else max(values)}
        if self.multi_label:
            result["labels"] = self.predicted_labels
        if all_scores:
            result["scores"] = None if values is None else dict(zip(self.labels, values, strict=True))
        return {**result, **reason}

    def __repr__(self) -> str:
        if self.values is None:
            return f"Scores(None, {self.reason!r})"
        largest = ", ".join(f"{name}: {value:.3f}" for name, value in self.top(3))
        return f"Scores({largest}; {self.reason})" if self.reason else f"Scores({largest})"
