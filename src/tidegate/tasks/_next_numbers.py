"""Vectors of series without labels: after each step they predict the numbers of the steps that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ..document import scoring
from ._next_step import OUTPUT, NextStep, next_rows, spread_steps
from ._sequences import Sequences, Steps
from .base import Array, Batch, Indices, Predictions, Tensors

if TYPE_CHECKING:
    import torch

WEIGHT, BIAS = "weight", "bias"  # names of the tensors of the head
LAYER_MEAN, LAYER_DEVIATION = "layers.0.mean", "layers.0.deviation"  # where a model keeps how it scales series
MOST_MEASURED: Final = 256  # steps of a row that held-out figures measure, spread evenly
DELTA: Final = 1.0  # deviations from which on the Huber loss grows linearly


@dataclass(frozen=True)
class Scaling:
    """How the numbers of steps are scaled before they are predicted: the columns of data, not flags or the calendar.

    mean, deviation: of the columns, float32 [columns]. flags: whether as many flags of missing numbers follow them.
    """

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    flags: bool

    @classmethod
    def of(cls, tensors: Mapping[str, Array], columns: int, flags: bool) -> Scaling:
        """Return the scaling that a model's first layer does, if it does one: `tensors` has its statistics."""
        mean, deviation = tensors.get(LAYER_MEAN, np.zeros(columns)), tensors.get(LAYER_DEVIATION, np.ones(columns))
        return cls(mean[:columns].astype(np.float32), deviation[:columns].astype(np.float32), flags)

    def targets(self, x: Steps, lengths: Indices) -> Steps:
        """Return the scaled numbers of the step after each one, float32 [N, columns], NaN where there is none."""
        following = next_rows(self.scale(x), lengths, np.nan)
        if self.flags:
            C = len(self.mean)
            following[next_rows(x[:, C : 2 * C], lengths, 0) > 0] = np.nan  # what was filled in is no observation
        return following

    def scale(self, x: Steps) -> Steps:
        """Return the scaled numbers of steps [N, features], float32 [N, columns]."""
        scaled: Steps = (x[:, : len(self.mean)] - self.mean) / self.deviation
        return scaled


class NumbersToCome:
    """Rows of series; the targets of each step are the scaled numbers of the next one, float32 [N, columns]."""

    def __init__(self, sequences: Sequences, scaling: Scaling) -> None:
        self.sequences, self.scaling, self.lengths = sequences, scaling, sequences.lengths

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """See `Rows`: in training, rows are shifted and stretched, and then noise is added to what is read alone."""
        batch = self.sequences.batch(rows)
        x, augmentation = batch.inputs["x"], self.sequences.augmentation
        if random is not None:
            x = replace(augmentation, noise=0.0).apply(x, batch.lengths, random)
        targets = self.scaling.targets(x, batch.lengths)
        counts = np.asarray(np.isfinite(targets).any(1))
        if random is None:
            last = self.scaling.scale(x)
            targets, counts = np.stack([targets, last], 1), counts & spread_steps(batch.lengths, MOST_MEASURED)
        else:
            x = replace(augmentation, gain=0.0, shift=0.0).apply(x, batch.lengths, random)
        lengths = {OUTPUT: batch.lengths}
        return replace(batch, inputs={"x": x}, targets={OUTPUT: targets}, target_lengths=lengths, mask={OUTPUT: counts})


def first_tensors(scaling: Scaling, size: int, seed: int) -> dict[str, Array]:
    """Return the first values of the head's tensors."""
    columns, random = len(scaling.mean), np.random.default_rng([seed, 0x3EAD])
    weight = random.standard_normal((columns, size)) / np.sqrt(size)
    return {WEIGHT: weight.astype(np.float32), BIAS: np.zeros(columns, np.float32)}


def load_tensors(
    provenance: Mapping[str, Any], tensors: Mapping[str, Array], size: int, columns: int
) -> dict[str, Array]:
    """Return the head's tensors in a model file. size: of a vector. Raises ModelFileError for a file without them."""
    return scoring.load(provenance, tensors, {WEIGHT: (columns, size), BIAS: (columns,)})


@dataclass(frozen=True, kw_only=True)
class NextNumbers(NextStep):
    """Series whose vectors predict the numbers of the next step."""

    metric: str = "loss"

    def loss(
        self,
        outputs: Tensors,
        batch: Batch,
        tensors: Tensors | None = None,
        random: np.random.Generator | None = None,
    ) -> torch.Tensor:
        """Compute the Huber loss of the next step's scaled numbers, so that single spikes do not outweigh the rest.

        Source: Huber 1964, doi:10.1214/aoms/1177703732.
        """
        import torch
        from torch.nn.functional import huber_loss

        assert tensors is not None
        vectors, targets = outputs[OUTPUT], torch.from_numpy(batch.targets[OUTPUT])
        known = targets.isfinite()
        if not bool(known.any()):
            return vectors.sum() * 0
        predicted = vectors @ tensors[WEIGHT].T + tensors[BIAS]
        return huber_loss(predicted[known], targets[known], delta=DELTA)

    def measure(self, predictions: Predictions) -> dict[str, float]:
        following, last = predictions.targets[OUTPUT].swapaxes(0, 1)
        return measure_numbers(predictions.outputs[OUTPUT], following, last, predictions.tensors)


def measure_numbers(
    vectors: npt.NDArray[Any], following: npt.NDArray[Any], last: npt.NDArray[Any], tensors: Any
) -> dict[str, float]:
    """Compute the figures of predictions of the next step, next to those of a step like the last one.

    vectors: [n, size]. following, last: the scaled numbers of the next step and of the last one, [n, columns], NaN
    where a number is missing. loss: Huber. error, error_of_repeating: mean absolute errors, in deviations.
    """
    known = np.isfinite(following) & np.isfinite(last)
    error = np.abs(vectors @ tensors[WEIGHT].T + tensors[BIAS] - following)[known].astype(np.float64)
    repeated = np.abs(last - following)[known].astype(np.float64)
    huber = np.where(error < DELTA, error**2 / 2, DELTA * (error - DELTA / 2))
    figures = {"loss": huber, "error": error, "error_of_repeating": repeated}
    return {name: float(values.mean()) for name, values in figures.items()}
