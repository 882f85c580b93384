"""Recurrences that ONNX has nodes for. A tape is one of them if it is identical to the cell's, whatever its name;
weights are put into the order of the node's gates.

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
from .context import GraphContext
from .graph import Tensor

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]


@dataclass(frozen=True)
class StandardNode:
    """An ONNX node and the cell that it computes.

    order: the cell's gates in the node's order. state: in the order of the node's inputs. activations: one for each
    direction, if the node's default is not the cell's.
    """

    op: str
    cell: str
    dialect: dict[str, str]
    order: tuple[str, ...]
    state: tuple[str, ...] = ("h",)
    peepholes: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    attributes: dict[str, int] = field(default_factory=dict)


GRU, LSTM = ("z", "r", "n"), ("i", "o", "f", "g")
STANDARD_NODES = (
    StandardNode("GRU", "gru", {"reset": "after"}, GRU, attributes={"linear_before_reset": 1}),
    StandardNode("GRU", "gru", {"reset": "before"}, GRU, attributes={"linear_before_reset": 0}),
    StandardNode("LSTM", "lstm", {}, LSTM, ("h", "c")),
    StandardNode("LSTM", "lstm", {"peepholes": "yes"}, LSTM, ("h", "c"), ("peep_i", "peep_o", "peep_f")),
    StandardNode("RNN", "rnn", {"activation": "tanh"}, ("n",), activations=("Tanh",)),
    StandardNode("RNN", "rnn", {"activation": "relu"}, ("n",), activations=("Relu",)),
)


@cache
def standard_tapes() -> list[tuple[Tape, StandardNode]]:
    return [(cells.load(node.cell, node.dialect).tape, node) for node in STANDARD_NODES]


def find_standard_node(tape: Tape) -> StandardNode | None:
    """Return the node for a tape; None: ONNX has none.

    >>> find_standard_node(cells.load("gru").tape).op, find_standard_node(cells.load("mingru").tape)
    ('GRU', None)
    """
    return next((node for own, node in standard_tapes() if own == tape), None)


def run(
    ctx: GraphContext, node: StandardNode, tape: Tape, directions: list[Weights], s: dict[str, Tensor], x: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Add one node; return the outputs [T, B, H of each direction] and the last states.

    directions: the tensors of a recurrent layer, for one direction or for forward and backward. s: name -> [B, H], or
    empty for zeros. x: [T, B, inputs].
    """
    g, H = ctx.g, directions[0]["c"].shape[0] // len(tape.recurrent)
    states = node.state if s else ()
    attributes: dict[str, Any] = {"hidden_size": H, **node.attributes}
    attributes |= {"direction": "bidirectional"} if len(directions) == 2 else {}
    attributes |= {"activations": list(node.activations) * len(directions)} if node.activations else {}
    inputs: list[Tensor | None] = [x, *stack_weights(ctx, node, tape, directions), ctx.lengths]
    inputs += [g.apply("Unsqueeze", s[name], g.int64s(0)) for name in states]
    if node.peepholes:
        inputs += [None] * (len(node.state) - len(states))
        inputs.append(stack_constant(ctx, "P", [peephole_weights(node, direction) for direction in directions]))
    y, *last = g.apply_many(1 + len(states), node.op, *inputs, **attributes)
    y, end = propagate_nan(ctx, y, x, list(s.values()), len(directions))
    ends = {name: g.apply("Squeeze", v, g.int64s(0)) + end for name, v in zip(states, last, strict=True)}
    return join_directions(ctx, y, len(directions)), {
        name: keep_empty_rows(ctx, v, s[name]) for name, v in ends.items()
    }


def propagate_nan(
    ctx: GraphContext, y: Tensor, x: Tensor, states: list[Tensor], directions: int
) -> tuple[Tensor, Tensor]:
    """Return the node's outputs [T, directions, B, H] with NaN from a row's first NaN on, and what to add to the last
    states for the same effect, 0 or NaN [B, 1]. onnxruntime's GRU, LSTM and relu turn NaN into numbers.

    x: [T, B, inputs]. states: each [B, H], before the first step. One NaN among them makes all gates of that step NaN,
    and so everything that follows.
    """
    g, axis = ctx.g, ctx.g.constant("axis.0", np.array(0, np.int64))
    marks = mark_nan(ctx, x) if ctx.mask is None else ctx.zero_padding(mark_nan(ctx, x))
    before = [mark_nan(ctx, v) for v in states]
    cumulative = [g.apply("CumSum", marks, axis), g.apply("CumSum", marks, axis, reverse=1)][:directions]
    sides = [sum(before, v) for v in cumulative]
    y = y + g.apply("Concat", *(g.apply("Unsqueeze", v, g.int64s(1)) for v in sides), axis=1)
    return y, sum(before, g.apply("ReduceSum", marks, g.int64s(0), keepdims=0))


def mark_nan(ctx: GraphContext, v: Tensor) -> Tensor:
    """Return NaN where there is one along the last axis, which stays with size 1, and 0 elsewhere."""
    g = ctx.g
    return g.sum(g.apply("Where", g.apply("IsNaN", v), math.nan, 0.0))


def keep_empty_rows(ctx: GraphContext, last: Tensor, first: Tensor) -> Tensor:
    """Keep the state of rows of length 0; ONNX does not define what a node does with them."""
    if ctx.lengths is None:
        return last
    has_steps = ctx.g.apply("Greater", ctx.lengths, ctx.g.constant("none", np.zeros(1, np.int32)))
    return ctx.g.apply("Where", has_steps.reshape(-1, 1), last, first)


def stack_weights(
    ctx: GraphContext, node: StandardNode, tape: Tape, directions: list[Weights]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return W [directions, G H, inputs], R [directions, G H, H] and both biases [directions, 2 G H] in the node's
    order of gates."""

    def ordered(rows: Array, names: tuple[str, ...]) -> Array:
        blocks = np.split(rows, len(names))
        return np.concatenate([blocks[names.index(gate)] for gate in node.order])

    return (
        stack_constant(ctx, "W", [ordered(t["W"], tape.gates) for t in directions]),
        stack_constant(ctx, "R", [ordered(t["R"], tape.recurrent) for t in directions]),
        stack_constant(
            ctx,
            "B",
            [np.concatenate([ordered(t["b"], tape.gates), ordered(t["c"], tape.recurrent)]) for t in directions],
        ),
    )


def peephole_weights(node: StandardNode, t: Weights) -> Array:
    return np.concatenate([t[f"p.{name}"] for name in node.peepholes])


def stack_constant(ctx: GraphContext, role: str, arrays: list[Array]) -> Tensor:
    return ctx.g.constant(f"{ctx.g.scope}/{role}", np.stack(arrays))


def join_directions(ctx: GraphContext, y: Tensor, directions: int) -> Tensor:
    """Reshape [T, directions, B, H] to [T, B, directions H]."""
    if directions == 1:
        return ctx.g.apply("Squeeze", y, ctx.g.int64s(1))
    return ctx.g.apply("Transpose", y, perm=[0, 2, 1, 3]).reshape(0, 0, -1)
