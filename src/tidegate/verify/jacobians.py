"""The derivative of an operation's result with respect to one operand: one linear map, applied in three ways.

vjp(d)      derivatives with respect to the result [n, numbers] -> derivatives with respect to the operand
jvp(d)      derivatives of the operand with respect to n numbers [n, numbers] -> derivatives of the result
abs_jvp(r)  the most that the result can deviate if the operand deviates by at most r: |J| r, both in their shapes

Derivatives are flat, whatever the shape of a value. 0 times infinity is 0: what is not taken does not count, even if it
has no bound; where an unbounded operand counts, the error of the operation itself is unbounded as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Map = Callable[[Float], Any]
Shape = tuple[int, ...]


class Jacobian(NamedTuple):
    vjp: Map
    jvp: Map
    abs_jvp: Map


def times(d: Float, weights: Float) -> Float:
    """Return a product in which 0 times infinity or NaN is 0."""
    product: Float = d * weights
    if not np.isfinite(weights).all():
        product = np.where((d == 0) | (weights == 0), 0.0, product)
    return product


def spread(values: Any, shape: Shape) -> Float:
    """Return a number or an array, broadcast to a shape."""
    array = np.asarray(values, np.float64)
    return array if array.shape == shape else np.broadcast_to(array, shape)


def elementwise(slope: Any, operand: Shape, result: Shape) -> Jacobian:
    """Return the Jacobian of an elementwise operation, whose operand is broadcast to the shape of the result."""
    weights = spread(slope, result)
    if operand != result:
        return weighted_sum(weights, operand)
    flat, size = weights.reshape(1, -1), np.abs(weights)
    return Jacobian(lambda d: times(d, flat), lambda d: times(d, flat), lambda r: bound_products(r, size))


def bound_products(r: Float, size: Any) -> Float:
    """Return a product of radii and sizes, in which 0 times infinity is 0."""
    product: Float = r * size
    return np.where((r == 0) | (size == 0), 0.0, product) if np.isnan(product).any() else product


def weighted_sum(weights: Float, operand: Shape, axis: int | None = None) -> Jacobian:
    """Return the Jacobian of sum(weights x) over one axis, or over none.

    weights: in the shape to which x is broadcast. operand: the shape of x.
    """
    wide, size = weights.shape, abs(weights)
    axis = axis if axis is None or axis < 0 else axis - len(wide)
    aligned = (1,) * (len(wide) - len(operand)) + operand
    repeated = tuple(k + 1 for k, (n, m) in enumerate(zip(aligned, wide, strict=True)) if n != m)
    result = wide if axis is None else (*wide[:axis], 1, *wide[len(wide) + axis + 1 :])

    def vjp(d: Float) -> Float:
        terms = times(d.reshape(len(d), *result), weights[None])
        return np.asarray(terms.sum(repeated) if repeated else terms).reshape(len(d), -1)

    def jvp(d: Float) -> Float:
        terms = times(d.reshape(len(d), *aligned), weights[None])
        return np.asarray(terms if axis is None else terms.sum(axis)).reshape(len(d), -1)

    def abs_jvp(r: Float) -> Float:
        terms = bound_products(r, size)
        return terms if axis is None else np.asarray(terms.sum(axis, keepdims=True))

    return Jacobian(vjp, jvp, abs_jvp)


def product(W: Float) -> Jacobian:
    """Return the Jacobian of W x, W [N, K]."""
    return Jacobian(lambda d: d @ W, lambda d: d @ W.T, lambda r: r @ abs(W).T)


def reshape(shape: Shape) -> Jacobian:
    """Return the Jacobian of a reshape."""
    return Jacobian(lambda d: d, lambda d: d, lambda r: r.reshape(shape))


def move(operand: Shape, source: slice, result: Shape, target: slice, axis: int) -> Jacobian:
    """Return the Jacobian of placing a range of the operand's axis at a range of the result's; the rest is 0."""
    before = (slice(None),) * (axis + 1)

    def transfer(d: Float, whole: Shape, take: slice, into: Shape, at: slice) -> Float:
        part = d.reshape(len(d), *whole)[(*before, take)]
        if part.shape[1:] == into:
            return part.reshape(len(d), -1)
        filled = np.zeros((len(d), *into))
        filled[(*before, at)] = part
        return filled.reshape(len(d), -1)

    return Jacobian(
        lambda d: transfer(d, result, target, operand, source),
        lambda d: transfer(d, operand, source, result, target),
        lambda r: transfer(r.reshape(1, -1), operand, source, result, target).reshape(result),
    )
