"""One layer of a model as nodes: most by their own equations, over all steps or inside a Scan."""

from __future__ import annotations

from typing import Any

from ... import layers
from ...layers import bidirectional, recurrent
from ...tape import Tape
from . import conv, proto, scan, standard
from .context import Frame
from .graph import Value
from .standard import Weights

States = dict[str, Value]
Layer = dict[str, Any]


def run(frame: Frame, layer: Layer, tapes: dict[str, Tape], t: Weights, s: States, x: Value) -> tuple[Value, States]:
    """A layer's outputs and next states.

    t: role -> array. s: name -> [B, *shape]. x: [T, B, inputs] or [B, inputs]; ids without the last axis.
    """
    room = layers.load(layer["kind"])
    if layer["kind"] == "bidirectional":
        return both_ways(frame, layer, tapes[layer["tape"]], t, x), {}
    if layer["kind"] == "final":
        return final(frame, x), {}
    if layer["kind"] == "recurrent" and s:
        return one_way(frame, layer, tapes[layer["tape"]], t, s, x)
    if layer["kind"] == "conv" and frame.sequence and layer["width"] > 1:
        return conv.run(frame, layer, t, s, x)
    if not s or not frame.sequence:
        y, following = room.step(frame.g, layer, tapes, t, s, x, frame.steps)
        return y, following

    def step(before: States, x: list[Value]) -> tuple[Value, States]:
        y, after = room.step(frame.g, layer, tapes, t, before, x[0], x[1])
        return y, after

    shapes = {name: shape for name, (shape, _) in room.state(layer, tapes).items()}
    y, last = scan.scan(frame, step, s, shapes, [x, frame.steps])
    return y, last


def one_way(frame: Frame, layer: Layer, tape: Tape, t: Weights, s: States, x: Value) -> tuple[Value, States]:
    """A recurrent layer, by ONNX's own node where there is one."""
    g, form = frame.g, standard.form_of(tape)
    if form is None:
        return scan.run(frame, layer, tape, t, s, x)
    if frame.sequence:
        return standard.run(frame, form, tape, [t], s, x)
    y, last = standard.run(frame, form, tape, [t], s, g.one("Unsqueeze", x, g.whole(0)))
    return g.one("Squeeze", y, g.whole(0)), last


def both_ways(frame: Frame, layer: Layer, tape: Tape, t: Weights, x: Value) -> Value:
    """A bidirectional layer [T, B, 2 H]; the backward part starts at each row's own last step."""
    ways = [bidirectional.one_way(way, dict(t)) for way in bidirectional.DIRECTIONS]
    if form := standard.form_of(tape):
        return standard.run(frame, form, tape, list[Weights](ways), {}, x)[0]
    g = frame.g
    found = []
    for way, own in zip(bidirectional.DIRECTIONS, ways, strict=True):
        s = {name: frame.filled(*first) for name, first in recurrent.state(layer, {layer["tape"]: tape}).items()}
        y, _ = scan.run(frame, layer, tape, own, s, turned(frame, x, way))
        found.append(turned(frame, y, way))
    return g.concat(found)


def final(frame: Frame, x: Value) -> Value:
    """The forward half at each row's last step and the backward half at its first, for every step: [T, B, 2 H]."""
    g = frame.g
    last, first = (g.one("Slice", v, g.whole(0), g.whole(1), g.whole(0)) for v in (turned(frame, x, "backward"), x))
    return g.one("Expand", g.concat([g.split(last, 2)[0], g.split(first, 2)[1]]), g.one("Shape", x))


def turned(frame: Frame, x: Value, way: str) -> Value:
    """Backward: each row from its last step to its first; what is past its length stays."""
    assert frame.lengths is not None
    if way == "forward":
        return x
    lengths = frame.g.cast(frame.lengths, proto.INT64)
    return frame.g.one("ReverseSequence", x, lengths, time_axis=0, batch_axis=1)
