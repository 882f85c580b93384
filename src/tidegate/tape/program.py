"""The program: one step of a layer as straight-line code over whole rows, with a known shape for every value.

A tape describes a cell for any width; a program describes a layer of given widths. Both are lists of instructions of
which each reads older registers only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from ..errors import CellError
from . import ops
from .tape import Instruction, check_names, is_index

MAX_OPERATIONS: Final = 4096  # of all programs of a graph
MAX_NUMBERS: Final = 1 << 20  # of a register
MAX_TENSOR: Final = (1 << 31) - 1  # numbers of a tensor, which an operation reads where it is
MAX_AXES: Final = 4
Shape = tuple[int, ...]

UNARY: Final = (*ops.UNARY, "sqrt")
BINARY: Final = (*ops.BINARY, "less")
# The arguments of each operation: r a register, i a whole number, n a name, f a number, s a shape, * further registers.
SIGNATURES: Final[dict[str, str]] = {
    "input": "",
    "state": "n",
    "steps": "",
    "tensor": "nis",
    "const": "f",
    "take": "ri",
    "bag": "r",
    "affine": "rrr",
    "matmul": "rr",
    "dot": "rr",
    **dict.fromkeys(UNARY, "r"),
    **dict.fromkeys(BINARY, "rr"),
    "select": "rrr",
    "reshape": "rs",
    "concat": "r*",
    "part": "rii",
    "sum": "ri",
    "peak": "ri",
    "mean": "r",
    "push": "rr",
}
PER_ROW: Final = ("input", "state", "steps", "take", "bag")  # whose values differ from row to row
ELEMENTWISE: Final = (*UNARY, *BINARY, "select")


@dataclass(frozen=True)
class Program:
    """The step of one layer. A program is immutable, and constructing one validates it.

    inputs: the width of the input; or, if `ids` is not 0, the number of different token ids, of which a step has `ids`.
    tensors, state: role or name -> shape. output: the register with the layer's output. next: state name -> the
    register with its next value. An operation works on each row by itself; shapes leave the axis of rows out.

    Raises CellError if the program is not valid.
    """

    inputs: int
    ids: int
    tensors: Mapping[str, Shape]
    state: Mapping[str, Shape]
    instructions: tuple[Instruction, ...]
    output: int
    next: Mapping[str, int]

    def __post_init__(self) -> None:
        check_names("states", tuple(self.state))
        count = len(self.instructions)
        if not 0 < count <= MAX_OPERATIONS:
            raise CellError(f"the program has {count} operations; 1 to {MAX_OPERATIONS} are allowed")
        _ = self.shapes  # which checks every operation; what follows relies on that
        if len(shape := self.result(self.output, "the output")) != 1:
            raise CellError(f"the output has shape {list(shape)}; expected one axis")
        if set(self.next) != set(self.state):
            raise CellError(f"the next states are {sorted(self.next)}; expected {sorted(self.state)}")
        for name, register in self.next.items():
            if (shape := self.result(register, f"next state {name!r}")) != self.state[name]:
                raise CellError(f"state {name!r} becomes shape {list(shape)}; it is declared {list(self.state[name])}")

    def result(self, register: Any, what: str) -> Shape:
        """Return the shape of a result. Raises CellError unless it is a register that depends on the row."""
        if not is_index(register, len(self.instructions)):
            raise CellError(f"{what} is register {register!r}; there are {len(self.instructions)}")
        if not self.per_row[register]:
            raise CellError(f"{what} depends on tensors alone; it must depend on the input or a state")
        return self.shapes[register]

    @property
    def width(self) -> int:
        """The width of the output."""
        return self.shapes[self.output][0]

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape of each register. Raises CellError for the first instruction that is not valid."""
        shapes: list[Shape] = []
        for i, ins in enumerate(self.instructions):
            try:
                shapes.append(self.check(ins, shapes))
            except CellError as error:
                raise CellError(f"operation {i} ({ins.name}): {error}") from None
        return tuple(shapes)

    def check(self, ins: Instruction, older: list[Shape]) -> Shape:
        """Check the next instruction and return the shape of its result. older: those of the instructions before."""
        check_arguments(ins, len(older))
        shape = self.shape_of(ins, older)
        most = MAX_TENSOR if ins.name == "tensor" else MAX_NUMBERS
        if len(shape) > MAX_AXES or math.prod(shape) > most or min(shape, default=1) < 1:
            raise CellError(f"has shape {list(shape)}; at most {MAX_AXES} axes and {most} numbers are allowed")
        return shape

    @cached_property
    def per_row(self) -> tuple[bool, ...]:
        """Whether each register has a value for each row; the others depend on tensors and constants alone."""
        own: list[bool] = []
        for i, ins in enumerate(self.instructions):
            own.append(ins.name in PER_ROW or any(own[r] for r in registers_of(ins)))
            joins = ins.name in ("concat", "push") and not all(own[r] for r in registers_of(ins))
            if joins or (not own[i] and ins.name not in ("tensor", "const", *ELEMENTWISE)):
                what = "joins what depends" if joins else "depends"
                raise CellError(
                    f"operation {i} ({ins.name}) {what} on tensors alone; it must depend on the input or a state"
                )
        return tuple(own)

    def shape_of(self, ins: Instruction, older: list[Shape]) -> Shape:
        """Return the shape of an instruction's result. Raises CellError if its operands do not fit."""
        name, args = ins.name, ins.args
        if name in ELEMENTWISE and name not in SHAPES:
            return broadcast([older[r] for r in args])
        if name in LEAVES:
            leaf: Shape = LEAVES[name](self, *args)
            return leaf
        if name in ("take", "bag", "affine", "matmul"):
            for r in args[:1] if name in ("take", "bag") else args[1:]:
                if self.instructions[r].name != "tensor":
                    raise CellError(f"reads register {r} as a matrix or a bias; expected a tensor")
        if name == "take" and not is_index(args[1], self.ids):
            raise CellError(f"takes id {args[1]} of a step; the layer's steps have {self.ids}")
        if name == "bag" and not self.ids:
            raise CellError("sums the rows of a step's ids; the layer's steps have none")
        operands = (older[a] if kind in "r*" else a for a, kind in zip(args, kinds_of(ins), strict=True))
        shape: Shape = SHAPES[name](*operands)
        return shape

    @property
    def numbers(self) -> int:
        """How many numbers a step computes."""
        leaves = ("input", "state", "tensor", "const")
        pairs = zip(self.instructions, self.shapes, strict=True)
        return sum(math.prod(shape) for ins, shape in pairs if ins.name not in leaves)

    @property
    def runs_by_steps(self) -> bool:
        """Whether a step depends on earlier ones, or on how many there were."""
        return any(ins.name in ("state", "steps") for ins in self.instructions)

    def to_json(self) -> dict[str, Any]:
        """Return the program as the model file stores it; `from_json` reads it back."""
        return {
            "inputs": self.inputs,
            "ids": self.ids,
            "tensors": {k: list(v) for k, v in self.tensors.items()},
            "state": {k: list(v) for k, v in self.state.items()},
            "operations": [
                [i.name, *(list(a) if isinstance(a, tuple) else a for a in i.args)] for i in self.instructions
            ],
            "output": self.output,
            "next": dict(self.next),
        }

    @classmethod
    def from_json(cls, value: Any) -> Program:
        """Read a program from its JSON. Raises CellError for anything that is not a valid program."""
        keys = {
            "inputs": int,
            "ids": int,
            "tensors": dict,
            "state": dict,
            "operations": list,
            "output": int,
            "next": dict,
        }
        if not isinstance(value, dict) or set(value) != set(keys):
            raise CellError(f"a program is an object with the keys {', '.join(keys)}")
        for key, kind in keys.items():
            if type(value[key]) is not kind:
                raise CellError(f"{key} is {type(value[key]).__name__}; expected {kind.__name__}")
        if len(value["operations"]) > MAX_OPERATIONS:
            raise CellError(f"the program has {len(value['operations'])} operations; at most {MAX_OPERATIONS}")
        return cls(
            value["inputs"],
            value["ids"],
            {k: parse_shape(k, v) for k, v in value["tensors"].items()},
            {k: parse_shape(k, v) for k, v in value["state"].items()},
            tuple(parse_operation(i, v) for i, v in enumerate(value["operations"])),
            value["output"],
            value["next"],
        )


