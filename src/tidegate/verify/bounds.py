"""How far float32 may stray: every operation's own error, weighed by the derivative of the result.

The layers' equations are read over `Value`s. Each keeps the oracle's value v, and links to its operands. Let e be what
float32's result strays from v, and e_j what its operands stray from theirs. Then, without anything left out,

    e = sum over operands j of (dv / dv_j) e_j + q + r

r: the rounding of this operation; q: what the operation bends away from its tangent. So of a result whose computation
is a chain of such operations

    |error of result| <= sum over operations i of |d result / d v_i| (|q_i| + |r_i|)

exactly, with all derivatives taken at the oracle's values, by one pass backwards. (For the roundings alone this is
Linnainmaa, "Taylor expansion of the accumulated rounding error", BIT 16, 1976.) q and r depend on e_j, for which each
Value has a bound, its `radius`; it follows from the operands' as they are made, so by induction over the operations in
their order each radius holds, and `own` >= |q| + |r| too. `affine_forms.py` keeps radii small over a recurrence's steps.

With the unit roundoff u = 2^-24, gamma_k = k u / (1 - k u), a and b operands, A and B their radii, v' the largest
value that is possible (|v| and what it may stray by), `own` is

    a + b, a - b           u v'
    a b                    u v' + A B
    a / b                  u v' + (A + |v| B) B / (|b| (|b| - B)); none if B >= |b|
    sqrt a                 u v' + m^2 / (2 sqrt a), where m = A / (sqrt a + sqrt max(a - A, 0)) is the most it moves
    W x + b                u (sums + |W| x' + |b|), as each addition errs by u times the sum that it makes, each product
                           by u times itself. Where the order is known (`ordered`: k ascends, from b) sums is that of
                           all |partial sums|; otherwise each of the n = K is at most that of all positive or all
                           negative terms, and `chain` more where other sums are added to the same; n gamma_{n+1}
                           (|W| x' + |b|) more, as partial sums are rounded ones. Where x is rounded first, `operand`
                           |W| x' more, and 2^-126 (|W| + x') where what is less is taken for 0
    sum, mean              gamma_{n-1} sum x'; two more roundings for the mean
    exp                    `exp_rel` v' + v e^A A^2 / 2    (Taylor's remainder; so for the next two)
    sigmoid                `sigmoid_abs` + the least of A^2 / (12 sqrt 3), s e^A A^2 / 2 and 1 + s A, where
                           s = v (1 - v): |sigmoid''| <= sigmoid', which grows by e^A at most over A
    tanh                   `tanh_rel` v' + `tanh_abs` + the least of 2 A^2 / (3 sqrt 3), s e^2A A^2 and 2 + s A, where
                           s = 1 - v^2: |tanh''| <= 2 tanh', which grows by e^2A at most
    abs, relu              2 (A - |a|) and A - |a|, where that is positive: the sign may be the other one
    maximum, minimum       A + B - |a - b| where that is positive: the other operand may be the one. Where that is more
                           than a quarter of the larger radius, neither's derivative counts, and it is that radius, as
                           a maximum moves by no more than its operands do. Over an axis, the most over the others
    a constant, a row of a table        the error of storing it as float32
    neg, parts, reshape    nothing; nor a - max(a, b) where it is for certain a

so that one bound holds on every target; only the functions' constants are a target's own. Underflow is covered by
2^-126 per operation, flushed or not. Infinities are exact: the peak of a pool that has seen nothing. All of this is
worked out in float64, as the oracle is: `carry.FLOAT64` pays for that.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..runtime.precision import rounded
from ..tape import NORM_EPS
from .jacobians import Jacobian, elementwise, take_range, place_range, product, reshape, weighted_sum

U: Final = 2.0**-24
TINY: Final = 2.0**-126
SIGMOID_CURVATURE, TANH_CURVATURE = 0.0482, 0.385  # half of the largest second derivatives, rounded up
Float = npt.NDArray[np.float64]


class ActivationErrors(NamedTuple):
    """What a target's own functions stray by: sigmoid absolutely, tanh and exp relative to the value, tanh also
    absolutely where that is more. chain: how many further roundings a term of W x + b meets, on a target that goes on
    adding to that sum. operand: how far x is rounded first, relatively, on a target that takes it in fewer digits.
    ordered: whether products add their terms one by one, from the bias and k ascending."""

    sigmoid_abs: float
    tanh_rel: float
    exp_rel: float
    tanh_abs: float = 0.0
    extra_roundings: float = 0.0
    operand_rel: float = 0.0
    ordered: bool = False


def gamma(k: float) -> float:
    """The relative error of k roundings in a row.

    >>> gamma(1) > U
    True
    """
    return k * U / (1 - k * U)


class BoundedValue:
    """One operation's result for one stream, float64 [1, width] (or a state's [1, *shape]).

    value: the oracle's. own: this operation's share of the error. radius: a bound of the whole error. operands: each
    with the link to it. slopes [n, width] and rest, where a step's states are followed (`affine_forms.py`): the derivatives
    by those n numbers, and a bound of the error without their part. form: of a state, by what its error is held.
    """

    __slots__ = ("form", "graph", "operands", "own", "radius", "rest", "slopes", "sure", "value")
    __array_ufunc__ = None  # NumPy hands its operators over

    def __init__(
        self, graph: ErrorGraph, value: Float, own: Any, operands: list[tuple[BoundedValue, Jacobian]], limit: Any = np.inf
    ) -> None:
        """most: a bound of the error that is known besides."""
        self.graph, self.value, self.operands = graph, value, operands
        self.form: Any = None
        self.sure: dict[int, Any] = {}  # of a maximum: id of an operand -> where it is that operand for certain
        exact = None if np.isfinite(value).all() else np.isinf(value)
        self.own = clean_bound(exact, own)
        self.radius: Float = clean_bound(
            exact, np.minimum(sum((link.abs_jvp(a.radius) for a, link in operands), self.own), limit)
        )
        self.slopes: Float | None = None
        self.rest = self.radius
        if followed := [link.jvp(a.slopes) for a, link in operands if a.slopes is not None]:
            whole = np.broadcast_to(sum(followed), (len(followed[0]), value.size))
            self.slopes = whole if exact is None else np.where(exact.reshape(1, -1), 0.0, whole)
            self.rest = clean_bound(exact, sum((link.abs_jvp(a.rest) for a, link in operands), self.own))
        graph.values.append(self)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def reshape(self, *shape: int) -> BoundedValue:
        value = self.value.reshape(*shape)
        return BoundedValue(self.graph, value, 0.0, [(self, reshape(value.shape))])

    def __add__(self, b: Any) -> BoundedValue:
        return self.graph.add(self, b)

    def __sub__(self, b: Any) -> BoundedValue:
        return self.graph.sub(self, b)

    def __mul__(self, b: Any) -> BoundedValue:
        return self.graph.mul(self, b)

    def __truediv__(self, b: Any) -> BoundedValue:
        return self.graph.div(self, b)

    def __radd__(self, a: Any) -> BoundedValue:
        return self.graph.add(a, self)

    def __rsub__(self, a: Any) -> BoundedValue:
        return self.graph.sub(a, self)

    def __rmul__(self, a: Any) -> BoundedValue:
        return self.graph.mul(a, self)

    def __rtruediv__(self, a: Any) -> BoundedValue:
        return self.graph.div(a, self)

    def __neg__(self) -> BoundedValue:
        return self.graph.neg(self)

    def __abs__(self) -> BoundedValue:
        return self.graph.abs(self)


def clean_bound(exact: Any, bound: Any) -> Float:
    """0 where a value is exact; what became NaN, such as 0 times infinity, bounds nothing."""
    found: Float = np.where(np.isnan(bound), np.inf, bound)
    return found if exact is None else np.where(exact, 0.0, found)


class ErrorGraph:
    """The operations of cells and layers over `Value`, kept in the order in which they were done.

    exactly: whether what `errors.operand` rounds first is rounded here as well, where it is known what the target's
    number rounds to; the values are then those of that target and not of the oracle. steps: how many will be read.
    """

    def __init__(self, errors: ActivationErrors, rounds_exactly: bool = False, steps: int = 1) -> None:
        self.errors, self.rounds_exactly, self.steps = errors, rounds_exactly, steps
        self.values: list[BoundedValue] = []
        self.affine_form: Any = None  # of the states that are followed through this step
        self.layer_kind, self.is_last_step = "", False  # of the layer that is read, and whether this is the last step

    def lift(self, value: Any) -> BoundedValue:
        """A Value as it is; a number or array with the error of storing it as float32."""
        if isinstance(value, BoundedValue):
            return value
        exact = np.atleast_2d(np.asarray(value, np.float64))
        finite = np.where(np.isinf(exact), 0.0, exact)
        return BoundedValue(self, exact, abs(finite - finite.astype(np.float32)), [])

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
            for operand, link in value.operands:
                more = link.vjp(d)
                found[id(operand)] = found[id(operand)] + more if id(operand) in found else more
            if value.operands:
                del found[id(value)]  # a long graph's would fill the memory
        return bound, found

    def binary(self, value: Float, own: Any, a: BoundedValue, by_a: Any, b: BoundedValue, by_b: Any, limit: Any = np.inf) -> BoundedValue:
        single = (v.value.size == 1 for v in (a, b))
        links = [elementwise(by, one) for by, one in zip((by_a, by_b), single, strict=True)]
        return BoundedValue(self, value, own, list(zip((a, b), links, strict=True)), limit)

    def unary(self, a: BoundedValue, value: Float, own: Any, by_a: Any, limit: Any = np.inf) -> BoundedValue:
        return BoundedValue(self, value, own, [(a, elementwise(by_a, False))], limit)

    def add(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        value = a.value + b.value
        return self.binary(value, U * (abs(value) + a.radius + b.radius), a, 1.0, b, 1.0)

    def sub(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        value = a.value - b.value
        own = U * (abs(value) + a.radius + b.radius)
        if id(a) in b.sure:  # a number less itself
            differ = ~b.sure[id(a)]
            return self.binary(value, own * differ, a, 1.0 * differ, b, -1.0 * differ, np.where(differ, np.inf, 0.0))
        return self.binary(value, own, a, 1.0, b, -1.0)

    def mul(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        value, bent = a.value * b.value, a.radius * b.radius
        most = abs(value) + abs(a.value) * b.radius + abs(b.value) * a.radius + bent
        return self.binary(value, bent + U * most + TINY, a, b.value, b, a.value)

    def div(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        value, size = a.value / b.value, abs(b.value)
        moved = (a.radius + abs(value) * b.radius) / size
        bent = np.where(b.radius == 0, 0.0, moved * b.radius / (size - b.radius))
        bent = np.where(b.radius >= size, np.inf, bent)
        return self.binary(value, bent + U * (abs(value) + moved + bent) + TINY, a, 1 / b.value, b, -value / b.value)

    def neg(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        return self.unary(a, -a.value, 0.0, -1.0)

    def abs(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        bent = 2 * np.maximum(a.radius - abs(a.value), 0.0)
        return self.unary(a, abs(a.value), bent, np.sign(a.value), a.radius)

    def exp(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        value = np.exp(a.value)
        grown = value * np.exp(a.radius)
        return self.unary(a, value, self.errors.exp_rel * grown + grown * a.radius**2 / 2 + TINY, value)

    def sigmoid(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        value, A = 0.5 + 0.5 * np.tanh(0.5 * a.value), a.radius
        slope = value * (1 - value)
        bent = np.minimum(np.minimum(SIGMOID_CURVATURE * A**2, slope * np.exp(A) * A**2 / 2), 1 + slope * A)
        return self.unary(
            a, value, self.errors.sigmoid_abs + bent, slope, np.minimum(A / 4, 1) + self.errors.sigmoid_abs
        )

    def tanh(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        value, A = np.tanh(a.value), a.radius
        slope = 1 - value * value
        bent = np.minimum(np.minimum(TANH_CURVATURE * A**2, slope * np.exp(2 * A) * A**2), 2 + slope * A)
        rounding = self.errors.tanh_rel * np.minimum(abs(value) + A, 1.0) + self.errors.tanh_abs + TINY
        return self.unary(a, value, rounding + bent, slope, np.minimum(A, 2) + rounding)

    def relu(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        bent = np.maximum(a.radius - abs(a.value), 0.0)
        return self.unary(a, np.maximum(a.value, 0.0), bent, (a.value > 0) * 1.0, a.radius)

    def maximum(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        return self.select(np.maximum(a.value, b.value), a, b, a.value >= b.value)

    def minimum(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        return self.select(np.minimum(a.value, b.value), a, b, a.value <= b.value)

    def select(self, value: Float, a: BoundedValue, b: BoundedValue, first: Any) -> BoundedValue:
        """One operand or the other, whose derivative counts; where they are too close to tell, neither's does."""
        most = np.maximum(a.radius, b.radius)
        bent = np.maximum(a.radius + b.radius - abs(a.value - b.value), 0.0)
        apart = bent <= most / 4
        found = self.binary(value, np.where(apart, bent, most), a, first & apart, b, ~first & apart, most)
        found.sure = {id(a): first & (bent == 0), id(b): ~first & (bent == 0)}
        return found

    def sqrt(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        value = np.sqrt(a.value)
        moved = a.radius / (value + np.sqrt(np.maximum(a.value - a.radius, 0.0)))
        return self.unary(a, value, moved**2 / (2 * value) + U * (value + moved), 0.5 / value)

    def affine(self, x: Any, W: Float, b: Float) -> BoundedValue:
        """x [1, K], W [N, K], b [N] -> [1, N]."""
        x, errors = self.lift(x), self.errors
        rounds, lost = errors.operand_rel > 0 and self.layer_kind != "pool", 0.0  # an attention's score takes x as it is
        at, taken = x.value, x.radius
        if rounds and self.rounds_exactly:  # x is a float32 between these, and rounding keeps the order of numbers
            low, high = (rounded((at + sign * taken).astype(np.float32)).astype(np.float64) for sign in (-1, 1))
            at, taken = (low + high) / 2, (high - low) / 2
        elif rounds:
            lost = errors.operand_rel * (abs(at) + taken) @ abs(W).T
        own = lost + self.sum_roundings(at, W, b, taken @ abs(W).T + lost, taken)
        if rounds:
            own = own + TINY * (abs(W).sum(1) + (abs(at) + taken).sum())
            if self.rounds_exactly:
                return BoundedValue(self, at @ W.T + b, own + taken @ abs(W).T, [])
        found = BoundedValue(self, at @ W.T + b, own, [(x, product(W))])
        if found.slopes is not None:
            found.radius = np.minimum(found.radius, self.affine_form.radius(found))
        if self.is_last_step and self.layer_kind == "dense":
            found.radius = np.minimum(found.radius, self.backward([(found, np.eye(len(W)))])[0])
        return found

    def sum_roundings(self, x: Float, W: Float, b: Float, moved: Float, radius: Float) -> Float:
        """The roundings of W x + b. moved: how far the exact sum of absolute values may be more; radius: of x."""
        K = W.shape[1]
        n, size = K + self.errors.extra_roundings, abs(x) @ abs(W).T + abs(b) + moved
        if self.errors.ordered and self.layer_kind != "pool":
            sums = abs(np.cumsum(W * x, 1) + b[:, None]).sum(1) + radius @ (abs(W) * np.arange(K, 0, -1)).T
        else:
            sums = n * ((size - moved + abs(x @ W.T + b)) / 2 + moved)
        return np.asarray(U * (sums + n * gamma(n + 1) * size + size) + K * TINY)

    def matmul(self, x: Any, W: Float) -> BoundedValue:
        return self.affine(x, W, np.zeros(len(W)))

    def norm(self, a: Any) -> BoundedValue:
        """In the order of `NumpyOps.norm`; `own` of each of its operations."""
        d = self.sub(a, self.mean(a))
        return self.div(d, self.sqrt(self.add(self.mean(self.mul(d, d)), NORM_EPS)))

    def sum(self, x: Any) -> BoundedValue:
        x = self.lift(x)
        own = gamma(x.shape[-1] - 1) * (abs(x.value) + x.radius).sum(-1, keepdims=True)
        return BoundedValue(self, x.value.sum(-1, keepdims=True), own, [(x, weighted_sum(np.ones_like(x.value)))])

    def mean(self, x: Any) -> BoundedValue:
        """The sum, then a division, or a product with a rounded reciprocal."""
        x = self.lift(x)
        n = x.shape[-1]
        own = gamma(n + 1) * (abs(x.value) + x.radius).mean(-1, keepdims=True) + TINY
        return BoundedValue(self, x.value.mean(-1, keepdims=True), own, [(x, weighted_sum(np.full_like(x.value, 1 / n)))])

    def peak(self, x: Any) -> BoundedValue:
        x = self.lift(x)
        k = int(x.value.argmax(-1).item())
        at = np.zeros_like(x.value)
        at[..., k] = 1.0
        others = np.where(at > 0, 0.0, x.radius + x.radius[..., k] - (x.value[..., k] - x.value))
        own = np.maximum(others, 0.0).max(-1, keepdims=True)
        return BoundedValue(self, x.value.max(-1, keepdims=True), own, [(x, weighted_sum(at))], x.radius.max(-1, keepdims=True))

    def concat(self, parts: list[Any]) -> BoundedValue:
        found = [self.lift(one) for one in parts]
        ends = np.cumsum([one.shape[-1] for one in found]).tolist()
        links = [place_range(end - one.shape[-1], end, ends[-1]) for one, end in zip(found, ends, strict=True)]
        return BoundedValue(self, np.concatenate([one.value for one in found], -1), 0.0, list(zip(found, links, strict=True)))

    def split(self, x: Any, n: int) -> list[BoundedValue]:
        x = self.lift(x)
        size, width = x.shape[-1] // n, x.shape[-1]
        pieces = np.split(x.value, n, -1)
        return [BoundedValue(self, piece, 0.0, [(x, take_range(i * size, (i + 1) * size, width))]) for i, piece in enumerate(pieces)]

    def take(self, table: Float, ids: Any) -> BoundedValue:
        return self.lift(table[ids])
