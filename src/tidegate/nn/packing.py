"""Rows of a batch in the order a recurrence wants them, and back: time first, or packed with the longest row first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


@dataclass(frozen=True)
class ModuleInput:
    """A module's input, and how what comes out is put back in the caller's layout.

    x: [T, B, features], or packed [N, features] with `sizes`. batch: axis of the batch in the caller's layout; None:
    the caller gave one row without a batch axis. order, back: how a packed sequence was sorted, and the way back.
    """

    x: torch.Tensor
    batch_sizes: torch.Tensor | None = None
    batch_axis: int | None = 1
    sorted_indices: torch.Tensor | None = None
    unsorted_indices: torch.Tensor | None = None

    @classmethod
    def from_user(cls, given: Any, batch_first: bool) -> ModuleInput:
        """A tensor of 2 axes (one row, whatever `batch_first` says) or 3, or a PackedSequence."""
        if isinstance(given, PackedSequence):
            return cls(given.data, given.batch_sizes, 1, given.sorted_indices, given.unsorted_indices)
        if given.dim() == 2:
            return cls(given.unsqueeze(1), batch_axis=None)
        return cls(given.transpose(0, 1), batch_axis=0) if batch_first else cls(given)

    @property
    def batch_size(self) -> int:
        """How many rows there are."""
        return self.x.shape[1] if self.batch_sizes is None else int(self.batch_sizes[0])

    def sort_state(self, state: torch.Tensor) -> torch.Tensor:
        """A state [D * layers, B, width] of the caller (or [D * layers, width]) in the order of the rows."""
        if self.batch_axis is None:
            return state.unsqueeze(1)
        return state if self.sorted_indices is None else state.index_select(1, self.sorted_indices)

    def restore_state(self, state: torch.Tensor) -> torch.Tensor:
        if self.batch_axis is None:
            return state.squeeze(1)
        return state if self.unsorted_indices is None else state.index_select(1, self.unsorted_indices)

    def restore_output(self, y: torch.Tensor) -> Any:
        """Outputs in the layout of the input."""
        if self.batch_sizes is not None:
            return PackedSequence(y, self.batch_sizes, self.sorted_indices, self.unsorted_indices)
        if self.batch_axis is None:
            return y.squeeze(1)
        return y.transpose(0, 1) if self.batch_axis == 0 else y


def reverse_time(x: torch.Tensor, batch_sizes: torch.Tensor | None) -> torch.Tensor:
    """Every row from its own last step to its first, in the same layout.

    >>> packed = torch.tensor([[10], [20], [11], [12]])  # rows of 3 steps and of 1
    >>> reversed_in_time(packed, torch.tensor([2, 1, 1])).flatten().tolist()
    [12, 20, 11, 10]
    """
    return x.flip(0) if batch_sizes is None else x.index_select(0, reversal_indices(batch_sizes).to(x.device))


def reversal_indices(batch_sizes: torch.Tensor) -> torch.Tensor:
    """Where in packed data the step stands that takes each step's place when time runs backwards: int64 [N]."""
    starts = batch_sizes.cumsum(0) - batch_sizes
    step = torch.repeat_interleave(torch.arange(len(batch_sizes), device=batch_sizes.device), batch_sizes)
    row = torch.arange(int(batch_sizes.sum()), device=batch_sizes.device) - starts[step]
    return starts[lengths_from_batch_sizes(batch_sizes)[row] - 1 - step] + row


def lengths_from_batch_sizes(batch_sizes: torch.Tensor) -> torch.Tensor:
    """The length of each row, longest first: int64 [B]."""
    return (batch_sizes[:, None] > torch.arange(int(batch_sizes[0]), device=batch_sizes.device)).sum(0)


def pad(x: torch.Tensor, batch_sizes: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """x as [T, B, features], and the lengths."""
    if batch_sizes is None:
        return x, torch.full((x.shape[1],), x.shape[0], device="cpu")
    return pad_packed_sequence(PackedSequence(x, batch_sizes))


def pack(y: torch.Tensor, lengths: torch.Tensor, batch_sizes: torch.Tensor | None) -> torch.Tensor:
    """y [T, B, width] in the layout that `padded` was given."""
    return y if batch_sizes is None else pack_padded_sequence(y, lengths).data
