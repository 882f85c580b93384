"""Gradients that are themselves differentiated, or asked for by torch.func."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tidegate import nn
from tidegate.nn.embedding import embedded
from tidegate.nn.packed import Packed
from tidegate.nn.pooling import pool

KINDS = ["GRU", "LSTM", "RNN", "MinGRU"]
Tensor = torch.Tensor


def module(kind: str, inputs: int = 4) -> Any:
    torch.manual_seed(2)
    return getattr(nn, kind)(inputs, 4)


def exact(own: Any) -> Any:
    """The same module in float64, step by step by its tape."""
    found = copy.deepcopy(own).double()
    found.fused = False
    return found


def assert_close(found: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(found.detach().double(), right.detach().double(), rtol=1e-5, atol=1e-6)


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


def carried(own: Any, x: Tensor) -> Tensor:
    """A loss over two pieces of a sequence: the second starts where the first ended, by the same weights."""
    _, state = own(x[:3])
    return own(x[3:], state)[0].square().sum()


def stacked(own: Any, x: Tensor) -> Tensor:
    """A loss of the same weights twice, one above the other."""
    return own(own(x)[0])[0].square().sum()


@pytest.mark.parametrize("loss", [carried, stacked])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_used_twice_get_each_gradient_once(kind, loss):
    own, x = module(kind), numbers(6, 3, 4)
    right = exact(own)
    wanted = torch.autograd.grad(loss(right, x.double()), list(right.parameters()), create_graph=True)
    plain = torch.autograd.grad(loss(own, x), list(own.parameters()))
    found = torch.autograd.grad(loss(own, x), list(own.parameters()), create_graph=True)
    for a, b, c in zip(found, plain, wanted, strict=True):
        assert_close(a, c)
        assert_close(b, c)
    again = torch.autograd.grad(sum(g.square().sum() for g in found), list(own.parameters()))
    twice = torch.autograd.grad(sum(g.square().sum() for g in wanted), list(right.parameters()))
    for a, c in zip(again, twice, strict=True):
        # a sum's roundings are of the size of its terms
        torch.testing.assert_close(a.double(), c, rtol=1e-4, atol=1e-6 * float(c.abs().max()))


@pytest.mark.parametrize("learnt", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_that_are_asked_for_later_are_right(kind, learnt):
    """torch.func.vjp goes back when its own level is over."""
    own, x, dy = module(kind).requires_grad_(learnt), numbers(6, 3, 4), numbers(6, 3, 4) + 1
    right = exact(own)
    (found,) = torch.func.vjp(lambda x: own(x)[0], x)[1](dy)
    (wanted,) = torch.func.vjp(lambda x: right(x)[0], x.double())[1](dy.double())
    assert_close(found, wanted)
    assert_close(
        torch.func.jacrev(lambda x: own(x)[0].sum((0, 1)))(x),
        torch.func.jacrev(lambda x: right(x)[0].sum((0, 1)))(x.double()),
    )


def test_torch_func_counts_weights_that_carry_a_state_once():
    own, x = module("GRU"), numbers(6, 3, 4)
    right = exact(own)

    def gradient(of: Any, x: Tensor) -> Tensor:
        def loss(weights: dict[str, Tensor]) -> Tensor:
            _, state = torch.func.functional_call(of, weights, (x[:3],))
            return torch.func.functional_call(of, weights, (x[3:], state))[0].square().sum()

        return torch.func.grad(loss)({name: p.detach() for name, p in of.named_parameters()})["weight_hh_l0"]

    assert_close(gradient(own, x), gradient(right, x.double()))


def test_autocast_on_the_way_back_rounds_nothing():
    own, x = module("GRU"), numbers(6, 3, 4)
    right = exact(own)
    wanted = torch.autograd.grad(stacked(right, x.double()), list(right.parameters()))
    loss = stacked(own, x)
    with torch.autocast("cpu", torch.bfloat16):
        found = torch.autograd.grad(loss, list(own.parameters()), create_graph=True)
    for a, c in zip(found, wanted, strict=True):
        assert_close(a, c)


def test_a_pool_whose_score_comes_from_its_input():
    entries, ends = Packed(torch.tensor([3, 2])), [torch.tensor([3, 1])]
    layer = {"over": ["attention", "mean"]}

    def gradient(x: Tensor, create_graph: bool) -> Tensor:
        x.requires_grad_()
        weights = {"score": x[0] * 2, "score_bias": x[1, :1]}
        y = pool(layer, weights, x * 3, entries, ends)
        return torch.autograd.grad(y.square().sum(), x, create_graph=create_graph)[0]

    x = numbers(5, 4)
    wanted = gradient(x.double(), False)  # in closed form
    assert_close(gradient(x.clone(), False), wanted)
    assert_close(gradient(x.clone(), True), wanted)


def test_an_embedding_under_torch_func():
    table, ids, dy = numbers(6, 4).requires_grad_(), torch.tensor([2, 5, 2]), numbers(3, 4)
    (found,) = torch.func.vjp(lambda t: embedded(t, ids, 0.5, np.random.default_rng(0)), table)[1](dy)
    right = embedded(table, ids, 0.5, np.random.default_rng(0), native=False)
    (wanted,) = torch.autograd.grad(right, table, dy)
    assert wanted.abs().sum() > 0
    assert_close(found, wanted)
