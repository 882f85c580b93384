"""Pools over rows without their padding: by the native engine, as an autograd function, or in closed form in torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .. import _native
from ..layers.pool import OVER
from . import native as engine_room
from .native import numbers, target_name
from .ops import TorchOps
from .packed import Packed

Tensor = torch.Tensor
Tensors = dict[str, Tensor]
Layer = dict[str, Any]


def pool(layer: Layer, t: Tensors, x: Tensor, entries: Packed, ends: list[Tensor], native: bool = True) -> Tensor:
    """What a pool arrives at after the first `ends` steps of each row: [K, B, width], rows in the caller's order.

    x: entries [N, size]. ends: K times int64 [B], from 1 to a row's length. native: whether the native engine may run,
    which it does for float32 on the CPU; its values have the bits of the engine that runs the model file.
    """
    where = torch.stack(ends).index_select(1, entries.order)
    weights = [t["score"].flatten(), t["score_bias"]] if "attention" in layer["over"] else []
    if native and engine_room.takes(x, *weights):

        def recompute(x: Tensor, *weights: Tensor) -> Tensor:
            return closed(layer["over"], x, weights, entries, where)

        over = np.array([OVER.index(kind) for kind in layer["over"]], np.int32)
        out = Pool.apply(over, entries.sizes, where, recompute, x, *weights)  # type: ignore[no-untyped-call]
    else:
        out = closed(layer["over"], x, tuple(weights), entries, where)
    return torch.as_tensor(out).index_select(1, entries.place)


def closed(over: list[str], x: Tensor, weights: tuple[Tensor, ...], entries: Packed, ends: Tensor) -> Tensor:
    """The same in closed form, rows in the order of entries. Masks select, never blend."""
    padded, found = entries.longest_first(x), []
    for end in ends:
        behind = (torch.arange(len(padded))[:, None] >= end)[..., None]
        found.append(torch.cat([one(kind, padded.masked_fill(behind, 0.0), behind, end, weights) for kind in over], -1))
    return torch.stack(found)


def one(kind: str, x: Tensor, behind: Tensor, end: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
    """One pool [B, size] of x [T, B, size], which holds zeros `behind` each row's end."""
    if kind == "last":
        return x[end - 1, torch.arange(x.shape[1])]
    if kind == "mean":
        return x.sum(0) / end[:, None]
    if kind == "max":
        return x.masked_fill(behind, -torch.inf).max(0).values  # of equal ones the first has the gradient
    score, bias = weights
    energies = TorchOps.affine(x, score[None], bias).masked_fill(behind, -torch.inf)
    return (energies.softmax(0) * x).sum(0)


class Pool(torch.autograd.Function):
    """over: numbers of the pools; sizes [T]; ends [K, B]; recompute: the same; x; attention's weights."""

    @staticmethod
    def forward(
        over: Any, sizes: Tensor, ends: Tensor, recompute: Callable[..., Tensor], x: Tensor, *weights: Tensor
    ) -> Tensor:
        out = x.new_empty(*ends.shape, len(over) * x.shape[1])
        read = arrays(over, sizes, ends, x, weights)
        _native.train_pool_forward(target_name(), **read, out=numbers(out), threads=torch.get_num_threads())
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.over, ctx.sizes, ctx.ends, ctx.recompute, *given = inputs
        ctx.save_for_backward(*given, output)

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        *given, out = ctx.saved_tensors
        needed = ctx.needs_input_grad[4:]
        if engine_room.as_graph(dout):
            return (None,) * 4 + engine_room.by_graph(ctx.recompute, given, needed, dout)
        x, *weights = given
        made = [x.new_empty(x.shape), x.new_zeros(x.shape[1]), x.new_zeros(1)]
        written: dict[str, Any] = dict(zip(("dx", "dscore", "dbias"), map(numbers, made), strict=True))
        _native.train_pool_backward(
            target_name(),
            **arrays(ctx.over, ctx.sizes, ctx.ends, x, weights),
            out=numbers(out),
            dout=numbers(dout),
            **written,
            threads=torch.get_num_threads(),
        )
        return (None,) * 4 + tuple(v if need else None for v, need in zip(made, needed, strict=False))


# torch reads it at each call; found anew, it would cost more than a short sequence.
Pool.forward.__signature__ = inspect.signature(Pool.forward)  # type: ignore[attr-defined]


def arrays(over: Any, sizes: Tensor, ends: Tensor, x: Tensor, weights: Any) -> dict[str, Any]:
    """What both ways read, by the native functions' names."""
    score, bias = (numbers(weights[0]), float(weights[1].detach())) if weights else (None, 0.0)
    read = {"x": numbers(x), "batch_sizes": sizes.numpy(), "ends": ends.contiguous().numpy(), "over": over}
    return {**read, "score": score, "score_bias": bias}
