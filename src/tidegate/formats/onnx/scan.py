"""A step over time: a Scan whose body is the step's own equations. Rows past their length keep their state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...layers.recurrent import Recurrent
from ...tape import flat_width, interpret, resolve_shape
from . import proto
from .context import GraphContext
from .graph import Body, Tensor, prune
from .standard import Weights

States = dict[str, Tensor]
Step = Callable[[States, list[Tensor]], tuple[Tensor, States]]


def scan(
    ctx: GraphContext,
    step: Step,
    s: States,
    shapes: dict[str, tuple[int, ...]],
    xs: list[Tensor],
    ids: bool = False,
) -> Any:
    """Scan `step(states, inputs) -> (output, next states)`; return outputs [T, B, width] and last states.

    s, shapes: name -> [B, *shape], and that shape. xs: each [T, B, width]; a step gets [B, width] of each.
    ids: the first of them has token ids, int32, and not float32.
    """
    g, names = ctx.g, list(s)
    with g.body() as nodes:
        before = {name: Tensor(g, g.new_name(name)) for name in names}
        mask, *x = (Tensor(g, g.new_name(what)) for what in ("on", *["x"] * len(xs)))
        y, after = step(before, x)
        next_states = {
            name: g.apply("Where", expand_mask(mask, shapes[name]), after[name], before[name]) for name in names
        }
        out = g.apply("Identity", y)
    inputs = [proto.value(before[name].name, "float32", ["B", *shapes[name]]) for name in names]
    inputs += [proto.value(mask.name, "bool", ["B", 1])]
    kinds = ["int32" if ids else "float32", *["float32"] * len(x)]
    inputs += [proto.value(v.name, kind, ["B", g.new_name("width")]) for v, kind in zip(x, kinds, strict=False)]
    outputs = [proto.value(next_states[name].name, "float32", ["B", *shapes[name]]) for name in names]
    outputs += [proto.value(out.name, "float32", ["B", g.new_name("width")])]
    body_nodes, reads = prune(nodes, {out.name, *(v.name for v in next_states.values())})
    body = Body(proto.graph(f"{g.scope}/body", body_nodes, inputs, outputs), frozenset(reads))
    *last, ys = g.apply_many(len(names) + 1, "Scan", *s.values(), ctx.mask, *xs, body=body, num_scan_inputs=1 + len(xs))
    return ys, dict(zip(names, last, strict=True))


def expand_mask(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Reshape a mask [B, 1] to [B, 1, ...], for a state with more axes."""
    return mask if len(shape) == 1 else mask.reshape(0, *[1] * len(shape))


def run(ctx: GraphContext, layer: Recurrent, t: Weights, s: States, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Add a recurrent layer by its tape, over a sequence or for a step; W x + b is computed for all steps at once.

    s: name -> [B, *shape]. x: [T, B, inputs] or [B, inputs].
    """
    tape, (H, P) = layer.tape, layer.sizes
    widths = {name: flat_width(shape, H, P) for name, shape in tape.state.items()}
    flat = {name: v if len(tape.state[name]) == 1 else v.reshape(0, widths[name]) for name, v in s.items()}
    parts = ctx.g.affine(x, t["W"], t["b"])

    def step(before: States, x: list[Tensor]) -> tuple[Tensor, States]:
        return run_tape(ctx, layer, t, before, x[0])

    if ctx.sequence:
        y, last = scan(ctx, step, flat, {name: (n,) for name, n in widths.items()}, [parts])
    else:
        y, last = step(flat, [parts])
    shapes = {name: resolve_shape(shape, H, P) for name, shape in tape.state.items()}
    return y, {name: v if len(shapes[name]) == 1 else v.reshape(0, *shapes[name]) for name, v in last.items()}


def run_tape(ctx: GraphContext, layer: Recurrent, t: Weights, before: States, parts: Tensor) -> tuple[Tensor, States]:
    """Add one step, instruction by instruction. parts: W x + b of all gates, [B, G H]."""
    g, tape = ctx.g, layer.tape
    x = dict(zip(tape.gates, g.split(parts, len(tape.gates)), strict=True))
    params = {name: t[f"p.{name}"].reshape(-1) for name in tape.params}
    return interpret(tape, g, x, layer.make_maps(g, dict(t)), params, before)
