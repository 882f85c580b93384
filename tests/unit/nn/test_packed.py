"""Padded batches, packed and padded again."""

from __future__ import annotations

import pytest
import torch

from tidegate.errors import WrongValue
from tidegate.nn.packed import PackedLayout

LENGTHS = torch.tensor([3, 1, 5, 3, 2])


def make_batch() -> torch.Tensor:
    """Return [5, 5, 2]: ten times the row plus the step, and its negative; NaN in the padding."""
    x = 10.0 * torch.arange(5) + torch.arange(5)[:, None]
    x = torch.stack([x, -x], -1)
    return x.masked_fill((torch.arange(5)[:, None] >= LENGTHS)[..., None], torch.nan)


def test_entries_stand_step_by_step_the_longest_row_first() -> None:
    layout = PackedLayout(LENGTHS)
    found = layout.pack(make_batch())[:, 0]
    assert found.tolist() == [20, 0, 30, 40, 10, 21, 1, 31, 41, 22, 2, 32, 23, 24]
    assert layout.batch_sizes.tolist() == [5, 4, 3, 1, 1]


@pytest.mark.parametrize("lengths", [LENGTHS, torch.tensor([4, 4, 4, 4, 4]), torch.tensor([1, 2, 3, 4, 5])])
def test_padding_comes_back_as_zeros(lengths: torch.Tensor) -> None:
    layout, x = PackedLayout(lengths), torch.randn(int(lengths.max()), 5, 3)
    padding = (torch.arange(len(x))[:, None] >= lengths)[..., None]
    assert torch.equal(layout.pad(layout.pack(x)), x.masked_fill(padding, 0.0))
    assert torch.equal(layout.pad_longest_first(layout.pack(x)), x.masked_fill(padding, 0.0)[:, layout.sorted_indices])


def test_each_rows_entry_at_a_step_is_selected() -> None:
    layout = PackedLayout(LENGTHS)
    assert layout.select_steps(layout.pack(make_batch()), LENGTHS)[:, 0].tolist() == [2, 10, 24, 32, 41]
    assert layout.select_steps(layout.pack(make_batch()), torch.tensor([2, 1, 1, 3, 1]))[:, 0].tolist() == [
        1,
        10,
        20,
        32,
        40,
    ]


def test_the_steps_around_an_entry_belong_to_its_row() -> None:
    layout = PackedLayout(LENGTHS)
    x = torch.cat([layout.pack(make_batch())[:, 0], torch.tensor([-1.0])])
    windows = x[layout.window_indices(2, 1)]
    assert windows[0].tolist() == [-1, -1, 20, 21]
    assert windows[6].tolist() == [-1, 0, 1, 2]
    assert windows[8].tolist() == [-1, 40, 41, -1]
    assert windows[-1].tolist() == [22, 23, 24, -1]


@pytest.mark.parametrize("lengths", [[2, 0], [-1, 2], [0, 0]])
def test_a_row_without_a_step_is_refused(lengths: list[int]) -> None:
    with pytest.raises(WrongValue, match=r"lengths contains -?\d; every row needs at least one step"):
        PackedLayout(torch.tensor(lengths))
