"""Every operation of layers in torch: the values of NumPy, and gradients that are those of finite differences."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.nn import Network
from tidegate.nn.ops import TorchOps
from tidegate.reference import Reference
from tidegate.tape import NumpyOps, run_program

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "toy_layers"))
from programmed import SINGLE, STATE, TENSORS, program
from toy_models import attention_model, programmed_model, toy_layers

__all__ = ["toy_layers"]
DRAWN = range(4)


def draw_operands(seed: int, rows: int) -> dict[str, Any]:
    """Return tensors, states and an input, float64, by name."""
    random = np.random.default_rng(seed)
    t = {f"t.{role}": random.standard_normal(shape) for role, shape in TENSORS.items()}
    t["t.column"] = np.array([[3.0], [2.0], [1.0], [0.0]])
    s = {f"s.{name}": random.standard_normal((rows, *shape)) for name, shape in STATE.items()}
    return {**t, **s, "x": random.standard_normal((rows, 6))}


def run(name: str | int, xp: Any, operands: dict[str, Any], steps: Any) -> list[Any]:
    t, s = ({k[2:]: v for k, v in operands.items() if k.startswith(start)} for start in ("t.", "s."))
    y, after = run_program(program(name), xp, t, s, operands["x"], steps)
    return [y, *after.values()]


@pytest.mark.parametrize("name", [*SINGLE, *DRAWN])
def test_a_program_has_the_values_of_numpy_and_gradients(name: str | int) -> None:
    operands, steps = draw_operands(3, 2), np.array([[2.0], [5.0]])
    expected = run(name, NumpyOps, operands, steps)
    leaves = {k: torch.tensor(v, requires_grad=k != "t.column") for k, v in operands.items()}

    def compute(*values: Any) -> Any:
        return tuple(run(name, TorchOps, dict(zip(leaves, values, strict=True)), torch.tensor(steps)))

    found = compute(*leaves.values())
    for one, value in zip(found, expected, strict=True):
        assert np.allclose(one.detach().numpy(), value, rtol=1e-12, atol=1e-12)
    smooth = [k for k, one in enumerate(found) if one.requires_grad]  # comparisons alone have no gradients
    assert 0 in smooth
    assert torch.autograd.gradcheck(
        lambda *values: tuple(compute(*values)[k] for k in smooth), tuple(leaves.values()), fast_mode=True
    )


def test_what_is_not_taken_gets_no_gradient_and_no_nan() -> None:
    score = torch.tensor([[0.5, -2.0, 1.0, 3.0]], dtype=torch.float64, requires_grad=True)
    empty = torch.tensor([[1.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    for filler in (-1e30, -np.inf):
        kept = TorchOps.select(empty, filler, score)
        weight = TorchOps.exp(kept - TorchOps.peak(kept))
        (gradient,) = torch.autograd.grad((weight / TorchOps.sum(weight))[0, 1], score)
        assert gradient.isfinite().all()
        assert gradient[0, [0, 3]].tolist() == [0.0, 0.0]
        assert gradient[0, 1] > 0
    missing = torch.tensor([[np.nan, 1.0, 2.0, np.inf]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(TorchOps.exp(TorchOps.select(empty, score, missing)).sum(), missing)
    assert gradient.tolist() == [[0.0, np.exp(1.0), np.exp(2.0), 0.0]]


def follow(model: Model, x: Any) -> tuple[Any, dict[str, Any]]:
    """Return the reference's outputs and states after every step of x [T, rows, ...]."""
    reference, outputs, states = Reference(model), [], []
    state = reference.initial_state(x.shape[1])
    for one in x:
        y, state = reference.step(state, one)
        outputs.append(y)
        states.append(state)
    return np.stack(outputs), {name: np.stack([s[name] for s in states]) for name in state if name != "steps"}


def make_network(model: Model) -> Network:
    network = Network(model.layers)
    network.load_tensors(model.tensors)
    return network


@pytest.mark.parametrize("name", ["attention", "softmax over a window", "less of steps", *DRAWN[:3]])
def test_a_network_has_the_outputs_and_states_of_the_reference(name: str | int) -> None:
    model = attention_model() if name == "attention" else programmed_model(name)
    random = np.random.default_rng(5)
    x = random.integers(0, 40, (9, 3)) if name == "attention" else random.standard_normal((9, 3, 6)).astype(np.float32)
    expected, expected_states = follow(model, x)
    with torch.no_grad():
        y, states = make_network(model).run(torch.tensor(x), torch.tensor([9, 9, 9]))
    assert np.allclose(y.numpy(), expected, atol=1e-5)
    assert set(states) == set(expected_states)
    assert all(np.allclose(states[n].numpy(), v, atol=1e-5) for n, v in expected_states.items())


def test_rows_of_different_lengths_have_the_outputs_of_the_reference_and_gradients() -> None:
    model, lengths = attention_model(), [9, 2, 6]
    network, x = make_network(model), np.random.default_rng(6).integers(0, 40, (9, 3))
    logits = network(torch.tensor(x), torch.tensor(lengths))
    probabilities = network(torch.tensor(x), torch.tensor(lengths), logits=False)
    expected = follow(model, x)[0]
    for row, n in enumerate(lengths):
        assert np.allclose(probabilities[row].detach(), expected[n - 1, row], atol=1e-5)
    several = network.forward_heads(
        network.forward_body(torch.tensor(x), torch.tensor(lengths)),
        [torch.tensor([1, 1, 1]), torch.tensor(lengths)],
        logits=False,
    )
    assert np.allclose(several[0].detach(), expected[0], atol=1e-5)
    assert torch.allclose(several[1], probabilities)
    logits.square().sum().backward()
    for name, weight in network.named_parameters():
        assert name.endswith("age") == (weight.grad is None), name
        assert weight.grad is None or (weight.grad.isfinite().all() and weight.grad.abs().sum() > 0), name


def test_a_layer_without_states_may_read_the_number_of_the_step() -> None:
    builder = Builder(4)
    builder.add("toy_clock")
    network, x = Network(builder.layers), torch.ones(5, 2, 4)
    y, _ = network.run(x, torch.tensor([5, 3]))
    assert y[:, 0, 0].tolist() == pytest.approx([1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5])
    assert network(x, torch.tensor([5, 3]))[1].tolist() == pytest.approx([1 / 3] * 4)
