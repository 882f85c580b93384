"""Vectors that are learnt without labels: what the loss of the next step needs, whatever the steps are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from .base import Batch, Dropout, Forward, Indices, Problem, Tensors

if TYPE_CHECKING:
    import torch

OUTPUT: Final = "vector"  # the name of an encoder's output
MOST_MEASURED: Final = 32  # steps of a row that held-out figures and `score` measure, spread evenly


@dataclass(frozen=True, kw_only=True)
class NextStep(Problem):
    """Rows whose vector after each step predicts the next step, by a head that is trained with it.

    Source: the objective of a recurrent language model, Mikolov et al. 2010 (Interspeech), here for any steps.
    """

    lower: bool = True

    def step_outputs(self) -> set[str]:
        return {OUTPUT}

    def dropout(self, random: np.random.Generator) -> Dropout:
        return Dropout(self.options.drop_embed, self.options.drop_pool, random)

    def train_loss(self, network: Forward, batch: Batch, random: np.random.Generator) -> torch.Tensor:
        """Compute the loss of the next steps. It is that of every step, so no prefix of a row needs one of its own."""
        dropout = self.dropout(random)
        (outputs,) = network.outputs(network.run(batch, dropout), [batch.lengths], dropout)
        return self.loss(outputs, batch, network.tensors, random)

    def loss(
        self,
        outputs: Tensors,
        batch: Batch,
        tensors: Tensors | None = None,
        random: np.random.Generator | None = None,
    ) -> torch.Tensor:
        """Compute the loss of what follows the steps of a batch, a scalar. tensors, random: of the training step."""
        raise NotImplementedError(f"{type(self).__name__} has no loss")


def spread_steps(lengths: Indices, most: int = MOST_MEASURED) -> npt.NDArray[np.bool_]:
    """Choose at most `most` steps of each row, evenly: bool [N], for packed rows of these lengths.

    >>> spread_steps(np.array([2, 5]), 2).tolist()
    [True, True, True, False, True, False, False]
    """
    chosen = np.zeros(int(lengths.sum()), np.bool_)
    for start, length in zip(np.cumsum(lengths) - lengths, lengths, strict=True):
        chosen[start + np.arange(min(length, most)) * length // min(length, most)] = True
    return chosen


def next_rows(x: npt.NDArray[Any], lengths: Indices, nothing: Any) -> npt.NDArray[Any]:
    """Return what follows each of the packed steps [N, ...] in its row; `nothing` at the end of a row.

    >>> next_rows(np.array([1, 2, 3, 4]), np.array([3, 1]), 0).tolist()
    [2, 3, 0, 0]
    """
    following = np.roll(x, -1, 0)
    following[np.cumsum(lengths) - 1] = nothing
    return following
