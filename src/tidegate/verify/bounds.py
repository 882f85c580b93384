"""How far float32 can deviate: the error of each operation, weighted by the derivative of the result.

The layers' equations run over `BoundedValue`s. Each holds the reference value v and links to its operands. Let e be the
deviation of the float32 result from v, and e_j the deviations of its operands. Then, with nothing left out,

    e = sum over operands j of (dv / dv_j) e_j + q + r

where r is the rounding of this operation, and q its curvature: how far it leaves its tangent. So for the result of a
chain of such operations

    |error of result| <= sum over operations i of |d result / d v_i| (|q_i| + |r_i|)

exactly, with all derivatives taken at the reference values, in one backward pass. (For roundings alone this is
Linnainmaa, "Taylor expansion of the accumulated rounding error", BIT 16, 1976.) q and r depend on e_j, for which each
value has a bound, its `radius`, computed from the radii of its operands. By induction over the operations in their
order, each radius holds, and `own_error` >= |q| + |r|. `affine_forms.py` keeps radii small over a recurrence's steps.

With the unit roundoff u = 2^-24, gamma_k = k u / (1 - k u), operands a and b, their radii A and B, and v' the largest
possible value (|v| plus its possible deviation), `own_error` is

    a + b, a - b           u v'
    a b                    u v' + A B
    a / b                  u v' + (A + |v| B) B / (|b| (|b| - B)); no bound if B >= |b|
    sqrt a                 u v' + m^2 / (2 sqrt a), where m = A / (sqrt a + sqrt max(a - A, 0)) is its largest change
    W x + b                u (sums + |W| x' + |b|), as each addition has an error of u times the sum that it gives, and
                           each product of u times itself. If the order is known (`ordered`: k ascends, from b), sums
                           is the sum of all |partial sums|; otherwise each of the n = K partial sums is at most the
                           sum of all positive or of all negative terms, with `extra_roundings` more of them if other
                           sums are added to the same; n gamma_{n+1} (|W| x' + |b|) more, as partial sums are rounded
                           themselves. If x is rounded first, `operand_rel` |W| x' more, and 2^-126 (|W| + x') where
                           smaller numbers are taken as 0
    dot a b                gamma_n sum a' b' + sum A B, for n products: in any order and any number of lanes, each meets
                           at most its own rounding, unless it is fused, and those of n - 1 additions. Each product
                           leaves its tangent by A B. Operands are never rounded to fewer digits
    sum, mean              gamma_{n-1} sum x'; two more roundings for the mean
    exp                    `exp_rel` v' + v e^A A^2 / 2    (Taylor's remainder; so for the next two)
    sigmoid                `sigmoid_abs` + the least of A^2 / (12 sqrt 3), s e^A A^2 / 2 and 1 + s A, where
                           s = v (1 - v): |sigmoid''| <= sigmoid', which grows by at most e^A within A
    tanh                   `tanh_rel` v' + `tanh_abs` + the least of 2 A^2 / (3 sqrt 3), s e^2A A^2 and 2 + s A, where
                           s = 1 - v^2: |tanh''| <= 2 tanh', which grows by at most e^2A
    less                   nothing if A + B cannot turn the comparison, as between exact values; else 1
    select                 nothing if the condition is certainly 0 or certainly not; else neither derivative is used,
                           and the error is A or |a - b| + B, whichever is larger, where a is taken here
    abs, relu              2 (A - |a|) and A - |a|, if positive: the sign may be the other one
    maximum, minimum       A + B - |a - b| if positive: the result may be the other operand. If that is more than a
                           quarter of the larger radius, neither derivative is used and the error is that radius, as a
                           maximum changes by no more than its operands do. Over an axis, the largest over the others
    a constant, a row of a table        the error of storing it as float32
    neg, parts, reshape,
    concat, push           nothing: numbers change places; nor a - max(a, b) where the maximum is certainly a

so that one bound holds on every target; only the constants of the functions depend on the target. Underflow is covered
by 2^-126 per operation, flushed or not. Infinities are exact: the peak of a pool that has seen nothing. All of this is
computed in float64, like the reference; `error_propagation.FLOAT64_MARGIN` accounts for that.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..layers import Layer
from ..runtime.precision import round_to_bf16
from ..tape import NORM_EPS, NumpyOps
from .bounded_value import BoundedValue, weigh
from .jacobians import elementwise, move, product, spread, weighted_sum

U: Final = 2.0**-24
TINY: Final = 2.0**-126
SIGMOID_CURVATURE, TANH_CURVATURE = 0.0482, 0.385  # half of the largest second derivative, rounded up
Float = npt.NDArray[np.float64]


class ActivationErrors(NamedTuple):
    """How far a target's own functions deviate.

    sigmoid_abs: absolutely. tanh_rel, exp_rel: relative to the value. tanh_abs: absolutely, where that is more.
    extra_roundings: how many further roundings a term of W x + b meets, on a target that adds more to that sum.
    operand_rel: relative rounding of x before the product, on a target that uses fewer digits. ordered: whether
    products add their terms one by one, from the bias, with k ascending.
    """

    sigmoid_abs: float
    tanh_rel: float
    exp_rel: float
    tanh_abs: float = 0.0
    extra_roundings: float = 0.0
    operand_rel: float = 0.0
    ordered: bool = False


def gamma(k: float) -> float:
    """Return the relative error of k roundings in a row.

    >>> gamma(1) > U
    True
    """
    return k * U / (1 - k * U)


class ErrorGraph:
    """The operations of cells and layers over `BoundedValue`, recorded in the order in which they run.

    rounds_exactly: whether to round here, too, what `errors.operand_rel` rounds first, where it is known what the
    target's number rounds to; the values are then the target's and not the reference's. steps: how many will run.
    """

    columns = staticmethod(NumpyOps.columns)

    def __init__(self, errors: ActivationErrors, rounds_exactly: bool = False, steps: int = 1) -> None:
        self.errors, self.rounds_exactly, self.steps = errors, rounds_exactly, steps
        self.values: list[BoundedValue] = []
        self.affine_form: Any = None  # of the states that are tracked through this step
        self.layer: Layer | None = None  # which runs
        self.is_last_step = False
        self.tightens_from: int | None = None  # the number of the first value of a step whose radii are tightened
        self.lost = False  # whether a number may be finite in the reference and not on the target, or the reverse

    def lift(self, value: Any) -> BoundedValue:
        """Return a BoundedValue as it is, a number or array with the error of storing it as float32."""
        if isinstance(value, BoundedValue):
            return value
        exact = np.atleast_2d(np.asarray(value, np.float64))
        finite = np.where(np.isinf(exact), 0.0, exact)
        return BoundedValue(self, exact, abs(finite - finite.astype(np.float32)), [])

    def backward(self, seeds: list[tuple[Any, Float]], first: int = 0) -> tuple[Float, dict[int, Float]]:
        """Return the error bounds [n] of n results, and for each value without operands (by id) the derivatives
        [n, width] of the results with respect to it.

        seeds: (value, derivatives [n, width] of the results with respect to it); a value may occur several times.
        first: the number of the first value that counts; older ones are taken as exact and as without operands.
        """
        derivatives: dict[int, Float] = {}
        for value, d in seeds:
            derivatives[id(value)] = derivatives[id(value)] + d if id(value) in derivatives else d
        bound = np.zeros(len(seeds[0][1]))
        for value in reversed(self.values[first:]):
            if (d := derivatives.get(id(value))) is None:  # type: ignore[assignment]
                continue
            if value.own_error.any():
                bound += weigh(d, value.own_error.reshape(-1))
            for operand, J in value.operands:
                more = J.vjp(d)
                derivatives[id(operand)] = derivatives[id(operand)] + more if id(operand) in derivatives else more
            if value.operands:
                del derivatives[id(value)]  # those of a long graph would fill the memory
        return bound, derivatives

    def tighten(self, y: BoundedValue) -> None:
        """Lower the radius of a value to what a backward pass over a step gives, which keeps the signs of derivatives.

        Otherwise each of many products in a row, as in blocks of attention, multiplies the radius by its matrix's
        absolute values, until curvature has no bound. Values before the step count with their radii.
        """
        if self.tightens_from is None:
            return
        radius, derivatives = self.backward([(y, np.eye(y.value.size))], self.tightens_from)
        values, remainder = self.values[self.tightens_from :], radius
        inside = {id(value) for value in values}
        for key, value in {id(a): a for v in values for a, _ in v.operands if id(a) not in inside}.items():
            if (d := derivatives.get(key)) is not None:
                radius = radius + weigh(d, value.radius.reshape(-1))
                remainder = remainder + weigh(d, value.remainder.reshape(-1))
        y.radius = np.fmin(y.radius, radius.reshape(y.shape))
        y.remainder = np.fmin(y.remainder, remainder.reshape(y.shape))

    def binary(
        self, value: Float, own: Any, a: BoundedValue, slope_a: Any, b: BoundedValue, slope_b: Any, limit: Any = np.inf
    ) -> BoundedValue:
        operands = [(v, elementwise(by, v.shape, value.shape)) for v, by in ((a, slope_a), (b, slope_b))]
        return BoundedValue(self, value, own, operands, limit)

    def unary(self, a: BoundedValue, value: Float, own: Any, slope_a: Any, limit: Any = np.inf) -> BoundedValue:
        return BoundedValue(self, value, own, [(a, elementwise(slope_a, a.shape, value.shape))], limit)

    def add(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        value = a.value + b.value
        return self.binary(value, U * (abs(value) + a.radius + b.radius), a, 1.0, b, 1.0)

    def sub(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        value = a.value - b.value
        own = U * (abs(value) + a.radius + b.radius)
        if id(a) in b.certain:  # a number minus itself
            differ = ~b.certain[id(a)]
            return self.binary(value, own * differ, a, 1.0 * differ, b, -1.0 * differ, np.where(differ, np.inf, 0.0))
        return self.binary(value, own, a, 1.0, b, -1.0)

    def mul(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        value, curvature = a.value * b.value, a.radius * b.radius
        largest = abs(value) + abs(a.value) * b.radius + abs(b.value) * a.radius + curvature
        return self.binary(value, curvature + U * largest + TINY, a, b.value, b, a.value)

    def div(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        value, size = a.value / b.value, abs(b.value)
        change = (a.radius + abs(value) * b.radius) / size
        curvature = np.where(b.radius == 0, 0.0, change * b.radius / (size - b.radius))
        curvature = np.where(b.radius >= size, np.inf, curvature)
        own = curvature + U * (abs(value) + change + curvature) + TINY
        return self.binary(value, own, a, 1 / b.value, b, -value / b.value)

    def neg(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        return self.unary(a, -a.value, 0.0, -1.0)

    def abs(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        curvature = 2 * np.maximum(a.radius - abs(a.value), 0.0)
        return self.unary(a, abs(a.value), curvature, np.sign(a.value), a.radius)

    def exp(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        value = np.exp(a.value)
        grown = np.exp(a.value + a.radius)
        return self.unary(a, value, self.errors.exp_rel * grown + grown * a.radius**2 / 2 + TINY, value)

    def sigmoid(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        value, A = 0.5 + 0.5 * np.tanh(0.5 * a.value), a.radius
        slope = value * (1 - value)
        curvature = np.minimum(np.minimum(SIGMOID_CURVATURE * A**2, slope * np.exp(A) * A**2 / 2), 1 + slope * A)
        rounding = self.errors.sigmoid_abs
        return self.unary(a, value, rounding + curvature, slope, np.minimum(A / 4, 1) + rounding)

    def tanh(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        value, A = np.tanh(a.value), a.radius
        slope = 1 - value * value
        curvature = np.minimum(np.minimum(TANH_CURVATURE * A**2, slope * np.exp(2 * A) * A**2), 2 + slope * A)
        rounding = self.errors.tanh_rel * np.minimum(abs(value) + A, 1.0) + self.errors.tanh_abs + TINY
        return self.unary(a, value, rounding + curvature, slope, np.minimum(A, 2) + rounding)

    def relu(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        curvature = np.maximum(a.radius - abs(a.value), 0.0)
        return self.unary(a, np.maximum(a.value, 0.0), curvature, (a.value > 0) * 1.0, a.radius)

    def maximum(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        return self.choose(np.maximum(a.value, b.value), a, b, a.value >= b.value)

    def minimum(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        return self.choose(np.minimum(a.value, b.value), a, b, a.value <= b.value)

    def choose(self, value: Float, a: BoundedValue, b: BoundedValue, is_first: Any) -> BoundedValue:
        """Return the larger or smaller of two operands; only its derivative counts, and neither's if they are close."""
        larger_radius = np.maximum(a.radius, b.radius)
        overlap = np.maximum(a.radius + b.radius - abs(a.value - b.value), 0.0)
        apart = overlap <= larger_radius / 4
        own = np.where(apart, overlap, larger_radius)
        result = self.binary(value, own, a, is_first & apart, b, ~is_first & apart, larger_radius)
        result.certain = {id(a): is_first & (overlap == 0), id(b): ~is_first & (overlap == 0)}
        return result

    def less(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        value, uncertainty = (a.value < b.value) * 1.0, a.radius + b.radius
        gap = np.where(a.value == b.value, 0.0, abs(a.value - b.value))
        return BoundedValue(self, value, np.where(value > 0, uncertainty >= gap, uncertainty > gap) * 1.0, [])

    def select(self, condition: Any, a: Any, b: Any) -> BoundedValue:
        c, a, b = self.lift(condition), self.lift(a), self.lift(b)
        first = c.value != 0
        certain = np.where(first, abs(c.value) > c.radius, c.radius == 0)
        value = np.where(first, a.value, b.value)
        gap = np.where(certain | (a.value == b.value), 0.0, abs(a.value - b.value))
        either = np.where(first, np.maximum(a.radius, gap + b.radius), np.maximum(b.radius, gap + a.radius))
        self.lost |= bool((~certain & np.isinf(value)).any())
        return self.binary(value, np.where(certain, 0.0, either), a, first & certain, b, ~first & certain)

    def sqrt(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        value = np.sqrt(a.value)
        change = a.radius / (value + np.sqrt(np.maximum(a.value - a.radius, 0.0)))
        return self.unary(a, value, change**2 / (2 * value) + U * (value + change), 0.5 / value)

    def affine(self, x: Any, W: Float, b: Float) -> BoundedValue:
        """Return W x + b [1, N], for x [1, K], W [N, K], b [N]."""
        x, errors = self.lift(x), self.errors
        rounds, loss = errors.operand_rel > 0, 0.0
        at, radius = x.value, x.radius
        if rounds and self.rounds_exactly:  # x is a float32 between these, and rounding keeps the order of numbers
            low, high = (round_to_bf16((at + sign * radius).astype(np.float32)).astype(np.float64) for sign in (-1, 1))
            at, radius = (low + high) / 2, (high - low) / 2
        elif rounds:
            loss = errors.operand_rel * (abs(at) + radius) @ abs(W).T
        own = loss + self.sum_roundings(at, W, b, radius @ abs(W).T + loss, radius)
        if rounds:
            own = own + TINY * (abs(W).sum(1) + (abs(at) + radius).sum())
            if self.rounds_exactly:
                return BoundedValue(self, at @ W.T + b, own + radius @ abs(W).T, [])
        y = BoundedValue(self, at @ W.T + b, own, [(x, product(W))])
        if y.slopes is not None:
            y.radius = np.minimum(y.radius, self.affine_form.radius_of(y))
        if self.is_last_step and self.layer is not None and self.layer.is_affine:
            y.radius = np.minimum(y.radius, self.backward([(y, np.eye(len(W)))])[0])
        return y

    def sum_roundings(self, x: Float, W: Float, b: Float, change: Float, radius: Float) -> Float:
        """Bound the roundings of W x + b. change: by how much more the sum of absolute values may be. radius: of x."""
        K = W.shape[1]
        n, size = K + self.errors.extra_roundings, abs(x) @ abs(W).T + abs(b) + change
        if self.errors.ordered:
            sums = abs(np.cumsum(W * x, 1) + b[:, None]).sum(1) + radius @ (abs(W) * np.arange(K, 0, -1)).T
        else:
            sums = n * ((size - change + abs(x @ W.T + b)) / 2 + change)
        return np.asarray(U * (sums + n * gamma(n + 1) * size + size) + K * TINY)

    def matmul(self, x: Any, W: Float) -> BoundedValue:
        return self.affine(x, W, np.zeros(len(W)))

    def norm(self, a: Any) -> BoundedValue:
        """Normalise as `NumpyOps.norm` does, operation by operation."""
        d = self.sub(a, self.mean(a))
        return self.div(d, self.sqrt(self.add(self.mean(self.mul(d, d)), NORM_EPS)))

    def dot(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        terms, curvature = a.value * b.value, a.radius * b.radius
        largest = (abs(a.value) + a.radius) * (abs(b.value) + b.radius)
        K = terms.shape[-1]
        own = (curvature + gamma(K) * largest).sum(-1, keepdims=True) + 2 * K * TINY
        pairs = ((a, b.value), (b, a.value))
        operands = [(v, weighted_sum(spread(by, terms.shape), v.shape, -1)) for v, by in pairs]
        return BoundedValue(self, terms.sum(-1, keepdims=True), own, operands)

    def sum(self, x: Any, axis: int = -1) -> BoundedValue:
        x = self.lift(x)
        own = gamma(x.shape[axis] - 1) * (abs(x.value) + x.radius).sum(axis, keepdims=True)
        J = weighted_sum(np.ones_like(x.value), x.shape, axis)
        return BoundedValue(self, x.value.sum(axis, keepdims=True), own, [(x, J)])

    def mean(self, x: Any) -> BoundedValue:
        """Return the mean, whether the target divides the sum or multiplies it by a rounded reciprocal."""
        x = self.lift(x)
        n = x.shape[-1]
        own = gamma(n + 1) * (abs(x.value) + x.radius).mean(-1, keepdims=True) + TINY
        J = weighted_sum(np.full_like(x.value, 1 / n), x.shape, -1)
        return BoundedValue(self, x.value.mean(-1, keepdims=True), own, [(x, J)])

    def peak(self, x: Any, axis: int = -1) -> BoundedValue:
        x = self.lift(x)
        k = x.value.argmax(axis, keepdims=True)
        at = np.zeros_like(x.value)
        np.put_along_axis(at, k, 1.0, axis)
        most, radius = (np.take_along_axis(v, k, axis) for v in (x.value, x.radius))
        others = np.where(at > 0, 0.0, x.radius + radius - (most - x.value))
        own = np.maximum(others, 0.0).max(axis, keepdims=True)
        J = weighted_sum(at, x.shape, axis)
        return BoundedValue(self, most, own, [(x, J)], x.radius.max(axis, keepdims=True))

    def concat(self, parts: list[Any]) -> BoundedValue:
        return self.join([self.lift(part) for part in parts], -1)

    def join(self, parts: list[BoundedValue], axis: int) -> BoundedValue:
        value = np.concatenate([v.value for v in parts], axis)
        operands, start = [], 0
        for v in parts:
            size = v.shape[axis]
            operands.append(
                (v, move(v.shape, slice(0, size), value.shape, slice(start, start + size), axis % value.ndim))
            )
            start += size
        return BoundedValue(self, value, 0.0, operands)

    def cut(self, x: BoundedValue, start: int, stop: int, axis: int) -> BoundedValue:
        part = x.value[(*(slice(None),) * axis, slice(start, stop))]
        J = move(x.shape, slice(start, stop), part.shape, slice(0, stop - start), axis)
        return BoundedValue(self, part, 0.0, [(x, J)])

    def split(self, x: Any, n: int) -> list[BoundedValue]:
        x = self.lift(x)
        size, axis = x.shape[-1] // n, x.value.ndim - 1
        return [self.cut(x, k * size, (k + 1) * size, axis) for k in range(n)]

    def push(self, window: Any, x: Any) -> BoundedValue:
        window, x = self.lift(window), self.lift(x)
        self.tighten(x)
        one = x.reshape(1, 1, *window.shape[2:])
        return self.join([self.cut(window, 1, window.shape[1], 1), one] if window.shape[1] > 1 else [one], 1)

    def take(self, table: Float, ids: Any) -> BoundedValue:
        return self.lift(table[ids])

    def bag(self, table: Float, ids: Any) -> BoundedValue:
        """Sum the rows of a step's ids, in any order."""
        return self.sum(self.lift(table[ids[ids >= 0]][None]), -2).reshape(1, table.shape[1])
