"""The optimiser against torch's, and tables of which few rows have a gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tidegate import _native
from tidegate.errors import OptionError
from tidegate.train.adamw import AdamW


def parameters() -> dict[str, torch.nn.Parameter]:
    gen = torch.Generator().manual_seed(0)
    return {
        n: torch.nn.Parameter(torch.randn(s, generator=gen))
        for n, s in {"table": (9, 5), "W": (4, 3), "b": (7,)}.items()
    }


def gradients(step: int) -> dict[str, torch.Tensor]:
    gen = torch.Generator().manual_seed(step)
    table = torch.zeros(9, 5)
    table[[1, 4, 8] if step % 2 else [0, 4]] = torch.randn(3 if step % 2 else 2, 5, generator=gen)
    return {"table": table, "W": torch.randn(4, 3, generator=gen) * step, "b": torch.randn(7, generator=gen)}


@pytest.mark.parametrize("sparse", [False, True])
def test_steps_are_torchs(sparse: bool) -> None:
    own, other = parameters(), parameters()
    mine = AdamW(own, [own["W"]], 0.1)
    groups = [
        {"params": [other["W"]], "weight_decay": 0.1},
        {"params": [other["table"], other["b"]], "weight_decay": 0.0},
    ]
    theirs = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.99), eps=1e-8)
    for step in range(1, 30):
        for name, g in gradients(step).items():
            own[name].grad = g.to_sparse(1) if sparse and name == "table" else g.clone()
            other[name].grad = g.clone()
        torch.nn.utils.clip_grad_norm_(list(other.values()), 1.0)
        for group in theirs.param_groups:
            group["lr"] = 0.1 / step
        mine.step(0.1 / step, step)
        theirs.step()
    for name, p in own.items():
        assert torch.allclose(p, other[name], rtol=1e-5, atol=1e-6), name
        assert torch.allclose(mine.mean[name], theirs.state[other[name]]["exp_avg"], rtol=1e-5, atol=1e-7)
        assert torch.allclose(mine.square[name], theirs.state[other[name]]["exp_avg_sq"], rtol=1e-5, atol=1e-7)


def test_a_table_has_the_same_bits_whether_its_gradient_is_sparse() -> None:
    dense, some = parameters(), parameters()
    optimisers = AdamW(dense, [], 0.0), AdamW(some, [], 0.0)
    for step in range(1, 9):
        g = gradients(step)["table"]
        dense["table"].grad, some["table"].grad = g, g.to_sparse(1)
        for optimiser in optimisers:
            optimiser.step(0.05, step)
    assert torch.equal(dense["table"], some["table"])
    assert not torch.equal(dense["table"], parameters()["table"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_gradients_that_are_not_finite_change_nothing(value: float) -> None:
    own = parameters()
    optimiser = AdamW(own, [own["W"]], 0.1)
    for name, g in gradients(1).items():
        own[name].grad = g.to_sparse(1) if name == "table" else g
    own["W"].grad[2, 1] = value  # type: ignore[index]
    with pytest.raises(OptionError, match=r"step 1: the gradient of W is NaN or infinite; choose a lower rate"):
        optimiser.step(0.1, 1)
    for name, p in parameters().items():
        assert torch.equal(own[name], p)
        assert not optimiser.mean[name].any()


def test_a_graph_from_before_a_step_does_not_go_back() -> None:
    own = parameters()
    loss = own["W"].square().sum()
    own["W"].grad = torch.ones(4, 3)
    AdamW(own, [], 0.0).step(0.1, 1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_only_what_fits_together_is_taken() -> None:
    p, m, v = (np.zeros((4, 2), np.float32) for _ in range(3))
    rest = (1.0, 1, 0.1, 0.9, 0.99, 1e-8, 0.0)
    g = np.ones((2, 2), np.float32)
    _native.train_adamw(p, m, v, np.array([0, 3]), g, *rest)
    before = p.copy()
    with pytest.raises(ValueError, match="row_ids must be in ascending order"):
        _native.train_adamw(p, m, v, np.array([3, 3]), g, *rest)
    with pytest.raises(ValueError, match="a row id must be from 0 to 3, found 4"):
        _native.train_adamw(p, m, v, np.array([0, 4]), g, *rest)
    with pytest.raises(ValueError, match="step must be 1 or more, found 0"):
        _native.train_adamw(p, m, v, np.array([0, 3]), g, 1.0, 0, 0.1, 0.9, 0.99, 1e-8, 0.0)
    with pytest.raises(ValueError, match="weights and mean must not overlap"):
        _native.train_adamw(p, p, v, np.array([0, 3]), g, *rest)
    assert np.array_equal(p, before)
