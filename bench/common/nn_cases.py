"""Random configurations of torch.nn's recurrent modules, and their differences from tidegate.nn's."""

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


def make_case(seed: int) -> Case:
    """Draw the configuration of a seed."""
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
class Inputs:
    """The input of both modules: rows [steps, inputs], first states, and a generator of the weights of the outputs."""

    rows: list[torch.Tensor]
    hx: list[torch.Tensor]
    random: torch.Generator

    def to(self, dtype: torch.dtype) -> Inputs:
        """Copy to new leaves of this dtype, with the generator at its start."""
        random = torch.Generator().manual_seed(self.random.initial_seed())
        leaves = [[v.to(dtype).clone().requires_grad_() for v in values] for values in (self.rows, self.hx)]
        return Inputs(*leaves, random)


def make_inputs(case: Case) -> Inputs:
    generator = torch.Generator().manual_seed(case.seed)
    inputs, hidden = case.sizes

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = [drawn(n, inputs) for n in case.lengths]
    states = case.options["num_layers"] * (2 if case.options["bidirectional"] else 1)
    widths = [case.options.get("proj_size", hidden)] + ([hidden] if case.kind == "LSTM" else [])
    batch = () if case.layout == "one row" else (len(rows),)
    hx = [0.5 * drawn(states, *batch, width) for width in widths] if case.hx else []
    return Inputs(rows, hx, torch.Generator().manual_seed(case.seed + 1))


def make_reference(case: Case) -> torch.nn.Module:
    """Make torch's module of a case in float64, with weights larger than torch's initial ones."""
    torch.manual_seed(case.seed)
    module: torch.nn.Module = getattr(torch.nn, case.kind)(*case.sizes, **case.options, dtype=torch.float64)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(1.5)
    return module


def make_module(
    case: Case, weights: Tensors, dtype: torch.dtype, of: Any = ours, fused: bool = True, native: bool = True
) -> torch.nn.Module:
    """Make a module of a case in this dtype with these weights."""
    module: torch.nn.Module = getattr(of, case.kind)(*case.sizes, **case.options, dtype=dtype)
    module.load_state_dict(weights)
    if of is ours:
        module.fused, module.native = fused, native
    return module


def as_input(case: Case, rows: list[torch.Tensor]) -> Any:
    if case.layout == "one row":
        return rows[0]
    if case.layout == "batch":
        return torch.stack(rows, 0 if case.options["batch_first"] else 1)
    return pack_sequence(rows, enforce_sorted=case.layout == "packed in order")


def run(case: Case, module: torch.nn.Module, what: Inputs) -> tuple[Tensors, Tensors]:
    """Compute outputs and last states, and the gradients of a random sum of them by input, first states and weights."""
    hx: Any = tuple(what.hx) if len(what.hx) > 1 else what.hx[0] if what.hx else None
    y, last = module(as_input(case, what.rows), hx)
    states = last if isinstance(last, tuple) else (last,)
    values = {"output": getattr(y, "data", y) if case.layout.startswith("packed") else y}
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
    gradients = torch.autograd.grad(total, list(leaves.values()))
    return {k: v.detach() for k, v in values.items()}, dict(zip(leaves, gradients, strict=True))


def relative_difference(a: Tensors, b: Tensors) -> float:
    """Return the largest difference, divided by the largest number of the tensor where that is above 1."""
    assert list(a) == list(b)
    assert all(a[k].shape == b[k].shape for k in a)
    return max(float((a[k].double() - b[k].double()).abs().max() / b[k].abs().max().clamp(min=1)) for k in a)


def measure(case: Case, fused: bool, native: bool = True) -> dict[str, Any]:
    """Measure our differences from torch in the case's dtype and torch's own error, and check keys and loading."""
    exact, what = make_reference(case), make_inputs(case)
    dtype = torch.float64 if case.double else torch.float32
    weights = {k: v.to(dtype) for k, v in exact.state_dict().items()}
    theirs = make_module(case, weights, dtype, of=torch.nn)
    own = make_module(case, weights, dtype, fused=fused, native=native)
    keys = list(own.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(own.state_dict())
    values, grads = run(case, own, what.to(dtype))
    their_values, their_grads = run(case, theirs, what.to(dtype))
    exact.load_state_dict(weights)
    rounded = Inputs([v.to(dtype) for v in what.rows], [v.to(dtype) for v in what.hx], what.random)
    exact_values, exact_grads = run(case, exact, rounded.to(torch.float64))
    return {
        "engine": own.engine,
        "keys": keys,
        "dtype": str(dtype).removeprefix("torch."),
        "values": relative_difference(values, their_values),
        "gradients": relative_difference(grads, their_grads),
        "torch_values": relative_difference(their_values, exact_values),
        "torch_gradients": relative_difference(their_grads, exact_grads),
    }
