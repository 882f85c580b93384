"""Bags in training: the sums and gradients of the layer's equation, each different bag summed once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tidegate import layers
from tidegate.layers import Builder, Layer
from tidegate.nn.layer_functions import Noise, Run, run_equation, sum_bags, unique_rows

SIZE, ROWS, MOST = 7, 19, 5
RUN: Any = {"layout": None}
BAGS = {
    "repeated": np.random.default_rng(0).integers(-3, ROWS, (6, MOST))[[0, 1, 2, 0, 5, 2, 4]],
    "empty ones": np.array([[-1] * MOST, [3, -1, 3, -1, 0], [-1] * MOST, [-2, 4, -1, 4, 4], [-1] * MOST]),
    "all empty": np.full((3, MOST), -1),
}


def make_bag() -> tuple[Layer, torch.Tensor]:
    builder = Builder(None)
    builder.add("bag", rows=ROWS, size=SIZE, most=MOST, sources=("x.grams",))
    weight = torch.randn(ROWS, SIZE, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert "bag" in layers.kinds()
    return builder.layers[0], weight


@pytest.mark.parametrize("noise", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", BAGS)
def test_values_and_gradients_are_those_of_the_equation(name: str, noise: bool) -> None:
    layer, weight = make_bag()
    x, results = torch.from_numpy(BAGS[name]), []
    for run in (sum_bags, run_equation):
        how = Run(**RUN, noise=Noise(0.0, 0.0, np.random.default_rng(0)) if noise else None)
        y = run(layer, {"weight": weight}, x, how)  # type: ignore[operator]
        (gradient,) = torch.autograd.grad((y * torch.arange(1, len(x) + 1)[:, None]).sum(), weight)
        results.append((y, gradient.to_dense()))
    (y, gradient), (right, expected) = results
    assert torch.allclose(y, right, atol=1e-6)
    assert torch.allclose(gradient, expected, atol=1e-5)
    assert name == "all empty" or gradient.any()


def test_without_the_native_engine_it_is_the_equation() -> None:
    layer, weight = make_bag()
    x = torch.from_numpy(BAGS["repeated"])
    how = Run(**RUN, native=False)
    assert torch.equal(sum_bags(layer, {"weight": weight}, x, how), run_equation(layer, {"weight": weight}, x, how))  # type: ignore[arg-type]


def test_sums_have_the_dropout_of_embeddings_and_keep_their_mean() -> None:
    layer, _ = make_bag()
    x = torch.zeros(4000, MOST, dtype=torch.int64)
    how = Run(**RUN, noise=Noise(0.25, 0.0, np.random.default_rng(0)))
    y = sum_bags(layer, {"weight": torch.ones(ROWS, SIZE)}, x, how)  # type: ignore[arg-type]
    assert abs(float((y == 0).float().mean()) - 0.25) < 0.02
    assert abs(float(y.mean()) - MOST) < 0.1


def test_different_rows_are_found_in_the_order_in_which_they_come() -> None:
    x = torch.tensor([[3, 1], [0, 2], [3, 1], [1, 3], [0, 2]])
    rows, place = unique_rows(x)
    assert rows.tolist() == [[3, 1], [0, 2], [1, 3]]
    assert place.tolist() == [0, 1, 0, 2, 1]
    assert torch.equal(rows[place], x)
    columns = torch.arange(12).reshape(4, 3)[:, 1:]  # not contiguous
    assert torch.equal(unique_rows(columns)[0], columns)
