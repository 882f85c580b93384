"""Convolutions, bidirectional layers and pools in torch: the values of the reference, and no effect of padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tidegate.model import Model
from tidegate.nn import Network, Noise
from tidegate.reference import Reference
from tidegate.verify.samples import sample

POOLS = ("last", "mean", "max", "attention")
MODELS: dict[str, dict[str, Any]] = {
    "causal": {"features": 5, "size": 6, "over": POOLS},
    "conv": {"features": 5, "size": 6, "conv": 3, "over": POOLS},
    "conv alone": {"features": 5, "size": 6, "conv": 4, "cell": None, "over": POOLS},
    "centred": {"features": 5, "size": 6, "conv": 4, "centred": True, "over": POOLS},
    "both": {"features": 5, "size": 6, "direction": "both", "over": POOLS},
    "both, by equation": {"features": 5, "size": 6, "direction": "both", "dialect": {"reset": "before"}, "over": POOLS},
    "both, linear": {"features": 5, "size": 6, "direction": "both", "cell": "mingru", "over": POOLS},
    "both, deep, of words": {"size": 6, "direction": "both", "depth": 2, "conv": 2, "centred": True, "over": POOLS},
}
LENGTHS = torch.tensor([9, 1, 4, 7, 9, 2])
ALL = pytest.mark.parametrize("name", MODELS)


def make_network(name: str) -> tuple[Model, Network, torch.Tensor]:
    """Make a model, its network in float64, and a batch of rows of LENGTHS, T = 9."""
    model = sample(seed=4, **MODELS[name])
    network = Network(model.layers)
    network.load_tensors(dict(model.tensors))
    gen = torch.Generator().manual_seed(0)
    expected = model.document["inputs"]["x"]
    if expected["kind"] == "text":
        return model, network.double(), torch.randint(1, expected["size"], (9, len(LENGTHS)), generator=gen)
    return (
        model,
        network.double(),
        torch.randn(9, len(LENGTHS), expected["features"], generator=gen, dtype=torch.float64),
    )


@ALL
def test_every_step_is_that_of_the_reference(name: str) -> None:
    model, network, x = make_network(name)
    y, states = network.run(x, LENGTHS)
    exact, end = Reference(model).run(x.numpy(), LENGTHS.numpy())
    for row, length in enumerate(LENGTHS.tolist()):
        assert np.abs(y[:length, row].detach().numpy() - exact[:length, row]).max() < 1e-12
    assert set(states) == set(end) - {"steps"}
    for key, values in states.items():
        last = values[LENGTHS - 1, torch.arange(len(LENGTHS))].detach().numpy()
        assert np.abs(last.reshape(end[key].shape) - end[key]).max() < 1e-12
    whole = network(x, LENGTHS, logits=False)
    assert torch.allclose(whole, y[LENGTHS - 1, torch.arange(len(LENGTHS))], atol=1e-12)


def pad(x: torch.Tensor, more: int, filler: float) -> torch.Tensor:
    """Return x with `more` further steps and all padding filled; ids with the largest one."""
    longer = torch.cat([x, x[:1].expand(more, *x.shape[1:])]) if more else x.clone()
    for row, length in enumerate(LENGTHS.tolist()):
        longer[length:, row] = filler if x.is_floating_point() else int(x.max())
    return longer


@ALL
@pytest.mark.parametrize(
    ("more", "filler"), [(0, 0.0), (3, 0.0), (40, 0.0), (0, torch.nan), (3, torch.nan), (40, 1e30)]
)
def test_padding_changes_no_value_and_no_gradient(name: str, more: int, filler: float) -> None:
    _, network, x = make_network(name)
    results = []
    for batch in (x, pad(x, more, filler)):
        network.zero_grad()
        y = network(batch, LENGTHS)
        (y * torch.arange(1, y.shape[1] + 1)).square().sum().backward()
        results.append([y.detach(), *(p.grad for p in network.parameters() if p.grad is not None)])
    assert len(results[0]) == len(results[1]) > 3
    for a, b in zip(*results, strict=True):
        assert torch.isfinite(b).all()
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


@ALL
def test_a_row_is_what_it_is_alone(name: str) -> None:
    _, network, x = make_network(name)
    together = network(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = network(x[:length, row : row + 1], LENGTHS[row : row + 1])
        assert torch.allclose(together[row], alone[0], atol=1e-12)


@ALL
def test_gradients_reach_every_weight(name: str) -> None:
    _, network, x = make_network(name)
    network(x, LENGTHS, logits=False).square().sum().backward()
    reached = {n for n, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    without_effect = {n for n, p in network.named_parameters() if not p.numel() or n.endswith("score_bias")}
    assert {n for n, _ in network.named_parameters()} - reached - without_effect == set()


def test_the_matrices_of_both_directions_and_windows_decay() -> None:
    model = sample(features=5, size=6, direction="both", conv=3, dialect={"norm": "layer"})
    network = Network(model.layers)
    decaying = {id(p) for p in network.matrices()}
    names = {n for n, p in network.named_parameters() if id(p) in decaying}
    ways = {f"layers_1_{way}_{role}" for way in ("forward", "backward") for role in ("W", "R")}
    assert names == {"layers_0_weight", *ways, "layers_3_weight"}


def test_noise_leaves_the_embedding_out_before_the_window() -> None:
    model = sample(size=6, conv=3, direction="both")
    network = Network(model.layers)
    network.load_tensors(dict(model.tensors))
    x = torch.ones(4, 2, dtype=torch.int64)
    noise = [Noise(0.5, 0.0, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    a, b, c = (network(x, torch.tensor([4, 2]), one) for one in noise)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
