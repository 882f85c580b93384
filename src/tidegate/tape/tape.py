"""The tape: straight-line code of one cell, validated, as JSON and as integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import CellError
from .ops import BINARY, LEAVES, OPCODES, UNARY

MAX_INSTRUCTIONS = 256
MAX_LIVE = 64
MAX_NAMES = 64
Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Instruction:
    """register[own index] = name(*args): a name for input, state and param; a number for const; a map's name and a
    register for recur; registers otherwise (one for project)."""

    name: str
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Code:
    """A tape as arrays, for native readers; see `Tape.encode`."""

    tape: npt.NDArray[np.int32]
    consts: npt.NDArray[np.float32]
    widths: npt.NDArray[np.int32]
    output: int
    next: npt.NDArray[np.int32]


def width(shape: Shape, H: int, P: int | None = None) -> int:
    """How many numbers a shape holds when the layer is H wide and, if its tape is projected, projects to P.

    >>> width((4, "H"), 16)
    64
    """
    return math.prod(concrete(shape, H, P))


def concrete(shape: Shape, H: int, P: int | None = None) -> tuple[int, ...]:
    """A shape in numbers.

    >>> concrete((4, "H", "P"), 16, 8)
    (4, 16, 8)
    """
    sizes = {"H": H, "P": P}
    found = tuple(sizes[n] if isinstance(n, str) else n for n in shape)
    if None in found:
        raise CellError(f"the shape {list(shape)} needs the width of the projection, and there is none")
    return tuple(int(n) for n in found if n is not None)


def joined(name: str, a: Shape, b: Shape) -> Shape:
    """The shape of an elementwise result: equal shapes, or one operand of a single element."""
    if a == b:
        return a
    if all(n == 1 for n in a):
        return b
    if all(n == 1 for n in b):
        return a
    raise CellError(f"{name} of shapes {list(a)} and {list(b)}; both must be equal, or one a single number")


@dataclass(frozen=True)
class Tape:
    """One cell's step. Immutable; constructing one validates it.

    gates: names of the input parts, in the order of the rows of W and b. recurrent: names of the recurrent maps, in the
    order of the rows of R and c. state, params: name -> shape, of "H" and positive integers. output: the register
    that is the layer's output. next: state name -> the register that becomes it.

    A tape with a `project` instruction is projected: "P" may stand in its shapes, and what its recurrent maps multiply
    and its output are ["P"], as in an LSTM with a projection (Sak et al. 2014, arXiv:1402.1128, equation 6).

    Raises CellError when anything does not hold.
    """

    gates: tuple[str, ...]
    recurrent: tuple[str, ...]
    state: dict[str, Shape]
    params: dict[str, Shape]
    instructions: tuple[Instruction, ...]
    output: int
    next: dict[str, int]

    def __post_init__(self) -> None:
        for what, names in (("gates", self.gates), ("recurrent maps", self.recurrent)):
            check_names(what, names)
        for what, shapes in (("states", self.state), ("params", self.params)):
            check_names(what, tuple(shapes))
            check_shapes(what, shapes, ("H", "P") if self.projected else ("H",))
        if "project" in self.recurrent:
            raise CellError("a recurrent map is named 'project', which is the projection's name; choose another")
        if not self.gates:
            raise CellError("the tape has no gate; a cell needs at least one")
        if not 0 < len(self.instructions) <= MAX_INSTRUCTIONS:
            raise CellError(f"the tape has {len(self.instructions)} instructions; 1 to {MAX_INSTRUCTIONS} are allowed")
        self._check_results(self.shapes())
        self._check_rows()
        if (live := self.live()) > MAX_LIVE:
            raise CellError(f"{live} registers are alive at once; at most {MAX_LIVE} are allowed")

    @cached_property
    def projected(self) -> bool:
        """Whether the output is a projection, P wide, of what the cell computes."""
        return any(ins.name == "project" for ins in self.instructions)

    @property
    def output_shape(self) -> Shape:
        """The shape of the output, and of what a recurrent map multiplies."""
        return ("P",) if self.projected else ("H",)

    def _check_rows(self) -> None:
        """A result, and what a recurrent map multiplies, must belong to a stream; parameters alone do not."""
        rows: list[bool] = []
        for i, ins in enumerate(self.instructions):
            own = ins.name in ("input", "state")
            rows.append(own or any(rows[r] for r in self.operands(i)))
            if ins.name in ("recur", "project") and not rows[i]:
                raise CellError(
                    f"instruction {i} ({ins.name}): multiplies parameters alone; it must see the input or a state"
                )
        for what, r in (("the output", self.output), *((f"next state {n!r}", r) for n, r in self.next.items())):
            if not rows[r]:
                raise CellError(f"{what} is made of parameters alone; it must depend on the input or a state")

    def _check_results(self, shapes: list[Shape]) -> None:
        if not is_index(self.output, len(shapes)):
            raise CellError(f"output is register {self.output!r}; there are {len(shapes)}")
        if shapes[self.output] != self.output_shape:
            raise CellError(f"the output has shape {list(shapes[self.output])}; it must be {list(self.output_shape)}")
        if set(self.next) != set(self.state):
            raise CellError(f"the next states are {sorted(self.next)}, the declared ones {sorted(self.state)}")
        for name, register in self.next.items():
            if not is_index(register, len(shapes)):
                raise CellError(f"next state {name!r} is register {register!r}; there are {len(shapes)}")
            if shapes[register] != self.state[name]:
                raise CellError(
                    f"state {name!r} becomes shape {list(shapes[register])}; declared is {list(self.state[name])}"
                )

    def shapes(self) -> list[Shape]:
        """The shape of each register; raises CellError at the first instruction that cannot be."""
        found: list[Shape] = []
        for i, ins in enumerate(self.instructions):
            try:
                found.append(self._shape(ins, found))
            except CellError as error:
                raise CellError(f"instruction {i} ({ins.name}): {error}") from None
        return found

    def _shape(self, ins: Instruction, older: list[Shape]) -> Shape:
        name, args = ins.name, ins.args
        count = 2 if name in BINARY or name == "recur" else 1
        if name not in OPCODES:
            raise CellError(f"unknown operation {name!r}; choose one of {', '.join(OPCODES)}")
        if len(args) != count:
            raise CellError(f"{len(args)} arguments; {name} takes {count}")
        if name == "project":
            if (shape := older[self._register(args[0], len(older))]) != ("H",):
                raise CellError(f"a projection of shape {list(shape)}; it must be ['H']")
            return ("P",)
        if name in LEAVES:
            return self._leaf(name, args, older)
        operands = [older[self._register(a, len(older))] for a in args]
        if not any(operands):
            raise CellError("works on numbers alone; write the number that comes out as a constant")
        return operands[0] if name in UNARY else joined(name, operands[0], operands[1])

    def _leaf(self, name: str, args: tuple[Any, ...], older: list[Shape]) -> Shape:
        if name == "const":
            if type(args[0]) not in (int, float) or not abs(args[0]) <= 3e38:
                raise CellError(f"the constant {str(args[0])[:40]} is not a finite number that fits float32")
            return ()
        known: Any = {"input": self.gates, "state": self.state, "param": self.params, "recur": self.recurrent}[name]
        if not isinstance(args[0], str) or args[0] not in known:
            raise CellError(f"no {name} {args[0]!r}; there are {', '.join(known) or 'none'}")
        if name == "recur" and (shape := older[self._register(args[1], len(older))]) != self.output_shape:
            raise CellError(f"a recurrent map of shape {list(shape)}; it must be {list(self.output_shape)}")
        if name in ("state", "param"):
            return tuple(known[args[0]])
        return ("H",)

    @staticmethod
    def _register(value: Any, count: int) -> int:
        if not is_index(value, count):
            raise CellError(f"reads register {value!r}; only the {count} older ones can be read")
        return int(value)

    def operands(self, i: int) -> tuple[int, ...]:
        """The registers that instruction i reads."""
        ins = self.instructions[i]
        if ins.name == "recur":
            return (ins.args[1],)
        return () if ins.name in LEAVES and ins.name != "project" else ins.args

    def live(self) -> int:
        """The largest number of registers alive at once."""
        last = {r: len(self.instructions) for r in (self.output, *self.next.values())}
        for i in range(len(self.instructions)):
            for r in self.operands(i):
                last[r] = max(last.get(r, 0), i)
        ends = [0] * (len(self.instructions) + 2)
        alive = most = 0
        for i in range(len(self.instructions)):
            alive += 1
            most = max(most, alive)
            ends[max(last.get(i, i), i)] += 1
            alive -= ends[i]
        return most

    def widths(self, H: int, P: int | None = None) -> list[int]:
        """The flat width of each register in a layer that is H wide and projects to P."""
        return [width(shape, H, P) for shape in self.shapes()]

    def encode(self, H: int, P: int | None = None) -> Code:
        """The tape as integers: row i is (opcode, a, b, 0).

        a is an index into gates, states, params, consts or recurrent maps for a leaf (0 for project), a register
        otherwise; b the second register, or what recur and project multiply.
        """
        index = {
            "input": list(self.gates),
            "state": list(self.state),
            "param": list(self.params),
            "recur": list(self.recurrent),
        }
        rows, consts = [], []
        for ins in self.instructions:
            args = list(ins.args)
            if ins.name == "const":
                consts.append(args[0])
                args = [len(consts) - 1]
            elif ins.name == "project":
                args = [0, *args]
            elif ins.name in index:
                args[0] = index[ins.name].index(args[0])
            rows.append((OPCODES[ins.name], *args, *[0] * (3 - len(args))))
        return Code(
            np.array(rows, np.int32),
            np.array(consts, np.float32),
            np.array(self.widths(H, P), np.int32),
            self.output,
            np.array([self.next[s] for s in self.state], np.int32),
        )

    def to_json(self) -> dict[str, Any]:
        """The tape as the model file stores it; `from_json` is the way back."""
        return {
            "gates": list(self.gates),
            "recurrent": list(self.recurrent),
            "state": {k: list(v) for k, v in self.state.items()},
            "params": {k: list(v) for k, v in self.params.items()},
            "instructions": [[i.name, *i.args] for i in self.instructions],
            "output": self.output,
            "next": dict(self.next),
        }

    @classmethod
    def from_json(cls, value: Any) -> Tape:
        """The tape that JSON describes. Raises CellError on anything that is not a valid tape."""
        keys = {
            "gates": list,
            "recurrent": list,
            "state": dict,
            "params": dict,
            "instructions": list,
            "output": int,
            "next": dict,
        }
        if not isinstance(value, dict) or set(value) != set(keys):
            raise CellError(f"a tape is an object with the keys {', '.join(keys)}")
        for key, kind in keys.items():
            if type(value[key]) is not kind:
                raise CellError(f"{key} is {type(value[key]).__name__}; expected {kind.__name__}")
        if len(value["instructions"]) > MAX_INSTRUCTIONS:
            count = len(value["instructions"])
            raise CellError(f"the tape has {count} instructions; 1 to {MAX_INSTRUCTIONS} are allowed")
        return cls(
            tuple(value["gates"]),
            tuple(value["recurrent"]),
            {k: shape_of(k, v) for k, v in value["state"].items()},
            {k: shape_of(k, v) for k, v in value["params"].items()},
            tuple(instruction_of(i, v) for i, v in enumerate(value["instructions"])),
            value["output"],
            value["next"],
        )


def is_index(value: Any, count: int) -> bool:
    return type(value) is int and 0 <= value < count


def check_names(what: str, names: tuple[Any, ...]) -> None:
    if len(names) > MAX_NAMES:
        raise CellError(f"{len(names)} {what}; at most {MAX_NAMES} are allowed")
    for name in names:
        if not isinstance(name, str) or not name.isidentifier() or len(name) > 64:
            raise CellError(f"{what}: {name!r} is not a name of letters, digits and underscores")
    if len(set(names)) != len(names):
        raise CellError(f"{what} {', '.join(names)}: a name stands twice")


def check_shapes(what: str, shapes: dict[str, Shape], symbols: tuple[str, ...]) -> None:
    for name, shape in shapes.items():
        for n in shape:
            if n not in symbols and not (type(n) is int and 0 < n <= 1 << 16):
                known = " and ".join(map(repr, symbols))
                can = f"only {known} and integers of 1 to 65536 can be"
                raise CellError(f"{what}: the shape of {name!r} has {n!r}; {can}")
        if not 1 <= len(shape) <= 4 or sum(n in symbols for n in shape) > 2:
            raise CellError(f"{what}: the shape of {name!r} is {list(shape)}; 1 to 4 axes, at most two of them 'H'")


def shape_of(name: str, value: Any) -> Shape:
    if not isinstance(value, list) or len(value) > 4:
        raise CellError(f"the shape of {name!r} is {value!r}; expected a list of 1 to 4 axes")
    return tuple(value)


def instruction_of(i: int, value: Any) -> Instruction:
    if not isinstance(value, list) or not 2 <= len(value) <= 3 or not isinstance(value[0], str):
        raise CellError(f"instruction {i} is {str(value)[:60]}; expected [operation, argument, ...]")
    return Instruction(value[0], tuple(value[1:]))
