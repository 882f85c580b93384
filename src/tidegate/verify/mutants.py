"""Models and operations with one mistake each, as implementations have had them; a bound must detect each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import cells
from ..cells import gru
from ..layers.recurrent import Recurrent
from ..model import Model
from ..runtime.precision import round_to_bf16
from ..tape import NumpyOps, trace

Step = Callable[..., Any]


def reset_before(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
    r = op.sigmoid(x.r + R.r(s.h))
    z = op.sigmoid(x.z + R.z(s.h))
    n = op.tanh(x.n + R.n(r * s.h))
    h = n + z * (s.h - n)
    return h, s.replace(h=h)


def gates_swapped(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
    r = op.sigmoid(x.z + R.z(s.h))
    z = op.sigmoid(x.r + R.r(s.h))
    n = op.tanh(x.n + r * R.n(s.h))
    h = n + z * (s.h - n)
    return h, s.replace(h=h)


def hard_sigmoid(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
    def hard(v: Any) -> Any:
        return op.maximum(op.minimum(0.2 * v + 0.5, 1.0), 0.0)

    r, z = hard(x.r + R.r(s.h)), hard(x.z + R.z(s.h))
    n = op.tanh(x.n + r * R.n(s.h))
    h = n + z * (s.h - n)
    return h, s.replace(h=h)


def update_flipped(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
    r = op.sigmoid(x.r + R.r(s.h))
    z = op.sigmoid(x.z + R.z(s.h))
    n = op.tanh(x.n + r * R.n(s.h))
    h = s.h + z * (n - s.h)
    return h, s.replace(h=h)


STEPS: dict[str, Step] = {
    "reset moved": reset_before,
    "gates swapped": gates_swapped,
    "hard sigmoid": hard_sigmoid,
    "update flipped": update_flipped,
}
BIASES = {"input bias dropped": "b", "recurrent bias dropped": "c"}


def mutants(model: Model) -> dict[str, Model]:
    """Return mistake -> the model with that mistake. The model's cells are GRUs with `reset` after."""
    wrong = {what: replace_step(model, step) for what, step in STEPS.items()}
    return wrong | {what: zero_bias(model, role) for what, role in BIASES.items()}


def wrong_variants(model: Model) -> dict[str, Model]:
    """Return mistake -> the model with that mistake, for any cell.

    The mistakes are the equations of other dialects with the same weights, two gates swapped, and biases left out.
    """
    layer = recurrences(model)[0]
    wrong = {}
    for dialect in cells.list_dialects(layer.cell):
        tape, own = cells.load(layer.cell, dialect).tape, layer.tape
        if tape != own and (tape.params, tape.state) == (own.params, own.state):
            changed = [f"{k}={v}" for k, v in dialect.items() if layer.dialect.get(k) != v]
            tapes = {name: tape.to_json() for name in model.tapes}
            wrong[", ".join(changed)] = Model({**model.document, "tapes": tapes}, model.tensors)
    if len(layer.tape.gates) > 1:
        wrong["gates swapped"] = swap_gates(model, layer)
    roles = {what: role for what, role in BIASES.items() if model.tensors[layer.tensors[role]].size}
    return wrong | {what: zero_bias(model, role) for what, role in roles.items()}


def wrong_sums(model: Model) -> dict[str, Model]:
    """Return mistake -> the model with that mistake, for a model that adds the rows of several ids.

    The mistakes are the mean in place of the sum, and a table of fewer digits.
    """
    layer = model.layers[0]
    name = layer.tensors["weight"]
    table = model.tensors[name]
    wrong: dict[str, Any] = {"mean": table / np.float32(layer.ids), "table of bfloat16": round_to_bf16(table)}
    return {what: Model(model.document, {**model.tensors, name: v}) for what, v in wrong.items()}


def recurrences(model: Model) -> list[Recurrent]:
    """Return the recurrences in one direction."""
    return [layer for layer in model.layers if type(layer) is Recurrent]


def swap_gates(model: Model, layer: Recurrent) -> Model:
    """Return the model with its first two gates swapped in W."""
    name = layer.tensors["W"]
    first, second, *rest = np.split(model.tensors[name], len(layer.tape.gates))
    return Model(model.document, {**model.tensors, name: np.concatenate([second, first, *rest])})


def replace_step(model: Model, step: Step) -> Model:
    tape = trace(step, gru.GATES, gru.RECURRENT, gru.STATE, {})  # type: ignore[arg-type]
    return Model({**model.document, "tapes": {name: tape.to_json() for name in model.tapes}}, model.tensors)


def zero_bias(model: Model, role: str) -> Model:
    names = {layer.tensors[role] for layer in recurrences(model)}
    return Model(model.document, {n: np.zeros_like(v) if n in names else v for n, v in model.tensors.items()})


class DotWithoutOneTerm(NumpyOps):
    @staticmethod
    def dot(x: Any, y: Any) -> Any:
        return NumpyOps.sum((x * y)[..., 1:])


class PushAtTheWrongEnd(NumpyOps):
    @staticmethod
    def push(window: Any, x: Any) -> Any:
        return np.concatenate([x[:, None], window[:, :-1]], axis=1)


class SelectInverted(NumpyOps):
    @staticmethod
    def select(condition: Any, x: Any, y: Any) -> Any:
        return NumpyOps.select(condition, y, x)


class SumOverTheWrongAxis(NumpyOps):
    @staticmethod
    def sum(x: Any, axis: int = -1) -> Any:
        """Sum over the last axis instead; the result keeps the shape that it should have."""
        right = NumpyOps.sum(x, axis)
        return np.resize(NumpyOps.sum(x), right.shape)


# Mistake -> operations with that mistake, for layers that run by their own equations.
WRONG_OPERATIONS: dict[str, type[NumpyOps]] = {
    "dot without one term": DotWithoutOneTerm,
    "push at the wrong end": PushAtTheWrongEnd,
    "select inverted": SelectInverted,
    "sum over the wrong axis": SumOverTheWrongAxis,
}
