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
    sum, mean              gamma_{n-1} sum x'; two more roundings for the mean
    exp                    `exp_rel` v' + v e^A A^2 / 2    (Taylor's remainder; so for the next two)
    sigmoid                `sigmoid_abs` + the least of A^2 / (12 sqrt 3), s e^A A^2 / 2 and 1 + s A, where
                           s = v (1 - v): |sigmoid''| <= sigmoid', which grows by at most e^A within A
    tanh                   `tanh_rel` v' + `tanh_abs` + the least of 2 A^2 / (3 sqrt 3), s e^2A A^2 and 2 + s A, where
                           s = 1 - v^2: |tanh''| <= 2 tanh', which grows by at most e^2A
    abs, relu              2 (A - |a|) and A - |a|, if positive: the sign may be the other one
    maximum, minimum       A + B - |a - b| if positive: the result may be the other operand. If that is more than a
                           quarter of the larger radius, neither derivative is used and the error is that radius, as a
                           maximum changes by no more than its operands do. Over an axis, the largest over the others
    a constant, a row of a table        the error of storing it as float32
    neg, parts, reshape    nothing; nor a - max(a, b) where the maximum is certainly a

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
from .jacobians import Jacobian, elementwise, place_range, product, reshape, take_range, weighted_sum

U: Final = 2.0**-24
TINY: Final = 2.0**-126
SIGMOID_CURVATURE, TANH_CURVATURE = 0.0482, 0.385  # half of the largest second derivative, rounded up
Float = npt.NDArray[np.float64]
Operands = list[tuple["BoundedValue", Jacobian]]


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


