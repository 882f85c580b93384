"""A Sequential that may contain recurrences."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from .transforms import NotScriptable


class Sequential(NotScriptable, torch.nn.Sequential):
    """A `torch.nn.Sequential` that passes on the outputs of a recurrence and drops its states.

    An embedding, recurrences, norms and linear layers then form one model with an output at every step.
    `tidegate.from_torch` reads it and `tidegate.to_torch` returns it. Input: that of the first module. Output: that of
    the last.

    >>> model = Sequential(torch.nn.Embedding(10, 4), torch.nn.GRU(4, 8), torch.nn.Linear(8, 2))
    >>> model(torch.zeros(5, 3, dtype=torch.int64)).shape  # T, B, outputs
    torch.Size([5, 3, 2])
    """

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
            if isinstance(input, tuple) and not isinstance(input, PackedSequence):
                input = input[0]
        return input
