"""Error radii of a recurrence's states from step to step, with the signs of derivatives kept.

Computing each step's radii from those of the previous step by absolute values would let them grow by |J| at each step,
where J is the derivative of the states after a step with respect to those before it. Over many steps that is far more
than |J J ... J|. So the errors e of a recurrence's states are represented as e = M c, where M [states, columns] is
known and c is some vector of numbers in [-1, 1]. During a step each `BoundedValue` keeps its `slopes`, the derivatives
with respect to the states before the step, and its `remainder`, a bound of the rest of its error:

    e after = J e before + something within `remainder` = [J M, diag(remainder)] (c, c'),    c' in [-1, 1] as well

The row sums of |J M| plus the remainder are the new radii of the states. W x + b of a tracked x has the radius
sum |slopes M| + remainder, which is far smaller than |W| times the radius of x. (This is affine arithmetic: Comba and
Stolfi 1993.) The number of columns is limited: the oldest are replaced by a diagonal matrix of their sums, which
contains everything that they allowed. A recurrence forgets old errors, so little is lost; one that does not forget may
lose its bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ..layers import Layer
from ..reference import Reference
from ..tape import run_program
from .bounded_value import BoundedValue
from .bounds import ErrorGraph, U, gamma

if TYPE_CHECKING:
    from ..model import Model

Float = npt.NDArray[np.float64]
MAX_STATES: Final = 520  # tracked at once
MIN_BLOCKS, MAX_BLOCKS = 4, 40  # of columns, one block for each of the latest steps
MAX_WORK: Final = 4e11  # multiplications and additions in a sequence
MAX_RADIUS: Final = 1e3  # a radius above this does not become small again


class AffineForm:
    """The errors of n states as M c. matrix: M, float32 [n, columns]; its own roundings are added to the remainder."""

    def __init__(self, matrix: Any, max_columns: int) -> None:
        self.matrix, self.max_columns = matrix, max_columns
        self.radii = row_sums(matrix)  # [n]

    def multiply(self, slopes: Float) -> tuple[Any, Float]:
        """Return slopes [n, width] times M, as [width, columns], and how far its row sums may be off."""
        rounding = gamma(len(slopes) + 2) * (self.radii @ abs(slopes))
        return slopes.T.astype(np.float32) @ self.matrix, rounding

    def radius_of(self, value: BoundedValue) -> Float:
        """Bound the error of a value that has slopes with respect to the states, in the value's shape."""
        assert value.slopes is not None
        matrix, rounding = self.multiply(value.slopes)
        return (row_sums(matrix) + rounding).reshape(value.shape) + value.remainder

    def advance(self, slopes: Float, remainder: Float) -> AffineForm:
        """Return the form of the states after a step.

        slopes: [n, n], the derivatives of each new state in a column. remainder: [n].
        """
        matrix, rounding = self.multiply(slopes)
        if matrix.shape[1] + len(remainder) > self.max_columns:
            keep = self.max_columns // 2 // len(remainder) * len(remainder)
            older, latest = matrix[:, :-keep], matrix[:, -keep:]
            matrix = np.concatenate([diagonal(row_sums(older)), latest], 1)
        return AffineForm(np.concatenate([matrix, diagonal(remainder + rounding)], 1), self.max_columns)


def row_sums(matrix: Any) -> Float:
    """Return the sum of absolute values of each row of a float32 matrix, rounded up."""
    ones = np.ones(matrix.shape[1], np.float32)
    return np.asarray((abs(matrix) @ ones).astype(np.float64) * (1 + gamma(matrix.shape[1] + 2)))


def diagonal(sizes: Float) -> Any:
    """Return a float32 matrix with these numbers on its diagonal, rounded up."""
    return np.diag(sizes * (1 + 2 * U)).astype(np.float32)


