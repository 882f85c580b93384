"""Run one step of a tape or a program with any namespace of operations: the native interpreters, readable."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import CellError
from .program import ELEMENTWISE, Program
from .tape import Tape


def interpret(
    tape: Tape,
    op: Any,
    x: Mapping[str, Any],
    R: Mapping[str, Callable[[Any], Any]],
    p: Mapping[str, Any],
    s: Mapping[str, Any],
) -> tuple[Any, dict[str, Any]]:
    """Return the output and the next states of one step.

    op: namespace with the operations as functions (`NumpyOps`, or that of another reader). x: gate -> W_g x + b_g,
    [rows, H]. R: recurrent map -> function v -> R_g v + c_g; for a tape with a projection also "project" -> function
    v -> Q v. p, s: name -> parameter [width] and state [rows, width], each flattened.

    >>> from tidegate.tape import NumpyOps, trace
    >>> tape = trace(lambda op, x, R, p, s: (x.n + s.h, s.replace(h=x.n)), ("n",), (), {"h": ("H",)}, {})
    >>> y, states = interpret(tape, NumpyOps, {"n": 3.0}, {}, {}, {"h": 4.0})
    >>> float(y), states
    (7.0, {'h': 3.0})
    """
    reg: list[Any] = []
    for ins in tape.instructions:
        a = ins.args
        match ins.name:
            case "input":
                reg.append(x[a[0]])
            case "state":
                reg.append(s[a[0]])
            case "param":
                reg.append(p[a[0]])
            case "const":
                reg.append(a[0])
            case "recur":
                reg.append(R[a[0]](reg[a[1]]))
            case "project":
                reg.append(R["project"](reg[a[0]]))
            case name:
                reg.append(getattr(op, name)(*(reg[r] for r in a)))
    return reg[tape.output], {name: reg[r] for name, r in tape.next.items()}


def run_program(
    program: Program, xp: Any, t: Mapping[str, Any], s: Mapping[str, Any], x: Any, steps: Any
) -> tuple[Any, dict[str, Any]]:
    """Return the output and the next states of one step, as the layer's own `step` does; see `layers`.

    >>> import numpy as np
    >>> from tidegate.tape import NumpyOps, lower
    >>> program = lower(lambda xp, t, s, x, steps: (s["y"] + x, {"y": s["y"] + x}), 2, 0, {}, {"y": (2,)})
    >>> run_program(program, NumpyOps, {}, {"y": np.ones((1, 2))}, np.ones((1, 2)), np.ones((1, 1)))[0]
    array([[2., 2.]])
    """
    reg: list[Any] = []
    for ins, shape in zip(program.instructions, program.shapes, strict=True):
        a, name = ins.args, ins.name
        if name == "input":
            reg.append(x)
        elif name == "state":
            reg.append(s[a[0]])
        elif name == "steps":
            reg.append(steps)
        elif name == "tensor":
            reg.append(view(t[a[0]], program.tensors[a[0]], a[1], shape))
        elif name == "const":
            reg.append(a[0])
        elif name == "take":
            reg.append(xp.take(reg[a[0]], xp.columns(x, program.ids)[a[1]] if program.ids > 1 else x))
        elif name == "bag":
            reg.append(xp.bag(reg[a[0]], x))
        elif name == "reshape":
            reg.append(reg[a[0]].reshape(reg[a[0]].shape[0], *shape))
        elif name == "concat":
            reg.append(xp.concat([reg[r] for r in a]))
        elif name == "part":
            reg.append(xp.split(reg[a[0]], a[2])[a[1]])
        elif name in ("sum", "peak"):
            reg.append(getattr(xp, name)(reg[a[0]], a[1] - len(shape)))
        elif name in ELEMENTWISE or name in ("affine", "matmul", "dot", "mean", "push"):
            reg.append(getattr(xp, name)(*(reg[r] for r in a)))
        else:
            raise CellError(f"operation {name!r} has no meaning here")
    return reg[program.output], {name: reg[r] for name, r in program.next.items()}


def view(tensor: Any, whole: tuple[int, ...], start: int, shape: tuple[int, ...]) -> Any:
    """Return the numbers of a tensor from `start` on, in a shape; the tensor itself if that is all of it."""
    if shape == tuple(whole):
        return tensor
    return tensor.reshape(-1)[start : start + math.prod(shape)].reshape(*shape)
