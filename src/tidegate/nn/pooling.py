"""Pool packed rows: in the native engine, as an autograd function, or in closed form in torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .. import _native
from ..layers.pool import OVER, Pool
from . import native as native_engine
from .native import as_array, target_name
from .ops import TorchOps
from .packed import PackedLayout

Tensor = torch.Tensor
Tensors = dict[str, Tensor]


def pool(layer: Pool, t: Tensors, x: Tensor, layout: PackedLayout, ends: list[Tensor], native: bool = True) -> Tensor:
    """Pool the first `ends` steps of each row: [K, B, width], rows in the caller's order.

    x: packed entries [N, size]. ends: K tensors int64 [B], each from 1 to the row's length. native: allow the native
    engine, which runs for float32 on the CPU. Its values have the bits of the engine that runs the model file.
    """
    sorted_ends = torch.stack(ends).index_select(1, layout.sorted_indices)
    weights = [t["score"].flatten(), t["score_bias"]] if "attention" in layer.over else []
    if native and native_engine.accepts(x, *weights):

        def recompute(x: Tensor, *weights: Tensor) -> Tensor:
            return pool_in_torch(layer.over, x, weights, layout, sorted_ends)

        over = np.array([OVER.index(kind) for kind in layer.over], np.int32)
        inputs = over, layout.batch_sizes, sorted_ends, recompute, x, *weights
        out = NativePool.apply(*inputs)  # type: ignore[no-untyped-call]
    else:
        out = pool_in_torch(layer.over, x, tuple(weights), layout, sorted_ends)
    return torch.as_tensor(out).index_select(1, layout.unsorted_indices)


def pool_in_torch(
    over: tuple[str, ...], x: Tensor, weights: tuple[Tensor, ...], layout: PackedLayout, ends: Tensor
) -> Tensor:
    """Pool in closed form, with rows in sorted order. Masks select, never blend."""
    padded, pooled = layout.pad_longest_first(x), []
    for end in ends:
        padding = (torch.arange(len(padded))[:, None] >= end)[..., None]
        rows = padded.masked_fill(padding, 0.0)
        pooled.append(torch.cat([pool_one_kind(kind, rows, padding, end, weights) for kind in over], -1))
    return torch.stack(pooled)


def pool_one_kind(kind: str, x: Tensor, padding: Tensor, end: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
    """Return one pool [B, size] of x [T, B, size], which is zero in the padding."""
    if kind == "last":
        return x[end - 1, torch.arange(x.shape[1])]
    if kind == "mean":
        return x.sum(0) / end[:, None]
    if kind == "max":
        return x.masked_fill(padding, -torch.inf).max(0).values  # the first of equal steps gets the gradient
    score, bias = weights
    energies = TorchOps.affine(x, score[None], bias).masked_fill(padding, -torch.inf)
    return (energies.softmax(0) * x).sum(0)


class NativePool(torch.autograd.Function):
    """Pools in the native engine.

    over: the native numbers of the pools. batch_sizes: [T]. ends: [K, B]. recompute: the same in torch's operations.
    x: [N, size]. weights: those of attention, if any.
    """

    @staticmethod
    def forward(
        over: Any, batch_sizes: Tensor, ends: Tensor, recompute: Callable[..., Tensor], x: Tensor, *weights: Tensor
    ) -> Tensor:
        out = x.new_empty(*ends.shape, len(over) * x.shape[1])
        read = native_arguments(over, batch_sizes, ends, x, weights)
        _native.train_pool_forward(target_name(), **read, out=as_array(out), threads=torch.get_num_threads())
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.over, ctx.batch_sizes, ctx.ends, ctx.recompute, *tensors = inputs
        ctx.save_for_backward(*tensors, output)

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, out = ctx.saved_tensors
        needed = ctx.needs_input_grad[4:]
        if native_engine.needs_graph(dout):
            return (None,) * 4 + native_engine.recompute_gradients(ctx.recompute, tensors, needed, dout)
        x, *weights = tensors
        gradients = [x.new_empty(x.shape), x.new_zeros(x.shape[1]), x.new_zeros(1)]
        written: dict[str, Any] = dict(zip(("dx", "dscore", "dbias"), map(as_array, gradients), strict=True))
        _native.train_pool_backward(
            target_name(),
            **native_arguments(ctx.over, ctx.batch_sizes, ctx.ends, x, weights),
            out=as_array(out),
            dout=as_array(dout),
            **written,
            threads=torch.get_num_threads(),
        )
        return (None,) * 4 + tuple(v if need else None for v, need in zip(gradients, needed, strict=False))


# torch reads the signature at every call; computing it each time would take longer than a short sequence.
NativePool.forward.__signature__ = inspect.signature(NativePool.forward)  # type: ignore[attr-defined]


def native_arguments(over: Any, batch_sizes: Tensor, ends: Tensor, x: Tensor, weights: Any) -> dict[str, Any]:
    """Return the inputs of the native forward and backward functions, by argument name."""
    score, bias = (as_array(weights[0]), float(weights[1].detach())) if weights else (None, 0.0)
    read = {"x": as_array(x), "batch_sizes": batch_sizes.numpy(), "ends": ends.contiguous().numpy(), "over": over}
    return {**read, "score": score, "score_bias": bias}
