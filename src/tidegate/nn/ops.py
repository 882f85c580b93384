"""The operations of cells and layers on torch tensors, with the names of `tape.NumpyOps`."""

from __future__ import annotations

from typing import Any

import torch

from ..tape import NORM_EPS
from .transforms import is_jit_tracing


class TorchOps:
    """Differentiable operations on tensors [..., width]."""

    add, sub, mul, div = torch.add, torch.sub, torch.mul, torch.div
    neg, abs, exp, sigmoid, tanh, relu, sqrt = (
        torch.neg,
        torch.abs,
        torch.exp,
        torch.sigmoid,
        torch.tanh,
        torch.relu,
        torch.sqrt,
    )

    @staticmethod
    def minimum(a: Any, b: Any) -> torch.Tensor:
        return torch.minimum(*as_tensors(a, b))

    @staticmethod
    def maximum(a: Any, b: Any) -> torch.Tensor:
        return torch.maximum(*as_tensors(a, b))

    @staticmethod
    def norm(v: torch.Tensor) -> torch.Tensor:
        if is_jit_tracing():  # layer_norm does not accept a traced width
            centred = v - v.mean(-1, keepdim=True)
            return centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + NORM_EPS)
        return torch.nn.functional.layer_norm(v, v.shape[-1:], eps=NORM_EPS)

    @staticmethod
    def affine(x: torch.Tensor, W: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, W, b)

    @staticmethod
    def matmul(x: torch.Tensor, W: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, W)

    @staticmethod
    def mean(x: torch.Tensor) -> torch.Tensor:
        return x.mean(-1, keepdim=True)

    @staticmethod
    def sum(x: torch.Tensor) -> torch.Tensor:
        return x.sum(-1, keepdim=True)

    @staticmethod
    def peak(x: torch.Tensor) -> torch.Tensor:
        return x.amax(-1, keepdim=True)

    @staticmethod
    def concat(parts: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(parts, -1)

    @staticmethod
    def split(x: torch.Tensor, n: int) -> list[torch.Tensor]:
        return list(x.chunk(n, -1))

    @staticmethod
    def take(table: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.embedding(ids, table)

    @staticmethod
    def columns(ids: torch.Tensor, n: int) -> list[torch.Tensor]:
        return list(ids.unbind(-1))


def as_tensors(a: Any, b: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Convert both to tensors: torch's minimum and maximum do not accept Python numbers."""
    like = a if isinstance(a, torch.Tensor) else b
    return torch.as_tensor(a, dtype=like.dtype), torch.as_tensor(b, dtype=like.dtype)
