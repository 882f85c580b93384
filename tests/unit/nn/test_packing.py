"""Rows packed, padded and reversed in time."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

from tidegate.nn import packing


@pytest.mark.parametrize("lengths", [[1], [4], [4, 4], [5, 3, 3, 1], [2, 1, 1, 1]])
def test_each_row_is_reversed_within_its_own_length(lengths: list[int]) -> None:
    rows = [torch.arange(n).float()[:, None] + 100 * b for b, n in enumerate(lengths)]
    packed, expected = pack_sequence(rows), pack_sequence([row.flip(0) for row in rows])
    assert torch.equal(packing.lengths_from_batch_sizes(packed.batch_sizes), torch.tensor(lengths))
    once = packing.reverse_time(packed.data, packed.batch_sizes)
    assert torch.equal(once, expected.data)
    assert torch.equal(packing.reverse_time(once, packed.batch_sizes), packed.data)


def test_equal_lengths_need_no_packing() -> None:
    x = torch.randn(4, 2, 3)
    assert torch.equal(packing.reverse_time(x, None), x.flip(0))
    y, lengths = packing.pad(x, None)
    assert y is x
    assert lengths.tolist() == [4, 4]
    assert packing.pack(y, lengths, None) is y


def test_padding_and_packing_undo_each_other() -> None:
    packed = pack_sequence([torch.randn(n, 3) for n in (5, 2, 1)])
    y, lengths = packing.pad(packed.data, packed.batch_sizes)
    assert y.shape == (5, 3, 3)
    assert torch.equal(packing.pack(y, lengths, packed.batch_sizes), packed.data)


def test_states_are_sorted_like_the_rows_and_restored() -> None:
    packed = pack_sequence([torch.randn(n, 3) for n in (1, 5, 2)], enforce_sorted=False)
    rows = packing.ModuleInput.from_user(packed, batch_first=True)
    assert rows.batch_size == 3
    state = torch.arange(3.0)[None, :, None]
    assert rows.sort_state(state).flatten().tolist() == [1, 2, 0]
    assert torch.equal(rows.restore_state(rows.sort_state(state)), state)
