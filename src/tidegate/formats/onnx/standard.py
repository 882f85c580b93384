"""The recurrences that ONNX has nodes of. A tape is one of them when it is identical to the cell's, whatever it is
called; weights are put into the order of the node's gates.

Source: ONNX operators GRU-14, LSTM-14, RNN-14.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import cells
from ...tape import Tape
from .context import Frame
from .graph import Value

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]


@dataclass(frozen=True)
class Form:
    """A node and the cell that it computes. order: our gates in the order of the node's. state: in the order of its
    inputs. activations: one for each direction, where the node does not have the cell's by itself."""

    node: str
    cell: str
    dialect: dict[str, str]
    order: tuple[str, ...]
    state: tuple[str, ...] = ("h",)
    peepholes: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    attributes: dict[str, int] = field(default_factory=dict)


GRU, LSTM = ("z", "r", "n"), ("i", "o", "f", "g")
FORMS = (
    Form("GRU", "gru", {"reset": "after"}, GRU, attributes={"linear_before_reset": 1}),
    Form("GRU", "gru", {"reset": "before"}, GRU, attributes={"linear_before_reset": 0}),
    Form("LSTM", "lstm", {}, LSTM, ("h", "c")),
    Form("LSTM", "lstm", {"peepholes": "yes"}, LSTM, ("h", "c"), ("peep_i", "peep_o", "peep_f")),
    Form("RNN", "rnn", {"activation": "tanh"}, ("n",), activations=("Tanh",)),
    Form("RNN", "rnn", {"activation": "relu"}, ("n",), activations=("Relu",)),
)


@cache
def known() -> list[tuple[Tape, Form]]:
    return [(cells.load(form.cell, form.dialect).tape, form) for form in FORMS]


def form_of(tape: Tape) -> Form | None:
    """The node for a tape; None: ONNX has none.

    >>> form_of(cells.load("gru").tape).node, form_of(cells.load("mingru").tape)
    ('GRU', None)
    """
    return next((form for own, form in known() if own == tape), None)


def run(
    frame: Frame, form: Form, tape: Tape, ways: list[Weights], s: dict[str, Value], x: Value
) -> tuple[Value, dict[str, Value]]:
    """Outputs [T, B, H of each way] and last states, by one node.

    ways: the tensors of a recurrent layer, of one direction or of forward and backward. s: name -> [B, H], or
    nothing for zeros. x: [T, B, inputs].
    """
    g, H = frame.g, ways[0]["c"].shape[0] // len(tape.recurrent)
    states = form.state if s else ()
    attributes: dict[str, Any] = {"hidden_size": H, **form.attributes}
    attributes |= {"direction": "bidirectional"} if len(ways) == 2 else {}
    attributes |= {"activations": list(form.activations) * len(ways)} if form.activations else {}
    inputs: list[Value | None] = [x, *matrices(frame, form, tape, ways), frame.lengths]
    inputs += [g.one("Unsqueeze", s[name], g.whole(0)) for name in states]
    if form.peepholes:
        inputs += [None] * (len(form.state) - len(states))
        inputs.append(stacked(frame, "P", [peeps(form, way) for way in ways]))
    y, *last = g.outputs(1 + len(states), form.node, *inputs, **attributes)
    y, end = with_nan(frame, y, x, list(s.values()), len(ways))
    ends = {name: g.one("Squeeze", v, g.whole(0)) + end for name, v in zip(states, last, strict=True)}
    return sides(frame, y, len(ways)), {name: kept(frame, v, s[name]) for name, v in ends.items()}


def with_nan(frame: Frame, y: Value, x: Value, states: list[Value], ways: int) -> tuple[Value, Value]:
    """The node's outputs [T, ways, B, H] with NaN from a row's first one on, of which onnxruntime's GRU, LSTM and relu
    make numbers; and what is added to the last states for that, 0 or NaN: [B, 1].

    x: [T, B, inputs]. states: each [B, H], before the first step. One among them is one in all gates of that step, and
    so in all that follows.
    """
    g, axis = frame.g, frame.g.constant("axis.0", np.array(0, np.int64))
    seen = nan(frame, x) if frame.on is None else frame.within(nan(frame, x))
    before = [nan(frame, v) for v in states]
    every = [g.one("CumSum", seen, axis), g.one("CumSum", seen, axis, reverse=1)][:ways]
    sides = [sum(before, v) for v in every]
    y = y + g.one("Concat", *(g.one("Unsqueeze", v, g.whole(1)) for v in sides), axis=1)
    return y, sum(before, g.one("ReduceSum", seen, g.whole(0), keepdims=0))


def nan(frame: Frame, v: Value) -> Value:
    """NaN where there is one along the last axis, which stays with size 1, and 0 elsewhere."""
    g = frame.g
    return g.sum(g.one("Where", g.one("IsNaN", v), math.nan, 0.0))


def kept(frame: Frame, last: Value, first: Value) -> Value:
    """A row of length 0 keeps its state; ONNX does not say what a node makes of such a row."""
    if frame.lengths is None:
        return last
    some = frame.g.one("Greater", frame.lengths, frame.g.constant("none", np.zeros(1, np.int32)))
    return frame.g.one("Where", some.reshape(-1, 1), last, first)


def matrices(frame: Frame, form: Form, tape: Tape, ways: list[Weights]) -> tuple[Value, Value, Value]:
    """W [ways, G H, inputs], R [ways, G H, H] and both biases [ways, 2 G H], in the node's order of gates."""

    def ordered(rows: Array, names: tuple[str, ...]) -> Array:
        blocks = np.split(rows, len(names))
        return np.concatenate([blocks[names.index(gate)] for gate in form.order])

    return (
        stacked(frame, "W", [ordered(t["W"], tape.gates) for t in ways]),
        stacked(frame, "R", [ordered(t["R"], tape.recurrent) for t in ways]),
        stacked(
            frame, "B", [np.concatenate([ordered(t["b"], tape.gates), ordered(t["c"], tape.recurrent)]) for t in ways]
        ),
    )


def peeps(form: Form, t: Weights) -> Array:
    return np.concatenate([t[f"p.{name}"] for name in form.peepholes])


def stacked(frame: Frame, role: str, arrays: list[Array]) -> Value:
    return frame.g.constant(f"{frame.g.place}/{role}", np.stack(arrays))


def sides(frame: Frame, y: Value, ways: int) -> Value:
    """[T, ways, B, H] -> [T, B, ways H]."""
    if ways == 1:
        return frame.g.one("Squeeze", y, frame.g.whole(1))
    return frame.g.one("Transpose", y, perm=[0, 2, 1, 3]).reshape(0, 0, -1)
