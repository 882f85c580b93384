"""Standardise inputs by the mean and deviation of the training data."""

from typing import Any

import torch
from torch import Tensor


class Scale(torch.nn.Module):
    """Standardises its input: (x - mean) / deviation. Nothing is learnt.

    Put it in front of a recurrence to make the scaling part of the model:
    `tidegate.from_torch(Scale(mean, deviation), gru)`.

    mean, deviation: statistics of the training data, of shape [features], stored as float32 buffers. Input and output:
    [..., features].

    >>> Scale([10.0, 0.0], [2.0, 1.0])(torch.tensor([14.0, 3.0])).tolist()
    [2.0, 3.0]
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Any, deviation: Any) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).detach().clone())
        self.register_buffer("deviation", torch.as_tensor(deviation, dtype=torch.float32).detach().clone())

    def forward(self, input: Tensor) -> Tensor:
        return (input - self.mean) / self.deviation

    def extra_repr(self) -> str:
        return f"{self.mean.numel()}"
