"""Linear recurrences all steps at once: the tape read as h' = a h + b, then a scan over time.

A tape is linear when each state, given those solved before it, becomes a * itself + b with a and b free of it, element
by element. Then a and b of all steps come from one evaluation, the states from an odd-even scan (Blelloch 1990, "Prefix
sums and their applications", section 1.4.1), and the outputs from one more evaluation of the tape.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ..tape import Tape, order
from .ops import TorchOps
from .transforms import needs_torch_ops

SHORT = 8  # steps that a loop does faster than another level of the scan


class Affine(NamedTuple):
    """slope * state + constant."""

    slope: Any
    constant: Any


def run_linear_tape(
    tape: Tape, x: dict[str, Any], R: dict[str, Any], p: dict[str, Any], initial: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Outputs [T, B, H] and every step's states [T, B, width] of a linear tape.

    x, R, p: as `tape.interpret` takes them, x of all steps, [T, B, H]. start: states before the first step, [B, width].
    """
    reader, like = SequenceInterpreter(tape, x, R, p), next(iter(x.values()))
    for name in order(tape):
        shape = (*like.shape[:2], initial[name].shape[-1])
        line = reader.transition(name)
        a, b = (torch.as_tensor(v, dtype=like.dtype, device=like.device).expand(shape) for v in line)
        reader.set_state(name, initial[name], solve_recurrence(a, b, initial[name]))
    return reader.evaluate(tape.output), {name: reader.evaluate(tape.next[name]) for name in tape.state}


class SequenceInterpreter:
    """Registers of all steps at once, only those that are asked for: numbers, or lines of a state not yet known."""

    def __init__(self, tape: Tape, x: dict[str, Any], R: dict[str, Any], p: dict[str, Any]) -> None:
        self.tape, self.x, self.R, self.p = tape, x, R, p
        self.previous: dict[str, torch.Tensor] = {}
        self.registers: dict[int, Any] = {}

    def transition(self, state: str) -> Affine:
        """What a state becomes, as a line of itself."""
        return as_affine(self.evaluate(self.tape.next[state]))

    def set_state(self, state: str, initial: torch.Tensor, h: torch.Tensor) -> None:
        """From now on a state is known: h [T, B, width] after each step."""
        self.previous[state] = torch.cat([initial[None], h[:-1]])
        self.registers = {i: v for i, v in self.registers.items() if not isinstance(v, Affine)}
        self.registers[self.tape.next[state]] = h

    def evaluate(self, i: int) -> Any:
        if i not in self.registers:
            self.registers[i] = self.compute(i)
        return self.registers[i]

    def compute(self, i: int) -> Any:
        ins = self.tape.instructions[i]
        operands = [self.evaluate(r) for r in self.tape.operands(i)]
        match ins.name:
            case "input":
                return self.x[ins.args[0]]
            case "state":
                return self.previous.get(ins.args[0], Affine(1.0, 0.0))
            case "param":
                return self.p[ins.args[0]]
            case "const":
                return ins.args[0]
            case "recur":
                return self.R[ins.args[0]](*operands)
            case "project":
                return self.R["project"](*operands)
        if any(isinstance(v, Affine) for v in operands):
            return apply_to_affine(ins.name, *operands)
        return getattr(TorchOps, ins.name)(*operands)


def as_affine(v: Any) -> Affine:
    return v if isinstance(v, Affine) else Affine(0.0, v)


def apply_to_affine(name: str, u: Any, v: Any = None) -> Affine:
    """What an operation makes of lines; `kinds` has made sure that it is a line.

    >>> of_lines("mul", 3.0, of_lines("sub", 2.0, Line(1.0, 0.0)))
    Line(slope=-3.0, constant=6.0)
    """
    if name == "neg":
        return Affine(-u.slope, -u.constant)
    if name == "mul":
        line, factor = (u, v) if isinstance(u, Affine) else (v, u)
        return Affine(line.slope * factor, line.constant * factor)
    if name == "div":
        return Affine(u.slope / v, u.constant / v)
    (a, b), (c, d) = as_affine(u), as_affine(v)
    return Affine(a + c, b + d) if name == "add" else Affine(a - c, b - d)


def solve_recurrence(a: torch.Tensor, b: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
    """h [T, B, width] of h_t = a_t h_{t-1} + b_t, from h_{-1} = start [B, width]; a, b: [T, B, width].

    Slopes within [-1, 1], of which no product can overflow, go through the scan; others step by step, one product and
    one sum a step, so that what stays finite there stays finite here.

    >>> recurrence(torch.full((3, 1, 1), 0.5), torch.ones(3, 1, 1), torch.zeros(1, 1)).flatten().tolist()
    [1.0, 1.5, 1.75]
    """
    if needs_torch_ops():
        return solve_step_by_step(a, b, initial)  # of operations that torch knows, whatever the slopes
    h: torch.Tensor = LinearRecurrence.apply(a, b, initial)  # type: ignore[no-untyped-call]
    return h


class LinearRecurrence(torch.autograd.Function):
    """The gradient of a linear recurrence is one too, of the same slopes, backwards in time."""

    @staticmethod
    def forward(a: torch.Tensor, b: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        bounded = a.is_meta or a.numel() == 0 or bool(a.abs().amax() <= 1)
        return odd_even_scan(a, b, start) if bounded else solve_step_by_step(a, b, start)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        a, _, start = inputs
        ctx.save_for_backward(a, start, output)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, start, h = ctx.saved_tensors
        following = -torch.arange(len(a), device=a.device) % len(a)  # the first slope met meets zeros, so any will do
        d = solve_recurrence(a.index_select(0, following), g.flip(0), torch.zeros_like(start)).flip(0)
        return d * torch.cat([start[None], h[:-1]]), d, a[0] * d[0]


def odd_even_scan(a: torch.Tensor, b: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
    """The recurrence: pairs of steps solved as single ones, then the steps between."""
    if len(a) <= SHORT:
        return solve_step_by_step(a, b, initial)
    n = len(a) // 2 * 2
    odd = odd_even_scan(a[1:n:2] * a[0:n:2], torch.addcmul(b[1:n:2], a[1:n:2], b[0:n:2]), initial)
    h = torch.empty(b.shape, dtype=b.dtype, device=b.device)
    h[0], h[1::2] = torch.addcmul(b[0], a[0], initial), odd
    h[2::2] = torch.addcmul(b[2::2], a[2::2], odd[: (len(a) - 1) // 2])
    return h


def solve_step_by_step(a: torch.Tensor, b: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
    """The same step by step."""
    h = [initial]
    for slope, constant in zip(a, b, strict=True):
        h.append(torch.addcmul(constant, slope, h[-1]))
    return torch.stack(h[1:])
