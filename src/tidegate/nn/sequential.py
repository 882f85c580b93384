"""A sequence of modules that may hold recurrences."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from .transforms import NotScriptable


class Sequential(NotScriptable, torch.nn.Sequential):
    """`torch.nn.Sequential` that passes the output sequence of a recurrence on and drops its states.

    So an embedding, recurrences, norms and linear layers make a model of every step, which `tidegate.from_torch` can
    read and `tidegate.to_torch` returns. Input and output: as the modules take and give them.

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
