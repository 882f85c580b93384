"""One number or array of a run with a bound of its error: what the operations of `bounds.py` take and give."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .jacobians import Jacobian, reshape, spread

Float = npt.NDArray[np.float64]
Operands = list[tuple["BoundedValue", Jacobian]]


class BoundedValue:
    """One operation's result for one stream, float64 [1, width] (or a state's [1, *shape]), and a bound of its error.

    value: in the reference. own_error: what this operation adds to the error. radius: a bound of the whole error.
    operands: each with the Jacobian with respect to it. slopes [n, width] and remainder, while the states of a step are
    tracked (`affine_forms.py`): the derivatives with respect to those n numbers, and a bound of the rest of the error.
    affine_form: for a state, the form that represents its error.
    """

    __slots__ = ("affine_form", "certain", "graph", "operands", "own_error", "radius", "remainder", "slopes", "value")
    __array_ufunc__ = None  # so that NumPy leaves its operators to this class

    def __init__(self, graph: Any, value: Float, own: Any, operands: Operands, limit: Any = np.inf) -> None:
        """limit: another bound of the error, known from elsewhere."""
        self.graph, self.value, self.operands = graph, value, operands
        self.affine_form: Any = None
        self.certain: dict[int, Any] = {}  # of a maximum: id of an operand -> where it certainly is the result
        exact = None if np.isfinite(value).all() else np.isinf(value)
        self.own_error = clean_bound(exact, spread(own, value.shape))
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

    def apply(self, name: str, *operands: Any) -> BoundedValue:
        result: BoundedValue = getattr(self.graph, name)(*operands)
        return result

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def reshape(self, *shape: int) -> BoundedValue:
        value = self.value.reshape(*shape)
        return BoundedValue(self.graph, value, 0.0, [(self, reshape(value.shape))])

    def __add__(self, b: Any) -> BoundedValue:
        return self.apply("add", self, b)

    def __sub__(self, b: Any) -> BoundedValue:
        return self.apply("sub", self, b)

    def __mul__(self, b: Any) -> BoundedValue:
        return self.apply("mul", self, b)

    def __truediv__(self, b: Any) -> BoundedValue:
        return self.apply("div", self, b)

    def __radd__(self, a: Any) -> BoundedValue:
        return self.apply("add", a, self)

    def __rsub__(self, a: Any) -> BoundedValue:
        return self.apply("sub", a, self)

    def __rmul__(self, a: Any) -> BoundedValue:
        return self.apply("mul", a, self)

    def __rtruediv__(self, a: Any) -> BoundedValue:
        return self.apply("div", a, self)

    def __neg__(self) -> BoundedValue:
        return self.apply("neg", self)

    def __abs__(self) -> BoundedValue:
        return self.apply("abs", self)


def clean_bound(exact: Any, bound: Any) -> Float:
    """Return a bound with 0 where a value is exact, and infinity where it became NaN, as by 0 times infinity."""
    cleaned: Float = np.where(np.isnan(bound), np.inf, bound)
    return cleaned if exact is None else np.where(exact, 0.0, cleaned)


def weigh(d: Float, errors: Float) -> Float:
    """Return |d| errors for derivatives d [n, numbers], where an error without a bound counts unless d is 0."""
    unbounded = np.isinf(errors)
    if not unbounded.any():
        return np.asarray(abs(d) @ errors)
    bound = abs(d) @ np.where(unbounded, 0.0, errors)
    return np.where((d[:, unbounded] != 0).any(1), np.inf, bound)
