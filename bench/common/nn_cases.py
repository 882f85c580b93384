"""Random configurations of torch.nn's recurrent modules, and how far tidegate.nn's are from them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pack_sequence

from tidegate import nn as ours

LAYOUTS = ("batch", "one row", "packed", "packed in order")
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Case:
    """One module and one input. lengths: steps of each row, all equal unless packed."""

    kind: str
    sizes: tuple[int, int]
    options: dict[str, Any]
    layout: str
    lengths: tuple[int, ...]
    hx: bool
    double: bool
    seed: int


def case(seed: int) -> Case:
    """The configuration of a seed."""
    draw = random.Random(seed)
    kind = draw.choice(["GRU", "LSTM", "RNN"])
    hidden = draw.choice([1, 2, 3, 5, 8, 17, 33])
    options: dict[str, Any] = {
        "num_layers": draw.randint(1, 3),
        "bias": draw.random() < 0.7,
        "batch_first": draw.random() < 0.5,
        "bidirectional": draw.random() < 0.5,
    }
    if kind == "RNN":
        options["nonlinearity"] = draw.choice(["tanh", "relu"])
    if kind == "LSTM" and hidden > 1 and draw.random() < 0.5:
        options["proj_size"] = draw.randint(1, hidden - 1)
    layout, rows, steps = draw.choice(LAYOUTS), draw.randint(1, 5), draw.randint(1, 12)
    lengths = [steps] * (1 if layout == "one row" else rows)
    if layout.startswith("packed"):
        lengths = [draw.randint(1, 12) for _ in range(rows)]
        lengths = sorted(lengths, reverse=True) if layout == "packed in order" else lengths
    inputs = draw.choice([1, 2, 3, 7, 16])
    return Case(kind, (inputs, hidden), options, layout, tuple(lengths), draw.random() < 0.5, draw.random() < 0.5, seed)


@dataclass(frozen=True)
class Given:
    """What both modules are given: rows [steps, inputs], first states, and the weights of the sum that is derived."""

    rows: list[torch.Tensor]
    hx: list[torch.Tensor]
    random: torch.Generator

    def to(self, dtype: torch.dtype) -> Given:
        """Leaves of their own, of this dtype, and the generator at its start."""
        again = torch.Generator().manual_seed(self.random.initial_seed())
        fresh = [[v.to(dtype).clone().requires_grad_() for v in values] for values in (self.rows, self.hx)]
        return Given(*fresh, again)


def given(chosen: Case) -> Given:
    generator = torch.Generator().manual_seed(chosen.seed)
    inputs, hidden = chosen.sizes

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = [drawn(n, inputs) for n in chosen.lengths]
    states = chosen.options["num_layers"] * (2 if chosen.options["bidirectional"] else 1)
    widths = [chosen.options.get("proj_size", hidden)] + ([hidden] if chosen.kind == "LSTM" else [])
    batch = () if chosen.layout == "one row" else (len(rows),)
    hx = [0.5 * drawn(states, *batch, width) for width in widths] if chosen.hx else []
    return Given(rows, hx, torch.Generator().manual_seed(chosen.seed + 1))


def reference(chosen: Case) -> torch.nn.Module:
    """torch's module of a case in float64, with weights spread wider than its own first ones."""
    torch.manual_seed(chosen.seed)
    module: torch.nn.Module = getattr(torch.nn, chosen.kind)(*chosen.sizes, **chosen.options, dtype=torch.float64)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(1.5)
    return module


def copy(
    chosen: Case, weights: Tensors, dtype: torch.dtype, of: Any = ours, fused: bool = True, native: bool = True
) -> torch.nn.Module:
    """A module of a case in this dtype with these weights."""
    module: torch.nn.Module = getattr(of, chosen.kind)(*chosen.sizes, **chosen.options, dtype=dtype)
    module.load_state_dict(weights)
    if of is ours:
        module.fused, module.native = fused, native
    return module


def entered(chosen: Case, rows: list[torch.Tensor]) -> Any:
    if chosen.layout == "one row":
        return rows[0]
    if chosen.layout == "batch":
        return torch.stack(rows, 0 if chosen.options["batch_first"] else 1)
    return pack_sequence(rows, enforce_sorted=chosen.layout == "packed in order")


def answers(chosen: Case, module: torch.nn.Module, what: Given) -> tuple[Tensors, Tensors]:
    """Outputs and last states; and the gradients of a random sum of them by input, first states and weights."""
    hx: Any = tuple(what.hx) if len(what.hx) > 1 else what.hx[0] if what.hx else None
    y, last = module(entered(chosen, what.rows), hx)
    states = last if isinstance(last, tuple) else (last,)
    values = {"output": getattr(y, "data", y) if chosen.layout.startswith("packed") else y}
    values |= {f"state {k}": v for k, v in enumerate(states)}
    total = sum(
        (
            (v * torch.randn(v.shape, generator=what.random, dtype=torch.float64).to(v.dtype)).sum()
            for v in values.values()
        ),
        torch.zeros((), dtype=y.data.dtype),
    )
    leaves = {f"row {k}": v for k, v in enumerate(what.rows)} | {f"first state {k}": v for k, v in enumerate(what.hx)}
    leaves |= dict(module.named_parameters())
    found = torch.autograd.grad(total, list(leaves.values()))
    return {k: v.detach() for k, v in values.items()}, dict(zip(leaves, found, strict=True))


def apart(a: Tensors, b: Tensors) -> float:
    """The largest difference, over the largest number of the tensor where that is above 1."""
    assert list(a) == list(b)
    assert all(a[k].shape == b[k].shape for k in a)
    return max(float((a[k].double() - b[k].double()).abs().max() / b[k].abs().max().clamp(min=1)) for k in a)


def measured(chosen: Case, fused: bool, native: bool = True) -> dict[str, Any]:
    """Differences of ours from torch's in the case's dtype; torch's own error there; keys and loading both ways."""
    exact, what = reference(chosen), given(chosen)
    dtype = torch.float64 if chosen.double else torch.float32
    weights = {k: v.to(dtype) for k, v in exact.state_dict().items()}
    theirs = copy(chosen, weights, dtype, of=torch.nn)
    own = copy(chosen, weights, dtype, fused=fused, native=native)
    keys = list(own.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(own.state_dict())
    values, grads = answers(chosen, own, what.to(dtype))
    their_values, their_grads = answers(chosen, theirs, what.to(dtype))
    exact.load_state_dict(weights)
    rounded = Given([v.to(dtype) for v in what.rows], [v.to(dtype) for v in what.hx], what.random)
    exact_values, exact_grads = answers(chosen, exact, rounded.to(torch.float64))
    return {
        "engine": own.engine,
        "keys": keys,
        "dtype": str(dtype).removeprefix("torch."),
        "values": apart(values, their_values),
        "gradients": apart(grads, their_grads),
        "torch_values": apart(their_values, exact_values),
        "torch_gradients": apart(their_grads, exact_grads),
    }
