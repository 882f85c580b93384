"""Linear recurrences all steps at once: the tape read as h' = a h + b, then a scan over time.

A tape is linear when each state, given those solved before it, becomes a * itself + b with a and b free of it, element
by element. Then a and b of all steps come from one evaluation, the states from an odd-even scan (Blelloch 1990, "Prefix
sums and their applications", section 1.4.1), and the outputs from one more evaluation of the tape.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ..cells import Cell
from ..errors import CellError
from ..tape import Tape, interpret
from .ops import TorchOps

FREE, LINEAR, OTHER = 0, 1, 2  # how a register depends on the state in question
SHORT = 8  # steps that a loop does faster than another level of the scan


class Line(NamedTuple):
    """slope * state + constant."""

    slope: Any
    constant: Any


def is_linear(tape: Tape) -> bool:
    """Whether all steps of a tape can be solved at once."""
    return len(order(tape)) == len(tape.state)


def check(cell: Cell) -> None:
    """Raises CellError when a cell declares LINEAR and its equation is not.

    >>> from tidegate import cells
    >>> check(cells.load("mingru"))
    """
    if not cell.linear or is_linear(cell.tape):
        return
    name = next(n for n in cell.tape.state if n not in order(cell.tape))
    raise CellError(
        f"cell {cell.name} says LINEAR but is not: state {name!r} does not become a * {name} + b, with a and b free of "
        "the states that are still unsolved, by add, sub, neg, mul and div alone; correct the step or remove LINEAR"
    )


def order(tape: Tape) -> list[str]:
    """The states that can be solved, each after those that it needs."""
    found: list[str] = []
    while fit := [n for n in tape.state if n not in found and kinds(tape, n, found)[tape.next[n]] < OTHER]:
        found.append(fit[0])
    return found


def kinds(tape: Tape, state: str, known: list[str]) -> list[int]:
    """How each register depends on a state when the `known` ones are given for all steps."""
    found: list[int] = []
    for i, ins in enumerate(tape.instructions):
        operands = [found[r] for r in tape.operands(i)]
        if ins.name == "state":
            found.append(LINEAR if ins.args[0] == state else FREE if ins.args[0] in known else OTHER)
        elif ins.name in ("add", "sub", "neg"):
            found.append(max(operands))
        elif ins.name == "mul" or (ins.name == "div" and operands[1] == FREE):
            found.append(min(sum(operands), OTHER))
        else:
            found.append(OTHER if any(operands) else FREE)
    return found


def solved(
    tape: Tape, x: dict[str, Any], R: dict[str, Any], p: dict[str, Any], start: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Outputs [T, B, H] and every step's states [T, B, width] of a linear tape.

    x, R, p: as `tape.interpret` takes them, x of all steps, [T, B, H]. start: states before the first step, [B, width].
    """
    like = next(iter(x.values()))
    past: dict[str, torch.Tensor] = {}
    for name in order(tape):
        line = Reader(tape, name, x, R, p, past).line(tape.next[name])
        shape = (*like.shape[:2], start[name].shape[-1])
        a, b = (torch.as_tensor(v, dtype=like.dtype, device=like.device).expand(shape) for v in line)
        h = recurrence(a, b, start[name])
        past[name] = torch.cat([start[name][None], h[:-1]])
    return interpret(tape, TorchOps, x, R, p, past)


class Reader:
    """Registers of all steps at once, as numbers or as lines of one state; only those that are asked for."""

    def __init__(self, tape: Tape, state: str, *given: Any) -> None:
        self.tape, self.state = tape, state
        self.x, self.R, self.p, self.past = given
        self.found: dict[int, Any] = {}

    def line(self, register: int) -> Line:
        return lined(self.read(register))

    def read(self, i: int) -> Any:
        if i not in self.found:
            self.found[i] = self.value(i)
        return self.found[i]

    def value(self, i: int) -> Any:
        ins = self.tape.instructions[i]
        operands = [self.read(r) for r in self.tape.operands(i)]
        match ins.name:
            case "input":
                return self.x[ins.args[0]]
            case "state":
                return Line(1.0, 0.0) if ins.args[0] == self.state else self.past[ins.args[0]]
            case "param":
                return self.p[ins.args[0]]
            case "const":
                return ins.args[0]
            case "recur":
                return self.R[ins.args[0]](*operands)
            case "project":
                return self.R["project"](*operands)
        if any(isinstance(v, Line) for v in operands):
            return of_lines(ins.name, *operands)
        return getattr(TorchOps, ins.name)(*operands)


def lined(v: Any) -> Line:
    return v if isinstance(v, Line) else Line(0.0, v)


def of_lines(name: str, u: Any, v: Any = None) -> Line:
    """What an operation makes of lines; `kinds` has made sure that it is a line.

    >>> of_lines("mul", 3.0, of_lines("sub", 2.0, Line(1.0, 0.0)))
    Line(slope=-3.0, constant=6.0)
    """
    if name == "neg":
        return Line(-u.slope, -u.constant)
    if name == "mul":
        line, factor = (u, v) if isinstance(u, Line) else (v, u)
        return Line(line.slope * factor, line.constant * factor)
    if name == "div":
        return Line(u.slope / v, u.constant / v)
    (a, b), (c, d) = lined(u), lined(v)
    return Line(a + c, b + d) if name == "add" else Line(a - c, b - d)


def recurrence(a: torch.Tensor, b: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """h [T, B, width] of h_t = a_t h_{t-1} + b_t, from h_{-1} = start [B, width]; a, b: [T, B, width].

    Slopes within [-1, 1], of which no product can overflow, go through the scan; others step by step, one product and
    one sum a step, so that what stays finite there stays finite here.

    >>> recurrence(torch.full((3, 1, 1), 0.5), torch.ones(3, 1, 1), torch.zeros(1, 1)).flatten().tolist()
    [1.0, 1.5, 1.75]
    """
    h: torch.Tensor = Recurrence.apply(a, b, start)  # type: ignore[no-untyped-call]
    return h


class Recurrence(torch.autograd.Function):
    """The gradient of a linear recurrence is one too, of the same slopes, backwards in time."""

    @staticmethod
    def forward(a: torch.Tensor, b: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        b = torch.cat([b[:1] + a[:1] * start, b[1:]])
        bounded = a.is_meta or a.numel() == 0 or bool(a.abs().amax() <= 1)
        return odd_even(a, b) if bounded else loop(a, b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        a, _, start = inputs
        ctx.save_for_backward(a, start, output)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, start, h = ctx.saved_tensors
        after = torch.cat([a[1:], torch.zeros_like(a[:1])])
        d = recurrence(after.flip(0), g.flip(0), torch.zeros_like(start)).flip(0)
        return d * torch.cat([start[None], h[:-1]]), d, a[0] * d[0]


def odd_even(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The recurrence from zero: pairs of steps solved as single ones, then the steps between."""
    if len(a) <= SHORT:
        return loop(a, b)
    n = len(a) // 2 * 2
    odd = odd_even(a[1:n:2] * a[0:n:2], torch.addcmul(b[1:n:2], a[1:n:2], b[0:n:2]))
    h = torch.empty_like(b)
    h[0], h[1::2] = b[0], odd
    h[2::2] = torch.addcmul(b[2::2], a[2::2], odd[: (len(a) - 1) // 2])
    return h


def loop(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The same step by step."""
    h = [b[0]]
    for k in range(1, len(a)):
        h.append(torch.addcmul(b[k], a[k], h[-1]))
    return torch.stack(h)
