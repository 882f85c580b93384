"""What all layers of a graph have in common: whether it has a time axis, and which rows have steps left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import proto
from .graph import Operations, Value


@dataclass(frozen=True)
class Frame:
    """One graph's surroundings. Sequences are [T, B, width], steps [B, width].

    rows: B, int64 [1]. steps: how many steps each row has seen with the present one, float [T, B, 1] or [B, 1]. Of a
    graph with a time axis also: lengths: int32 [B]; on: whether the step is within its row's length, bool [T, B, 1].
    """

    g: Operations
    rows: Value
    steps: Value
    lengths: Value | None = None
    on: Value | None = None

    @property
    def sequence(self) -> bool:
        return self.on is not None

    def filled(self, shape: tuple[int, ...], fill: Any) -> Value:
        """The first value of a state: [B, *shape]. fill: one number, or one for each element."""
        whole = self.g.one("Concat", self.rows, self.g.whole(*shape), axis=0)
        value = np.array(fill, np.float32)
        first = self.g.constant(f"fill.{value.item()!r}", value) if value.ndim == 0 else self.g.lift(value)
        return self.g.one("Expand", first, whole)

    def within(self, x: Value) -> Value:
        """A sequence [T, B, width] with zeros past each row's length."""
        return self.g.one("Where", self.on, x, 0.0)


def of_step(g: Operations, x: Value, steps: Value) -> Frame:
    """x: [B, ...]. steps: int64 [B, 1], before the step."""
    return Frame(g, g.dim(x, 0), g.cast(g.one("Add", steps, g.whole(1)), proto.FLOAT))


def of_sequence(g: Operations, x: Value, steps: Value | None, lengths: Value) -> Frame:
    """x: [T, B, ...]. steps: int64 [B, 1], before the first step; None: 0. lengths: int32 [B]."""
    zero, one = (g.constant(f"scalar.{n}", np.array(n, np.int64)) for n in (0, 1))
    T = g.one("Squeeze", g.dim(x, 0))
    times = g.one("Range", zero, T, one).reshape(-1, 1, 1)
    ends = g.cast(lengths, proto.INT64).reshape(1, -1, 1)
    on = g.one("Less", times, ends)
    seen: Any = g.one("Add", times, g.whole(1))
    seen = seen if steps is None else g.one("Add", seen, steps)
    return Frame(g, g.dim(x, 1), g.cast(seen, proto.FLOAT), lengths, on)
