"""A program as integers, for the native interpreter: reshapes are gone, and broadcasting is an operation."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .program import BINARY, ELEMENTWISE, UNARY, Program, Shape

# In the order of tidegate_operation in native/include/tidegate.h.
OPERATIONS: Final = (
    *("input", "take", "state", "steps", "tensor", "const", "affine", "matmul", "select", "expand", "part", "concat"),
    *("sum", "peak", "mean", "dot", "push", "bag"),
    *UNARY,
    *BINARY,
)
OPCODES: Final = {name: code for code, name in enumerate(OPERATIONS)}


class EncodedProgram(NamedTuple):
    """code: rows of opcode, size of the result, a, b, c, p, q, r; see tidegate.h. joined: registers that are joined."""

    code: npt.NDArray[np.int32]
    joined: npt.NDArray[np.int32]
    consts: npt.NDArray[np.float32]
    output: int
    next: npt.NDArray[np.int32]


class Encoder:
    """Rows so far, and where each register of the program went. A reshape goes where its operand is."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.rows: list[tuple[int, ...]] = []
        self.joined: list[int] = []
        self.consts: list[float] = []
        self.places: list[int] = []
        self.expanded: dict[tuple[int, Shape], int] = {}

    def add(self, name: str, shape: Shape, *arguments: int, p: int = 0, q: int = 0, r: int = 0) -> int:
        abc = (*arguments, *[0] * (3 - len(arguments)))
        self.rows.append((OPCODES[name], math.prod(shape), *abc, p, q, r))
        return len(self.rows) - 1

    def place(self, register: int) -> int:
        return self.places[register]

    def broadcast(self, register: int, shape: Shape, cyclic: bool = False) -> int:
        """Return where a register stands in this shape. cyclic: it may stay shorter if its first axes are repeated."""
        old, place = self.program.shapes[register], self.places[register]
        if math.prod(old) == 1 and not cyclic:
            return place
        for axis in range(len(old) - 1, -1, -1):
            if old[axis] == shape[axis] or (cyclic and all(n == 1 for n in old[: axis + 1])):
                continue
            new = (*old[:axis], shape[axis], *old[axis + 1 :])
            key = (place, new)
            if key not in self.expanded:
                outer, inner = math.prod(old[:axis]), math.prod(old[axis + 1 :])
                self.expanded[key] = self.add("expand", new, place, p=outer, q=shape[axis], r=inner)
            place, old = self.expanded[key], new
        return place

    def encode(self, i: int) -> int:
        """Encode instruction i and return the place of its result."""
        ins, shape, program = self.program.instructions[i], self.program.shapes[i], self.program
        name, args = ins.name, ins.args
        shapes, places = program.shapes, self.places
        if name in ELEMENTWISE:
            return self.add(name, shape, *(self.broadcast(r, shape) for r in args))
        if name == "reshape":
            return self.place(args[0])
        if name == "const":
            self.consts.append(args[0])
            return self.add(name, (1,), len(self.consts) - 1)
        if name == "state":
            return self.add(name, shape, list(program.state).index(args[0]))
        if name == "tensor":
            return self.add(name, shape, list(program.tensors).index(args[0]), args[1])
        if name == "take":
            return self.add(name, shape, places[args[0]], args[1])
        if name == "bag":
            return self.add(name, shape, places[args[0]], 0, program.ids)
        if name == "part":
            whole = shapes[args[0]]
            return self.add(name, shape, places[args[0]], p=math.prod(whole[:-1]), q=whole[-1], r=args[1] * shape[-1])
        if name == "concat":
            self.joined += [places[r] for r in args]
            return self.add(name, shape, len(self.joined) - len(args), len(args), p=math.prod(shape[:-1]))
        if name in ("sum", "peak"):
            whole, axis = shapes[args[0]], args[1]
            outer, inner = math.prod(whole[:axis]), math.prod(whole[axis + 1 :])
            return self.add(name, shape, places[args[0]], p=outer, q=whole[axis], r=inner)
        if name == "mean":
            return self.add(name, shape, places[args[0]], q=shapes[args[0]][-1])
        if name == "dot":
            a, b = (self.broadcast(r, (*shape[:-1], shapes[r][-1]), cyclic=True) for r in args)
            return self.add(name, shape, a, b, q=shapes[args[0]][-1])
        operands: list[int] = [places[r] for r in args]
        return self.add(name, shape, *operands)  # input, steps, affine, matmul, push


def encode_program(program: Program) -> EncodedProgram:
    """Encode a program.

    >>> from .lower import lower
    >>> encode_program(lower(lambda xp, t, s, x, steps: (xp.tanh(x), {}), 3, 0, {}, {})).code[:, :3].tolist()
    [[0, 3, 0], [22, 3, 0]]
    """
    encoder = Encoder(program)
    for i in range(len(program.instructions)):
        encoder.places.append(encoder.encode(i))
    as_int32: Any = lambda values, shape: np.array(values, np.int32).reshape(shape)  # noqa: E731
    return EncodedProgram(
        as_int32(encoder.rows, (-1, 8)),
        as_int32(encoder.joined, (-1,)),
        np.array(encoder.consts, np.float32),
        encoder.places[program.output],
        as_int32([encoder.places[program.next[name]] for name in program.state], (-1,)),
    )
