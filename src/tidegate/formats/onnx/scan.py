"""A step of ours over time: a Scan, whose body is the step's own equations. Rows past their length keep their state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...layers import recurrent
from ...tape import Tape, concrete, interpret, width
from . import proto
from .context import Frame
from .graph import Body, Value, needed
from .standard import Weights

States = dict[str, Value]
Step = Callable[[States, list[Value]], tuple[Value, States]]


def scan(frame: Frame, step: Step, s: States, shapes: dict[str, tuple[int, ...]], xs: list[Value]) -> Any:
    """Outputs [T, B, width] and last states of `step(states, inputs) -> (output, next states)`.

    s, shapes: name -> [B, *shape], and that shape. xs: each [T, B, width]; a step gets [B, width] of each.
    """
    g, names = frame.g, list(s)
    with g.body() as nodes:
        before = {name: Value(g, g.fresh(name)) for name in names}
        on, *x = (Value(g, g.fresh(what)) for what in ("on", *["x"] * len(xs)))
        y, after = step(before, x)
        kept = {name: g.one("Where", spread(on, shapes[name]), after[name], before[name]) for name in names}
        out = g.one("Identity", y)
    inputs = [proto.value(before[name].name, "float32", ["B", *shapes[name]]) for name in names]
    inputs += [proto.value(on.name, "bool", ["B", 1])]
    inputs += [proto.value(v.name, "float32", ["B", g.fresh("width")]) for v in x]
    outputs = [proto.value(kept[name].name, "float32", ["B", *shapes[name]]) for name in names]
    outputs += [proto.value(out.name, "float32", ["B", g.fresh("width")])]
    kept_nodes, reads = needed(nodes, {out.name, *(v.name for v in kept.values())})
    body = Body(proto.graph(f"{g.place}/body", kept_nodes, inputs, outputs), frozenset(reads))
    *last, ys = g.outputs(len(names) + 1, "Scan", *s.values(), frame.on, *xs, body=body, num_scan_inputs=1 + len(xs))
    return ys, dict(zip(names, last, strict=True))


def spread(on: Value, shape: tuple[int, ...]) -> Value:
    """[B, 1] as [B, 1, ...] beside a state of more axes."""
    return on if len(shape) == 1 else on.reshape(0, *[1] * len(shape))


def run(
    frame: Frame, layer: dict[str, Any], tape: Tape, t: Weights, s: States, x: Value
) -> tuple[Value, dict[str, Value]]:
    """A recurrent layer by its tape, over a sequence or for a step; W x + b for all steps at once.

    s: name -> [B, *shape]. x: [T, B, inputs] or [B, inputs].
    """
    H, P = recurrent.sizes(layer)
    widths = {name: width(shape, H, P) for name, shape in tape.state.items()}
    flat = {name: v if len(tape.state[name]) == 1 else v.reshape(0, widths[name]) for name, v in s.items()}
    parts = frame.g.affine(x, t["W"], t["b"])

    def step(before: States, x: list[Value]) -> tuple[Value, States]:
        return by_tape(frame, layer, tape, t, before, x[0])

    if frame.sequence:
        y, last = scan(frame, step, flat, {name: (n,) for name, n in widths.items()}, [parts])
    else:
        y, last = step(flat, [parts])
    shapes = {name: concrete(shape, H, P) for name, shape in tape.state.items()}
    return y, {name: v if len(shapes[name]) == 1 else v.reshape(0, *shapes[name]) for name, v in last.items()}


def by_tape(
    frame: Frame, layer: dict[str, Any], tape: Tape, t: Weights, before: States, parts: Value
) -> tuple[Value, States]:
    """One step, instruction by instruction; parts: W x + b of all gates, [B, G H]."""
    g, (H, _) = frame.g, recurrent.sizes(layer)
    x = dict(zip(tape.gates, g.split(parts, len(tape.gates)), strict=True))
    params = {name: t[f"p.{name}"].reshape(-1) for name in tape.params}
    return interpret(tape, g, x, recurrent.maps(g, dict(t), tape, H), params, before)
