"""Pools in the native engine: values and gradients of the closed form in float64, the bits of inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tidegate import _native
from tidegate.layers.pool import OVER, Pool
from tidegate.nn import pooling
from tidegate.nn.packed import PackedLayout
from tidegate.runtime.engine import add_layer

LENGTHS = torch.tensor([3, 1, 9, 3, 6, 9, 2])
ENDS = [LENGTHS, torch.tensor([2, 1, 4, 3, 1, 9, 1])]
ALL = list(OVER)
POOLS = pytest.mark.parametrize("over", [["last"], ["mean"], ["max"], ["attention"], ["attention", "last"], ALL])
SIZES = pytest.mark.parametrize("size", [5, 16, 37])


def make_case(size: int, over: list[str]) -> tuple[Pool, dict[str, torch.Tensor], torch.Tensor, PackedLayout]:
    """Return a layer, its weights, packed entries [N, size] and their layout."""
    gen, layout = torch.Generator().manual_seed(2), PackedLayout(LENGTHS)
    x = torch.randn(len(layout.step), size, generator=gen, requires_grad=True)
    t = {"score": torch.randn(size, generator=gen), "score_bias": torch.randn(1, generator=gen)}
    t = {name: v.requires_grad_() for name, v in t.items()} if "attention" in over else {}
    return Pool(size=size, over=tuple(over)), t, x, layout


@pytest.mark.parametrize("target", _native.targets())
@POOLS
@SIZES
def test_values_and_gradients_are_those_of_the_closed_form(
    target: str, over: list[str], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TARGET", target)
    layer, t, x, layout = make_case(size, over)
    exact = {name: v.detach().double().requires_grad_() for name, v in t.items()}
    wide = x.detach().double().requires_grad_()
    y, right = pooling.pool(layer, t, x, layout, ENDS), pooling.pool(layer, exact, wide, layout, ENDS)
    assert y.shape == (2, len(LENGTHS), size * len(over))
    assert torch.allclose(y.double(), right, atol=2e-6)
    dy = torch.randn(y.shape, generator=torch.Generator().manual_seed(3))
    found = torch.autograd.grad(y, [x, *t.values()], dy)
    expected = torch.autograd.grad(right, [wide, *exact.values()], dy.double())
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a.double(), b, atol=1e-5), (a, b)


@pytest.mark.parametrize("target", _native.targets())
@SIZES
def test_values_have_the_bits_of_the_engine(target: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_TARGET", target)
    layer, t, x, layout = make_case(size, ALL)
    size_of = (-(-(8 + 4 * (3 * size + 2)) // 8)) * 8
    engine = _native.Engine(target, size_of)
    weights = {role: value.detach().numpy() for role, value in t.items()}
    places = {"mean": 0, "max": size, "peak": 2 * size, "weight": 2 * size + 1, "sum": 2 * size + 2}
    add_layer(engine, layer, weights, {name: 8 + 4 * first for name, first in places.items()})
    engine.finish()
    state = np.zeros((len(LENGTHS), size_of), np.uint8)
    numbers = state[:, 8:].view(np.float32)
    numbers[:, size : 2 * size] = -np.inf  # max, and the peak of attention
    numbers[:, 2 * size] = -np.inf
    rows, lengths = layout.pad(x.detach()).numpy(), LENGTHS.numpy().astype(np.int32)
    out = np.empty((len(rows), len(LENGTHS), 4 * size), np.float32)
    engine.run(rows, lengths, state, np.empty_like(state), out, True, 1)
    for ends, found in zip(ENDS, pooling.pool(layer, t, x, layout, ENDS), strict=True):
        assert np.array_equal(found.detach().numpy(), out[ends.numpy() - 1, np.arange(len(LENGTHS))])


def test_no_bit_depends_on_threads() -> None:
    gen, lengths = torch.Generator().manual_seed(5), torch.full((40,), 200)
    x = torch.randn(8000, 64, generator=gen, requires_grad=True)
    t = {n: torch.randn(k, generator=gen, requires_grad=True) for n, k in (("score", 64), ("score_bias", 1))}
    before, found = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        y = pooling.pool(Pool(size=64, over=tuple(ALL)), t, x, PackedLayout(lengths), [lengths])
        found.append([y, *torch.autograd.grad(y.square().sum(), [x, *t.values()])])
    torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_the_first_of_equal_largest_numbers_has_the_gradient() -> None:
    layout = PackedLayout(torch.tensor([3]))
    x = torch.tensor([[1.0], [2.0], [2.0]], requires_grad=True)
    pooling.pool(Pool(size=1, over=("max",)), {}, x, layout, [torch.tensor([3])]).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0.0, 1.0, 0.0]


def test_gradients_of_gradients_are_those_of_the_closed_form() -> None:
    layer, t, x, layout = make_case(5, ALL)
    found = []
    for native in (True, False):
        y = pooling.pool(layer, t, x, layout, ENDS, native)
        (dx,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(dx.square().sum(), [x, *t.values()], allow_unused=True))
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4)


def test_arrays_that_do_not_fit_are_refused() -> None:
    read: dict[str, Any] = {
        "x": np.zeros((3, 4), np.float32),
        "batch_sizes": np.array([2, 1]),
        "ends": np.array([[2, 1]]),
        "over": np.array([2], np.int32),
        "score": None,
        "score_bias": 0.0,
        "out": np.zeros((1, 2, 4), np.float32),
    }
    _native.train_pool_forward(_native.targets()[0], **read, threads=1)
    wrong: list[tuple[str, Any, str]] = [
        ("ends", np.array([[2, 2]]), "an end of row 1 must be from 1 to its steps, found 2"),
        ("ends", np.array([[0, 1]]), "an end of row 0 must be from 1 to its steps, found 0"),
        ("ends", np.array([[1]]), "ends must have length 2 along axis 1, found 1"),
        ("over", np.array([4], np.int32), "unknown pool 4"),
        ("over", np.array([3], np.int32), "attention needs a score"),
        ("score", np.zeros(4, np.float32), "a score is for attention only"),
        ("batch_sizes", np.array([1, 2]), r"batch_sizes\[1\] must be from 1 to the size of the step before, found 2"),
        ("batch_sizes", np.array([2, 2]), "x must have length 4 along axis 0, found 3"),
        ("out", np.zeros((1, 2, 5), np.float32), "out must have length 4 along axis 2, found 5"),
    ]
    for name, value, sentence in wrong:
        with pytest.raises(ValueError, match=sentence):
            _native.train_pool_forward(_native.targets()[0], **{**read, name: value}, threads=1)


def test_entries_that_lie_column_by_column_have_the_same_gradients() -> None:
    layer, t, x, layout = make_case(5, ALL)
    by_column = x.detach().T.contiguous().T.requires_grad_()
    assert not by_column.is_contiguous()
    dy = torch.randn(2, len(LENGTHS), 20, generator=torch.Generator().manual_seed(3))
    leaves = [[v, *t.values()] for v in (x, by_column)]
    found = [torch.autograd.grad(pooling.pool(layer, t, v[0], layout, ENDS), v, dy) for v in leaves]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_the_first_of_equal_steps_has_the_gradient_of_a_maximum() -> None:
    x = torch.tensor([[1.0], [0.0], [1.0], [0.0], [1.0]])

    def gradient(create_graph: bool, native: bool) -> list[float]:
        leaf = x.clone().requires_grad_()
        y = pooling.pool(
            Pool(size=1, over=("max",)), {}, leaf, PackedLayout(torch.tensor([3, 2])), [torch.tensor([3, 2])], native
        )
        return list(torch.autograd.grad(y.sum(), leaf, create_graph=create_graph)[0].flatten())

    assert gradient(False, True) == gradient(True, True) == gradient(False, False) == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_the_gradients_of_a_pool_must_not_overlap() -> None:
    x, buffer = np.zeros((5, 3), np.float32), np.zeros(15, np.float32)
    read: dict[str, Any] = {
        "x": x,
        "batch_sizes": np.array([2, 2, 1]),
        "ends": np.array([[3, 2]]),
        "over": np.array([1], np.int32),
        "score": None,
        "score_bias": 0.0,
        "out": np.zeros((1, 2, 3), np.float32),
        "dout": np.zeros((1, 2, 3), np.float32),
        "threads": 1,
    }
    written = {"dx": buffer.reshape(5, 3), "dscore": np.zeros(3, np.float32), "dbias": np.zeros(1, np.float32)}
    _native.train_pool_backward(_native.targets()[0], **read, **written)
    with pytest.raises(ValueError, match="dx and dscore must not overlap"):
        _native.train_pool_backward(_native.targets()[0], **read, **{**written, "dscore": buffer[:3]})
