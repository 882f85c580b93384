"""A tape over a whole sequence in torch, for training."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from .. import cells
from ..layers import recurrent as layer_room
from ..tape import Tape, interpret, width
from .ops import TorchOps

Weights = dict[str, torch.Tensor]


@cache
def torch_gru() -> dict[str, Any]:
    """The tape that torch's GRU kernel computes; the parity tests hold kernel and tape together."""
    return cells.load("gru").tape.to_json()


def engine(tape: Tape) -> str:
    """Which code runs a tape: 'torch gru kernel' when it is the kernel's own equation, else 'tape'."""
    return "torch gru kernel" if tape.to_json() == torch_gru() else "tape"


def sequence(
    layer: dict[str, Any], tape: Tape, t: Weights, x: torch.Tensor, fused: bool = True
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Outputs [T, B, H] and every step's states, name -> [T, B, *shape], of a layer over x [T, B, inputs] from zeros.

    What stands behind a row's length does not reach back, so right padding needs no mask here.
    """
    if fused and engine(tape) == "torch gru kernel":
        start = x.new_zeros(1, x.shape[1], layer["size"])
        weights = [t["W"], t["R"], t["b"], t["c"]]
        y, _ = torch._VF.gru(x, start, weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
        return y, {"h": y}
    return by_equation(layer, tape, t, x)


def by_equation(
    layer: dict[str, Any], tape: Tape, t: Weights, x: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The same for any cell: its tape, step by step."""
    H = layer["size"]
    parts = TorchOps.split(TorchOps.affine(x, t["W"], t["b"]), len(tape.gates))
    maps = layer_room.maps(TorchOps, t, tape, H)
    own = {name: t[f"p.{name}"].reshape(-1) for name in tape.params}
    s = {name: x.new_zeros(x.shape[1], width(shape, H)) for name, shape in tape.state.items()}
    outputs, states = [], []
    for k in range(x.shape[0]):
        gates = {g: part[k] for g, part in zip(tape.gates, parts, strict=True)}
        y, s = interpret(tape, TorchOps, gates, maps, own, s)
        outputs.append(y)
        states.append(s)
    shapes = {name: layer_room.concrete(shape, H) for name, shape in tape.state.items()}
    every = {n: torch.stack([s[n] for s in states]).reshape(*x.shape[:2], *shape) for n, shape in shapes.items()}
    return torch.stack(outputs), every
