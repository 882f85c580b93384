"""Run linear tapes over all steps at once: read the tape as h' = a h + b, then scan over time.

A tape is linear when each state, given the states solved before it, becomes a * itself + b, element by element, where a
and b do not depend on it. One evaluation of the tape gives a and b for all steps, an odd-even scan the states (Blelloch
1990, "Prefix sums and their applications", section 1.4.1), and one more evaluation the outputs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from ..tape import Tape, solvable_states
from .ops import TorchOps
from .transforms import needs_torch_ops

SHORT = 8  # with at most so many steps, a loop is faster than another level of the scan


class Affine(NamedTuple):
    """An affine function of a state: slope * state + constant."""

    slope: Any
    constant: Any


def run_linear_tape(
    tape: Tape, x: dict[str, Any], R: dict[str, Any], p: dict[str, Any], initial: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the outputs [T, B, H] of a linear tape and its states after every step, [T, B, width].

    x, R, p: those of `tape.interpret`, with x for all steps, [T, B, H]. initial: states before the first step,
    [B, width].
    """
    interpreter, like = SequenceInterpreter(tape, x, R, p), next(iter(x.values()))
    for name in solvable_states(tape):
        shape = (*like.shape[:2], initial[name].shape[-1])
        transition = interpreter.transition(name)
        a, b = (torch.as_tensor(v, dtype=like.dtype, device=like.device).expand(shape) for v in transition)
        interpreter.set_state(name, initial[name], solve_recurrence(a, b, initial[name]))
    return interpreter.evaluate(tape.output), {name: interpreter.evaluate(tape.next[name]) for name in tape.state}


class SequenceInterpreter:
    """Evaluates registers of a tape for all steps at once, each when it is first needed.

    A register that depends on a state which is not solved yet is an `Affine` of that state.
    """

    def __init__(self, tape: Tape, x: dict[str, Any], R: dict[str, Any], p: dict[str, Any]) -> None:
        self.tape, self.x, self.R, self.p = tape, x, R, p
        self.previous: dict[str, torch.Tensor] = {}
        self.registers: dict[int, Any] = {}

    def transition(self, state: str) -> Affine:
        """Return the next value of a state as an affine function of its previous one."""
        return as_affine(self.evaluate(self.tape.next[state]))

    def set_state(self, state: str, initial: torch.Tensor, h: torch.Tensor) -> None:
        """Set a solved state: h [T, B, width] after each step."""
        self.previous[state] = torch.cat([initial[None], h[:-1]])
        self.registers = {i: v for i, v in self.registers.items() if not isinstance(v, Affine)}
        self.registers[self.tape.next[state]] = h

    def evaluate(self, i: int) -> Any:
        """Return the value of register i."""
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
    """Apply an operation to operands of which at least one is affine.

    The result is affine: `tape.order` has admitted no other operations.

    >>> apply_to_affine("mul", 3.0, apply_to_affine("sub", 2.0, Affine(1.0, 0.0)))
    Affine(slope=-3.0, constant=6.0)
    """
    if name == "neg":
        return Affine(-u.slope, -u.constant)
    if name == "mul":
        affine, factor = (u, v) if isinstance(u, Affine) else (v, u)
        return Affine(affine.slope * factor, affine.constant * factor)
    if name == "div":
        return Affine(u.slope / v, u.constant / v)
    (a, b), (c, d) = as_affine(u), as_affine(v)
    return Affine(a + c, b + d) if name == "add" else Affine(a - c, b - d)


def solve_recurrence(a: torch.Tensor, b: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
    """Solve h_t = a_t h_{t-1} + b_t for h [T, B, width], from h_{-1} = initial [B, width]; a, b: [T, B, width].

    Slopes within [-1, 1], whose products cannot overflow, go through the scan. With other slopes it goes step by step,
    with one product and one sum a step, so that what is finite in a loop is finite here.

    >>> solve_recurrence(torch.full((3, 1, 1), 0.5), torch.ones(3, 1, 1), torch.zeros(1, 1)).flatten().tolist()
    [1.0, 1.5, 1.75]
    """
    if needs_torch_ops():
        return solve_step_by_step(a, b, initial)
    h: torch.Tensor = LinearRecurrence.apply(a, b, initial)  # type: ignore[no-untyped-call]
    return h


class LinearRecurrence(torch.autograd.Function):
    """A linear recurrence. Its gradient is one too, with the same slopes, backwards in time."""

    @staticmethod
    def forward(a: torch.Tensor, b: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
        bounded = a.is_meta or a.numel() == 0 or bool(a.abs().amax() <= 1)
        return odd_even_scan(a, b, initial) if bounded else solve_step_by_step(a, b, initial)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        a, _, initial = inputs
        ctx.save_for_backward(a, initial, output)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, initial, h = ctx.saved_tensors
        following = -torch.arange(len(a), device=a.device) % len(a)  # the first slope multiplies zeros: any will do
        d = solve_recurrence(a.index_select(0, following), g.flip(0), torch.zeros_like(initial)).flip(0)
        return d * torch.cat([initial[None], h[:-1]]), d, a[0] * d[0]


def odd_even_scan(a: torch.Tensor, b: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
    """Solve the recurrence: merge pairs of steps and solve those, then fill in the steps between."""
    if len(a) <= SHORT:
        return solve_step_by_step(a, b, initial)
    n = len(a) // 2 * 2
    odd = odd_even_scan(a[1:n:2] * a[0:n:2], torch.addcmul(b[1:n:2], a[1:n:2], b[0:n:2]), initial)
    h = torch.empty(b.shape, dtype=b.dtype, device=b.device)
    h[0], h[1::2] = torch.addcmul(b[0], a[0], initial), odd
    h[2::2] = torch.addcmul(b[2::2], a[2::2], odd[: (len(a) - 1) // 2])
    return h


def solve_step_by_step(a: torch.Tensor, b: torch.Tensor, initial: torch.Tensor) -> torch.Tensor:
    """Solve the recurrence in a loop over the steps."""
    h = [initial]
    for slope, constant in zip(a, b, strict=True):
        h.append(torch.addcmul(constant, slope, h[-1]))
    return torch.stack(h[1:])
