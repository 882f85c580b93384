"""Pack the rows of a padded batch, so that a network computes no padding.

The layout is that of torch's PackedSequence: all first steps, then all second steps, and so on, the longest row first.
Unlike a PackedSequence it has no data, so one layout serves all layers of a network.
"""

from __future__ import annotations

from functools import cached_property

import torch

from ..errors import WrongValue

Tensor = torch.Tensor


class PackedLayout:
    """The layout of packed rows of given lengths (int64 [B], on the CPU); N is the sum of the lengths.

    sorted_indices [B]: the rows, longest first; rows of equal length keep their order. unsorted_indices [B]: the
    inverse. batch_sizes [T]: how many rows have each step. Raises WrongValue for a row without a step.

    >>> layout = PackedLayout(torch.tensor([1, 3]))
    >>> layout.sorted_indices.tolist(), layout.batch_sizes.tolist()
    ([1, 0], [2, 1, 1])
    >>> layout.pack(torch.tensor([[10, 20], [0, 21], [0, 22]])).tolist()
    [20, 10, 21, 22]
    """

    def __init__(self, lengths: Tensor) -> None:
        self.lengths = lengths
        ordered, self.sorted_indices = torch.sort(lengths, descending=True, stable=True)
        if len(ordered) and int(ordered[-1]) < 1:
            raise WrongValue(
                f"lengths contains {int(ordered[-1])}; every row needs at least one step, so drop such rows"
            )
        self.batch_sizes = (ordered > torch.arange(int(ordered[0]))[:, None]).sum(1)

    @cached_property
    def unsorted_indices(self) -> Tensor:
        rows = torch.arange(len(self.sorted_indices))
        return torch.empty_like(self.sorted_indices).scatter_(0, self.sorted_indices, rows)

    @cached_property
    def starts(self) -> Tensor:
        """[T]: the index of each step's first entry."""
        return self.batch_sizes.cumsum(0) - self.batch_sizes

    @cached_property
    def step(self) -> Tensor:
        """[N]: the step of each entry, from 0."""
        return torch.repeat_interleave(self.batch_sizes)

    @cached_property
    def row(self) -> Tensor:
        """[N]: the row of each entry, in sorted order."""
        return torch.arange(len(self.step)) - self.starts[self.step]

    @cached_property
    def padded_indices(self) -> Tensor:
        """[N]: the index of each entry among the T x B of the padded batch."""
        return self.step * len(self.sorted_indices) + self.sorted_indices[self.row]

    @cached_property
    def longest_first_indices(self) -> Tensor:
        """[N]: the same for a padded batch whose rows are in sorted order."""
        return self.step * len(self.sorted_indices) + self.row

    def pack(self, x: Tensor) -> Tensor:
        """Select the entries [N, ...] of x [at least T, B, ...]; padding is not read."""
        return x.flatten(0, 1).index_select(0, self.padded_indices)

    @cached_property
    def row_by_row_indices(self) -> Tensor:
        """[N]: the index of each entry among the steps of all rows one after another, in the caller's order."""
        first = self.lengths.cumsum(0) - self.lengths
        return first[self.sorted_indices[self.row]] + self.step

    def pack_rows(self, x: Tensor) -> Tensor:
        """Select the entries [N, ...] of x [N, ...], the steps of all rows one after another.

        >>> PackedLayout(torch.tensor([1, 3])).pack_rows(torch.tensor([10, 20, 21, 22])).tolist()
        [20, 10, 21, 22]
        """
        return x.index_select(0, self.row_by_row_indices)

    def unpack_rows(self, y: Tensor) -> Tensor:
        """Return entries [N, ...] as the steps of all rows one after another, [N, ...]."""
        steps = torch.arange(len(self.step))
        return y.index_select(0, torch.empty_like(steps).scatter_(0, self.row_by_row_indices, steps))

    def pad_longest_first(self, y: Tensor) -> Tensor:
        """Return entries [N, ...] as [T, B, ...] with rows in sorted order, padded with zeros."""
        T, B = len(self.batch_sizes), len(self.sorted_indices)
        whole = y.new_zeros(T * B, *y.shape[1:])
        return whole.index_copy(0, self.longest_first_indices, y).view(T, B, *y.shape[1:])

    def pad(self, y: Tensor) -> Tensor:
        """Return entries [N, ...] as [T, B, ...], padded with zeros."""
        return self.pad_longest_first(y).index_select(1, self.unsorted_indices)

    def select_steps(self, y: Tensor, steps: Tensor) -> Tensor:
        """Return, of entries [N, ...], each row's entry at its step in `steps` [B], counted from 1: [B, ...]."""
        return y.index_select(0, self.starts[steps - 1] + self.unsorted_indices)

    def window_indices(self, before: int, after: int) -> Tensor:
        """Return the indices of the entries around each entry, from `before` steps before it to `after` steps after it.

        int64 [N, before + 1 + after]; N where the row has no such step.
        """
        N, columns = len(self.step), []
        lengths = self.lengths[self.sorted_indices][self.row]
        for offset in range(-before, after + 1):
            step = self.step + offset
            exists = (step >= 0) & (step < lengths)
            index = self.starts[step.clamp(0, len(self.batch_sizes) - 1)] + self.row
            columns.append(torch.where(exists, index, N))
        return torch.stack(columns, 1)
