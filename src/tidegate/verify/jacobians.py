"""The derivative of an operation's result with respect to one operand: one linear map, applied in three ways.

vjp(d)      derivatives with respect to the result [n, width] -> derivatives with respect to the operand
jvp(d)      derivatives of the operand with respect to n numbers [n, width] -> derivatives of the result
abs_jvp(r)  the most that the result can deviate if the operand deviates by at most r: |J| r
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


def elementwise(slope: Any, single: bool) -> Jacobian:
    """Return the Jacobian of an elementwise operation. single: whether the operand is one number, broadcast."""
    size = abs(np.asarray(slope))

    def vjp(d: Float) -> Float:
        terms: Float = d * slope
        return np.asarray(terms.sum(-1, keepdims=True)) if single else terms

    return Jacobian(vjp, lambda d: d * slope, lambda r: r * size)


def product(W: Float) -> Jacobian:
    """Return the Jacobian of W x, W [N, K]."""
    return Jacobian(lambda d: d @ W, lambda d: d @ W.T, lambda r: r @ abs(W).T)


def weighted_sum(weights: Float) -> Jacobian:
    """Return the Jacobian of the sum over the width, with weights [1, width] of which none is negative."""

    def reduce(d: Float) -> Float:
        return np.asarray((d * weights).sum(-1, keepdims=True))

    return Jacobian(lambda d: d * weights, reduce, reduce)


def reshape(shape: tuple[int, ...]) -> Jacobian:
    """Return the Jacobian of a reshape; derivatives are flat, whatever the shape."""
    return Jacobian(lambda d: d, lambda d: d, lambda r: r.reshape(shape))


def take_range(start: int, stop: int, width: int) -> Jacobian:
    """Return the Jacobian of taking numbers start to stop from an operand [1, width]."""
    return Jacobian(pad_columns(start, width), slice_columns(start, stop), slice_columns(start, stop))


def place_range(start: int, stop: int, width: int) -> Jacobian:
    """Return the Jacobian of placing the operand as numbers start to stop of a result [1, width]."""
    return Jacobian(slice_columns(start, stop), pad_columns(start, width), pad_columns(start, width))


def slice_columns(start: int, stop: int) -> Map:
    return lambda d: d[:, start:stop]


def pad_columns(start: int, width: int) -> Map:
    def pad(d: Float) -> Float:
        padded = np.zeros((len(d), width))
        padded[:, start : start + d.shape[-1]] = d
        return padded

    return pad
