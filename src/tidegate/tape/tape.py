"""The tape: the straight-line code of one cell, validated, and its form as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import CellError
from .ops import BINARY, LEAVES, UNARY

MAX_INSTRUCTIONS = 256
MAX_LIVE = 64
MAX_NAMES = 64
NAMES = (*LEAVES, *UNARY, *BINARY)
Shape = tuple[int | str, ...]


@dataclass(frozen=True)
class Instruction:
    """Instruction i computes register i = name(*args).

    args: a name for input, state and param; a number for const; a map's name and a register for recur; otherwise
    registers (one for project).
    """

    name: str
    args: tuple[Any, ...]


def flat_width(shape: Shape, H: int, P: int | None = None) -> int:
    """Count the numbers in a shape, for a layer that is H wide and, if its tape has a projection, projects to P.

    >>> flat_width((4, "H"), 16)
    64
    """
    return math.prod(resolve_shape(shape, H, P))


def resolve_shape(shape: Shape, H: int, P: int | None = None) -> tuple[int, ...]:
    """Replace "H" and "P" in a shape by their numbers. Raises CellError for "P" where P is None.

    >>> resolve_shape((4, "H", "P"), 16, 8)
    (4, 16, 8)
    """
    sizes = {"H": H, "P": P}
    resolved = tuple(sizes[n] if isinstance(n, str) else n for n in shape)
    if None in resolved:
        raise CellError(f"the shape {list(shape)} needs the width of the projection, and there is none")
    return tuple(int(n) for n in resolved if n is not None)


def broadcast_shapes(a: Shape, b: Shape) -> Shape:
    """Return the shape of an elementwise result; both shapes must be equal, or one operand a single number."""
    if a == b or not b:
        return a
    if all(n == 1 for n in a):
        return b
    if all(n == 1 for n in b):
        return a
    raise CellError(f"its operands have shapes {list(a)} and {list(b)}; expected equal shapes, or one single number")


@dataclass(frozen=True)
class Tape:
    """The step of one cell. A tape is immutable, and constructing one validates it.

    gates: names of the input parts, in the order of the rows of W and b. recurrent: names of the recurrent maps, in the
    order of the rows of R and c. state, params: name -> shape, of "H" and positive integers. output: the register
    with the layer's output. next: state name -> the register with its next value.

    A tape with a `project` instruction has a projection: "P" may appear in its shapes, and both its output and what its
    recurrent maps multiply are ["P"], as in an LSTM with a projection (Sak et al. 2014, arXiv:1402.1128, equation 6).

    Raises CellError if the tape is not valid.
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
            check_shapes(what, shapes, ("H", "P") if self.has_projection else ("H",))
        if "project" in self.recurrent:
            raise CellError("a recurrent map is named 'project', which is the projection's name; choose another")
        if not self.gates:
            raise CellError("the tape has no gate; a cell needs at least one")
        if not 0 < len(self.instructions) <= MAX_INSTRUCTIONS:
            raise CellError(f"the tape has {len(self.instructions)} instructions; 1 to {MAX_INSTRUCTIONS} are allowed")
        self._check_results(self.shapes())
        self._check_rows()
        if (live := self.max_live_registers()) > MAX_LIVE:
            raise CellError(f"{live} registers are alive at once; at most {MAX_LIVE} are allowed")

    @cached_property
    def has_projection(self) -> bool:
        """Tell whether the output is a projection, P wide, of what the cell computes."""
        return any(ins.name == "project" for ins in self.instructions)

    @property
    def output_shape(self) -> Shape:
        """Return the shape of the output, which is also the shape that a recurrent map multiplies."""
        return ("P",) if self.has_projection else ("H",)

    def _check_rows(self) -> None:
        """Raise CellError if a result, or what a recurrent map multiplies, depends on parameters alone."""
        rows: list[bool] = []
        for i, ins in enumerate(self.instructions):
            own = ins.name in ("input", "state")
            rows.append(own or any(rows[r] for r in self.operands(i)))
            if ins.name in ("recur", "project") and not rows[i]:
                raise CellError(
                    f"instruction {i} ({ins.name}): multiplies parameters alone; it must depend on the input or a state"
                )
        for what, r in (("the output", self.output), *((f"next state {n!r}", r) for n, r in self.next.items())):
            if not rows[r]:
                raise CellError(f"{what} depends on parameters alone; it must depend on the input or a state")

    def _check_results(self, shapes: list[Shape]) -> None:
        if not is_index(self.output, len(shapes)):
            raise CellError(f"output is register {self.output!r}; there are {len(shapes)}")
        if shapes[self.output] != self.output_shape:
            raise CellError(f"the output has shape {list(shapes[self.output])}; it must be {list(self.output_shape)}")
        if set(self.next) != set(self.state):
            raise CellError(
                f"the next states are {sorted(self.next)}; expected the declared states, {sorted(self.state)}"
            )
        for name, register in self.next.items():
            if not is_index(register, len(shapes)):
                raise CellError(f"next state {name!r} is register {register!r}; there are {len(shapes)}")
            if shapes[register] != self.state[name]:
                raise CellError(
                    f"state {name!r} becomes shape {list(shapes[register])}; it is declared {list(self.state[name])}"
                )

    def shapes(self) -> list[Shape]:
        """Compute the shape of each register. Raises CellError for the first instruction that is not valid."""
        shapes: list[Shape] = []
        for i, ins in enumerate(self.instructions):
            try:
                shapes.append(self._shape(ins, shapes))
            except CellError as error:
                raise CellError(f"instruction {i} ({ins.name}): {error}") from None
        return shapes

    def _shape(self, ins: Instruction, older: list[Shape]) -> Shape:
        name, args = ins.name, ins.args
        count = 2 if name in BINARY or name == "recur" else 1
        if name not in NAMES:
            raise CellError(f"unknown operation {name!r}; choose one of {', '.join(NAMES)}")
        if len(args) != count:
            raise CellError(f"has {len(args)} argument{'s' * (len(args) != 1)}; {name} takes {count}")
        if name == "project":
            if (shape := older[self._register(args[0], len(older))]) != ("H",):
                raise CellError(f"projects a register of shape {list(shape)}; expected ['H']")
            return ("P",)
        if name in LEAVES:
            return self._leaf(name, args, older)
        operands = [older[self._register(a, len(older))] for a in args]
        if not any(operands):
            raise CellError("has only constants as operands; write its result as a constant instead")
        return operands[0] if name in UNARY else broadcast_shapes(*operands)

    def _leaf(self, name: str, args: tuple[Any, ...], older: list[Shape]) -> Shape:
        if name == "const":
            if type(args[0]) not in (int, float) or not abs(args[0]) <= 3e38:
                raise CellError(f"the constant {str(args[0])[:40]} is not a finite number that fits float32")
            return ()
        names: Any = {"input": self.gates, "state": self.state, "param": self.params, "recur": self.recurrent}[name]
        if not isinstance(args[0], str) or args[0] not in names:
            raise CellError(f"there is no {name} {args[0]!r}; choose one of {', '.join(names) or 'none'}")
        if name == "recur" and (shape := older[self._register(args[1], len(older))]) != self.output_shape:
            raise CellError(f"multiplies a register of shape {list(shape)}; expected {list(self.output_shape)}")
        if name in ("state", "param"):
            return tuple(names[args[0]])
        return ("H",)

    @staticmethod
    def _register(value: Any, count: int) -> int:
        if not is_index(value, count):
            raise CellError(f"reads register {value!r}; only the {count} registers before it can be read")
        return int(value)

    def operands(self, i: int) -> tuple[int, ...]:
        """Return the registers that instruction i reads."""
        ins = self.instructions[i]
        if ins.name == "recur":
            return (ins.args[1],)
        return () if ins.name in LEAVES and ins.name != "project" else ins.args

    def max_live_registers(self) -> int:
        """Return the largest number of registers that are alive at once."""
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
        """Return the flat width of each register, in a layer that is H wide and projects to P."""
        return [flat_width(shape, H, P) for shape in self.shapes()]

    def to_json(self) -> dict[str, Any]:
        """Return the tape as the model file stores it; `from_json` reads it back.

        >>> from tidegate import cells
        >>> cells.load("mingru").tape.to_json()["instructions"][:3]
        [['state', 'h'], ['input', 'z'], ['sigmoid', 1]]
        """
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
        """Read a tape from its JSON. Raises CellError for anything that is not a valid tape.

        >>> from tidegate import cells
        >>> tape = cells.load("gru").tape
        >>> Tape.from_json(tape.to_json()) == tape
        True
        """
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
            {k: parse_shape(k, v) for k, v in value["state"].items()},
            {k: parse_shape(k, v) for k, v in value["params"].items()},
            tuple(parse_instruction(i, v) for i, v in enumerate(value["instructions"])),
            value["output"],
            value["next"],
        )


