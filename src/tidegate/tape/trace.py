"""Record a cell's `step` as a tape: run it once on symbols and keep the operations that it applies to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ..errors import CellError, TidegateError
from .ops import BINARY, UNARY
from .tape import Instruction, Shape, Tape

REGISTERS_ONLY = (*UNARY, *BINARY, "project")  # instructions whose arguments are all registers


class Namespace:
    """Named values, read as attributes: a step receives x, R, p and s in this form."""

    def __init__(self, what: str, values: dict[str, Any]) -> None:
        self._what, self._values = what, values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            names = ", ".join(self._values) or "none"
            raise CellError(f"there is no {self._what} {name!r}; the cell declares {names}") from None

    def replace(self, **new: Any) -> Namespace:
        """Return a copy with some values replaced. Raises CellError for a name that the cell does not declare."""
        for name in new:
            getattr(self, name)
        return Namespace(self._what, {**self._values, **new})

    def as_dict(self) -> dict[str, Any]:
        return dict(self._values)


class Symbol:
    """A register of the tape that is being recorded."""

    __array_ufunc__ = None  # so that NumPy calls our operators instead of looping over this as an array

    def __init__(self, recorder: Recorder, register: int) -> None:
        self.recorder, self.register = recorder, register

    def __add__(self, b: Any) -> Symbol:
        return self.recorder.apply("add", self, b)

    def __sub__(self, b: Any) -> Symbol:
        return self.recorder.apply("sub", self, b)

    def __mul__(self, b: Any) -> Symbol:
        return self.recorder.apply("mul", self, b)

    def __truediv__(self, b: Any) -> Symbol:
        return self.recorder.apply("div", self, b)

    def __radd__(self, a: Any) -> Symbol:
        return self.recorder.apply("add", a, self)

    def __rsub__(self, a: Any) -> Symbol:
        return self.recorder.apply("sub", a, self)

    def __rmul__(self, a: Any) -> Symbol:
        return self.recorder.apply("mul", a, self)

    def __rtruediv__(self, a: Any) -> Symbol:
        return self.recorder.apply("div", a, self)

    def __neg__(self) -> Symbol:
        return self.recorder.apply("neg", self)

    def __abs__(self) -> Symbol:
        return self.recorder.apply("abs", self)

    def _branch(self, *_: Any) -> NoReturn:
        raise CellError("a step cannot branch on its values; use op.minimum, op.maximum or a gate instead")

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __float__ = __int__ = __iter__ = _branch
    __hash__ = None  # type: ignore[assignment]


class Recorder:
    """The instructions recorded so far; an expression that is repeated is recorded once."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self._seen: dict[tuple[Any, ...], int] = {}

    def emit(self, name: str, *args: Any) -> Symbol:
        """Record an instruction, unless it is there already, and return its register."""
        key = (name, *args)
        if key not in self._seen:
            self._seen[key] = len(self.instructions)
            self.instructions.append(Instruction(name, args))
        return Symbol(self, self._seen[key])

    def apply(self, name: str, *operands: Any) -> Symbol:
        """Record an operation on symbols and numbers."""
        return self.emit(name, *(self.operand(name, v).register for v in operands))

    def operand(self, name: str, value: Any) -> Symbol:
        """Return a symbol for an operand. Raises CellError unless it is a symbol or a number."""
        if isinstance(value, Symbol):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self.emit("const", float(value))
        raise CellError(f"{name} of {type(value).__name__}; operands are values of the step or numbers")


