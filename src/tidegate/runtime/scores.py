"""Scores: the output of a model after a step, by label."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..model import LABEL_THRESHOLD


def select_labels(values: npt.NDArray[np.float32], labels: list[str], multi_label: bool) -> list[list[str]]:
    """Return the labels of each row of values [n, labels]: that of the largest, or if multi-label all of at least 0.5.

    >>> select_labels(np.array([[0.9, 0.5, 0.1], [0.4, 0.2, 0.0]]), ["a", "b", "c"], True)
    [['a', 'b'], []]
    """
    if not multi_label:
        return [[labels[i]] for i in values.argmax(-1).tolist()]
    return [[labels[i] for i in np.flatnonzero(row)] for row in values >= LABEL_THRESHOLD]


class Scores:
    """The model's output after a step, or the reason why there is none yet.

    values: float32 [outputs], or None. reason: why values is None, else "". labels: the names of the outputs, or None.
    multi_label: whether an input may have any number of labels (`Model.multi_label`).

    >>> scores = Scores(np.array([0.25, 0.75], np.float32), ["no", "yes"])
    >>> scores.label, scores.score, scores.top(1)
    ('yes', 0.75, [('yes', 0.75)])
    >>> Scores(None, ["no", "yes"], "no complete word yet").label is None
    True
    >>> Scores(np.array([0.75, 0.5, 0.25], np.float32), ["rain", "wind", "sun"], multi_label=True).predicted_labels
    ['rain', 'wind']
    """

    __slots__ = ("labels", "multi_label", "reason", "values")

    def __init__(
        self,
        values: npt.NDArray[np.float32] | None,
        labels: list[str] | None,
        reason: str = "",
        multi_label: bool = False,
    ) -> None:
        self.values, self.labels, self.reason, self.multi_label = values, labels, reason, multi_label

    def __reduce__(self) -> tuple[Any, ...]:
        return Scores, (self.values, self.labels, self.reason, self.multi_label)

    @property
    def label(self) -> str | None:
        """The label of the largest value; None without values or labels, and if a value is NaN.

        If multi-label, it is given even if its value is below 0.5; see `predicted_labels`.
        """
        if self.values is None or self.labels is None or np.isnan(self.values).any():
            return None
        return self.labels[int(self.values.argmax())]

    @property
    def predicted_labels(self) -> list[str]:
        """The label of the largest value, or if multi-label all labels with a value of at least 0.5, in order.

        Empty without values or labels, and if a value is NaN.
        """
        if self.values is None or self.labels is None or np.isnan(self.values).any():
            return []
        return select_labels(self.values[None], self.labels, self.multi_label)[0]

    @property
    def score(self) -> float | None:
        """The largest value: the label's probability if the model ends in a softmax; None without values."""
        return None if self.values is None else float(self.values.max())

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """Return the k largest values with their labels, or indices without labels, largest first; ties by index."""
        if self.values is None:
            return []
        order = np.argsort(-self.values, kind="stable")[:k].tolist()
        return [(str(i) if self.labels is None else self.labels[i], float(self.values[i])) for i in order]

    def as_dict(self) -> dict[str, Any]:
        """Return a dict for JSON: `label`, `score` and `scores` by label, and if multi-label `labels` too.

        Without labels it has only `values`. Without values they are None, and `reason` says why.

        >>> Scores(None, None, "no step yet").as_dict()
        {'values': None, 'reason': 'no step yet'}
        """
        values = None if self.values is None else self.values.tolist()
        reason = {"reason": self.reason} if self.values is None else {}
        if self.labels is None:
            return {"values": values, **reason}
        scores = None if values is None else dict(zip(self.labels, values, strict=True))
        labels = {"labels": self.predicted_labels} if self.multi_label else {}
        return {"label": self.label, "score": self.score, **labels, "scores": scores, **reason}

    def __repr__(self) -> str:
        if self.values is None:
            return f"Scores(None, {self.reason!r})"
        return f"Scores({', '.join(f'{name}: {value:.3f}' for name, value in self.top(3))})"
