"""The contract between tasks and the training loop: rows, evaluation, and the parts of a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..layers import Layer

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]


class Rows(Protocol):
    """Rows of training data. lengths: the number of steps of each."""

    lengths: Indices

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> tuple[Array, Indices, Array]:
        """Stack rows into a batch: x [T, B, ...] padded with 0 at the end, lengths [B], targets [B, ...].

        random: given in training; dropout and augmentation of the input are drawn from it.
        """


class Evaluator(Protocol):
    """Evaluates outputs on held-out rows, which selects the weights and may adjust the last layer."""

    metric: str
    lower_is_better: bool  # of `metric`

    def figures(self, outputs: Array, targets: Array) -> dict[str, float]:
        """Compute the metric and others by name from outputs [n, ...] before any softmax."""

    def value(self, figures: dict[str, float]) -> tuple[float, float]:
        """Rank an epoch by its figures: higher is better, and the second number breaks ties."""

    def tolerance(self, best: float, figures: dict[str, float], rows: int) -> float:
        """Return how far below the best value an epoch with these figures may be and still be kept."""

    def fit_adjustment(self, outputs: Array, targets: Array) -> list[float]:
        """Fit on held-out rows what is folded into the last dense layer."""

    def apply_adjustment(self, outputs: Array, adjustment: list[float]) -> Array:
        """Return the outputs after the adjustment."""

    def cross_adjust(self, outputs: Array, targets: Array, folds: Indices) -> Array:
        """Adjust the outputs of each fold by what the other folds give. folds: that of each row [n]."""

    def fold_adjustment(self, network: Any, adjustment: list[float]) -> None:
        """Fold an adjustment into a network's last dense layer."""

    def provenance(self, adjustment: list[float]) -> dict[str, Any]:
        """Describe an adjustment for the model file's provenance."""


@dataclass(frozen=True)
class Problem:
    """All that the training loop and the model file need.

    options: complete, with every default that depends on the data decided. train_rows, valid_rows: indices of the
    training rows, and of the held-out rows that select the weights. input, arrays: the document's input section and its
    tensors. features: width of a step, None for token ids. summaries: for each source, how it was read. weights: of
    classes, or [1]. per_step: the loss covers the outputs of all steps instead of the last one's. initial: initial
    weights that the data determine. rows_per_epoch: drawn anew for each epoch; None: all. provenance: further entries
    of the provenance. groups: the number of each row's group; None: each is by itself. notes: for each source,
    sentences about its rows.
    """

    options: Any
    rows: Rows
    train_rows: Indices
    valid_rows: Indices
    evaluator: Evaluator
    input: dict[str, Any]
    arrays: dict[str, Array]
    features: int | None
    layers: list[Layer]
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
    """Stack rows [T, ...] of one dtype: [T, B, ...], padded with 0 at the end, and their lengths [B]."""
    lengths = np.array([len(row) for row in rows], np.int64)
    whole = np.zeros((int(lengths.max()), len(rows), *rows[0].shape[1:]), rows[0].dtype)
    for b, row in enumerate(rows):
        whole[: len(row), b] = row
    return whole, lengths
