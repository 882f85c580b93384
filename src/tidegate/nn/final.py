"""The final states of both directions, from the outputs of a bidirectional recurrence."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from ..errors import WrongShape, WrongType
from . import packing
from .arguments import plain
from .packed import Packed
from .transforms import Unscripted, tracing

Tensor = torch.Tensor


class FinalStates(Unscripted):
    """The final state of the forward direction and that of the backward one, end to end, as many classifiers read them.

    Of a bidirectional recurrence's outputs it takes the forward half at each row's last step and the backward half at
    its first: `torch.cat([h_n[-2], h_n[-1]], -1)`. `tidegate.from_torch(embedding, gru, FinalStates(), head)` brings
    such a classifier. batch_first: as the recurrence has it.

    Input: outputs [T, B, 2 H] ([B, T, 2 H] with batch_first), [T, 2 H] of one row, or a PackedSequence, whose rows end
    at their own lengths; those of padded rows end in the padding. Output: [B, 2 H], or [2 H] for one row.

    Raises WrongType (a TypeError), WrongShape (a RuntimeError).

    >>> gru = torch.nn.GRU(3, 4, bidirectional=True)
    >>> outputs, h_n = gru(torch.randn(5, 2, 3))
    >>> torch.equal(FinalStates()(outputs), torch.cat([h_n[-2], h_n[-1]], -1))
    True
    """

    def __init__(self, batch_first: bool = False) -> None:
        super().__init__()
        self.batch_first = batch_first

    def forward(self, input: Any) -> Tensor:
        if isinstance(input, PackedSequence):
            found = self.packed(input)
            return found if input.unsorted_indices is None else found.index_select(0, input.unsorted_indices)
        if not isinstance(input, Tensor):
            raise WrongType(
                f"FinalStates: input is {type(input).__name__}; give the outputs of a recurrence, the first of its two "
                "results"
            )
        *places, width = plain(input.shape) or (1,)
        if len(places) not in (1, 2) or width % 2 or 0 in places:
            raise WrongShape(f"FinalStates: input has shape {[*places, width]}; expected [steps, rows, 2 x width]")
        time = 1 if self.batch_first and input.dim() == 3 else 0
        return halves(input.select(time, -1), input.select(time, 0))

    def packed(self, input: PackedSequence) -> Tensor:
        """Rows in the order of the packed data."""
        sizes = input.batch_sizes
        if tracing():
            raise WrongType("FinalStates: packed rows cannot be traced, as their lengths would be those of the example")
        lengths = packing.lengths_of(sizes)
        starts = sizes.cumsum(0) - sizes
        last = starts[lengths - 1] + torch.arange(len(lengths))
        return halves(input.data.index_select(0, last.to(input.data.device)), input.data[: int(sizes[0])])

    def extra_repr(self) -> str:
        return "batch_first=True" if self.batch_first else ""


def halves(last: Tensor, first: Tensor) -> Tensor:
    """The forward half at the last step and the backward half at the first: [..., 2 H]."""
    return torch.cat([last.chunk(2, -1)[0], first.chunk(2, -1)[1]], -1)


def of_entries(y: Tensor, entries: Packed) -> Tensor:
    """The same at each entry of a network: [N, 2 H] of outputs [N, 2 H]."""
    rows = torch.arange(len(entries.order))
    ends = entries.starts[entries.lengths[entries.order] - 1] + rows
    return halves(y.index_select(0, ends), y[: len(rows)]).index_select(0, entries.row)
