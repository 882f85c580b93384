"""Where the values of a program lie in memory: in the layer's output, its states, tables, numbers and buffers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ...tape.program import Shape
from .schedule import CALLS, ELEMENTS, REDUCTIONS, Schedule

END: Final = 1 << 30  # later than every call and loop


@dataclass(frozen=True)
class Place:
    """Where an array of floats lies: behind a C pointer, from an offset on, with a stride for each axis.

    A number is a place without strides, whose `base` is its C expression.
    """

    base: str
    offset: int = 0
    strides: Shape | None = None


def strides_of(shape: Shape) -> Shape:
    """Return the strides of an array without gaps.

    >>> strides_of((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


class Buffers:
    """Buffers, reused once nothing reads what is in them. sizes: of each. until: when each was read last."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.until: list[int] = []

    def take(self, start: int, end: int, size: int, free: Callable[[int], bool] = lambda b: False) -> int:
        """Take a buffer for a value that is written at `start`, after earlier ones, and read until `end`.

        free: whether a buffer can be taken although it is still read at `start`.
        """
        found = [b for b, until in enumerate(self.until) if until < start or (until == start and free(b))]
        if not found:
            self.sizes.append(0)
            self.until.append(0)
            found = [len(self.sizes) - 1]
        b = min(found, key=lambda b: (max(size - self.sizes[b], 0), self.sizes[b]))
        self.sizes[b], self.until[b] = max(self.sizes[b], size), end
        return b


class Memory:
    """The places of a scheduled program's values.

    home: operation -> where its readers find it. writes: operation -> all places it writes. late: states that are
    copied at the end, since they are still read when their next value is computed. buffers: those in use.
    """

    def __init__(self, plan: Schedule, states: dict[str, str], width: int) -> None:
        self.plan, self.operations, self.states = plan, plan.operations, states
        self.all = range(len(self.operations))
        self.uses = self.find_uses()
        self.home: dict[int, Place] = {}
        self.writes: dict[int, list[Place]] = {}
        self.late: list[tuple[int, str]] = []
        self.buffers = Buffers()
        self.slots = self.find_slots()
        for r in reversed(self.all):
            self.write_results(r)
        self.add_buffers(width)

    # --- when

    def find_uses(self) -> dict[int, list[tuple[int, int, int]]]:
        """Return operation -> the unit, the reading operation and its operand for all that read it from memory."""
        uses: dict[int, list[tuple[int, int, int]]] = {}
        for i, at in self.plan.at.items():
            waiting = list(self.operations[i].operands)
            while waiting:
                r = waiting.pop()
                if self.operations[r].name == "parts":
                    waiting += self.operations[r].operands
                elif not (r in self.plan.at and self.plan.at[r] == at and self.operations[r].name in ELEMENTS):
                    uses.setdefault(self.operations.root(r), []).append((at, i, r))
        return uses

    def find_slots(self) -> dict[int, list[tuple[int, int]]]:
        """Return operation -> the concats that it is a part of, with the offset in each."""
        slots: dict[int, list[tuple[int, int]]] = {}
        for c, op in enumerate(self.operations):
            offset = 0
            for r in op.operands if op.name == "concat" else ():
                slots.setdefault(self.operations.whole(r), []).append((c, offset))
                offset += self.operations[r].shape[-1]
        return slots

    def start(self, r: int) -> int:
        op = self.operations[r]
        return self.plan.at[r] if r in self.plan.at else min(self.start(self.operations.whole(a)) for a in op.operands)

    def end(self, r: int) -> int:
        """Return when the value is read last: that of a concat, and of parts that are read in their place in it."""
        own = [END] if any(late == r for late, _ in self.late) else [at for at, _, _ in self.uses.get(r, [])]
        parts = self.operations[r].operands if self.operations[r].name == "concat" else ()
        return max([self.start(r), *own, *(self.end(self.operations.whole(a)) for a in parts)])

    def in_place(self, use: tuple[int, int, int], r: int) -> bool:
        """Tell whether r can overwrite what a use reads in the same unit: each number after it has been read."""
        at, i, operand = use
        op, read = self.operations[r], self.operations[operand]
        whole = self.operations.whole(operand) == self.operations.root(operand)
        if op.name == "push":
            return i == r and operand == op.operands[0] and whole
        return op.name in ELEMENTS and whole and at == self.plan.at[r] and (read.shape == op.shape or op.size == 1)

    def is_free(self, old: list[tuple[int, int, int]], r: int) -> bool:
        """Tell whether r can overwrite a value with these uses."""
        start = self.start(r)
        return all(use[0] < start or (use[0] == start and self.in_place(use, r)) for use in old)

    # --- where

    def write_results(self, r: int) -> None:
        """Find the places of the output, of next states and of the parts of concats, the later ones first."""
        op, places = self.operations[r], list[Place]()
        for name, source in self.operations.results.items():
            if source == r and name == "":
                places.append(Place("out", 0, strides_of(op.shape)))
            elif source == r:
                old = [use for i in self.all if self.operations.is_state(i, name) for use in self.uses.get(i, [])]
                if self.is_free(old, r):
                    places.append(Place(self.states[name], 0, strides_of(op.shape)))
                else:
                    self.late.append((r, name))
        if places:
            self.writes[r] = places
            self.home[r] = places[0]

    def touches(self, name: str) -> bool:
        """Tell whether a step reads a state, or changes it."""
        return name in self.operations.results or any(
            self.operations.is_state(i, name) and self.uses.get(i) for i in self.all
        )

    def add_buffers(self, width: int) -> None:
        """Give buffers to values that are read from memory and have no place yet; the output serves as one, too."""
        output = self.operations.results[""]
        owners: dict[str, list[int]] = {}

        def overwrites(base: str) -> bool:
            """Tell whether r can overwrite what lies in a buffer."""
            old = [a for a in owners.get(base, []) if self.end(a) >= self.start(r)]
            return all(self.operations[a].name != "concat" and self.is_free(self.uses[a], r) for a in old)

        waiting = [r for r in self.all if self.needs_place(r)]
        for r in sorted(waiting, key=lambda r: (self.start(r), r)):
            op, end = self.operations[r], self.end(r)
            before_output = end < END and op.name != "concat" and self.is_free(self.uses[r], output)
            base = "out"
            if op.size > width or not before_output or not overwrites(base):
                base = f"b{self.buffers.take(self.start(r), end, op.size, lambda b: overwrites(f'b{b}'))}"
            owners.setdefault(base, []).append(r)
            self.home[r] = Place(base, 0, strides_of(op.shape))
            self.writes.setdefault(r, []).append(self.home[r])
        for r in reversed(self.all):
            self.fill_slots(r)

    def needs_place(self, r: int) -> bool:
        """Tell whether a value needs memory and has none yet."""
        op = self.operations[r]
        if r in self.home or op.name not in (*ELEMENTS, *REDUCTIONS, *CALLS, "concat"):
            return False
        if op.name in CALLS or op.name == "concat":
            return not self.dense_slots(r)
        read = bool(self.uses.get(r)) or any(late == r for late, _ in self.late)
        return op.size > 1 and read and not self.dense_slots(r)

    def dense_slots(self, r: int) -> bool:
        return any(math.prod(self.operations[c].shape[:-1]) == 1 for c, _ in self.slots.get(r, []))

    def fill_slots(self, r: int) -> None:
        """Add the places of a value inside concats, whose own places are known."""
        for c, offset in self.slots.get(r, []):
            whole = self.home[c]
            dense = math.prod(self.operations[c].shape[:-1]) == 1
            strides = strides_of(self.operations[r].shape) if dense else whole.strides
            place = Place(whole.base, whole.offset + offset, strides)
            self.writes.setdefault(r, []).append(place)
            if dense:
                self.home.setdefault(r, place)