class Operations:
    """The closed list of operations as attributes; calling one records it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __getattr__(self, name: str) -> Callable[..., Symbol]:
        if name not in UNARY + BINARY:
            raise CellError(f"unknown operation {name!r}; choose one of {', '.join(UNARY + BINARY)}")
        count = 1 if name in UNARY else 2

        def record(*operands: Any) -> Symbol:
            if len(operands) != count:
                raise CellError(f"op.{name} takes {count} operand{'s' * (count > 1)}; got {len(operands)}")
            return self._recorder.apply(name, *operands)

        return record


class LazyNamespace(Namespace):
    """A namespace whose values are recorded when they are read, so that unused ones leave no trace."""

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        return value() if callable(value) and not isinstance(value, Symbol) else value

    def replace(self, **new: Any) -> LazyNamespace:
        for name in new:
            super().__getattr__(name)
        return LazyNamespace(self._what, {**self._values, **new})


def trace(
    step: Callable[..., Any],
    gates: tuple[str, ...],
    recurrent: tuple[str, ...],
    state: dict[str, Shape],
    params: dict[str, Shape],
) -> Tape:
    """Record a step function as a tape.

    step: `step(op, x, R, p, s) -> (output, s')`; see the README of `cells`. gates, recurrent: names. state, params:
    name -> shape. Raises CellError if the step branches, uses an unknown operation or name, or exceeds a limit.

    >>> def leaky(op, x, R, p, s):
    ...     h = p.keep * s.h + op.tanh(x.n + R.n(s.h))
    ...     return h, s.replace(h=h)
    >>> tape = trace(leaky, ("n",), ("n",), {"h": ("H",)}, {"keep": ("H",)})
    >>> [i.name for i in tape.instructions]
    ['param', 'state', 'mul', 'input', 'recur', 'add', 'tanh', 'add']
    """
    rec = Recorder()

    def leaf(kind: str, name: str) -> Callable[[], Symbol]:
        return lambda: rec.emit(kind, name)

    def recur(name: str) -> Callable[[Any], Symbol]:
        return lambda v: rec.emit("recur", name, rec.operand("a recurrent map", v).register)

    def project(v: Any) -> Any:
        return rec.emit("project", rec.operand("the projection", v).register)

    output, last = unpack_result(
        run_step(
            step,
            Operations(rec),
            LazyNamespace("gate", {g: leaf("input", g) for g in gates}),
            Namespace("recurrent map", {**{g: recur(g) for g in recurrent}, "project": project}),
            LazyNamespace("param", {n: leaf("param", n) for n in params}),
            LazyNamespace("state", {n: leaf("state", n) for n in state}),
        )
    )
    next_values = {n: v() if callable(v) else v for n, v in last.items()}
    symbols = {n: rec.operand(f"next state {n!r}", v).register for n, v in next_values.items()}
    return remove_dead_code(
        rec.instructions, rec.operand("the output", output).register, symbols, gates, recurrent, state, params
    )


def run_step(step: Callable[..., Any], *args: Any) -> Any:
    """Call the step. Raises CellError, with the step's own error in its message, if it does not run."""
    try:
        return step(*args)
    except TidegateError:
        raise
    except Exception as error:
        raise CellError(f"the step does not run: {type(error).__name__}: {error}") from error


def unpack_result(result: Any) -> tuple[Any, dict[str, Any]]:
    """Split the result of a step into its output and its next states. Raises CellError for any other result."""
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], Namespace):
        raise CellError("a step returns two values: its output and `s.replace(...)`")
    return result[0], result[1].as_dict()


def remove_dead_code(
    instructions: list[Instruction],
    output: int,
    next_registers: dict[str, int],
    gates: tuple[str, ...],
    recurrent: tuple[str, ...],
    state: dict[str, Shape],
    params: dict[str, Shape],
) -> Tape:
    """Build the tape from the instructions that some result needs, in their order."""
    needed = {output, *next_registers.values()}
    for i in range(len(instructions) - 1, -1, -1):
        if i in needed:
            needed.update(operand_registers(instructions[i]))
    new_index = {old: new for new, old in enumerate(sorted(needed))}
    remaining = tuple(renumber(instructions[i], new_index) for i in sorted(needed))
    return Tape(
        gates,
        recurrent,
        dict(state),
        dict(params),
        remaining,
        new_index[output],
        {n: new_index[r] for n, r in next_registers.items()},
    )


def operand_registers(ins: Instruction) -> tuple[int, ...]:
    """Return the registers that an instruction reads."""
    if ins.name == "recur":
        return (ins.args[1],)
    return ins.args if ins.name in REGISTERS_ONLY else ()


def renumber(ins: Instruction, new_index: dict[int, int]) -> Instruction:
    """Return an instruction with its operands renumbered."""
    if ins.name == "recur":
        return Instruction("recur", (ins.args[0], new_index[ins.args[1]]))
    return Instruction(ins.name, tuple(new_index[a] for a in ins.args)) if ins.name in REGISTERS_ONLY else ins