class BoundedValue:
    """One operation's result for one stream, float64 [1, width] (or a state's [1, *shape]), and a bound of its error.

    value: in the reference. own_error: what this operation adds to the error. radius: a bound of the whole error.
    operands: each with the Jacobian with respect to it. slopes [n, width] and remainder, while the states of a step are
    tracked (`affine_forms.py`): the derivatives with respect to those n numbers, and a bound of the rest of the error.
    affine_form: for a state, the form that represents its error.
    """

    __slots__ = ("affine_form", "certain", "graph", "operands", "own_error", "radius", "remainder", "slopes", "value")
    __array_ufunc__ = None  # so that NumPy leaves its operators to this class

    def __init__(self, graph: ErrorGraph, value: Float, own: Any, operands: Operands, limit: Any = np.inf) -> None:
        """limit: another bound of the error, known from elsewhere."""
        self.graph, self.value, self.operands = graph, value, operands
        self.affine_form: Any = None
        self.certain: dict[int, Any] = {}  # of a maximum: id of an operand -> where it certainly is the result
        exact = None if np.isfinite(value).all() else np.isinf(value)
        self.own_error = clean_bound(exact, own)
        self.radius: Float = clean_bound(
            exact, np.minimum(sum((J.abs_jvp(a.radius) for a, J in operands), self.own_error), limit)
        )
        self.slopes: Float | None = None
        self.remainder = self.radius
        if terms := [J.jvp(a.slopes) for a, J in operands if a.slopes is not None]:
            whole = np.broadcast_to(sum(terms), (len(terms[0]), value.size))
            self.slopes = whole if exact is None else np.where(exact.reshape(1, -1), 0.0, whole)
            self.remainder = clean_bound(exact, sum((J.abs_jvp(a.remainder) for a, J in operands), self.own_error))
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
    """Return a bound with 0 where a value is exact, and infinity where it became NaN, as by 0 times infinity."""
    cleaned: Float = np.where(np.isnan(bound), np.inf, bound)
    return cleaned if exact is None else np.where(exact, 0.0, cleaned)


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

    @property
    def is_matrix_product(self) -> bool:
        """Whether the running layer multiplies by matrices; an attention's score rounds no operand, in no order."""
        return self.layer is None or any(self.layer.use(role) == "matrix" for role in self.layer.tensors)

    def lift(self, value: Any) -> BoundedValue:
        """Return a BoundedValue as it is, a number or array with the error of storing it as float32."""
        if isinstance(value, BoundedValue):
            return value
        exact = np.atleast_2d(np.asarray(value, np.float64))
        finite = np.where(np.isinf(exact), 0.0, exact)
        return BoundedValue(self, exact, abs(finite - finite.astype(np.float32)), [])

    def backward(self, seeds: list[tuple[Any, Float]]) -> tuple[Float, dict[int, Float]]:
        """Return the error bounds [n] of n results, and for each value without operands (by id) the derivatives
        [n, width] of the results with respect to it.

        seeds: (value, derivatives [n, width] of the results with respect to it); a value may occur several times.
        """
        derivatives: dict[int, Float] = {}
        for value, d in seeds:
            derivatives[id(value)] = derivatives[id(value)] + d if id(value) in derivatives else d
        bound = np.zeros(len(seeds[0][1]))
        for value in reversed(self.values):
            if (d := derivatives.get(id(value))) is None:  # type: ignore[assignment]
                continue
            if value.own_error.any():
                bound += abs(d) @ value.own_error.reshape(-1)
            for operand, J in value.operands:
                more = J.vjp(d)
                derivatives[id(operand)] = derivatives[id(operand)] + more if id(operand) in derivatives else more
            if value.operands:
                del derivatives[id(value)]  # those of a long graph would fill the memory
        return bound, derivatives

    def binary(
        self, value: Float, own: Any, a: BoundedValue, slope_a: Any, b: BoundedValue, slope_b: Any, limit: Any = np.inf
    ) -> BoundedValue:
        single = (v.value.size == 1 for v in (a, b))
        jacobians = [elementwise(by, one) for by, one in zip((slope_a, slope_b), single, strict=True)]
        return BoundedValue(self, value, own, list(zip((a, b), jacobians, strict=True)), limit)

    def unary(self, a: BoundedValue, value: Float, own: Any, slope_a: Any, limit: Any = np.inf) -> BoundedValue:
        return BoundedValue(self, value, own, [(a, elementwise(slope_a, False))], limit)

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
        grown = value * np.exp(a.radius)
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
        return self.select(np.maximum(a.value, b.value), a, b, a.value >= b.value)

    def minimum(self, a: Any, b: Any) -> BoundedValue:
        a, b = self.lift(a), self.lift(b)
        return self.select(np.minimum(a.value, b.value), a, b, a.value <= b.value)

    def select(self, value: Float, a: BoundedValue, b: BoundedValue, is_first: Any) -> BoundedValue:
        """Return the larger or smaller of two operands; only its derivative counts, and neither's if they are close."""
        larger_radius = np.maximum(a.radius, b.radius)
        overlap = np.maximum(a.radius + b.radius - abs(a.value - b.value), 0.0)
        apart = overlap <= larger_radius / 4
        own = np.where(apart, overlap, larger_radius)
        result = self.binary(value, own, a, is_first & apart, b, ~is_first & apart, larger_radius)
        result.certain = {id(a): is_first & (overlap == 0), id(b): ~is_first & (overlap == 0)}
        return result

    def sqrt(self, a: Any) -> BoundedValue:
        a = self.lift(a)
        value = np.sqrt(a.value)
        change = a.radius / (value + np.sqrt(np.maximum(a.value - a.radius, 0.0)))
        return self.unary(a, value, change**2 / (2 * value) + U * (value + change), 0.5 / value)

    def affine(self, x: Any, W: Float, b: Float) -> BoundedValue:
        """Return W x + b [1, N], for x [1, K], W [N, K], b [N]."""
        x, errors = self.lift(x), self.errors
        rounds, loss = errors.operand_rel > 0 and self.is_matrix_product, 0.0
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
        if self.errors.ordered and self.is_matrix_product:
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

    def sum(self, x: Any) -> BoundedValue:
        x = self.lift(x)
        own = gamma(x.shape[-1] - 1) * (abs(x.value) + x.radius).sum(-1, keepdims=True)
        return BoundedValue(self, x.value.sum(-1, keepdims=True), own, [(x, weighted_sum(np.ones_like(x.value)))])

    def mean(self, x: Any) -> BoundedValue:
        """Return the mean, whether the target divides the sum or multiplies it by a rounded reciprocal."""
        x = self.lift(x)
        n = x.shape[-1]
        own = gamma(n + 1) * (abs(x.value) + x.radius).mean(-1, keepdims=True) + TINY
        J = weighted_sum(np.full_like(x.value, 1 / n))
        return BoundedValue(self, x.value.mean(-1, keepdims=True), own, [(x, J)])

    def peak(self, x: Any) -> BoundedValue:
        x = self.lift(x)
        k = int(x.value.argmax(-1).item())
        at = np.zeros_like(x.value)
        at[..., k] = 1.0
        others = np.where(at > 0, 0.0, x.radius + x.radius[..., k] - (x.value[..., k] - x.value))
        own = np.maximum(others, 0.0).max(-1, keepdims=True)
        return BoundedValue(
            self, x.value.max(-1, keepdims=True), own, [(x, weighted_sum(at))], x.radius.max(-1, keepdims=True)
        )

    def concat(self, parts: list[Any]) -> BoundedValue:
        operands = [self.lift(part) for part in parts]
        ends = np.cumsum([v.shape[-1] for v in operands]).tolist()
        jacobians = [place_range(end - v.shape[-1], end, ends[-1]) for v, end in zip(operands, ends, strict=True)]
        value = np.concatenate([v.value for v in operands], -1)
        return BoundedValue(self, value, 0.0, list(zip(operands, jacobians, strict=True)))

    def split(self, x: Any, n: int) -> list[BoundedValue]:
        x = self.lift(x)
        size, width = x.shape[-1] // n, x.shape[-1]
        parts = np.split(x.value, n, -1)
        jacobians = [take_range(i * size, (i + 1) * size, width) for i in range(n)]
        return [BoundedValue(self, part, 0.0, [(x, J)]) for part, J in zip(parts, jacobians, strict=True)]

    def take(self, table: Float, ids: Any) -> BoundedValue:
        return self.lift(table[ids])
