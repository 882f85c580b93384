"""Run one step of a tape with any namespace of operations: the readable counterpart of the native interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