def kinds_of(ins: Instruction) -> str:
    """Return the kind of each argument of an instruction, as in SIGNATURES."""
    signature = SIGNATURES[ins.name]
    return signature.replace("*", "r" * (len(ins.args) - 1)) if "*" in signature else signature


def registers_of(ins: Instruction) -> tuple[int, ...]:
    """Return the registers that an instruction reads, which are the first of its arguments.

    >>> registers_of(Instruction("part", (7, 0, 2)))
    (7,)
    """
    signature = SIGNATURES[ins.name]
    return ins.args if "*" in signature else ins.args[: signature.count("r")]


def check_arguments(ins: Instruction, count: int) -> None:
    """Raise CellError unless an instruction is known and has the arguments that its operation takes."""
    if ins.name not in SIGNATURES:
        raise CellError(f"unknown operation {str(ins.name)[:40]!r}; choose one of {', '.join(SIGNATURES)}")
    kinds = kinds_of(ins)
    if len(kinds) != len(ins.args):
        raise CellError(f"has {len(ins.args)} arguments; it takes {len(kinds)}")
    for value, kind in zip(ins.args, kinds, strict=True):
        if kind == "r":
            if not is_index(value, count):
                raise CellError(f"reads register {str(value)[:40]}; only the {count} registers before it can be read")
        elif kind == "i":
            if type(value) is not int:
                raise CellError(f"has the argument {str(value)[:40]}; expected a whole number")
        elif kind == "n":
            if not isinstance(value, str):
                raise CellError(f"has the argument {str(value)[:40]}; expected a name")
        elif kind == "s":
            check_shape(value)
        elif type(value) not in (int, float) or not abs(value) <= 3e38:
            raise CellError(f"the constant {str(value)[:40]} is not a finite number that fits float32")


