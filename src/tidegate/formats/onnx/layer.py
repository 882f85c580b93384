"""Add one layer of a model as nodes: most by their own equations, over all steps or inside a Scan."""

from __future__ import annotations

from typing import Any

from ... import layers
from ...layers import bidirectional, recurrent
from ...tape import Tape
from . import conv, proto, scan, standard
from .context import GraphContext
from .graph import Tensor
from .standard import Weights

States = dict[str, Tensor]
Layer = dict[str, Any]


def run(
    ctx: GraphContext, layer: Layer, tapes: dict[str, Tape], t: Weights, s: States, x: Tensor
) -> tuple[Tensor, States]:
    """Add a layer; return its outputs and next states.

    t: role -> array. s: name -> [B, *shape]. x: [T, B, inputs] or [B, inputs]; ids without the last axis.
    """
    module = layers.load(layer["kind"])
    if layer["kind"] == "bidirectional":
        return add_bidirectional(ctx, layer, tapes[layer["tape"]], t, x), {}
    if layer["kind"] == "final":
        return add_final(ctx, x), {}
    if layer["kind"] == "recurrent" and s:
        return add_recurrent(ctx, layer, tapes[layer["tape"]], t, s, x)
    if layer["kind"] == "conv" and ctx.sequence and layer["width"] > 1:
        return conv.run(ctx, layer, t, s, x)
    if not s or not ctx.sequence:
        y, following = module.step(ctx.g, layer, tapes, t, s, x, ctx.steps)
        return y, following

    def step(before: States, x: list[Tensor]) -> tuple[Tensor, States]:
        y, after = module.step(ctx.g, layer, tapes, t, before, x[0], x[1])
        return y, after

    shapes = {name: shape for name, (shape, _) in module.state(layer, tapes).items()}
    y, last = scan.scan(ctx, step, s, shapes, [x, ctx.steps])
    return y, last


def add_recurrent(
    ctx: GraphContext, layer: Layer, tape: Tape, t: Weights, s: States, x: Tensor
) -> tuple[Tensor, States]:
    """Add a recurrent layer, by ONNX's own node if there is one."""
    g, node = ctx.g, standard.find_standard_node(tape)
    if node is None:
        return scan.run(ctx, layer, tape, t, s, x)
    if ctx.sequence:
        return standard.run(ctx, node, tape, [t], s, x)
    y, last = standard.run(ctx, node, tape, [t], s, g.apply("Unsqueeze", x, g.int64s(0)))
    return g.apply("Squeeze", y, g.int64s(0)), last


def add_bidirectional(ctx: GraphContext, layer: Layer, tape: Tape, t: Weights, x: Tensor) -> Tensor:
    """Add a bidirectional layer [T, B, 2 H]; the backward part starts at each row's own last step."""
    directions = [bidirectional.select_direction(direction, dict(t)) for direction in bidirectional.DIRECTIONS]
    if node := standard.find_standard_node(tape):
        return standard.run(ctx, node, tape, list[Weights](directions), {}, x)[0]
    g = ctx.g
    halves = []
    for direction, own in zip(bidirectional.DIRECTIONS, directions, strict=True):
        s = {name: ctx.fill(*first) for name, first in recurrent.state(layer, {layer["tape"]: tape}).items()}
        y, _ = scan.run(ctx, layer, tape, own, s, reverse_rows(ctx, x, direction))
        halves.append(reverse_rows(ctx, y, direction))
    return g.concat(halves)


def add_final(ctx: GraphContext, x: Tensor) -> Tensor:
    """Add a final layer: for every step, the forward half at a row's last step and the backward half at its first."""
    g = ctx.g
    last, first = (
        g.apply("Slice", v, g.int64s(0), g.int64s(1), g.int64s(0)) for v in (reverse_rows(ctx, x, "backward"), x)
    )
    return g.apply("Expand", g.concat([g.split(last, 2)[0], g.split(first, 2)[1]]), g.apply("Shape", x))


def reverse_rows(ctx: GraphContext, x: Tensor, direction: str) -> Tensor:
    """Return a sequence in a direction: backward, each row runs from its last step to its first; padding stays."""
    assert ctx.lengths is not None
    if direction == "forward":
        return x
    lengths = ctx.g.cast(ctx.lengths, proto.INT64)
    return ctx.g.apply("ReverseSequence", x, lengths, time_axis=0, batch_axis=1)
