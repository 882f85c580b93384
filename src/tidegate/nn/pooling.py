"""Pools over rows without their padding: by the native engine, as an autograd function, or in closed form in torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .. import _native
from ..layers.pool import OVER
from . import native as native_engine
from .native import as_array, target_name
from .ops import TorchOps
from .packed import Packed

Tensor = torch.Tensor
Tensors = dict[str, Tensor]
Layer = dict[str, Any]


def pool(layer: Layer, t: Tensors, x: Tensor, layout: Packed, ends: list[Tensor], native: bool = True) -> Tensor:
    """What a pool arrives at after the first `ends` steps of each row: [K, B, width], rows in the caller's order.

    x: entries [N, size]. ends: K times int64 [B], from 1 to a row's length. native: whether the native engine may run,
    which it does for float32 on the CPU; its values have the bits of the engine that runs the model file.
    """
    where = torch.stack(ends).index_select(1, layout.sorted_indices)
    weights = [t["score"].flatten(), t["score_bias"]] if "attention" in layer["over"] else []
    if native and native_engine.accepts(x, *weights):

        def recompute(x: Tensor, *weights: Tensor) -> Tensor:
            return pool_in_torch(layer["over"], x, weights, layout, where)

        over = np.array([OVER.index(kind) for kind in layer["over"]], np.int32)
        out = NativePool.apply(over, layout.batch_sizes, where, recompute, x, *weights)  # type: ignore[no-untyped-call]
    else:
        out = pool_in_torch(layer["over"], x, tuple(weights), layout, where)
    return torch.as_tensor(out).index_select(1, layout.unsorted_indices)


def pool_in_torch(over: list[str], x: Tensor, weights: tuple[Tensor, ...], layout: Packed, ends: Tensor) -> Tensor:
    """The same in closed form, rows in the order of entries. Masks select, never blend."""
    padded, found = layout.pad_longest_first(x), []
    for end in ends:
        behind = (torch.arange(len(padded))[:, None] >= end)[..., None]
        found.append(
            torch.cat([pool_one_kind(kind, padded.masked_fill(behind, 0.0), behind, end, weights) for kind in over], -1)
        )
    return torch.stack(found)


def pool_one_kind(kind: str, x: Tensor, behind: Tensor, end: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
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


class NativePool(torch.autograd.Function):
    """over: numbers of the pools; sizes [T]; ends [K, B]; recompute: the same; x; attention's weights."""

    @staticmethod
    def forward(
        over: Any, sizes: Tensor, ends: Tensor, recompute: Callable[..., Tensor], x: Tensor, *weights: Tensor
    ) -> Tensor:
        out = x.new_empty(*ends.shape, len(over) * x.shape[1])
        read = native_arguments(over, sizes, ends, x, weights)
        _native.train_pool_forward(target_name(), **read, out=as_array(out), threads=torch.get_num_threads())
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.over, ctx.sizes, ctx.ends, ctx.recompute, *given = inputs
        ctx.save_for_backward(*given, output)

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        *given, out = ctx.saved_tensors
        needed = ctx.needs_input_grad[4:]
        if native_engine.needs_graph(dout):
            return (None,) * 4 + native_engine.recompute_gradients(ctx.recompute, given, needed, dout)
        x, *weights = given
        made = [x.new_empty(x.shape), x.new_zeros(x.shape[1]), x.new_zeros(1)]
        written: dict[str, Any] = dict(zip(("dx", "dscore", "dbias"), map(as_array, made), strict=True))
        _native.train_pool_backward(
            target_name(),
            **native_arguments(ctx.over, ctx.sizes, ctx.ends, x, weights),
            out=as_array(out),
            dout=as_array(dout),
            **written,
            threads=torch.get_num_threads(),
        )
        return (None,) * 4 + tuple(v if need else None for v, need in zip(made, needed, strict=False))


# torch reads it at each call; found anew, it would cost more than a short sequence.
NativePool.forward.__signature__ = inspect.signature(NativePool.forward)  # type: ignore[attr-defined]


def native_arguments(over: Any, sizes: Tensor, ends: Tensor, x: Tensor, weights: Any) -> dict[str, Any]:
    """What both ways read, by the native functions' names."""
    score, bias = (as_array(weights[0]), float(weights[1].detach())) if weights else (None, 0.0)
    read = {"x": as_array(x), "batch_sizes": sizes.numpy(), "ends": ends.contiguous().numpy(), "over": over}
    return {**read, "score": score, "score_bias": bias}
