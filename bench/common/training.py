"""A training step of one recurrent layer with forward, backward and all gradients, in tidegate.nn, torch.nn and jax."""

from __future__ import annotations

from typing import Any

import torch

from tidegate import nn

from .cases import Case
from .interleaved import Work, do_nothing

OURS = {"gru": "GRU", "lstm": "LSTM", "rnn": "RNN", "mingru": "MinGRU"}
FLAGS = {"layer": True, "yes": True, "none": False, "no": False}  # where a module's argument is a bool
Gradients = list[torch.Tensor]


def make_module(case: Case, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """Make our module, with weights that depend on the case alone; in float64 it is run by torch's operations."""
    torch.manual_seed(0)
    dialect: dict[str, Any] = {key: FLAGS.get(value, value) for key, value in case.dialect.items()}
    if "activation" in dialect:
        dialect["nonlinearity"] = dialect.pop("activation")
    layer: torch.nn.Module = getattr(nn, OURS[case.cell])(case.inputs, case.size, **dialect)
    return layer.to(dtype)


def make_inputs(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw inputs [T, B, I], and the gradient [T, B, H] of the outputs."""
    torch.manual_seed(1)
    x = torch.randn(case.steps, case.rows, case.inputs)
    return x, torch.randn(case.steps, case.rows, case.size)


def make_work(module: torch.nn.Module, x: torch.Tensor, dy: torch.Tensor, threads: int = 1) -> Work:
    """Make the work of a training step.

    Its result: the gradients of inputs, then of weights in the order of the module's parameters.
    """
    x, now = x.clone().requires_grad_(), dict[str, Gradients]()

    def call() -> None:
        y, _ = module(x)
        now["left"] = list(torch.autograd.grad(y, [x, *module.parameters()], dy))

    return Work(call, lambda: now["left"], (lambda: torch.set_num_threads(threads)) if threads else do_nothing)


def exact_gradients(case: Case, x: torch.Tensor, dy: torch.Tensor) -> Gradients:
    """Compute the gradients in float64 by torch's operations."""
    double = make_work(make_module(case, torch.float64), x.double(), dy.double())
    double.call()
    return list(double.result())


def largest_error(gradients: Gradients, right: Gradients) -> float:
    """Return the largest difference, divided by the largest number of its gradient."""
    pairs = zip(gradients, right, strict=True)
    return max(float((one.double() - exact).abs().max() / exact.abs().max()) for one, exact in pairs)


def make_peers(
    case: Case, x: torch.Tensor, dy: torch.Tensor, own: torch.nn.Module, threads: int = 1
) -> dict[str, Work]:
    """Make the works of torch.nn by name: the module of the same equation, and for a GRU also the LSTM."""
    if case.dialect:
        return {}
    works = {}
    for kind in {"gru": ("GRU", "LSTM"), "mingru": ("GRU",)}.get(case.cell, (OURS[case.cell],)):
        theirs = getattr(torch.nn, kind)(case.inputs, case.size)
        if kind == OURS[case.cell]:
            theirs.load_state_dict(own.state_dict())
        works[f"torch.nn.{kind}"] = make_work(theirs, x, dy, threads)
    return works


def jax_gru(own: torch.nn.Module, x: torch.Tensor, dy: torch.Tensor) -> Work:
    """Make the work of value and gradients of a jitted scan of the GRU, with the module's weights."""
    import jax
    import numpy as np
    from jax import numpy as jnp

    weights = [jnp.asarray(value.detach().numpy()) for value in own.parameters()]
    rows, dy_rows = jnp.asarray(x.numpy()), jnp.asarray(dy.numpy())

    def value(rows: Any, W: Any, R: Any, b: Any, c: Any) -> Any:
        def step(h: Any, row: Any) -> tuple[Any, Any]:
            (xr, xz, xn), (hr, hz, hn) = jnp.split(row, 3, -1), jnp.split(h @ R.T + c, 3, -1)
            r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
            n = jnp.tanh(xn + r * hn)
            h = n + z * (h - n)
            return h, h

        first = jnp.zeros((rows.shape[1], R.shape[1]), jnp.float32)
        return (jax.lax.scan(step, first, rows @ W.T + b)[1] * dy_rows).sum()

    both = jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2, 3, 4)))
    now: dict[str, Any] = {}

    def call() -> None:
        now["left"] = jax.block_until_ready(both(rows, *weights))[1]

    return Work(call, lambda: [torch.from_numpy(np.array(value)) for value in now["left"]])
