"""Radii of states over a recurrence's steps, with the signs of derivatives kept.

Were each step's radii made from those of the step before by absolute values, they would grow by |J| each step, where
J is the derivative of the states after a step by those before it; over many steps that is far from |J J ... J|. So the
errors e of a recurrence's states are held as e = M c, where c is some vector of numbers in [-1, 1] and M [states,
columns] is known. Over a step each Value keeps `slopes`, its derivatives by the states before the step, and `rest`, a
bound of what its error has beside them:

    e after = J e before + what is at most `rest` = [J M, diag(rest)] (c, c'),     c' in [-1, 1] too

and the sums of |J M| and the rest are the states' new radii. W x + b of a followed x has sum |slopes M| + rest, which
is by far less than |W| times the radius of x. (Affine arithmetic: Comba and Stolfi 1993.) Columns are bounded in
number: the oldest become a diagonal of their sums, which contains what they said. A recurrence forgets old errors, so
little is lost; one that does not forget may lose its bound.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..layers import recurrent
from .bounds import ErrorGraph, U, BoundedValue, gamma

Float = npt.NDArray[np.float64]
MAX_STATES: Final = 520  # followed at once
MIN_BLOCKS, MAX_BLOCKS = 4, 40  # of columns, one for each of the latest steps
MAX_WORK: Final = 4e11  # multiplications and additions in a sequence
MAX_RADIUS: Final = 1e3  # a radius that is not going to be small again


class AffineForm:
    """The errors of n states as M c. matrix: M float32 [n, columns]; what its own roundings lose goes into the rest."""

    def __init__(self, matrix: Any, max_columns: int) -> None:
        """most: columns."""
        self.matrix, self.max_columns = matrix, max_columns
        self.radii = row_sums(matrix)  # [n]

    def multiply(self, slopes: Float) -> tuple[Any, Float]:
        """slopes [n, width] on M: [width, columns], and by how much its rows' sums may be off."""
        lost = gamma(len(slopes) + 2) * (self.radii @ abs(slopes))
        return slopes.T.astype(np.float32) @ self.matrix, lost

    def radius_of(self, value: BoundedValue) -> Float:
        """A bound of the error of a value that has slopes by the states, in its shape."""
        assert value.slopes is not None
        found, lost = self.multiply(value.slopes)
        return (row_sums(found) + lost).reshape(value.shape) + value.rest

    def advance(self, slopes: Float, rest: Float) -> AffineForm:
        """That of the states after a step. slopes: [n, n], the derivatives of each of them in a column; rest: [n]."""
        found, lost = self.multiply(slopes)
        if found.shape[1] + len(rest) > self.max_columns:
            keep = self.max_columns // 2 // len(rest) * len(rest)
            older, found = found[:, :-keep], found[:, -keep:]
            found = np.concatenate([diagonal(row_sums(older)), found], 1)
        return AffineForm(np.concatenate([found, diagonal(rest + lost)], 1), self.max_columns)


def row_sums(matrix: Any) -> Float:
    """Of each row of a float32 matrix the sum of absolute values, not less for the rounding."""
    ones = np.ones(matrix.shape[1], np.float32)
    return np.asarray((abs(matrix) @ ones).astype(np.float64) * (1 + gamma(matrix.shape[1] + 2)))


def diagonal(sizes: Float) -> Any:
    """A float32 matrix with these on its diagonal, none of them less for the rounding."""
    return np.diag(sizes * (1 + 2 * U)).astype(np.float32)


class TrackedLayer:
    """A layer's room that tells the graph which layer it is in, for the oracle to run in the layer's place.

    alone: whether the layer's states are followed here, from step to step, and not with those of all others. last: the
    number of the last step, whose output is the result.
    """

    def __init__(self, module: Any, tracks_states: bool, last_step: int) -> None:
        self.module, self.tracks_states, self.last_step = module, tracks_states, last_step

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def step(self, xp: ErrorGraph, layer: Any, tapes: Any, t: Any, s: dict[str, Any], x: Any, steps: Any) -> Any:
        xp.layer_kind, xp.is_last_step = layer["kind"], steps is not None and int(steps.item()) == self.last_step
        followed = TrackedStates(xp, s) if self.tracks_states and "tape" in layer else None
        y, after = self.module.step(xp, layer, tapes, t, s, x, steps)
        if isinstance(y, BoundedValue) and y.slopes is not None and layer["kind"] == "recurrent":
            y.radius = np.minimum(y.radius, xp.affine_form.radius(y))
        if followed:
            followed.finish(after)
        return y, after

    def whole(self, xp: ErrorGraph, layer: Any, tapes: Any, t: Any, xs: list[Any]) -> Any:
        """All steps of a layer that reads whole rows; a direction's states are followed as those of a recurrence."""
        xp.layer_kind, xp.is_last_step = layer["kind"], False
        if layer["kind"] == "bidirectional":
            return self.module.whole(xp, layer, tapes, t, xs, TrackedLayer(recurrent, True, self.last_step).step)
        return self.module.whole(xp, layer, tapes, t, xs)


class TrackedStates:
    """The states of one step: name -> array before it, then those after it, which get their form and radii."""

    def __init__(self, graph: ErrorGraph, states: dict[str, Any]) -> None:
        self.graph, self.first, self.names = graph, len(graph.values), list(states)
        self.before: list[BoundedValue] = []
        if not states or any(not isinstance(v, BoundedValue) or v.form is None for v in states.values()):
            return  # before the first step nothing strays
        self.before = list(states.values())
        graph.affine_form, n, at = self.before[0].form, len(self.before[0].form.matrix), 0
        for value in self.before:
            value.slopes, value.rest = np.eye(n)[:, at : at + value.value.size], np.zeros(value.shape)
            at += value.value.size

    def finish(self, states: dict[str, Any]) -> None:
        after = [self.graph.lift(states[name]) for name in self.names]
        n = sum(v.value.size for v in after)
        if after and n <= MAX_STATES and all(v.radius.max(initial=0) < MAX_RADIUS for v in after):
            states.update(zip(self.names, after, strict=True))
            self.update_form(after, n)
        for value in (*self.before, *self.graph.values[self.first :]):
            value.slopes, value.rest = None, value.radius  # slopes are large, and of no use to later steps
        for value in self.before:
            value.form = None
        self.graph.affine_form = None

    def update_form(self, after: list[BoundedValue], n: int) -> None:
        rest = np.concatenate([v.rest.reshape(-1) for v in after])
        blocks = min(MAX_BLOCKS, int(MAX_WORK / (10 * n**3 * self.graph.steps)))
        form = AffineForm(diagonal(rest), n * max(blocks, MIN_BLOCKS))
        if self.before:
            slopes = [np.zeros((n, v.value.size)) if v.slopes is None else v.slopes for v in after]
            form = self.graph.affine_form.after(np.concatenate(slopes, 1), rest)
        radii = np.split(form.radii, np.cumsum([v.value.size for v in after])[:-1])
        for value, radius in zip(after, radii, strict=True):
            value.form, value.radius = form, np.minimum(value.radius, radius.reshape(value.shape))
