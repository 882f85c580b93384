"""Embeddings with dropout in the native engine: torch's values and gradients for the same random bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tidegate import _native
from tidegate.nn.embedding import embed

IDS = torch.tensor([3, 0, 3, 9, 1, 3])


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("size", [1, 7, 32])
def test_values_and_gradients_are_torchs(rate: float, size: int) -> None:
    table = torch.randn(10, size, generator=torch.Generator().manual_seed(1), requires_grad=True)
    results = []
    for native in (True, False):
        y = embed(table, IDS, rate, np.random.default_rng(4), native)
        (gradient,) = torch.autograd.grad((y * torch.arange(1, 7)[:, None]).sum(), table)
        assert gradient.is_sparse == native
        results.append((y, gradient.to_dense()))
    (y, gradient), (right, expected) = results
    assert torch.equal(y, right)
    assert torch.allclose(gradient, expected, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_several_ids_are_the_sum_of_their_rows(rate: float) -> None:
    table = torch.randn(10, 7, generator=torch.Generator().manual_seed(1), requires_grad=True)
    ids = torch.tensor([[3, 0, 3], [9, 1, 3]])
    results = []
    for native in (True, False):
        y = embed(table, ids, rate, np.random.default_rng(4), native)
        (gradient,) = torch.autograd.grad((y * torch.arange(1, 3)[:, None]).sum(), table)
        assert gradient.is_sparse == native
        results.append((y, gradient.to_dense()))
    (y, gradient), (right, expected) = results
    assert torch.equal(y, right)
    assert torch.allclose(gradient, expected, rtol=1e-6)
    if not rate:
        assert torch.equal(y, table[ids[:, 0]] + table[ids[:, 1]] + table[ids[:, 2]])
        assert gradient[3].tolist() == [4.0] * 7


def test_a_share_of_the_elements_is_zeroed_and_the_mean_stays() -> None:
    y = embed(torch.ones(10, 500), IDS, 0.25, np.random.default_rng(0))
    assert set(y.unique().tolist()) == {0.0, float(np.float32(256 / 192))}
    assert abs(float(y.mean()) - 1) < 0.05


def test_gradients_of_gradients_are_torchs() -> None:
    table = torch.randn(10, 4, requires_grad=True)
    y = embed(table, IDS, 0.5, np.random.default_rng(4))
    (gradient,) = torch.autograd.grad(y.pow(3).sum(), table, create_graph=True)
    (found,) = torch.autograd.grad(gradient.sum(), table)
    other_y = embed(table, IDS, 0.5, np.random.default_rng(4), native=False)
    (other,) = torch.autograd.grad(other_y.pow(3).sum(), table, create_graph=True)
    (expected,) = torch.autograd.grad(other.sum(), table)
    assert torch.allclose(found.to_dense(), expected, rtol=1e-5)


def test_arrays_that_do_not_fit_are_refused() -> None:
    table, out, ids = np.zeros((10, 4), np.float32), np.zeros((2, 4), np.float32), np.array([0, 9])
    random = np.zeros((2, 4), np.uint8)
    _native.train_embed_forward(table, ids, random, 0, out)
    with pytest.raises(ValueError, match="an id must be from 0 to 9, found 10"):
        _native.train_embed_forward(table, ids + 1, random, 0, out)
    with pytest.raises(ValueError, match="level must be from 0 to 255, found 256"):
        _native.train_embed_forward(table, ids, random, 256, out)
    with pytest.raises(ValueError, match="random must have length 4 along axis 1, found 3"):
        _native.train_embed_forward(table, ids, np.zeros((2, 3), np.uint8), 0, out)
    with pytest.raises(ValueError, match="a slot must be from 0 to 1, found 2"):
        _native.train_embed_backward(np.array([0, 2]), random, 0, out, np.zeros((2, 4), np.float32))


def test_a_refused_call_changes_nothing() -> None:
    table, out = np.ones((10, 4), np.float32), np.zeros((2, 4), np.float32)
    with pytest.raises(ValueError, match="an id must be from 0 to 9, found 10"):
        _native.train_embed_forward(table, np.array([0, 10]), None, 0, out)
    with pytest.raises(ValueError, match="a slot must be from 0 to 1, found 2"):
        _native.train_embed_backward(np.array([0, 2]), None, 0, np.ones((2, 4), np.float32), out)
    with pytest.raises(ValueError, match="out and table must not overlap"):
        _native.train_embed_forward(table, np.array([0, 1]), None, 0, table[1:3])
    assert not out.any()
    assert (table == 1).all()
