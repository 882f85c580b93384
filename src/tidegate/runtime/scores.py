"""What a model says after a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..model import HOLDS


def select_labels(values: npt.NDArray[np.float32], labels: list[str], multi_label: bool) -> list[list[str]]:
    """The labels that hold in each row of values [n, labels]: the likeliest, or all from 0.5 on, in their order.

    >>> chosen(np.array([[0.9, 0.5, 0.1], [0.4, 0.2, 0.0]]), ["a", "b", "c"], True)
    [['a', 'b'], []]
    """
    if not multi_label:
        return [[labels[i]] for i in values.argmax(-1).tolist()]
    return [[labels[i] for i in np.flatnonzero(row)] for row in values >= HOLDS]


class Scores:
    """The model's output, or why there is none yet.

    values: float32 [outputs], or None. reason: why values is None, otherwise "". labels: the outputs' names,
    or None. multi_label: each label holds or not by itself (`Model.multi_label`).

    >>> scores = Scores(np.array([0.25, 0.75], np.float32), ["no", "yes"])
    >>> scores.label, scores.score, scores.top(1)
    ('yes', 0.75, [('yes', 0.75)])
    >>> Scores(None, ["no", "yes"], "no complete word yet").label is None
    True
    >>> Scores(np.array([0.75, 0.5, 0.25], np.float32), ["rain", "wind", "sun"], multi_label=True).chosen
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
        """The label of the largest value, whether it holds or not; None without values or labels, and where one is NaN,
        of which none is the largest.
        """
        if self.values is None or self.labels is None or np.isnan(self.values).any():
            return None
        return self.labels[int(self.values.argmax())]

    @property
    def chosen(self) -> list[str]:
        """The labels that hold: the one of the largest value; of a multi-label model all with a value of at least 0.5,
        in their order. Empty without values or labels, and where one is NaN.
        """
        if self.values is None or self.labels is None or np.isnan(self.values).any():
            return []
        return select_labels(self.values[None], self.labels, self.multi_label)[0]

    @property
    def score(self) -> float | None:
        """The largest value: the label's probability where the model ends in a softmax; None without
        values.
        """
        return None if self.values is None else float(self.values.max())

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The k largest values with their labels (their indices, where there are none), largest first; ties
        by index.
        """
        if self.values is None:
            return []
        order = np.argsort(-self.values, kind="stable")[:k].tolist()
        return [(str(i) if self.labels is None else self.labels[i], float(self.values[i])) for i in order]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: label, score and scores by label, of a multi-label model `labels` too, those that hold; values
        alone without labels; nulls and a reason without values.

        >>> Scores(None, None, "no step yet").as_dict()
        {'values': None, 'reason': 'no step yet'}
        """
        listed = None if self.values is None else self.values.tolist()
        why = {"reason": self.reason} if self.values is None else {}
        if self.labels is None:
            return {"values": listed, **why}
        named = None if listed is None else dict(zip(self.labels, listed, strict=True))
        several = {"labels": self.chosen} if self.multi_label else {}
        return {"label": self.label, "score": self.score, **several, "scores": named, **why}

    def __repr__(self) -> str:
        if self.values is None:
            return f"Scores(None, {self.reason!r})"
        return f"Scores({', '.join(f'{name}: {value:.3f}' for name, value in self.top(3))})"
