"""What a task makes of its data for the training loop: rows, how answers are judged, and the model's parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]


class Rows(Protocol):
    """What is learnt from, row by row. lengths: steps of each."""

    lengths: Indices

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> tuple[Array, Indices, Array]:
        """Rows side by side: x [T, B, ...] padded with 0 on the right, lengths [B], targets [B, ...].

        random: for training; what is left out or moved of the input is drawn from it.
        """


class Evaluator(Protocol):
    """How answers to held-out rows choose the weights, and what they say about the outputs."""

    metric: str
    lower: bool  # whether less of the metric is better

    def figures(self, outputs: Array, targets: Array) -> dict[str, float]:
        """The metric and others by name, of outputs [n, ...] before any softmax."""

    def value(self, figures: dict[str, float]) -> tuple[float, float]:
        """What figures are worth: more is better, the second number decides between equal first ones."""

    def tolerance(self, best: float, figures: dict[str, float], rows: int) -> float:
        """How far below the best value an epoch with these figures may be and still be kept."""

    def adjustment(self, outputs: Array, targets: Array) -> list[float]:
        """What, learnt from held-out rows, is folded into the last dense layer."""

    def adjusted(self, outputs: Array, adjustment: list[float]) -> Array:
        """Outputs as they are after the adjustment."""

    def cross_adjusted(self, outputs: Array, targets: Array, folds: Indices) -> Array:
        """Outputs, those of each fold after the adjustment that the other folds give. folds: that of each row [n]."""

    def adjust(self, network: Any, adjustment: list[float]) -> None:
        """Folds an adjustment into a network's last dense layer."""

    def provenance(self, adjustment: list[float]) -> dict[str, Any]:
        """What provenance says about an adjustment."""


@dataclass(frozen=True)
class Problem:
    """All that the loop and the model file need.

    options: as decided. kept, held: indices of rows that are learnt from, and that choose the weights. every: the
    outputs of every step are learnt from, not those of the last one. weights: of classes, or [1]. features: width of a
    step, None for token ids. taken: for each source, what it was taken for. given: first weights that the data decides.
    most: rows of an epoch, drawn anew for each; None: all. about: more for the provenance. groups: for each row, the
    number of those that it stays with; None: each is by itself. notes: for each source, sentences about its rows.
    """

    options: Any
    rows: Rows
    train_rows: Indices
    valid_rows: Indices
    evaluator: Evaluator
    input: dict[str, Any]
    arrays: dict[str, Array]
    features: int | None
    layers: list[dict[str, Any]]
    tapes: dict[str, Any]
    labels: list[str] | None
    summaries: list[str]
    weights: npt.NDArray[np.float32]
    per_step: bool = False
    initial: dict[str, Array] = field(default_factory=dict)
    rows_per_epoch: int | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    groups: Indices | None = None
    notes: list[list[str]] = field(default_factory=list)


def pad(rows: list[Array]) -> tuple[Array, Indices]:
    """Rows [T, ...] of one dtype side by side: [T, B, ...], padded with 0 on the right, and lengths [B]."""
    lengths = np.array([len(row) for row in rows], np.int64)
    whole = np.zeros((int(lengths.max()), len(rows), *rows[0].shape[1:]), rows[0].dtype)
    for b, row in enumerate(rows):
        whole[: len(row), b] = row
    return whole, lengths
