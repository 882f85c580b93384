"""Rows with labels and what a classifier answers about them, of which scores are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _metrics
from ._labels import Targets
from .base import Indices


class Decisions(NamedTuple):
    """Decisions, each with the probability that the model gave it.

    row: int64 [n], the row of each. probability: float64 [n]. right: bool [n].
    """

    row: Indices
    probability: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class AnsweredRows:
    """Rows of a file, with the truth and the answers.

    probabilities: float [n, labels], any numbers for a row without an answer. truth: int64 [n], -1 for a label that the
    model does not know; or of rows with any number of labels bool [n, m], where columns from `labels` on are of labels
    that it does not know. labels: of the model. empty: bool [n], the rows without an answer. threshold: the probability
    from which on a label is predicted, where a row may have several. rejected: bool [n], the rows whose label is not
    given although they have probabilities; None: there are none.

    >>> rows = AnsweredRows(np.array([[.9, .1], [.4, .6]]), np.array([0, 0]), ["no", "yes"], np.zeros(2, bool), 0.5)
    >>> rows.predicted.tolist(), rows.measure()["accuracy"]
    ([0, 1], 0.5)
    """

    probabilities: npt.NDArray[Any]
    truth: Targets
    labels: Sequence[str]
    empty: npt.NDArray[np.bool_]
    threshold: float
    rejected: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def several(self) -> bool:
        """Whether a row may have several labels."""
        return self.truth.ndim == 2

    @property
    def predicted(self) -> npt.NDArray[Any]:
        """The predicted label of each row, int64 [n], `len(labels)` without an answer; or of several bool [n, m]."""
        if not self.several:
            without = self.empty if self.rejected is None else self.empty | self.rejected
            return np.where(without, len(self.labels), self.probabilities.argmax(1))
        return _metrics.predict_labels(self.probabilities, self.truth.shape, self.empty, self.threshold)

    def select(self, rows: Indices) -> AnsweredRows:
        """Return some of the rows."""
        own = {name: getattr(self, name)[rows] for name in ("probabilities", "truth", "empty")}
        return replace(self, **own, rejected=None if self.rejected is None else self.rejected[rows])

    def measure(self) -> dict[str, Any]:
        """Compute the metrics; see `_metrics.score`."""
        return _metrics.score(self.probabilities, self.truth, self.labels, self.empty, self.threshold, self.rejected)

    def decide(self) -> Decisions:
        """Return the decisions of the rows that have an answer, with their probabilities.

        With one label a row, a decision is that the predicted label is the row's: its probability is the largest, and
        an unknown label makes it wrong. With several, each row decides about each label that the model knows: the
        probability is that of the label, and `right` is whether the row has it, whatever is predicted.
        """
        row = np.flatnonzero(~self.empty)
        probabilities = np.asarray(self.probabilities[row], np.float64)
        if not self.several:
            right = probabilities.argmax(1) == self.truth[row]
            return Decisions(row, probabilities.max(1, initial=0.0), right)
        right = self.truth[row][:, : len(self.labels)] > 0
        return Decisions(np.repeat(row, len(self.labels)), probabilities.ravel(), right.ravel())
