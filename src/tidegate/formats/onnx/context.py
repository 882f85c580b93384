"""What all layers of a graph share: whether it has a time axis, and which rows have steps left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...layers import States
from . import proto
from .graph import Operations, Tensor


@dataclass(frozen=True)
class GraphContext:
    """The context of a layer in a graph. Sequences are [T, B, width], steps [B, width].

    rows: B, int64 [1]. steps: how many steps each row has processed, including the current one, float [T, B, 1] or
    [B, 1]. In a graph with a time axis also: lengths: int32 [B]; mask: whether a step is within its row's length, bool
    [T, B, 1]. In a graph of a step whose answers are late also: late: how many steps after the end of the rows it is,
    int64 [1].
    """

    g: Operations
    rows: Tensor
    steps: Tensor
    lengths: Tensor | None = None
    mask: Tensor | None = None
    late: Tensor | None = None

    @property
    def sequence(self) -> bool:
        return self.mask is not None

    def fill(self, shape: tuple[int, ...], fill: Any) -> Tensor:
        """Return the initial value of a state, [B, *shape]. fill: one number, or one for each element."""
        whole = self.g.apply("Concat", self.rows, self.g.int64s(*shape), axis=0)
        value = np.array(fill, np.float32)
        first = self.g.constant(f"fill.{value.item()!r}", value) if value.ndim == 0 else self.g.lift(value)
        return self.g.apply("Expand", first, whole)

    def fill_states(self, states: States) -> dict[str, Tensor]:
        """Return the initial values of a layer's states by name."""
        return {name: self.fill(shape, first) for name, (shape, first) in states.items()}

    def zero_padding(self, x: Tensor) -> Tensor:
        """Return a sequence [T, B, width] with zeros past each row's length."""
        return self.g.apply("Where", self.mask, x, 0.0)

    # ---- layers behind one that looks ahead, in a graph of a step

    def behind(self, delay: int) -> GraphContext:
        """Return the context of a layer whose input is so many steps late."""
        return replace(self, steps=self.steps - float(delay)) if delay else self

    def end_after(self, delay: int, x: Tensor) -> Tensor:
        """Return the input of a layer that looks ahead: zeros for the steps after the end of a row."""
        g = self.g
        return g.apply("Where", g.apply("Greater", self.late, g.int64s(delay)), 0.0, x)

    def keep_waiting(self, delay: int, after: Tensor, before: Tensor, axes: int) -> Tensor:
        """Return the next state of a layer, or the one before where the layer has not begun or has ended.

        self: the context of the layer. delay: how many steps its output is late. axes: those of the state for one row.
        """
        g = self.g
        begun = g.apply("Less", g.lift(0.0), self.steps)
        ended = g.apply("Greater", self.late, g.int64s(delay))
        runs = g.apply("And", begun, g.apply("Not", ended)).reshape(-1, *[1] * axes)
        return g.apply("Where", runs, after, before)


def step_context(g: Operations, x: Tensor, steps: Tensor, late: Tensor | None = None) -> GraphContext:
    """Return the context of a step.

    x: [B, ...]. steps: int64 [B, 1], before the step. late: see GraphContext; a step after the end counts, too.
    """
    more: Any = g.int64s(1)
    if late is not None:
        more = g.apply("Max", g.int64s(1), late)
    return GraphContext(g, g.dim(x, 0), g.cast(g.apply("Add", steps, more), proto.FLOAT), late=late)


def sequence_context(g: Operations, x: Tensor, steps: Tensor | None, lengths: Tensor) -> GraphContext:
    """Return the context of a sequence.

    x: [T, B, ...]. steps: int64 [B, 1], before the first step; None: 0. lengths: int32 [B].
    """
    zero, one = (g.constant(f"scalar.{n}", np.array(n, np.int64)) for n in (0, 1))
    T = g.apply("Squeeze", g.dim(x, 0))
    times = g.apply("Range", zero, T, one).reshape(-1, 1, 1)
    ends = g.cast(lengths, proto.INT64).reshape(1, -1, 1)
    mask = g.apply("Less", times, ends)
    steps_done: Any = g.apply("Add", times, g.int64s(1))
    steps_done = steps_done if steps is None else g.apply("Add", steps_done, steps)
    return GraphContext(g, g.dim(x, 1), g.cast(steps_done, proto.FLOAT), lengths, mask)
