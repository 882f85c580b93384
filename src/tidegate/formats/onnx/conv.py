"""A convolution over time as one product: the windows of all steps side by side, times the weights."""

from __future__ import annotations

from typing import Any

from ...layers import conv
from . import proto
from .context import Frame
from .graph import Value
from .standard import Weights


def run(
    frame: Frame, layer: dict[str, Any], t: Weights, s: dict[str, Value], x: Value
) -> tuple[Value, dict[str, Value]]:
    """Outputs [T, B, size], and the last k - 1 inputs of each row where the layer is causal.

    s: past [B, k - 1, inputs], where it is. x: [T, B, inputs].
    """
    g, k, x = frame.g, layer["width"], frame.within(x)
    if layer["centred"]:
        pads = g.whole((k - 1) // 2, 0, 0, k // 2, 0, 0)
        line = g.one("Pad", x, pads)
    else:
        line = g.one("Concat", g.one("Transpose", s["past"], perm=[1, 0, 2]), x, axis=0)
    T = g.dim(x, 0)
    windows = [g.one("Slice", line, g.whole(j), g.one("Add", T, g.whole(j)), g.whole(0)) for j in range(k)]
    y = conv.activated(g, layer, g.affine(g.concat(windows), t["weight"], t["bias"]))
    return y, {} if layer["centred"] else {"past": past(frame, line, k)}


def past(frame: Frame, line: Value, k: int) -> Value:
    """What each row saw last: the k - 1 entries of `line` [k - 1 + T, B, inputs] from the row's length on."""
    g = frame.g
    assert frame.lengths is not None
    ends = g.cast(frame.lengths, proto.INT64).reshape(-1, 1, 1)
    places = g.one("Add", ends, g.whole(*range(k - 1)).reshape(1, -1, 1))
    return g.one("GatherND", g.one("Transpose", line, perm=[1, 0, 2]), places, batch_dims=1)