def is_index(value: Any, count: int) -> bool:
    return type(value) is int and 0 <= value < count


def check_names(what: str, names: tuple[Any, ...]) -> None:
    """Raise CellError unless these are different identifiers, and not too many."""
    if len(names) > MAX_NAMES:
        raise CellError(f"{len(names)} {what}; at most {MAX_NAMES} are allowed")
    for name in names:
        if not isinstance(name, str) or not name.isidentifier() or len(name) > 64:
            raise CellError(f"{what}: {name!r} is not a name of letters, digits and underscores")
    if len(set(names)) != len(names):
        raise CellError(f"{what} {', '.join(names)}: a name appears twice")


def check_shapes(what: str, shapes: dict[str, Shape], symbols: tuple[str, ...]) -> None:
    """Raise CellError unless these are shapes of 1 to 4 axes, of positive integers and these symbols."""
    for name, shape in shapes.items():
        for n in shape:
            if n not in symbols and not (type(n) is int and 0 < n <= 1 << 16):
                allowed = f"{', '.join(map(repr, symbols))} and integers of 1 to 65536"
                raise CellError(f"{what}: the shape of {name!r} has {n!r}; only {allowed} are allowed")
        if not 1 <= len(shape) <= 4 or sum(n in symbols for n in shape) > 2:
            raise CellError(
                f"{what}: the shape of {name!r} is {list(shape)}; expected 1 to 4 axes, at most two of them 'H' or 'P'"
            )


def parse_shape(name: str, value: Any) -> Shape:
    if not isinstance(value, list) or len(value) > 4:
        raise CellError(f"the shape of {name!r} is {value!r}; expected a list of 1 to 4 axes")
    return tuple(value)


def parse_instruction(i: int, value: Any) -> Instruction:
    if not isinstance(value, list) or not 2 <= len(value) <= 3 or not isinstance(value[0], str):
        raise CellError(f"instruction {i} is {str(value)[:60]}; expected [operation, argument, ...]")
    return Instruction(value[0], tuple(value[1:]))
