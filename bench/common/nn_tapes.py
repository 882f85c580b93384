"""Check every cell in every dialect in torch's float64: against NumPy's run of its equation, and its gradients."""

from __future__ import annotations

import numpy as np
import torch

from tidegate import cells
from tidegate.layers.recurrent import Recurrent
from tidegate.nn.recurrent import run_all_states, run_final_states
from tidegate.tape import NumpyOps

I, H, P, B = 2, 3, 2, 3  # noqa: E741
Tensors = dict[str, torch.Tensor]


def all_dialects() -> list[tuple[str, dict[str, str]]]:
    """List all cells and dialects of tidegate."""
    return [(name, dialect) for name in cells.names() for dialect in cells.list_dialects(name)]


def make_layer(name: str, dialect: dict[str, str]) -> tuple[Recurrent, Tensors]:
    """Make a layer of a cell, and random weights."""
    tape = cells.load(name, dialect).tape
    layer = Recurrent(inputs=I, size=H, tape=tape, project=P if tape.has_projection else None)
    random = torch.Generator().manual_seed(4)
    t = {role: torch.randn(shape, generator=random, dtype=torch.float64) for role, shape in layer.shapes().items()}
    return layer, {role: v.requires_grad_() for role, v in t.items()}


def make_inputs(layer: Recurrent, steps: int) -> tuple[torch.Tensor, Tensors]:
    """Make random input [steps, B, I] and first states."""
    random = torch.Generator().manual_seed(5)
    x = torch.randn(steps, B, I, generator=random, dtype=torch.float64, requires_grad=True)
    shapes = layer.state()
    return x, {
        n: torch.randn(B, *shape, generator=random, dtype=torch.float64, requires_grad=True)
        for n, (shape, _) in shapes.items()
    }


def difference_from_numpy(name: str, dialect: dict[str, str], fused: bool, steps: int) -> float:
    """Return the largest difference of outputs and states from the layer's own equation in NumPy."""
    layer, t = make_layer(name, dialect)
    x, start = make_inputs(layer, steps)
    y, states = run_all_states(layer, t, x, fused, start)
    arrays, s = ({k: v.detach().numpy() for k, v in values.items()} for values in (t, start))
    assert set(states) == set(s)
    worst = 0.0
    for k in range(steps):
        wanted, s = layer.step(NumpyOps, arrays, s, x[k].detach().numpy(), None)
        pairs = [(y[k], wanted), *((states[n][k], s[n]) for n in s)]
        worst = max(worst, *(float(np.abs(a.detach().numpy() - b).max()) for a, b in pairs))
    return worst


def check_gradients(name: str, dialect: dict[str, str], fused: bool) -> bool:
    """Check the gradients of outputs and last states by input, first states and weights with torch's gradcheck."""
    layer, t = make_layer(name, dialect)
    x, start = make_inputs(layer, 2)
    leaves = {f"t {k}": v for k, v in t.items() if v.numel()} | {f"s {k}": v[:1] for k, v in start.items()}

    def run(x: torch.Tensor, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        by_name = dict(zip(leaves, values, strict=True))
        weights = {k: by_name.get(f"t {k}", v) for k, v in t.items()}
        y, states = run_final_states(layer, weights, x, None, {k: by_name[f"s {k}"] for k in start}, fused=fused)
        return y, *states.values()

    return bool(torch.autograd.gradcheck(run, (x[:, :1], *leaves.values()), raise_exception=False))
