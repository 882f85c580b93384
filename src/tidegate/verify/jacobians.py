"""How an operation's result hangs on an operand, to first order: one linear map, read three ways.

back(d)     from derivatives by the result [n, width] to derivatives by the operand
ahead(d)    from derivatives of the operand by n numbers, [n, width], to those of the result
reach(r)    how far the result may stray where the operand strays by r at most: the map of absolute values
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Map = Callable[[Float], Any]


class Jacobian(NamedTuple):
    vjp: Map
    jvp: Map
    abs_jvp: Map


def elementwise(by: Any, single: bool) -> Jacobian:
    """An elementwise operation of slope `by`. single: whether the operand is one number, which is stretched."""
    size = abs(np.asarray(by))

    def back(d: Float) -> Float:
        part: Float = d * by
        return np.asarray(part.sum(-1, keepdims=True)) if single else part

    return Jacobian(back, lambda d: d * by, lambda r: r * size)


def product(W: Float) -> Jacobian:
    """W x, W [N, K]."""
    return Jacobian(lambda d: d @ W, lambda d: d @ W.T, lambda r: r @ abs(W).T)


def weighted_sum(by: Float) -> Jacobian:
    """The sum over the width, weighted by `by` [1, width], none of it negative."""

    def over(d: Float) -> Float:
        return np.asarray((d * by).sum(-1, keepdims=True))

    return Jacobian(lambda d: d * by, over, over)


def reshape(shape: tuple[int, ...]) -> Jacobian:
    """Derivatives are flat whatever the shape."""
    return Jacobian(lambda d: d, lambda d: d, lambda r: r.reshape(shape))


def take_range(start: int, stop: int, width: int) -> Jacobian:
    """Numbers start to stop of an operand [1, width]."""
    return Jacobian(pad_columns(start, width), slice_columns(start, stop), slice_columns(start, stop))


def place_range(start: int, stop: int, width: int) -> Jacobian:
    """The operand as numbers start to stop of a result [1, width]."""
    return Jacobian(slice_columns(start, stop), pad_columns(start, width), pad_columns(start, width))


def slice_columns(start: int, stop: int) -> Map:
    return lambda d: d[:, start:stop]


def pad_columns(start: int, width: int) -> Map:
    def pad(d: Float) -> Float:
        whole = np.zeros((len(d), width))
        whole[:, start : start + d.shape[-1]] = d
        return whole

    return pad
