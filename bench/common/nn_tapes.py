"""Every cell in every dialect as torch runs it, in float64: beside NumPy's reading of its tape, and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tidegate import cells, layers
from tidegate.nn.recurrent import last, sequence
from tidegate.tape import NumpyOps, Tape

I, H, P, B = 2, 3, 2, 3  # noqa: E741
Tensors = dict[str, torch.Tensor]


def every() -> list[tuple[str, dict[str, str]]]:
    """All cells and dialects of tidegate."""
    return [(name, dialect) for name in cells.names() for dialect in cells.dialects_of(name)]


def made(name: str, dialect: dict[str, str]) -> tuple[dict[str, Any], Tape, Tensors]:
    """A layer of a cell, its tape and random weights."""
    cell = cells.load(name, dialect)
    layer: dict[str, Any] = {"inputs": I, "size": H, "tape": name}
    if cell.tape.projected:
        layer["project"] = P
    random = torch.Generator().manual_seed(4)
    shapes = layers.load("recurrent").tensors(layer, {name: cell.tape})
    t = {role: torch.randn(shape, generator=random, dtype=torch.float64) for role, shape in shapes.items()}
    return layer, cell.tape, {role: v.requires_grad_() for role, v in t.items()}


def given(layer: dict[str, Any], tape: Tape, steps: int) -> tuple[torch.Tensor, Tensors]:
    """Random input [steps, B, I] and first states."""
    random = torch.Generator().manual_seed(5)
    x = torch.randn(steps, B, I, generator=random, dtype=torch.float64, requires_grad=True)
    shapes = layers.load("recurrent").state(layer, {layer["tape"]: tape})
    return x, {
        n: torch.randn(B, *shape, generator=random, dtype=torch.float64, requires_grad=True)
        for n, (shape, _) in shapes.items()
    }


def from_numpy(name: str, dialect: dict[str, str], fused: bool, steps: int) -> float:
    """The largest difference of outputs and states from the layer's own equation in NumPy."""
    layer, tape, t = made(name, dialect)
    x, start = given(layer, tape, steps)
    y, states = sequence(layer, tape, t, x, fused, start)
    arrays, s = ({k: v.detach().numpy() for k, v in values.items()} for values in (t, start))
    assert set(states) == set(s)
    worst = 0.0
    for k in range(steps):
        wanted, s = layers.load("recurrent").step(NumpyOps, layer, {name: tape}, arrays, s, x[k].detach().numpy(), None)
        pairs = [(y[k], wanted), *((states[n][k], s[n]) for n in s)]
        worst = max(worst, *(float(np.abs(a.detach().numpy() - b).max()) for a, b in pairs))
    return worst


def gradients_hold(name: str, dialect: dict[str, str], fused: bool) -> bool:
    """Whether the gradients of outputs and last states by input, first states and weights are those of finite
    differences, as torch's gradcheck judges."""
    layer, tape, t = made(name, dialect)
    x, start = given(layer, tape, 2)
    leaves = {f"t {k}": v for k, v in t.items() if v.numel()} | {f"s {k}": v[:1] for k, v in start.items()}

    def run(x: torch.Tensor, *values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        by_name = dict(zip(leaves, values, strict=True))
        weights = {k: by_name.get(f"t {k}", v) for k, v in t.items()}
        y, states = last(layer, tape, weights, x, None, {k: by_name[f"s {k}"] for k in start}, fused=fused)
        return y, *states.values()

    return bool(torch.autograd.gradcheck(run, (x[:, :1], *leaves.values()), raise_exception=False))
