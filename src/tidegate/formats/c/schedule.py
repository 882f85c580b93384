"""Schedule the operations of a program as a few calls and loops.

A product, a norm or a push needs whole operands, so it is a call. Everything else works element by element: operations
of one shape share a loop, and a sum over an axis is collected in the loop that computes what it sums. A value that is
computed and read in one loop is a number; only values that are read elsewhere need an array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

from ...tape.program import ELEMENTWISE, Program, Shape, kinds_of

ELEMENTS: Final = (*(name for name in ELEMENTWISE if name != "norm"), "copy")  # one element at a time
REDUCTIONS: Final = ("sum", "peak", "mean", "dot")
CALLS: Final = ("affine", "matmul", "norm", "push", "bag")
VIEWS: Final = ("reshape", "part")


@dataclass(frozen=True)
class Operation:
    """operands: the operations whose results it reads. settings: its other arguments."""

    name: str
    operands: tuple[int, ...]
    settings: tuple[Any, ...]
    shape: Shape

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Operations(list[Operation]):
    """The operations of a program, made ready for C.

    Results that no operation computes (the input as the output, one state as the next value of another) become copies,
    and so do operands of calls whose numbers do not lie side by side. A concat that only products read is named
    "parts": they read its operands in turn. results: the output (`""`) and the states that change -> what writes them.
    """

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.stored: set[int] = set()  # operations that write their result straight into some other place
        readers: dict[int, set[str]] = {program.output: {""}, **{r: {""} for r in program.next.values()}}
        place: list[int] = []
        for ins in program.instructions:
            for old in (a for a, kind in zip(ins.args, kinds_of(ins), strict=True) if kind == "r"):
                readers.setdefault(old, set()).add(ins.name)
        for i, (ins, shape) in enumerate(zip(program.instructions, program.shapes, strict=True)):
            operands = [place[a] for a, kind in zip(ins.args, kinds_of(ins), strict=True) if kind == "r"]
            name = ins.name
            if name == "concat" and len(shape) == 1 and readers[i] <= {"affine", "matmul"}:
                name = "parts"
            elif name == "concat":
                written = [self.store(r, strided=math.prod(shape[:-1]) > 1) for r in operands]
                operands = [r if self.whole(r) == w else w for r, w in zip(operands, written, strict=True)]
            elif name in (*CALLS, "reshape"):
                operands = [r if self.is_dense(r) else self.add_copy(r) for r in operands]
            settings = (a for a, kind in zip(ins.args, kinds_of(ins), strict=True) if kind != "r")
            place.append(self.put(Operation(name, tuple(operands), tuple(settings), shape)))
        changed = {s: place[r] for s, r in program.next.items() if not self.is_state(place[r], s)}
        self.results = {name: self.store(r) for name, r in {"": place[program.output], **changed}.items()}

    def put(self, operation: Operation) -> int:
        self.append(operation)
        return len(self) - 1

    def add_copy(self, r: int) -> int:
        return self.put(Operation("copy", (r,), (), self[r].shape))

    def whole(self, r: int) -> int:
        """Return the operation whose numbers an operation has, in another shape or its own."""
        while self[r].name == "reshape":
            r = self[r].operands[0]
        return r

    def root(self, r: int) -> int:
        """Return the operation in whose result the numbers of an operation lie."""
        while self[r].name in VIEWS:
            r = self[r].operands[0]
        return r

    def is_state(self, r: int, name: str) -> bool:
        return self[self.whole(r)].name == "state" and self[self.whole(r)].settings == (name,)

    def is_dense(self, r: int) -> bool:
        """Tell whether the numbers of an operation lie side by side."""
        if self[r].name not in VIEWS or self[r].size == 1:
            return True
        return self.is_dense(self[r].operands[0]) and (self[r].name == "reshape" or math.prod(self[r].shape[:-1]) == 1)

    def store(self, r: int, strided: bool = False) -> int:
        """Return the operation that writes the numbers of r into a place of their own, perhaps with gaps.

        Only a loop can write to several places, or with gaps between numbers.
        """
        base = self.whole(r)
        name = self[base].name
        alone = name in (*REDUCTIONS, *CALLS, "concat") and base not in self.stored
        if (name in ELEMENTS and (not strided or base == r)) or (alone and not strided):
            self.stored.add(base)
            return base
        return self.add_copy(r)


@dataclass
class Unit:
    """A call of one operation; or a loop over a shape, with reductions over at most one axis."""

    shape: Shape | None = None
    axis: int | None = None
    members: list[int] = field(default_factory=list)
    reductions: list[int] = field(default_factory=list)


class Schedule:
    """The calls and loops of a program, in order. at: operation -> the index of its unit."""

    def __init__(self, program: Program) -> None:
        self.operations = Operations(program)
        self.units: list[Unit] = []
        self.at: dict[int, int] = {}
        level = find_levels(self.operations)
        read = {r for op in self.operations for r in op.operands}
        stored = {self.operations.results[""]}

        def order(i: int) -> tuple[bool, int, bool, int]:
            """Pushes come last if nothing reads them, and so does what is computed element by element in its level."""
            name = self.operations[i].name
            last = name == "push" and i not in read | stored
            return last, level[i], name in ELEMENTS, i

        for i in sorted(range(len(self.operations)), key=order):
            name = self.operations[i].name
            if name in ELEMENTS or name in REDUCTIONS:
                self.add_to_loop(i)
            elif name in CALLS:
                self.at[i] = len(self.units)
                self.units.append(Unit(members=[i]))

    def add_to_loop(self, i: int) -> None:
        """Add an operation to the last loop over its shape that runs late enough, or to a new one."""
        op = self.operations[i]
        reduces = op.name in REDUCTIONS
        shape = self.loop_shape(i)
        axis = (op.settings[0] if op.settings else len(shape) - 1) if reduces else None
        first = max(
            (self.at[r] if self.is_inline(r, shape) else self.ready(r) for r in op.operands),
            default=0,
        )
        for k in range(len(self.units) - 1, first - 1, -1):
            unit = self.units[k]
            if unit.shape == shape and (axis is None or unit.axis in (None, axis)):
                break
        else:
            k, unit = len(self.units), Unit(shape)
            self.units.append(unit)
        self.at[i] = k
        (unit.reductions if reduces else unit.members).append(i)
        unit.axis = axis if reduces else unit.axis

    def loop_shape(self, i: int) -> Shape:
        """Return the shape of the loop that computes an operation; single numbers need none."""
        op = self.operations[i]
        if op.name not in REDUCTIONS:
            return op.shape if op.size > 1 else ()
        shapes = [self.operations[r].shape for r in op.operands]
        return tuple(map(max, *shapes)) if len(shapes) > 1 else shapes[0]

    def is_inline(self, r: int, shape: Shape) -> bool:
        """Tell whether a loop over a shape can compute r itself."""
        return self.operations[r].name in ELEMENTS and self.loop_shape(r) == shape

    def ready(self, r: int) -> int:
        """Return the first unit that can read the whole of r."""
        if r in self.at:
            return self.at[r] + 1
        return max(map(self.ready, self.operations[r].operands), default=0)


def find_levels(operations: Operations) -> list[int]:
    """Return a level for each operation, so that few loops do all the work.

    What reads whole values comes as early as it can, one level above its operands; what works element by element comes
    as late as its first reader allows.
    """
    whole = [
        op.name in (*REDUCTIONS, *CALLS) or (op.name in VIEWS and operations[operations.root(i)].name in ELEMENTS)
        for i, op in enumerate(operations)
    ]
    level: list[int] = []
    for op, above in zip(operations, whole, strict=True):
        level.append(max((level[r] for r in op.operands), default=0) + above)
    bound = [max(level)] * len(level)
    for i in range(len(operations) - 1, -1, -1):
        if not whole[i] and operations[i].operands:
            level[i] = bound[i]
        for r in operations[i].operands:
            bound[r] = min(bound[r], level[i] - whole[i])
    return level
