"""Rows of a table with dropout, by the native engine as an autograd function; its gradient is of the rows taken."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .. import _native
from . import native as engine_room
from .native import numbers

Tensor = torch.Tensor
Random = npt.NDArray[np.uint8]


def embedded(table: Tensor, ids: Tensor, rate: float, random: np.random.Generator, native: bool = True) -> Tensor:
    """Rows ids [N] of a table [rows, size], each number left out with probability `rate`: [N, size].

    native: whether the native engine may run, which it does for float32 on the CPU. The table's gradient is then a
    sparse tensor.
    """
    level, given = drawn(len(ids) * table.shape[1], rate, random)
    given = None if given is None else given.reshape(len(ids), table.shape[1])

    def recompute(table: Tensor) -> Tensor:
        return dropped(torch.nn.functional.embedding(ids, table), level, given)

    if native and len(ids) and engine_room.takes(table):
        found: Tensor = Embedding.apply(level, given, recompute, ids, table)  # type: ignore[no-untyped-call]
        return found
    return recompute(table)


def drawn(count: int, rate: float, random: np.random.Generator) -> tuple[int, Random | None]:
    """What decides a dropout of `count` numbers: one stays where its random byte is the level or more; None: all do.

    One byte decides, four times as fast as a float; so the rate is rounded to 256ths.
    """
    if not (level := round(rate * 256)):
        return 0, None
    return level, np.frombuffer(random.bytes(count), np.uint8)


def dropped(x: Tensor, level: int, random: Random | None) -> Tensor:
    """Inverted dropout of x by random bytes, as many as its numbers."""
    if random is None:
        return x
    return x * (torch.from_numpy(random >= level).to(x.dtype) * (256 / (256 - level))).view(x.shape)


class Embedding(torch.autograd.Function):
    """level, random: of `drawn`; recompute: the same as a graph; ids [N]; table [rows, size]."""

    @staticmethod
    def forward(
        level: int, random: Random | None, recompute: Callable[..., Tensor], ids: Tensor, table: Tensor
    ) -> Tensor:
        out = table.new_empty(len(ids), table.shape[1])
        _native.train_embed_forward(numbers(table), ids.numpy(), random, level, numbers(out))
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.level, ctx.random, ctx.recompute, ids, table = inputs
        ctx.save_for_backward(ids, table)

    @staticmethod
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        ids, table = ctx.saved_tensors
        if engine_room.as_graph(dout):
            return (None,) * 4 + engine_room.by_graph(ctx.recompute, [table], (True,), dout)
        rows, slots = np.unique(ids.numpy(), return_inverse=True)
        values = table.new_empty(len(rows), table.shape[1])
        _native.train_embed_backward(slots, ctx.random, ctx.level, numbers(dout), numbers(values))
        taken = torch.from_numpy(rows)[None]
        gradient = torch.sparse_coo_tensor(taken, values, table.shape, is_coalesced=True, check_invariants=False)
        return (None,) * 4 + (gradient,)


# torch reads it at each call; found anew, it would cost more than a short sequence.
Embedding.forward.__signature__ = inspect.signature(Embedding.forward)  # type: ignore[attr-defined]
