"""Convert between the layouts that users pass to a module and the one that recurrences run on.

A user passes a batch (time first or batch first), one sequence without a batch axis, or a PackedSequence. A recurrence
runs on [T, B, features], or on packed data [N, features] with torch's batch_sizes, the longest row first.

`packed.py` does the same for `Network`, which has a padded batch and its lengths instead of a PackedSequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


@dataclass(frozen=True)
class ModuleInput:
    """The input of a module in the layout of recurrences, and how to restore the user's layout.

    x: [T, B, features], or packed [N, features] with `batch_sizes`. batch_axis: the batch axis of the user's layout;
    None: the user passed one sequence without a batch axis. sorted_indices, unsorted_indices: those of a
    PackedSequence.
    """

    x: torch.Tensor
    batch_sizes: torch.Tensor | None = None
    batch_axis: int | None = 1
    sorted_indices: torch.Tensor | None = None
    unsorted_indices: torch.Tensor | None = None

    @classmethod
    def from_user(cls, input: Any, batch_first: bool) -> ModuleInput:
        """Convert a PackedSequence or a tensor of 2 axes (one sequence, for any `batch_first`) or 3."""
        if isinstance(input, PackedSequence):
            return cls(input.data, input.batch_sizes, 1, input.sorted_indices, input.unsorted_indices)
        if input.dim() == 2:
            return cls(input.unsqueeze(1), batch_axis=None)
        return cls(input.transpose(0, 1), batch_axis=0) if batch_first else cls(input)

    @property
    def batch_size(self) -> int:
        return self.x.shape[1] if self.batch_sizes is None else int(self.batch_sizes[0])

    def sort_state(self, state: torch.Tensor) -> torch.Tensor:
        """Convert a state of the user, [D * layers, B, width] or [D * layers, width], to the order of the rows in x."""
        if self.batch_axis is None:
            return state.unsqueeze(1)
        return state if self.sorted_indices is None else state.index_select(1, self.sorted_indices)

    def restore_state(self, state: torch.Tensor) -> torch.Tensor:
        """Convert a state in the order of the rows in x back to the user's layout."""
        if self.batch_axis is None:
            return state.squeeze(1)
        return state if self.unsorted_indices is None else state.index_select(1, self.unsorted_indices)

    def restore_output(self, y: torch.Tensor) -> Any:
        """Convert outputs to the layout of the user's input."""
        if self.batch_sizes is not None:
            return PackedSequence(y, self.batch_sizes, self.sorted_indices, self.unsorted_indices)
        if self.batch_axis is None:
            return y.squeeze(1)
        return y.transpose(0, 1) if self.batch_axis == 0 else y


def reverse_time(x: torch.Tensor, batch_sizes: torch.Tensor | None) -> torch.Tensor:
    """Reverse the steps of each row within its own length; the layout stays the same.

    >>> packed = torch.tensor([[10], [20], [11], [12]])  # a row of 3 steps and a row of 1
    >>> reverse_time(packed, torch.tensor([2, 1, 1])).flatten().tolist()
    [12, 20, 11, 10]
    """
    return x.flip(0) if batch_sizes is None else x.index_select(0, reversal_indices(batch_sizes).to(x.device))


def reversal_indices(batch_sizes: torch.Tensor) -> torch.Tensor:
    """Return the indices int64 [N] that reverse the steps of each row of packed data."""
    starts = batch_sizes.cumsum(0) - batch_sizes
    step = torch.repeat_interleave(torch.arange(len(batch_sizes), device=batch_sizes.device), batch_sizes)
    row = torch.arange(int(batch_sizes.sum()), device=batch_sizes.device) - starts[step]
    return starts[lengths_from_batch_sizes(batch_sizes)[row] - 1 - step] + row


def lengths_from_batch_sizes(batch_sizes: torch.Tensor) -> torch.Tensor:
    """Return the length of each row, longest first: int64 [B]."""
    return (batch_sizes[:, None] > torch.arange(int(batch_sizes[0]), device=batch_sizes.device)).sum(0)


def pad(x: torch.Tensor, batch_sizes: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x as [T, B, features], and the lengths."""
    if batch_sizes is None:
        return x, torch.full((x.shape[1],), x.shape[0], device="cpu")
    return pad_packed_sequence(PackedSequence(x, batch_sizes))


def pack(y: torch.Tensor, lengths: torch.Tensor, batch_sizes: torch.Tensor | None) -> torch.Tensor:
    """Undo `pad`: return y [T, B, width] in the layout of its input."""
    return y if batch_sizes is None else pack_padded_sequence(y, lengths).data
