"""Lower a layer's step to a program: run it once on symbols and keep the operations that it applies to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ..errors import CellError, TidegateError
from .program import BINARY, UNARY, Program, Shape, registers_of
from .tape import Instruction
from .trace import Recorder, Symbol

DIRECT = ("affine", "matmul", "dot", *UNARY, *BINARY, "select", "push")  # recorded by their names
NAMES = (*DIRECT, "sum", "peak", "mean", "concat", "split", "take", "columns", "bag")
ROWS = -1  # the length of the axis of rows, which is not known


class Value(Symbol):
    """A register of the program that is being recorded, with the axis of rows in front of its shape."""

    recorder: ProgramRecorder

    def _branch(self, *_: Any) -> NoReturn:
        raise CellError("a step cannot branch on its values; use xp.select, xp.minimum, xp.maximum or a gate instead")

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __float__ = __int__ = __iter__ = _branch
    __hash__ = None

    @property
    def shape(self) -> Shape:
        return (ROWS, *self.recorder.shape(self.register))

    def reshape(self, *dims: int) -> Value:
        """Reshape each row. dims: first that of rows, -1."""
        if not dims or dims[0] != ROWS:
            raise CellError("a reshape must keep the axis of rows: write x.reshape(x.shape[0], ...)")
        return self.recorder.reshape(self, dims[1:])


class TensorView:
    """A contiguous part of a tensor: the numbers from `start` on, in a shape."""

    def __init__(self, recorder: ProgramRecorder, role: str, start: int, shape: Shape) -> None:
        self.recorder, self.role, self.start, self.shape = recorder, role, start, shape

    def __getitem__(self, key: slice) -> TensorView:
        if not isinstance(key, slice) or key.step not in (None, 1):
            raise CellError(f"tensor {self.role!r} is indexed by {key!r}; expected a range of its first axis")
        first, end, _ = key.indices(self.shape[0])
        rest = self.shape[1:]
        return TensorView(self.recorder, self.role, self.start + first * math.prod(rest), (end - first, *rest))

    def reshape(self, *dims: int) -> TensorView:
        return TensorView(self.recorder, self.role, self.start, resolve(dims, math.prod(self.shape)))

    def record(self) -> Symbol:
        return self.recorder.emit("tensor", self.role, self.start, self.shape)

    def __getattr__(self, name: str) -> Any:
        raise (
            AttributeError(name)
            if name.startswith("__")
            else CellError(f"tensor {self.role!r} has no {name} in a step; use xp's operations")
        )

    def __add__(self, b: Any) -> Any:
        return self.record() + b

    def __radd__(self, a: Any) -> Any:
        return a + self.record()

    def __sub__(self, b: Any) -> Any:
        return self.record() - b

    def __rsub__(self, a: Any) -> Any:
        return a - self.record()

    def __mul__(self, b: Any) -> Any:
        return self.record() * b

    def __rmul__(self, a: Any) -> Any:
        return a * self.record()

    def __truediv__(self, b: Any) -> Any:
        return self.record() / b

    def __rtruediv__(self, a: Any) -> Any:
        return a / self.record()

    def __neg__(self) -> Any:
        return -self.record()


def resolve(dims: tuple[int, ...], size: int) -> Shape:
    """Replace one -1 in a shape by what is left of `size` numbers.

    >>> resolve((2, -1), 6)
    (2, 3)
    """
    known = math.prod(n for n in dims if n != ROWS)
    return tuple(size // known if n == ROWS and known else n for n in dims)


class ProgramRecorder(Recorder):
    """The instructions recorded so far, with the shapes of their results.

    The program of the instructions so far gives the shapes, so an error names the operation and its shapes at once.
    """

    def __init__(self, inputs: int, ids: int, tensors: Mapping[str, Shape], state: Mapping[str, Shape]) -> None:
        super().__init__()
        self.signature = Program.__new__(Program)
        for name, value in (("inputs", inputs), ("ids", ids), ("tensors", tensors), ("state", state)):
            object.__setattr__(self.signature, name, value)
        object.__setattr__(self.signature, "instructions", self.instructions)
        self.shapes: list[Shape] = []

    def emit(self, name: str, *args: Any) -> Value:
        known = len(self.instructions)
        register = super().emit(name, *args).register
        if len(self.instructions) > known:
            try:
                self.shapes.append(self.signature.check(self.instructions[-1], self.shapes))
            except CellError as error:
                raise CellError(f"{name}: {error}") from None
        return Value(self, register)

    def operand(self, name: str, value: Any) -> Symbol:
        return value.record() if isinstance(value, TensorView) else super().operand(name, value)

    def shape(self, register: int) -> Shape:
        return self.shapes[register]

    def reshape(self, value: Value, dims: tuple[int, ...]) -> Value:
        old = self.shape(value.register)
        new = resolve(dims, math.prod(old))
        return value if new == old else self.emit("reshape", value.register, new)


class Namespace:
    """The operations of layers (`xp`), each of which records itself."""

    def __init__(self, recorder: ProgramRecorder) -> None:
        self._recorder = recorder

    def __getattr__(self, name: str) -> Callable[..., Value]:
        if name not in DIRECT:
            raise CellError(f"unknown operation {name!r}; choose one of {', '.join(NAMES)}")
        recorder = self._recorder
        return lambda *operands: recorder.emit(name, *(recorder.operand(name, v).register for v in operands))

    def mean(self, x: Any) -> Value:
        return self._recorder.emit("mean", self._recorder.operand("mean", x).register)

    def sum(self, x: Any, axis: int = -1) -> Value:
        return self._reduce("sum", x, axis)

    def peak(self, x: Any, axis: int = -1) -> Value:
        return self._reduce("peak", x, axis)

    def _reduce(self, name: str, x: Any, axis: int) -> Value:
        register = self._recorder.operand(name, x).register
        axes = len(self._recorder.shape(register))
        return self._recorder.emit(name, register, axis + axes if axis < 0 else axis - 1)

    def concat(self, parts: list[Any]) -> Any:
        if not parts:
            raise CellError("concat of no values; it takes a list of one or more")
        registers = [self._recorder.operand("concat", v).register for v in parts]
        return parts[0] if len(parts) == 1 else self._recorder.emit("concat", *registers)

    def split(self, x: Any, n: int) -> list[Any]:
        register = self._recorder.operand("split", x).register
        return [x] if n == 1 else [self._recorder.emit("part", register, k, n) for k in range(n)]

    def columns(self, ids: TokenIds, n: int) -> list[TokenIds]:
        return [TokenIds(k) for k in range(n)]

    def take(self, table: Any, ids: Any) -> Value:
        if not isinstance(ids, TokenIds):
            raise CellError("takes rows by computed numbers; only token ids select rows")
        return self._recorder.emit("take", self._recorder.operand("take", table).register, ids.column)

    def bag(self, table: Any, ids: Any) -> Value:
        if not isinstance(ids, TokenIds):
            raise CellError("sums rows by computed numbers; only token ids select rows")
        return self._recorder.emit("bag", self._recorder.operand("bag", table).register)


class TokenIds:
    """Column k of a step's token ids."""

    def __init__(self, column: int) -> None:
        self.column = column


