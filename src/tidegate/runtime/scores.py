"""What a model says after a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Scores:
    """The model's output, or why there is none yet.

    values: float32 [outputs], or None. reason: why values is None, otherwise "". labels: the outputs' names,
    or None.

    >>> scores = Scores(np.array([0.25, 0.75], np.float32), ["no", "yes"])
    >>> scores.label, scores.score, scores.top(1)
    ('yes', 0.75, [('yes', 0.75)])
    >>> Scores(None, ["no", "yes"], "no complete word yet").label is None
    True
    """

    __slots__ = ("labels", "reason", "values")

    def __init__(self, values: npt.NDArray[np.float32] | None, labels: list[str] | None, reason: str = "") -> None:
        self.values, self.labels, self.reason = values, labels, reason

    @property
    def label(self) -> str | None:
        """The label of the largest value; None without values or labels."""
        if self.values is None or self.labels is None:
            return None
        return self.labels[int(self.values.argmax())]

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
        """For JSON: label, score and scores by label; values alone without labels; nulls and a reason without
        values.

        >>> Scores(None, None, "no step yet").as_dict()
        {'values': None, 'reason': 'no step yet'}
        """
        listed = None if self.values is None else self.values.tolist()
        why = {"reason": self.reason} if self.values is None else {}
        if self.labels is None:
            return {"values": listed, **why}
        named = None if listed is None else dict(zip(self.labels, listed, strict=True))
        return {"label": self.label, "score": self.score, "scores": named, **why}

    def __repr__(self) -> str:
        if self.values is None:
            return f"Scores(None, {self.reason!r})"
        return f"Scores({', '.join(f'{name}: {value:.3f}' for name, value in self.top(3))})"
