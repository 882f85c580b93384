"""The closed list of operations that a cell may use, and their meaning in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

UNARY = ("neg", "abs", "exp", "sigmoid", "tanh", "relu", "norm")
BINARY = ("add", "sub", "mul", "div", "minimum", "maximum")
LEAVES = ("input", "state", "param", "const", "recur", "project")
NORM_EPS = 1e-5


class NumpyOps:
    """Operations of cells and layers on NumPy arrays of shape [rows, width], in the arrays' own precision."""

    add, sub, mul, div = np.add, np.subtract, np.multiply, np.divide
    neg, abs, exp, tanh, sqrt = np.negative, np.abs, np.exp, np.tanh, np.sqrt
    minimum, maximum = np.minimum, np.maximum

    @staticmethod
    def relu(v: Any) -> Any:
        return np.maximum(v, 0)

    @staticmethod
    def sigmoid(v: Any) -> Any:
        return 0.5 + 0.5 * np.tanh(0.5 * v)

    @staticmethod
    def norm(v: Any) -> Any:
        """Standardise to mean 0 and variance 1 over the width (Ba et al. 2016, arXiv:1607.06450, equation 4)."""
        d = v - v.mean(-1, keepdims=True)
        return d / np.sqrt((d * d).mean(-1, keepdims=True) + NORM_EPS)

    @staticmethod
    def affine(x: Any, W: Any, b: Any) -> Any:
        """Compute W x + b for each row: x [rows, K], W [N, K], b [N] -> [rows, N]."""
        return x @ W.T + b

    @staticmethod
    def matmul(x: Any, W: Any) -> Any:
        """Compute W x for each row: x [rows, K], W [N, K] -> [rows, N]."""
        return x @ W.T

    @staticmethod
    def dot(x: Any, y: Any) -> Any:
        """Multiply and sum over the last axis: [..., K], [..., K] -> [..., 1]."""
        return (x * y).sum(-1, keepdims=True)

    @staticmethod
    def mean(x: Any) -> Any:
        """Average over the last axis, which stays with length 1."""
        return x.mean(-1, keepdims=True)

    @staticmethod
    def sum(x: Any, axis: int = -1) -> Any:
        """Sum over an axis, which stays with length 1, in ascending order; `peak` is the maximum."""
        return x.sum(axis, keepdims=True)

    @staticmethod
    def peak(x: Any, axis: int = -1) -> Any:
        return x.max(axis, keepdims=True)

    @staticmethod
    def less(x: Any, y: Any) -> Any:
        """Return 1 where x < y, and 0 elsewhere; `select` takes the second where the first is not 0, else the third."""
        kind = np.result_type(x, y)
        return np.less(x, y).astype(kind if kind.kind == "f" else np.float64)

    @staticmethod
    def select(condition: Any, x: Any, y: Any) -> Any:
        return np.where(np.asarray(condition) != 0, x, y)

    @staticmethod
    def push(window: Any, x: Any) -> Any:
        """Append x to a window of steps, whose oldest falls out: [rows, n, ...], [rows, ...] -> [rows, n, ...]."""
        return np.concatenate([window[:, 1:], x[:, None]], axis=1)

    @staticmethod
    def concat(parts: list[Any]) -> Any:
        """Put arrays side by side on their last axis; `split` cuts one into n equal parts."""
        return np.concatenate(parts, axis=-1)

    @staticmethod
    def split(x: Any, n: int) -> list[Any]:
        return np.split(x, n, axis=-1)

    @staticmethod
    def take(table: Any, ids: Any) -> Any:
        """Select rows of a table by id: table [n, width], ids int [rows] -> [rows, width]."""
        return table[ids]

    @staticmethod
    def bag(table: Any, ids: Any) -> Any:
        """Sum the rows of a table [N, width] of ids int [..., n], in order; a negative id adds nothing."""
        rows = np.where(ids[..., None] < 0, 0, table[np.maximum(ids, 0)])
        return np.add.accumulate(rows, -2)[..., -1, :]

    @staticmethod
    def columns(ids: Any, n: int) -> list[Any]:
        """Return the n columns of ids int [rows, n], [rows] each."""
        return [ids[..., k] for k in range(n)]
