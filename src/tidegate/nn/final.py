"""Select the final states of both directions from the outputs of a bidirectional recurrence."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from ..errors import WrongShape, WrongType
from . import packing
from .arguments import as_integers
from .packed import PackedLayout
from .transforms import NotScriptable, is_jit_tracing

Tensor = torch.Tensor


class FinalStates(NotScriptable):
    """Concatenates the final states of the forward and the backward direction, as most classifiers do.

    From the outputs of a bidirectional recurrence it selects the forward half at the last step of each row and the
    backward half at the first: `torch.cat([h_n[-2], h_n[-1]], -1)`. Use it to convert such a classifier:
    `tidegate.from_torch(embedding, gru, FinalStates(), head)`. batch_first: the same as in the recurrence.

    Input: outputs [T, B, 2 H] ([B, T, 2 H] with batch_first), [T, 2 H] for one row, or a PackedSequence. Rows of a
    PackedSequence end at their own lengths; the padding of a tensor counts as steps. Output: [B, 2 H], or [2 H] for one
    row.

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
            y = self.forward_packed(input)
            return y if input.unsorted_indices is None else y.index_select(0, input.unsorted_indices)
        if not isinstance(input, Tensor):
            raise WrongType(
                f"FinalStates: input is {type(input).__name__}; pass the outputs of a recurrence, the first of its two "
                "results"
            )
        *axes, width = as_integers(input.shape) or (1,)
        if len(axes) not in (1, 2) or width % 2 or 0 in axes:
            raise WrongShape(f"FinalStates: input has shape {[*axes, width]}; expected [steps, rows, 2 x width]")
        time = 1 if self.batch_first and input.dim() == 3 else 0
        return join_directions(input.select(time, -1), input.select(time, 0))

    def forward_packed(self, input: PackedSequence) -> Tensor:
        """Return [B, 2 H] with rows in the order of the packed data."""
        batch_sizes = input.batch_sizes
        if is_jit_tracing():
            raise WrongType(
                "FinalStates: a PackedSequence cannot be traced, because the lengths of the example would be frozen; "
                "trace with a tensor"
            )
        lengths = packing.lengths_from_batch_sizes(batch_sizes)
        starts = batch_sizes.cumsum(0) - batch_sizes
        last = starts[lengths - 1] + torch.arange(len(lengths))
        rows = input.data[: int(batch_sizes[0])]
        return join_directions(input.data.index_select(0, last.to(input.data.device)), rows)

    def extra_repr(self) -> str:
        return "batch_first=True" if self.batch_first else ""


def join_directions(last: Tensor, first: Tensor) -> Tensor:
    """Concatenate the forward half of the last outputs and the backward half of the first: [..., 2 H]."""
    return torch.cat([last.chunk(2, -1)[0], first.chunk(2, -1)[1]], -1)


def select_final_states(y: Tensor, layout: PackedLayout) -> Tensor:
    """Return [N, 2 H] from packed outputs [N, 2 H]: the final states of its row at every entry."""
    rows = torch.arange(len(layout.sorted_indices))
    ends = layout.starts[layout.lengths[layout.sorted_indices] - 1] + rows
    return join_directions(y.index_select(0, ends), y[: len(rows)]).index_select(0, layout.row)
