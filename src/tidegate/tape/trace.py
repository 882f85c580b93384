"""From a cell's `step` to its tape: run it once on symbols and keep what they did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ..errors import CellError, TidegateError
from .ops import BINARY, UNARY
from .tape import Instruction, Shape, Tape

REGISTERS_ONLY = (*UNARY, *BINARY, "project")  # instructions whose arguments are all registers


class Names:
    """Named values with attribute access: what a step receives as x, R, p and s."""

    def __init__(self, what: str, values: dict[str, Any]) -> None:
        self._what, self._values = what, values

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            known = ", ".join(self._values) or "none"
            raise CellError(f"no {self._what} {name!r}; the cell declares {known}") from None

    def replace(self, **new: Any) -> Names:
        """These names with some values replaced; the others stay."""
        for name in new:
            getattr(self, name)
        return Names(self._what, {**self._values, **new})

    def as_dict(self) -> dict[str, Any]:
        return dict(self._values)


class Symbol:
    """A register of the tape under construction."""

    __array_ufunc__ = None  # so that NumPy hands its operators over instead of looping over this

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
    """The instructions so far; the same expression is recorded once."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self._seen: dict[tuple[Any, ...], int] = {}

    def emit(self, name: str, *args: Any) -> Symbol:
        key = (name, *args)
        if key not in self._seen:
            self._seen[key] = len(self.instructions)
            self.instructions.append(Instruction(name, args))
        return Symbol(self, self._seen[key])

    def apply(self, name: str, *operands: Any) -> Symbol:
        return self.emit(name, *(self.operand(name, v).register for v in operands))

    def operand(self, name: str, value: Any) -> Symbol:
        if isinstance(value, Symbol):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self.emit("const", float(value))
        raise CellError(f"{name} of {type(value).__name__}; operands are values of the step or numbers")


class Operations:
    """The closed list as attributes; each records itself."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __getattr__(self, name: str) -> Callable[..., Symbol]:
        if name not in UNARY + BINARY:
            raise CellError(f"unknown operation {name!r}; choose one of {', '.join(UNARY + BINARY)}")
        count = 1 if name in UNARY else 2

        def record(*operands: Any) -> Symbol:
            if len(operands) != count:
                raise CellError(f"op.{name} takes {count} operands; {len(operands)} given")
            return self._recorder.apply(name, *operands)

        return record


class Leaves(Names):
    """Names whose values are recorded at their first use, so that what a step ignores leaves no trace."""

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        return value() if callable(value) and not isinstance(value, Symbol) else value

    def replace(self, **new: Any) -> Leaves:
        for name in new:
            super().__getattr__(name)
        return Leaves(self._what, {**self._values, **new})


def trace(
    step: Callable[..., Any],
    gates: tuple[str, ...],
    recurrent: tuple[str, ...],
    state: dict[str, Shape],
    params: dict[str, Shape],
) -> Tape:
    """The tape of a step function.

    step: `step(op, x, R, p, s) -> (output, s')`; see the README of `cells`. gates, recurrent: names. state, params:
    name -> shape. Raises CellError when the step branches, uses an unknown operation or name, or breaks a limit.

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

    output, last = results(
        run(
            step,
            Operations(rec),
            Leaves("gate", {g: leaf("input", g) for g in gates}),
            Names("recurrent map", {**{g: recur(g) for g in recurrent}, "project": project}),
            Leaves("param", {n: leaf("param", n) for n in params}),
            Leaves("state", {n: leaf("state", n) for n in state}),
        )
    )
    following = {n: v() if callable(v) else v for n, v in last.items()}
    symbols = {n: rec.operand(f"next state {n!r}", v).register for n, v in following.items()}
    return prune(rec.instructions, rec.operand("the output", output).register, symbols, gates, recurrent, state, params)


def run(step: Callable[..., Any], *args: Any) -> Any:
    """What the step returns. Raises CellError, with what was wrong, when it does not run."""
    try:
        return step(*args)
    except TidegateError:
        raise
    except Exception as error:
        raise CellError(f"the step does not run: {type(error).__name__}: {error}") from error


def results(result: Any) -> tuple[Any, dict[str, Any]]:
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], Names):
        raise CellError("a step returns two values: its output and `s.replace(...)`")
    return result[0], result[1].as_dict()


def prune(
    instructions: list[Instruction],
    output: int,
    following: dict[str, int],
    gates: tuple[str, ...],
    recurrent: tuple[str, ...],
    state: dict[str, Shape],
    params: dict[str, Shape],
) -> Tape:
    """The tape without what no result needs; order stays."""
    need = {output, *following.values()}
    for i in range(len(instructions) - 1, -1, -1):
        if i in need:
            need.update(registers(instructions[i]))
    place = {old: new for new, old in enumerate(sorted(need))}
    kept = tuple(moved(instructions[i], place) for i in sorted(need))
    return Tape(
        gates, recurrent, dict(state), dict(params), kept, place[output], {n: place[r] for n, r in following.items()}
    )


def registers(ins: Instruction) -> tuple[int, ...]:
    if ins.name == "recur":
        return (ins.args[1],)
    return ins.args if ins.name in REGISTERS_ONLY else ()


def moved(ins: Instruction, place: dict[int, int]) -> Instruction:
    if ins.name == "recur":
        return Instruction("recur", (ins.args[0], place[ins.args[1]]))
    return Instruction(ins.name, tuple(place[a] for a in ins.args)) if ins.name in REGISTERS_ONLY else ins
