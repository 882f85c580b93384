"""Networks and tapes in torch against the reference: values, gradients, padding."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tidegate import cells, layers
from tidegate.layers.recurrent import Recurrent
from tidegate.nn import Network, engine
from tidegate.nn.ops import TorchOps
from tidegate.nn.recurrent import run_all_states, run_tape
from tidegate.runtime import compile
from tidegate.tape import BINARY, UNARY, NumpyOps, Tape
from tidegate.verify.samples import sample

H, I, T, B = 6, 5, 9, 4  # noqa: E741


def make_layer(name: str) -> tuple[Recurrent, dict[str, torch.Tensor]]:
    layer = Recurrent(inputs=I, size=H, tape=cells.load(name).tape)
    shapes = layer.shapes()
    gen = torch.Generator().manual_seed(1)
    weights = {k: torch.randn(v, generator=gen, dtype=torch.float64, requires_grad=True) for k, v in shapes.items()}
    return layer, weights


@pytest.mark.parametrize("name", cells.names())
def test_a_fused_sequence_has_the_values_and_gradients_of_the_equation(name: str) -> None:
    layer, t = make_layer(name)
    x = torch.randn(T, B, I, dtype=torch.float64, requires_grad=True)
    results = []
    for run in (run_all_states, run_tape):
        y, states = run(layer, t, x)
        grads = torch.autograd.grad((y * torch.arange(1, H + 1)).square().sum(), [x, *t.values()], allow_unused=True)
        results.append((y, states, grads))
    (y, states, grads), (y2, states2, grads2) = results
    assert torch.allclose(y, y2, atol=1e-12)
    for k in states:
        assert torch.allclose(states[k], states2[k], atol=1e-12)
    for a, b in zip(grads, grads2, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.allclose(a, b, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", cells.names())
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    layer, t = make_layer(name)
    x = torch.randn(3, 2, I, dtype=torch.float64, requires_grad=True)
    roles = list(t)
    assert torch.autograd.gradcheck(
        lambda x, *w: run_tape(layer, dict(zip(roles, w, strict=True)), x)[0], (x, *t.values())
    )


def test_the_engine_is_chosen_by_the_tape_and_not_by_its_name() -> None:
    gru = cells.load("gru").tape
    assert engine(gru) == "native gru"
    assert engine(gru, torch.float64) == engine(gru, device="cuda") == "torch gru kernel"
    other = gru.to_json()
    other["instructions"][13] = ["sigmoid", 12]
    assert engine(Tape.from_json(other)) == "tape"


@pytest.mark.parametrize("name", UNARY)
def test_an_operation_has_the_values_of_numpy(name: str) -> None:
    v = np.linspace(-4, 4, 33)
    assert np.allclose(getattr(TorchOps, name)(torch.from_numpy(v)).numpy(), getattr(NumpyOps, name)(v), atol=1e-14)


@pytest.mark.parametrize("name", BINARY)
def test_an_operation_on_two_operands_has_the_values_of_numpy(name: str) -> None:
    a, b = np.linspace(-4, 4, 33), np.linspace(3, -2, 33) + 0.01
    found = getattr(TorchOps, name)(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    assert np.allclose(found, getattr(NumpyOps, name)(a, b), atol=1e-14)
    scalar = getattr(TorchOps, name)(torch.from_numpy(a), 0.5).numpy()
    assert np.allclose(scalar, getattr(NumpyOps, name)(a, 0.5), atol=1e-14)


def make_stack(over: list[str]) -> list[layers.Layer]:
    builder, gru = layers.Builder(None), cells.load("gru")
    builder.add("embed", rows=11, size=H)
    builder.recurrence(gru, H)
    builder.add("norm", eps=1e-5)
    builder.recurrence(gru, H, add=1)
    builder.add("pool", over=over)
    builder.add("dense", size=3, activation="none")
    builder.add("softmax")
    return builder.layers


@pytest.mark.parametrize("over", [["last"], ["mean", "max"], ["attention"], ["last", "mean", "max", "attention"]])
def test_a_whole_batch_has_the_values_of_its_rows_step_by_step(over: list[str]) -> None:
    network = Network(make_stack(over))
    gen = torch.Generator().manual_seed(0)
    for p in network.parameters():
        p.data.normal_(0, 0.7, generator=gen)
    lengths = torch.tensor([9, 1, 4, 7])
    x = torch.randint(1, 11, (T, B), generator=gen)
    whole = network(x, lengths, logits=False)
    steps, states = network.run(x, lengths)
    assert torch.allclose(whole, steps[lengths - 1, torch.arange(B)], atol=1e-6)
    assert set(states) >= {"layers.1.h", "layers.3.h"}
    assert all(v.shape[:2] == (T, B) for v in states.values())
    padded = x.clone()
    for b, n in enumerate(lengths):
        padded[n:, b] = 0
    assert torch.equal(whole, network(padded, lengths, logits=False))


def test_padding_of_nan_changes_nothing() -> None:
    builder = layers.Builder(I)
    builder.recurrence(cells.load("gru"), H)
    builder.add("pool", over=["last", "mean", "max", "attention"])
    network = Network(builder.layers)
    gen = torch.Generator().manual_seed(0)
    for p in network.parameters():
        p.data.normal_(0, 0.7, generator=gen)
    x, lengths = torch.randn(T, B, I, generator=gen), torch.tensor([9, 1, 4, 7])
    filled = x.clone()
    for b, n in enumerate(lengths):
        filled[n:, b] = torch.nan
    assert torch.equal(network(x, lengths), network(filled, lengths))


def test_a_custom_cell_trains_by_its_tape() -> None:
    cell = cells.load(str(Path(__file__).parents[3] / "examples" / "leaky.py"))
    layer = Recurrent(inputs=I, size=H, tape=cell.tape)
    t = {k: torch.randn(v, requires_grad=True) for k, v in layer.shapes().items()}
    y, states = run_all_states(layer, t, torch.randn(T, B, I))
    y.sum().backward()
    assert set(states) == {"h", "trace"}
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in t.values())


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_a_network_can_be_copied_and_pickled(way: Any) -> None:
    model = sample(size=6, over=("mean",))
    network = Network(model.layers)
    network.load_tensors(dict(model.tensors))
    x, lengths = torch.randint(0, 3, (4, 2)), torch.tensor([4, 3])
    copied = way(network)
    assert torch.equal(copied(x, lengths), network(x, lengths))
    assert copied.state_dict().keys() == network.state_dict().keys()


def test_the_sum_of_the_rows_of_several_ids_has_the_bits_of_the_engine() -> None:
    model = sample(size=32, ids=3, over=(), outputs=None, softmax=False)
    network = Network(model.layers)
    network.load_tensors(dict(model.tensors))
    x, lengths = np.random.default_rng(0).integers(0, 48, (9, 4, 3)), np.array([9, 3, 7, 1])
    found = network(torch.from_numpy(x), torch.from_numpy(lengths)).detach().numpy()
    states, out = np.zeros((4, model.state_bytes), np.uint8), np.empty((4, 32), np.float32)
    compile(model).run(x.astype(np.int32), lengths.astype(np.int32), states, states.copy(), out, False, 1)
    assert found.tobytes() == out.tobytes()