def check_shape(value: Any) -> None:
    """Raise CellError unless this is a shape of at most MAX_AXES positive numbers."""
    fits = isinstance(value, tuple) and 1 <= len(value) <= MAX_AXES
    if not fits or not all(type(n) is int and 1 <= n <= MAX_TENSOR for n in value):
        raise CellError(f"has the shape {str(value)[:60]}; expected 1 to {MAX_AXES} whole numbers from 1 on")


def broadcast(shapes: list[Shape]) -> Shape:
    """Return the shape of an elementwise result. A constant fits everything; else each axis is equal, or 1.

    >>> broadcast([(4, 1), (), (4, 3)])
    (4, 3)
    """
    wide = [shape for shape in shapes if shape]
    if wide.count(wide[0] if wide else ()) == len(wide) > 0:
        return wide[0]
    if not wide:
        raise CellError("has only constants as operands; write its result as a constant instead")
    result = tuple(max(axis) for axis in zip(*wide, strict=False))
    if any(len(s) != len(result) or any(n not in (1, m) for n, m in zip(s, result, strict=True)) for s in wide):
        raise CellError(
            f"its operands have shapes {' and '.join(str(list(s)) for s in wide)}; expected equal numbers of axes, "
            "each of equal length, or 1"
        )
    return result


def shape_of_tensor(program: Program, role: str, start: int, shape: Shape) -> Shape:
    if role not in program.tensors:
        raise CellError(f"there is no tensor {role!r}; choose one of {', '.join(program.tensors) or 'none'}")
    size = math.prod(program.tensors[role])
    if not 0 <= start <= size - math.prod(shape):
        raise CellError(f"reads numbers {start} to {start + math.prod(shape)} of {role!r}, which has {size}")
    return shape


def shape_of_input(program: Program) -> Shape:
    if program.ids:
        raise CellError("reads numbers, but the input is token ids; take rows of a tensor")
    return (program.inputs,)


