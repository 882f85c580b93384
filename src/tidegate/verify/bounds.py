"""How far float32 may stray: every operation's own rounding, weighed by the derivative of the result.

The layers' equations are read over `Value`s, which keep a float64 value, a bound `own` of how far one float32
operation on exact operands may stray from it, and the way back to their operands. To first order the error of
a result r is the sum over all operations i of (dr / dv_i) times what v_i strayed, so

    |error of r| <= sum over i of |dr / dv_i| own_i

and the derivatives come from one pass backwards. (This is what the reverse pass was invented for: Linnainmaa,
"Taylor expansion of the accumulated rounding error", BIT 16, 1976.) With unit roundoff u = 2^-24 and
gamma_k = k u / (1 - k u), `own` is

    a + b, a - b, sqrt     u |v|
    a b, a / b             u |v|
    W x + b                gamma_{K+1} (|W| |x| + |b|)     any order of the sum, fused multiply-add or not; gamma of
                                                           `chain` more where other sums are added to the same;
                                                           and `operand` |W| |x| where x is rounded first,
                                                           2^-126 (|W| + |x|) where what is less is taken for 0
    sum, mean              gamma_{n-1} sum |x|; two more roundings for the mean
    exp, sigmoid, tanh     what the target's function strays by: `ActivationErrors`
    neg, abs, relu, minimum, maximum, max over an axis, rows of a table     nothing

so that one bound holds on every target; only the functions' constants are a target's own. Underflow is
covered by 2^-126 per operation, flushed or not. Infinities are exact: the peak of a pool that has seen
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..tape import NORM_EPS

U: Final = 2.0**-24
TINY: Final = 2.0**-126
Float = npt.NDArray[np.float64]
Back = Callable[[Float], Float]


class ActivationErrors(NamedTuple):
    """What a target's own functions stray by: sigmoid absolutely, tanh and exp relative to the value, tanh also
    absolutely where that is more. chain: how many further roundings a term of W x + b meets, on a target that goes on
    adding to that sum. operand: how far x is rounded first, relatively, on a target that takes it in fewer digits."""

    sigmoid_abs: float
    tanh_rel: float
    exp_rel: float
    tanh_abs: float = 0.0
    chain: float = 0.0
    operand: float = 0.0


def gamma(k: float) -> float:
    """The relative error of k roundings in a row.

    >>> gamma(1) > U
    True
    """
    return k * U / (1 - k * U)


class Value:
    """One operation's result for one stream: value and own float64 [1, width] (or a state's [1, *shape]).

    operands: each operand that is a Value, with the way from a derivative by this value [n, width] to one by
    it.
    """

    __slots__ = ("graph", "operands", "own", "value")
    __array_ufunc__ = None  # NumPy hands its operators over

    def __init__(self, graph: Graph, value: Float, own: Any, operands: list[tuple[Value, Back]]) -> None:
        self.graph, self.value, self.operands = graph, value, operands
        self.own = np.where(np.isinf(value), 0.0, own)
        graph.values.append(self)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def reshape(self, *shape: int) -> Value:
        return Value(self.graph, self.value.reshape(*shape), 0.0, [(self, same)])

    def __add__(self, b: Any) -> Value:
        return self.graph.add(self, b)

    def __sub__(self, b: Any) -> Value:
        return self.graph.sub(self, b)

    def __mul__(self, b: Any) -> Value:
        return self.graph.mul(self, b)

    def __truediv__(self, b: Any) -> Value:
        return self.graph.div(self, b)

    def __radd__(self, a: Any) -> Value:
        return self.graph.add(a, self)

    def __rsub__(self, a: Any) -> Value:
        return self.graph.sub(a, self)

    def __rmul__(self, a: Any) -> Value:
        return self.graph.mul(a, self)

    def __rtruediv__(self, a: Any) -> Value:
        return self.graph.div(a, self)

    def __neg__(self) -> Value:
        return self.graph.neg(self)

    def __abs__(self) -> Value:
        return self.graph.abs(self)


def same(d: Float) -> Float:
    return d


class Graph:
    """The operations of cells and layers over `Value`, kept in the order in which they were done."""

    def __init__(self, errors: ActivationErrors) -> None:
        self.errors = errors
        self.values: list[Value] = []

    def lift(self, value: Any) -> Value:
        """A Value as it is; a number or array with the error of storing it as float32."""
        if isinstance(value, Value):
            return value
        exact = np.atleast_2d(np.asarray(value, np.float64))
        finite = np.where(np.isinf(exact), 0.0, exact)
        return Value(self, exact, abs(finite - finite.astype(np.float32)), [])

    def backward(self, seeds: list[tuple[Any, Float]]) -> tuple[Float, dict[int, Float]]:
        """The error bound [n] of n results, and id of a value without operands -> the results' derivatives by it
        [n, width].

        seeds: (value, the results' derivatives by it [n, width]); a value may stand several times.
        """
        found: dict[int, Float] = {}
        for value, d in seeds:
            found[id(value)] = found[id(value)] + d if id(value) in found else d
        bound = np.zeros(len(seeds[0][1]))
        for value in reversed(self.values):
            if (d := found.get(id(value))) is None:  # type: ignore[assignment]
                continue
            if value.own.any():
                bound += abs(d) @ value.own.reshape(-1)
            for operand, back in value.operands:
                part = back(d)
                found[id(operand)] = found[id(operand)] + part if id(operand) in found else part
            if value.operands:
                del found[id(value)]  # a long graph's would fill the memory
        return bound, found

    def binary(self, value: Float, own: Any, a: Value, by_a: Any, b: Value, by_b: Any) -> Value:
        return Value(self, value, own, [(a, slope(by_a, a)), (b, slope(by_b, b))])

    def unary(self, a: Value, value: Float, own: Any, by_a: Any) -> Value:
        return Value(self, value, own, [(a, slope(by_a, a))])

    def add(self, a: Any, b: Any) -> Value:
        a, b = self.lift(a), self.lift(b)
        value = a.value + b.value
        return self.binary(value, U * abs(value), a, 1.0, b, 1.0)

    def sub(self, a: Any, b: Any) -> Value:
        a, b = self.lift(a), self.lift(b)
        value = a.value - b.value
        return self.binary(value, U * abs(value), a, 1.0, b, -1.0)

    def mul(self, a: Any, b: Any) -> Value:
        a, b = self.lift(a), self.lift(b)
        value = a.value * b.value
        return self.binary(value, U * abs(value) + TINY, a, b.value, b, a.value)

    def div(self, a: Any, b: Any) -> Value:
        a, b = self.lift(a), self.lift(b)
        value = a.value / b.value
        return self.binary(value, U * abs(value) + TINY, a, 1 / b.value, b, -value / b.value)

    def neg(self, a: Any) -> Value:
        a = self.lift(a)
        return self.unary(a, -a.value, 0.0, -1.0)

    def abs(self, a: Any) -> Value:
        a = self.lift(a)
        return self.unary(a, abs(a.value), 0.0, np.sign(a.value))

    def exp(self, a: Any) -> Value:
        a = self.lift(a)
        value = np.exp(a.value)
        return self.unary(a, value, self.errors.exp_rel * value + TINY, value)

    def sigmoid(self, a: Any) -> Value:
        a = self.lift(a)
        value = 0.5 + 0.5 * np.tanh(0.5 * a.value)
        return self.unary(a, value, self.errors.sigmoid_abs, value * (1 - value))

    def tanh(self, a: Any) -> Value:
        a = self.lift(a)
        value = np.tanh(a.value)
        own = self.errors.tanh_rel * abs(value) + self.errors.tanh_abs + TINY
        return self.unary(a, value, own, 1 - value * value)

    def relu(self, a: Any) -> Value:
        a = self.lift(a)
        return self.unary(a, np.maximum(a.value, 0.0), 0.0, (a.value > 0) * 1.0)

    def maximum(self, a: Any, b: Any) -> Value:
        """The larger operand's derivative counts; see `carry` about ties."""
        a, b = self.lift(a), self.lift(b)
        first = a.value >= b.value
        return self.binary(np.maximum(a.value, b.value), 0.0, a, first * 1.0, b, ~first * 1.0)

    def minimum(self, a: Any, b: Any) -> Value:
        a, b = self.lift(a), self.lift(b)
        first = a.value <= b.value
        return self.binary(np.minimum(a.value, b.value), 0.0, a, first * 1.0, b, ~first * 1.0)

    def sqrt(self, a: Any) -> Value:
        a = self.lift(a)
        value = np.sqrt(a.value)
        return self.unary(a, value, U * value, 0.5 / value)

    def affine(self, x: Any, W: Float, b: Float) -> Value:
        """x [1, K], W [N, K], b [N] -> [1, N]."""
        x, K = self.lift(x), W.shape[1]
        rounding = self.errors.operand
        own = gamma(K + 1 + self.errors.chain) * ((1 + rounding) * abs(x.value) @ abs(W).T + abs(b)) + K * TINY
        if rounding:
            own = own + (rounding * abs(x.value) + TINY) @ abs(W).T + TINY * abs(x.value).sum()
        return Value(self, x.value @ W.T + b, own, [(x, lambda d: d @ W)])

    def matmul(self, x: Any, W: Float) -> Value:
        return self.affine(x, W, np.zeros(len(W)))

    def norm(self, a: Any) -> Value:
        """In the order of `NumpyOps.norm`; `own` of each of its operations."""
        d = self.sub(a, self.mean(a))
        return self.div(d, self.sqrt(self.add(self.mean(self.mul(d, d)), NORM_EPS)))

    def sum(self, x: Any) -> Value:
        x = self.lift(x)
        own = gamma(x.shape[-1] - 1) * abs(x.value).sum(-1, keepdims=True)
        return Value(self, x.value.sum(-1, keepdims=True), own, [(x, spread(np.ones_like(x.value)))])

    def mean(self, x: Any) -> Value:
        """The sum, then a division, or a product with a rounded reciprocal."""
        x = self.lift(x)
        n = x.shape[-1]
        own = gamma(n + 1) * abs(x.value).mean(-1, keepdims=True) + TINY
        return Value(self, x.value.mean(-1, keepdims=True), own, [(x, spread(np.full_like(x.value, 1 / n)))])

    def peak(self, x: Any) -> Value:
        x = self.lift(x)
        at = np.zeros_like(x.value)
        at[..., x.value.argmax(-1)] = 1.0
        return Value(self, x.value.max(-1, keepdims=True), 0.0, [(x, spread(at))])

    def concat(self, parts: list[Any]) -> Value:
        found = [self.lift(part) for part in parts]
        ends = np.cumsum([part.shape[-1] for part in found]).tolist()
        back = [cut(end - part.shape[-1], end) for part, end in zip(found, ends, strict=True)]
        whole = np.concatenate([part.value for part in found], -1)
        return Value(self, whole, 0.0, list(zip(found, back, strict=True)))

    def split(self, x: Any, n: int) -> list[Value]:
        x = self.lift(x)
        size, width = x.shape[-1] // n, x.shape[-1]
        pieces = np.split(x.value, n, -1)
        return [Value(self, piece, 0.0, [(x, pad(i * size, width))]) for i, piece in enumerate(pieces)]

    def take(self, table: Float, ids: Any) -> Value:
        return self.lift(table[ids])


def slope(by: Any, operand: Value) -> Back:
    """Back through an elementwise operation of slope `by`; a single number that was stretched gets the
    sum.
    """
    single = operand.value.size == 1

    def back(d: Float) -> Float:
        part: Float = d * by
        return np.asarray(part.sum(-1, keepdims=True)) if single else part

    return back


def spread(by: Float) -> Back:
    """Back through a sum over the width, weighted by `by` [1, width]: d is [n, 1]."""
    return lambda d: d * by


def cut(start: int, end: int) -> Back:
    return lambda d: d[:, start:end]


def pad(start: int, width: int) -> Back:
    def back(d: Float) -> Float:
        whole = np.zeros((len(d), width))
        whole[:, start : start + d.shape[-1]] = d
        return whole

    return back
