"""Add one layer of a model as nodes: most by their own equations, over all steps or inside a Scan."""

from __future__ import annotations

from collections.abc import Callable

from ...layers import Layer
from ...layers.bidirectional import DIRECTIONS, Bidirectional, select_direction
from ...layers.conv import Conv
from ...layers.delay import Delay
from ...layers.final import Final
from ...layers.recurrent import Recurrent
from . import conv, proto, scan, standard
from .context import GraphContext
from .graph import Tensor
from .standard import Weights

States = dict[str, Tensor]


def run(ctx: GraphContext, layer: Layer, t: Weights, s: States, x: Tensor) -> tuple[Tensor, States]:
    """Add a layer; return its outputs and next states.

    t: role -> array. s: name -> [B, *shape]. x: [T, B, inputs] or [B, inputs]; ids without the last axis,
    or [..., ids] if a step has several.
    """
    return ADDERS.get(type(layer), add_equation)(ctx, layer, t, s, x)


def add_equation(ctx: GraphContext, layer: Layer, t: Weights, s: States, x: Tensor) -> tuple[Tensor, States]:
    """Add a layer by its own equation: over all steps at once, or inside a Scan if it has states."""
    if not s and ctx.sequence and layer.reshapes:
        return add_rows(ctx, layer, t, x), {}
    if not s or not ctx.sequence:
        return layer.step(ctx.g, dict(t), s, x, ctx.steps)

    def step(before: States, x: list[Tensor]) -> tuple[Tensor, States]:
        return layer.step(ctx.g, dict(t), before, x[0], x[1])

    shapes = {name: shape for name, (shape, _) in layer.state().items()}
    y, last = scan.scan(ctx, step, s, shapes, [x, ctx.steps], layer.ids > 0)
    return y, last


def add_rows(ctx: GraphContext, layer: Layer, t: Weights, x: Tensor) -> Tensor:
    """Add a layer without states whose step reshapes, over the steps of all rows as so many rows."""
    g, each = ctx.g, [] if layer.ids == 1 else [layer.ids or layer.program.inputs]
    leading = g.apply("Shape", x, start=0, end=2)
    steps = g.apply("Expand", ctx.steps, g.apply("Concat", leading, g.int64s(1), axis=0)).reshape(-1, 1)
    y, _ = layer.step(g, dict(t), {}, x.reshape(-1, *each), steps)
    return g.apply("Reshape", y, g.apply("Concat", leading, g.int64s(layer.width), axis=0))


def add_conv(ctx: GraphContext, layer: Conv, t: Weights, s: States, x: Tensor) -> tuple[Tensor, States]:
    """Add a convolution, over a sequence as one product."""
    return (conv.run if ctx.sequence and layer.window > 1 else add_equation)(ctx, layer, t, s, x)


def add_delay(ctx: GraphContext, layer: Delay, t: Weights, s: States, x: Tensor) -> tuple[Tensor, States]:
    """Add a delay, which changes nothing of whole rows."""
    return (x, {}) if ctx.sequence else add_equation(ctx, layer, t, s, x)


def add_recurrent(ctx: GraphContext, layer: Recurrent, t: Weights, s: States, x: Tensor) -> tuple[Tensor, States]:
    """Add a recurrent layer, by ONNX's own node if there is one."""
    g, node = ctx.g, standard.find_standard_node(layer.tape)
    if not s:
        return add_equation(ctx, layer, t, s, x)
    if node is None:
        return scan.run(ctx, layer, t, s, x)
    if ctx.sequence:
        return standard.run(ctx, node, layer.tape, [t], s, x)
    y, last = standard.run(ctx, node, layer.tape, [t], s, g.apply("Unsqueeze", x, g.int64s(0)))
    return g.apply("Squeeze", y, g.int64s(0)), last


def add_bidirectional(
    ctx: GraphContext, layer: Bidirectional, t: Weights, s: States, x: Tensor
) -> tuple[Tensor, States]:
    """Add a bidirectional layer [T, B, 2 H]; the backward part starts at each row's own last step."""
    weights = {way: select_direction(way, dict(t)) for way in DIRECTIONS}
    if node := standard.find_standard_node(layer.tape):
        return standard.run(ctx, node, layer.tape, list[Weights](weights.values()), {}, x)[0], {}
    halves = []
    for way, own in weights.items():
        half = layer.direction(way)
        y, _ = scan.run(ctx, half, own, ctx.fill_states(half.state()), reverse_rows(ctx, x, way))
        halves.append(reverse_rows(ctx, y, way))
    return ctx.g.concat(halves), {}


def add_final(ctx: GraphContext, layer: Final, t: Weights, s: States, x: Tensor) -> tuple[Tensor, States]:
    """Add a final layer: for every step, the forward half at a row's last step and the backward half at its first."""
    g = ctx.g
    last, first = (
        g.apply("Slice", v, g.int64s(0), g.int64s(1), g.int64s(0)) for v in (reverse_rows(ctx, x, "backward"), x)
    )
    return g.apply("Expand", g.concat([g.split(last, 2)[0], g.split(first, 2)[1]]), g.apply("Shape", x)), {}


def reverse_rows(ctx: GraphContext, x: Tensor, direction: str) -> Tensor:
    """Return a sequence in a direction: backward, each row runs from its last step to its first; padding stays."""
    assert ctx.lengths is not None
    if direction == "forward":
        return x
    lengths = ctx.g.cast(ctx.lengths, proto.INT64)
    return ctx.g.apply("ReverseSequence", x, lengths, time_axis=0, batch_axis=1)


# What is not here is added by its own equation.
ADDERS: dict[type[Layer], Callable[..., tuple[Tensor, States]]] = {
    Conv: add_conv,
    Delay: add_delay,
    Recurrent: add_recurrent,
    Bidirectional: add_bidirectional,
    Final: add_final,
}