def shape_of_state(program: Program, name: str) -> Shape:
    if name not in program.state:
        raise CellError(f"there is no state {name!r}; choose one of {', '.join(program.state) or 'none'}")
    return tuple(program.state[name])


LEAVES: Final[dict[str, Any]] = {
    "input": shape_of_input,
    "state": shape_of_state,
    "steps": lambda program: (1,),
    "tensor": shape_of_tensor,
    "const": lambda program, value: (),
}


def shape_of_product(x: Shape, W: Shape, b: Shape | None = None) -> Shape:
    if len(x) != 1 or len(W) != 2 or W[1] != x[0]:
        raise CellError(
            f"multiplies a value of shape {list(x)} by a matrix of shape {list(W)}; expected [K] and [N, K]"
        )
    if b is not None and b != W[:1]:
        raise CellError(f"adds a bias of shape {list(b)}; expected {list(W[:1])}")
    return W[:1]


def shape_of_row(table: Shape, k: int = 0) -> Shape:
    if len(table) != 2:
        raise CellError(f"takes a row of a table of shape {list(table)}; expected two axes")
    return table[1:]


def shape_of_dot(a: Shape, b: Shape) -> Shape:
    if not a or not b or a[-1] != b[-1]:
        raise CellError(f"multiplies shapes {list(a)} and {list(b)}; expected equal last axes")
    return (*broadcast([a, b])[:-1], 1)


def shape_of_reshape(a: Shape, shape: Shape) -> Shape:
    if math.prod(a) != math.prod(shape):
        raise CellError(f"turns shape {list(a)} into {list(shape)}; expected as many numbers")
    return shape


def shape_of_concat(*parts: Shape) -> Shape:
    if any(part[:-1] != parts[0][:-1] or not part for part in parts):
        raise CellError(f"joins shapes {', '.join(str(list(p)) for p in parts)}; only the last axis may differ")
    return (*parts[0][:-1], sum(part[-1] for part in parts))


def shape_of_part(a: Shape, k: int, n: int) -> Shape:
    if not a or n < 1 or a[-1] % n or not 0 <= k < n:
        raise CellError(f"takes part {k} of {n} of shape {list(a)}; expected parts of equal width")
    return (*a[:-1], a[-1] // n)


def shape_of_sum(a: Shape, axis: int) -> Shape:
    if not 0 <= axis < len(a):
        raise CellError(f"goes over axis {axis} of shape {list(a)}; there are {len(a)}")
    return (*a[:axis], 1, *a[axis + 1 :])


def shape_of_norm(a: Shape) -> Shape:
    if len(a) != 1:
        raise CellError(f"is of shape {list(a)}; expected one axis")
    return a


def shape_of_push(a: Shape, x: Shape) -> Shape:
    if not a or not x or a[1:] != x:
        raise CellError(
            f"appends shape {list(x)} to a window of shape {list(a)}; expected a window of two axes or more, and the "
            "shape of one of its steps"
        )
    return a


SHAPES: Final[dict[str, Any]] = {
    "take": shape_of_row,
    "bag": shape_of_row,
    "affine": shape_of_product,
    "matmul": shape_of_product,
    "dot": shape_of_dot,
    "reshape": shape_of_reshape,
    "concat": shape_of_concat,
    "part": shape_of_part,
    "sum": shape_of_sum,
    "peak": shape_of_sum,
    "mean": lambda a: shape_of_sum(a, len(a) - 1),
    "norm": shape_of_norm,
    "push": shape_of_push,
}


def parse_shape(name: str, value: Any) -> Shape:
    shape = tuple(value) if isinstance(value, list) else value
    try:
        check_shape(shape)
    except CellError as error:
        raise CellError(f"{name!r} {error}") from None
    return tuple(shape)


def parse_operation(i: int, value: Any) -> Instruction:
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise CellError(f"operation {i} is {str(value)[:60]}; expected [operation, argument, ...]")
    return Instruction(value[0], tuple(tuple(a) if isinstance(a, list) else a for a in value[1:]))
