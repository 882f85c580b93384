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


class Link(NamedTuple):
    back: Map
    ahead: Map
    reach: Map


def elementwise(by: Any, single: bool) -> Link:
    """An elementwise operation of slope `by`. single: whether the operand is one number, which is stretched."""
    size = abs(np.asarray(by))

    def back(d: Float) -> Float:
        part: Float = d * by
        return np.asarray(part.sum(-1, keepdims=True)) if single else part

    return Link(back, lambda d: d * by, lambda r: r * size)


def product(W: Float) -> Link:
    """W x, W [N, K]."""
    return Link(lambda d: d @ W, lambda d: d @ W.T, lambda r: r @ abs(W).T)


def weighted(by: Float) -> Link:
    """The sum over the width, weighted by `by` [1, width], none of it negative."""

    def over(d: Float) -> Float:
        return np.asarray((d * by).sum(-1, keepdims=True))

    return Link(lambda d: d * by, over, over)


def reshaped(shape: tuple[int, ...]) -> Link:
    """Derivatives are flat whatever the shape."""
    return Link(lambda d: d, lambda d: d, lambda r: r.reshape(shape))


def part(start: int, stop: int, width: int) -> Link:
    """Numbers start to stop of an operand [1, width]."""
    return Link(padded(start, width), cut(start, stop), cut(start, stop))


def placed(start: int, stop: int, width: int) -> Link:
    """The operand as numbers start to stop of a result [1, width]."""
    return Link(cut(start, stop), padded(start, width), padded(start, width))


def cut(start: int, stop: int) -> Map:
    return lambda d: d[:, start:stop]


def padded(start: int, width: int) -> Map:
    def pad(d: Float) -> Float:
        whole = np.zeros((len(d), width))
        whole[:, start : start + d.shape[-1]] = d
        return whole

    return pad