def lower(
    step: Callable[..., Any], inputs: int, ids: int, tensors: Mapping[str, Shape], state: Mapping[str, Shape]
) -> Program:
    """Lower a layer's step to a program.

    step: `step(xp, t, s, x, steps) -> (output, s')`; see the README of `layers`. inputs, ids, tensors, state: see
    `Program`. Raises CellError if the step branches on its values, uses an unknown operation, or exceeds a limit.

    >>> program = lower(lambda xp, t, s, x, steps: (xp.tanh(x * t["gain"]), {}), 3, 0, {"gain": (3,)}, {})
    >>> [ins.name for ins in program.instructions], program.width
    (['input', 'tensor', 'mul', 'tanh'], 3)
    """
    recorder = ProgramRecorder(inputs, ids, tensors, state)
    t = {role: TensorView(recorder, role, 0, tuple(shape)) for role, shape in tensors.items()}
    s: dict[str, Any] = {name: recorder.emit("state", name) for name in state}
    x: Any = TokenIds(0) if ids else recorder.emit("input")
    steps = recorder.emit("steps")
    try:
        result = step(Namespace(recorder), t, s, x, steps)
    except TidegateError:
        raise
    except Exception as error:
        raise CellError(f"the step does not run: {type(error).__name__}: {error}") from error
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
        raise CellError("a step returns two values: its output and a dict of its next states")
    y, after = result
    output = recorder.operand("the output", y).register
    following = {name: recorder.operand(f"next state {name!r}", v).register for name, v in after.items()}
    return without_dead_code(recorder, output, following)


def without_dead_code(recorder: ProgramRecorder, output: int, following: dict[str, int]) -> Program:
    """Build the program from the instructions that some result needs, in their order."""
    needed = {output, *following.values()}
    for i in range(len(recorder.instructions) - 1, -1, -1):
        if i in needed:
            needed.update(registers_of(recorder.instructions[i]))
    place = {old: new for new, old in enumerate(sorted(needed))}

    def renumber(ins: Instruction) -> Instruction:
        registers = registers_of(ins)
        return Instruction(ins.name, (*(place[r] for r in registers), *ins.args[len(registers) :]))

    own = recorder.signature
    program = Program.__new__(Program)
    program.__dict__.update(
        shapes=tuple(recorder.shapes[i] for i in place),  # each instruction is checked already
        inputs=own.inputs,
        ids=own.ids,
        tensors=own.tensors,
        state=own.state,
        instructions=tuple(renumber(recorder.instructions[i]) for i in place),
        output=place[output],
        next={name: place[r] for name, r in following.items()},
    )
    program.__post_init__()
    return program
