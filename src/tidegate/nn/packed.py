"""Rows of a padded batch without their padding: entries step by step, the longest row first."""

from __future__ import annotations

from functools import cached_property

import torch

from ..errors import WrongValue

Tensor = torch.Tensor


class Packed:
    """Where the steps of rows of these lengths (int64 [B], on the CPU) stand: N entries, step after step.

    order [B]: the rows, longest first, and of equal lengths in their own order. sizes [T]: how many of them, the first
    ones, have each step. place [B]: where in that order each row is. Raises WrongValue for a row without a step.

    >>> entries = Entries(torch.tensor([1, 3]))
    >>> entries.order.tolist(), entries.sizes.tolist()
    ([1, 0], [2, 1, 1])
    >>> entries.taken(torch.tensor([[10, 20], [0, 21], [0, 22]])).tolist()
    [20, 10, 21, 22]
    """

    def __init__(self, lengths: Tensor) -> None:
        self.lengths = lengths
        ordered, self.order = torch.sort(lengths, descending=True, stable=True)
        if len(ordered) and int(ordered[-1]) < 1:
            raise WrongValue(f"lengths has a {int(ordered[-1])}; every row must have a step, so leave such rows out")
        self.sizes = (ordered > torch.arange(int(ordered[0]))[:, None]).sum(1)

    @cached_property
    def place(self) -> Tensor:
        return torch.empty_like(self.order).scatter_(0, self.order, torch.arange(len(self.order)))

    @cached_property
    def starts(self) -> Tensor:
        """[T]: where each step's entries begin."""
        return self.sizes.cumsum(0) - self.sizes

    @cached_property
    def step(self) -> Tensor:
        """[N]: the step of each entry, from 0."""
        return torch.repeat_interleave(self.sizes)

    @cached_property
    def row(self) -> Tensor:
        """[N]: which row, in the order of entries, each belongs to."""
        return torch.arange(len(self.step)) - self.starts[self.step]

    @cached_property
    def padded_place(self) -> Tensor:
        """[N]: where each entry stands among the T x B of a padded batch."""
        return self.step * len(self.order) + self.order[self.row]

    @cached_property
    def longest_first_place(self) -> Tensor:
        """[N]: the same where the batch's rows are in the order of entries."""
        return self.step * len(self.order) + self.row

    def taken(self, x: Tensor) -> Tensor:
        """The entries [N, ...] of x [at least T, B, ...]; what stands behind a row's length is not read."""
        return x.flatten(0, 1).index_select(0, self.padded_place)

    def longest_first(self, y: Tensor) -> Tensor:
        """[T, B, ...] of entries [N, ...], rows in the order of entries, zeros behind a row's length."""
        whole = y.new_zeros(len(self.sizes) * len(self.order), *y.shape[1:])
        return whole.index_copy(0, self.longest_first_place, y).view(len(self.sizes), len(self.order), *y.shape[1:])

    def padded(self, y: Tensor) -> Tensor:
        """[T, B, ...] of entries [N, ...], zeros behind a row's length."""
        return self.longest_first(y).index_select(1, self.place)

    def last(self, y: Tensor, lengths: Tensor) -> Tensor:
        """[B, ...]: of entries [N, ...] those at each row's step number `lengths` [B], which count from 1."""
        return y.index_select(0, self.starts[lengths - 1] + self.place)

    def around(self, back: int, ahead: int) -> Tensor:
        """[N, back + 1 + ahead]: for each entry those of its row from `back` steps before it to `ahead` after it; N
        where the row has no such step.
        """
        N, found = len(self.step), []
        lengths = self.lengths[self.order][self.row]
        for offset in range(-back, ahead + 1):
            step = self.step + offset
            there = (step >= 0) & (step < lengths)
            place = self.starts[step.clamp(0, len(self.sizes) - 1)] + self.row
            found.append(torch.where(there, place, N))
        return torch.stack(found, 1)
