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
    def dot(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x * y).sum(-1, keepdim=True)

    @staticmethod
    def mean(x: torch.Tensor) -> torch.Tensor:
        return x.mean(-1, keepdim=True)

    @staticmethod
    def sum(x: torch.Tensor, axis: int = -1) -> torch.Tensor:
        return x.sum(axis, keepdim=True)

    @staticmethod
    def peak(x: torch.Tensor, axis: int = -1) -> torch.Tensor:
        return x.amax(axis, keepdim=True)

    @staticmethod
    def less(a: Any, b: Any) -> torch.Tensor:
        a, b = as_tensors(a, b)
        return torch.lt(a, b).to(a.dtype)

    @staticmethod
    def select(condition: torch.Tensor, a: Any, b: Any) -> torch.Tensor:
        """Take a where the condition is not 0, else b. The operand that is not taken gets the gradient 0, not NaN.

        That 0 is multiplied by the derivatives of whatever made the operand, and 0 times infinity is NaN. So select the
        operand of an `exp`, a `div` or a `sqrt`, not its result: `exp(select(filled, score, -1e30) - peak)`.
        """
        return torch.where(condition != 0, *as_tensors(a, b, condition))

    @staticmethod
    def push(window: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([window[:, 1:], x[:, None]], 1)

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
    def bag(table: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        absent = (ids < 0)[..., None]
        return torch.nn.functional.embedding(ids.clamp_min(0), table).masked_fill(absent, 0).sum(-2)

    @staticmethod
    def columns(ids: torch.Tensor, n: int) -> list[torch.Tensor]:
        return list(ids.unbind(-1))


def as_tensors(a: Any, b: Any, like: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Convert both to tensors, as torch's minimum, maximum, lt and where need them or their dtype.

    like: a tensor with the dtype of the result if neither is one.
    """
    like = next((v for v in (a, b) if isinstance(v, torch.Tensor)), like)
    return torch.as_tensor(a, dtype=like.dtype), torch.as_tensor(b, dtype=like.dtype)