class TrackedReference(Reference):
    """A reference that tells its graph which layer runs.

    tracks_states: whether the states of each recurrence are tracked by themselves. last_step: the number of the last
    step, whose output is the result.
    """

    xp: ErrorGraph

    def __init__(self, model: Model, graph: ErrorGraph, tracks_states: bool, last_step: int) -> None:
        super().__init__(model, graph)
        self.tracks_states, self.last_step = tracks_states, last_step
        self.tightens = any(count_products(layer) > 1 for layer in model.layers)

    def step(self, state: dict[str, Any], x: Any) -> tuple[Any, dict[str, Any]]:
        self.xp.tightens_from = len(self.xp.values) if self.tightens else None
        return super().step(state, x)

    def step_layer(self, layer: Layer, *arguments: Any) -> tuple[Any, dict[str, Any]]:
        xp, _, s, _, steps = arguments
        xp.layer, xp.is_last_step = layer, int(steps.item()) == self.last_step
        tracked = TrackedStates(xp, s) if self.tracks_states and layer.tapes else None
        y, after = run_program(layer.program, *arguments)  # what tensors alone give is rounded, too
        if isinstance(y, BoundedValue) and y.slopes is not None and layer.tapes:
            y.radius = np.minimum(y.radius, xp.affine_form.radius_of(y))
        if isinstance(y, BoundedValue) and not layer.tapes:
            xp.tighten(y)
        if tracked:
            tracked.finish(after)
        return y, after

    def run_layer(self, i: int, layer: Layer, xs: list[Any]) -> list[Any]:
        self.xp.layer, self.xp.is_last_step = layer, False
        return super().run_layer(i, layer, xs)


def count_products(layer: Layer) -> int:
    """Count the products of a step of a layer without a recurrence, whose errors may meet with opposite signs."""
    if layer.tapes or layer.whole_window:
        return 0
    return sum(ins.name in ("affine", "matmul", "dot") for ins in layer.program.instructions)


class TrackedStates:
    """The states of one step. Give it the arrays before the step by name; `finish` gives those after it their affine
    form and radii."""

    def __init__(self, graph: ErrorGraph, states: dict[str, Any]) -> None:
        self.graph, self.first, self.names = graph, len(graph.values), list(states)
        self.before: list[BoundedValue] = []
        if not states or any(not isinstance(v, BoundedValue) or v.affine_form is None for v in states.values()):
            return  # before the first step there are no errors
        self.before = list(states.values())
        form = self.before[0].affine_form
        graph.affine_form, n, at = form, len(form.matrix), 0
        for value in self.before:
            value.slopes, value.remainder = np.eye(n)[:, at : at + value.value.size], np.zeros(value.shape)
            at += value.value.size

    def finish(self, states: dict[str, Any]) -> None:
        after = [self.graph.lift(states[name]) for name in self.names]
        n = sum(v.value.size for v in after)
        if after and n <= MAX_STATES and all(v.radius.max(initial=0) < MAX_RADIUS for v in after):
            states.update(zip(self.names, after, strict=True))
            self.update_form(after, n)
        for value in (*self.before, *self.graph.values[self.first :]):
            value.slopes, value.remainder = None, value.radius  # slopes are large, and later steps do not need them
        for value in self.before:
            value.affine_form = None
        self.graph.affine_form = None

    def update_form(self, after: list[BoundedValue], n: int) -> None:
        remainder = np.concatenate([v.remainder.reshape(-1) for v in after])
        blocks = min(MAX_BLOCKS, int(MAX_WORK / (10 * n**3 * self.graph.steps)))
        form = AffineForm(diagonal(remainder), n * max(blocks, MIN_BLOCKS))
        if self.before:
            slopes = [np.zeros((n, v.value.size)) if v.slopes is None else v.slopes for v in after]
            form = self.graph.affine_form.advance(np.concatenate(slopes, 1), remainder)
        radii = np.split(form.radii, np.cumsum([v.value.size for v in after])[:-1])
        for value, radius in zip(after, radii, strict=True):
            value.affine_form, value.radius = form, np.minimum(value.radius, radius.reshape(value.shape))
