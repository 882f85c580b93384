"""An embedding with dropout. The native engine runs it as an autograd function, with a sparse gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .. import _native
from . import native as native_engine
from .native import as_array

Tensor = torch.Tensor
Random = npt.NDArray[np.uint8]


def embed(table: Tensor, ids: Tensor, rate: float, random: np.random.Generator, native: bool = True) -> Tensor:
    """Look up rows `ids` [N] of a table [rows, size] and apply dropout with probability `rate`: [N, size].

    ids: or [N, K]; the K rows of each entry are added in order, before the dropout. native: allow the native engine,
    which runs for float32 on the CPU. The gradient of the table is then a sparse tensor.
    """
    if ids.ndim == 2:
        parts = embed(table, ids.flatten(), 0.0, random, native).view(*ids.shape, -1).unbind(1)
        return apply_dropout(reduce(add, parts), *draw_dropout(len(ids) * table.shape[1], rate, random))
    level, mask_bytes = draw_dropout(len(ids) * table.shape[1], rate, random)
    mask_bytes = None if mask_bytes is None else mask_bytes.reshape(len(ids), table.shape[1])

    def recompute(table: Tensor) -> Tensor:
        return apply_dropout(torch.nn.functional.embedding(ids, table), level, mask_bytes)

    if native and len(ids) and native_engine.accepts(table):
        y: Tensor = NativeEmbedding.apply(level, mask_bytes, recompute, ids, table)  # type: ignore[no-untyped-call]
        return y
    return recompute(table)


def draw_dropout(count: int, rate: float, random: np.random.Generator) -> tuple[int, Random | None]:
    """Draw the dropout of `count` elements: a level, and a random byte for each, or None where the rate is 0.

    An element is kept where its byte is at least the level. A byte is four times as fast as a float, and rounds the
    rate to a multiple of 1/256.
    """
    if not (level := round(rate * 256)):
        return 0, None
    return level, np.frombuffer(random.bytes(count), np.uint8)


def apply_dropout(x: Tensor, level: int, random: Random | None) -> Tensor:
    """Apply inverted dropout to x with one random byte for each element, as from `draw_dropout`."""
    if random is None:
        return x
    return x * (torch.from_numpy(random >= level).to(x.dtype) * (256 / (256 - level))).view(x.shape)


class NativeEmbedding(torch.autograd.Function):
    """Embedding with dropout in the native engine.

    level, random: from `draw_dropout`. recompute: the same in torch's operations. ids: [N]. table: [rows, size].
    """

    @staticmethod
    def forward(
        level: int, random: Random | None, recompute: Callable[..., Tensor], ids: Tensor, table: Tensor
    ) -> Tensor:
        out = table.new_empty(len(ids), table.shape[1])
        _native.train_embed_forward(as_array(table), ids.contiguous().numpy(), random, level, as_array(out))
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.level, ctx.random, ctx.recompute, ids, table = inputs
        ctx.save_for_backward(ids, table)

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        ids, table = ctx.saved_tensors
        if native_engine.needs_graph(dout):
            return (None,) * 4 + native_engine.recompute_gradients(ctx.recompute, [table], (True,), dout)
        rows, slots = np.unique(ids.numpy(), return_inverse=True)
        values = table.new_empty(len(rows), table.shape[1])
        _native.train_embed_backward(slots, ctx.random, ctx.level, as_array(dout), as_array(values))
        indices = torch.from_numpy(rows)[None]
        gradient = torch.sparse_coo_tensor(indices, values, table.shape, is_coalesced=True, check_invariants=False)
        return (None,) * 4 + (gradient,)


# torch reads the signature at every call; computing it each time would take longer than a short sequence.
NativeEmbedding.forward.__signature__ = inspect.signature(NativeEmbedding.forward)  # type: ignore[attr-defined]
