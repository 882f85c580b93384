"""Gradients that are differentiated themselves, or computed by torch.func."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tidegate import nn
from tidegate.layers.pool import Pool
from tidegate.nn.embedding import embed
from tidegate.nn.packed import PackedLayout
from tidegate.nn.pooling import pool

KINDS = ["GRU", "LSTM", "RNN", "MinGRU"]
Tensor = torch.Tensor


def make_module(kind: str, inputs: int = 4) -> Any:
    torch.manual_seed(2)
    return getattr(nn, kind)(inputs, 4)


def make_exact(own: Any) -> Any:
    """Return the same module in float64, which runs its tape step by step."""
    module = copy.deepcopy(own).double()
    module.fused = False
    return module


def assert_close(found: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(found.detach().double(), right.detach().double(), rtol=1e-5, atol=1e-6)


def random_numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


def truncated(own: Any, x: Tensor) -> Tensor:
    """Return a loss over two parts of a sequence: the second starts from the final state of the first."""
    _, state = own(x[:3])
    return own(x[3:], state)[0].square().sum()


def stacked(own: Any, x: Tensor) -> Tensor:
    """Return a loss that uses the same weights twice, one layer above the other."""
    return own(own(x)[0])[0].square().sum()


@pytest.mark.parametrize("loss", [truncated, stacked])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_used_twice_get_each_gradient_once(kind, loss):
    own, x = make_module(kind), random_numbers(6, 3, 4)
    right = make_exact(own)
    wanted = torch.autograd.grad(loss(right, x.double()), list(right.parameters()), create_graph=True)
    plain = torch.autograd.grad(loss(own, x), list(own.parameters()))
    found = torch.autograd.grad(loss(own, x), list(own.parameters()), create_graph=True)
    for a, b, c in zip(found, plain, wanted, strict=True):
        assert_close(a, c)
        assert_close(b, c)
    second = torch.autograd.grad(sum(g.square().sum() for g in found), list(own.parameters()))
    expected = torch.autograd.grad(sum(g.square().sum() for g in wanted), list(right.parameters()))
    for a, c in zip(second, expected, strict=True):
        # the rounding errors of a sum have the size of its terms
        torch.testing.assert_close(a.double(), c, rtol=1e-4, atol=1e-6 * float(c.abs().max()))


@pytest.mark.parametrize("learnt", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_that_are_computed_later_are_right(kind, learnt):
    """torch.func.vjp runs the backward pass after its own level has ended."""
    own, x, dy = make_module(kind).requires_grad_(learnt), random_numbers(6, 3, 4), random_numbers(6, 3, 4) + 1
    right = make_exact(own)
    (found,) = torch.func.vjp(lambda x: own(x)[0], x)[1](dy)
    (wanted,) = torch.func.vjp(lambda x: right(x)[0], x.double())[1](dy.double())
    assert_close(found, wanted)
    assert_close(
        torch.func.jacrev(lambda x: own(x)[0].sum((0, 1)))(x),
        torch.func.jacrev(lambda x: right(x)[0].sum((0, 1)))(x.double()),
    )


def test_torch_func_counts_weights_that_carry_a_state_once():
    own, x = make_module("GRU"), random_numbers(6, 3, 4)
    right = make_exact(own)

    def gradient(of: Any, x: Tensor) -> Tensor:
        def loss(weights: dict[str, Tensor]) -> Tensor:
            _, state = torch.func.functional_call(of, weights, (x[:3],))
            return torch.func.functional_call(of, weights, (x[3:], state))[0].square().sum()

        return torch.func.grad(loss)({name: p.detach() for name, p in of.named_parameters()})["weight_hh_l0"]

    assert_close(gradient(own, x), gradient(right, x.double()))


def test_autocast_in_the_backward_pass_rounds_nothing():
    own, x = make_module("GRU"), random_numbers(6, 3, 4)
    right = make_exact(own)
    wanted = torch.autograd.grad(stacked(right, x.double()), list(right.parameters()))
    loss = stacked(own, x)
    with torch.autocast("cpu", torch.bfloat16):
        found = torch.autograd.grad(loss, list(own.parameters()), create_graph=True)
    for a, c in zip(found, wanted, strict=True):
        assert_close(a, c)


def test_a_pool_whose_score_comes_from_its_input():
    layout, ends = PackedLayout(torch.tensor([3, 2])), [torch.tensor([3, 1])]
    layer = Pool(size=4, over=("attention", "mean"))

    def gradient(x: Tensor, create_graph: bool) -> Tensor:
        x.requires_grad_()
        weights = {"score": x[0] * 2, "score_bias": x[1, :1]}
        y = pool(layer, weights, x * 3, layout, ends)
        return torch.autograd.grad(y.square().sum(), x, create_graph=create_graph)[0]

    x = random_numbers(5, 4)
    wanted = gradient(x.double(), False)  # in closed form, as it is float64
    assert_close(gradient(x.clone(), False), wanted)
    assert_close(gradient(x.clone(), True), wanted)


def test_an_embedding_under_torch_func():
    table, ids, dy = random_numbers(6, 4).requires_grad_(), torch.tensor([2, 5, 2]), random_numbers(3, 4)
    (found,) = torch.func.vjp(lambda t: embed(t, ids, 0.5, np.random.default_rng(0)), table)[1](dy)
    right = embed(table, ids, 0.5, np.random.default_rng(0), native=False)
    (wanted,) = torch.autograd.grad(right, table, dy)
    assert wanted.abs().sum() > 0
    assert_close(found, wanted)
