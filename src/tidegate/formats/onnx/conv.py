"""A convolution over time as one product: the windows of all steps, side by side, times the weights."""

from __future__ import annotations

from ...layers.conv import Conv
from . import proto
from .context import GraphContext
from .graph import Tensor
from .standard import Weights


def run(
    ctx: GraphContext, layer: Conv, t: Weights, s: dict[str, Tensor], x: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the outputs [T, B, size] and, for a causal layer, the last k - 1 inputs of each row.

    s: past [B, k - 1, inputs], for a causal layer; one that looks ahead runs whole rows. x: [T, B, inputs].
    """
    g, k, x = ctx.g, layer.window, ctx.zero_padding(x)
    if layer.ahead:
        pads = g.int64s(k - 1 - layer.ahead, 0, 0, layer.ahead, 0, 0)
        line = g.apply("Pad", x, pads)
    else:
        line = g.apply("Concat", g.apply("Transpose", s["past"], perm=[1, 0, 2]), x, axis=0)
    T = g.dim(x, 0)
    windows = [g.apply("Slice", line, g.int64s(j), g.apply("Add", T, g.int64s(j)), g.int64s(0)) for j in range(k)]
    y = layer.apply(g, dict(t), g.concat(windows))
    return y, {} if layer.ahead else {"past": next_past(ctx, line, k)}


def next_past(ctx: GraphContext, line: Tensor, k: int) -> Tensor:
    """Return the last k - 1 inputs of each row: the entries of `line` [k - 1 + T, B, inputs] from its length on."""
    g = ctx.g
    assert ctx.lengths is not None
    ends = g.cast(ctx.lengths, proto.INT64).reshape(-1, 1, 1)
    indices = g.apply("Add", ends, g.int64s(*range(k - 1)).reshape(1, -1, 1))
    return g.apply("GatherND", g.apply("Transpose", line, perm=[1, 0, 2]), indices, batch_dims=1)
