"""Fused kernels run exactly the equations that they implement, and have the same bits as the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate import _native, cells
from tidegate.model import Model
from tidegate.runtime import compile
from tidegate.runtime.precision import PRECISIONS, to_arguments
from tidegate.tape import Tape
from tidegate.verify.samples import sample

DIALECTS = [(name, dialect) for name in cells.names() for dialect in cells.list_dialects(name)]
INTERPRETED = {"projection": "yes"}  # dialects that no fused kernel has
LENGTHS = np.array([9, 1, 9, 4, 0, 7, 9, 2, 3, 9, 5, 9, 8, 9, 6, 1, 9, 9, 9], np.int32)


def has_fused_kernel(dialect: dict[str, str]) -> bool:
    return not any(dialect.get(key) == choice for key, choice in INTERPRETED.items())


def make_model(name: str, dialect: dict[str, str], size: int) -> Model:
    model = sample(seed=size, features=6, size=size, cell=name, dialect=dialect, over=(), outputs=None, softmax=False)
    random, tensors = np.random.default_rng(1), dict(model.tensors)
    for key in [key for key in tensors if ".p." in key]:  # gains of 1 and biases of 0 would hide errors
        tensors[key] = tensors[key] + random.uniform(-0.5, 0.5, tensors[key].shape).astype(np.float32)
    return Model(model.document, tensors)


def with_tape(model: Model, tape: dict[str, Any]) -> Model:
    document = dict(model.document)
    document["tapes"] = {model.layers[0].tape_name: tape}
    return Model(document, model.tensors)


def run_every_way(engine: _native.Engine, model: Model, x: Any, state: Any) -> list[Any]:
    """Return outputs and states of a run of unequal lengths, of step_many, and of single steps of one row."""
    out = np.zeros((*x.shape[:2], engine.outputs), np.float32)
    whole, pooled, alone = np.zeros_like(state), state.copy(), state.copy()
    engine.run(x, LENGTHS, state, whole, out, True, 1)
    some, one = np.zeros((len(LENGTHS), engine.outputs), np.float32), np.zeros(engine.outputs, np.float32)
    engine.step_many(np.arange(len(LENGTHS)), x[0], pooled, some, 1)
    steps = []
    for t in range(3):
        engine.step(x[t, 0], alone[0], one)
        steps.append(one.copy())
    return [v.view(np.uint32 if v.dtype == np.float32 else v.dtype) for v in (out, whole, some, pooled, alone, *steps)]


RUNS = [(target, kind) for kind in PRECISIONS for target in _native.targets(kind)]


@pytest.mark.parametrize(("target", "precision"), RUNS)
@pytest.mark.parametrize("size", [1, 15, 33, 48])
@pytest.mark.parametrize(("name", "dialect"), DIALECTS)
def test_bits_are_those_of_the_interpreter(name, dialect, size, target, precision):
    model = make_model(name, dialect, size)
    engines = [compile(model, target, choice, **to_arguments(precision)) for choice in (True, False)]
    assert [list(e.fused_layers) for e in engines] == [[0] if has_fused_kernel(dialect) else [], []]
    random = np.random.default_rng(0)
    x = random.standard_normal((9, len(LENGTHS), 6)).astype(np.float32)
    x[2, 3] = np.nan
    x[3, 5, 1] = np.inf
    state = np.zeros((len(LENGTHS), model.state_bytes), np.uint8)
    state[:, 8:] = random.standard_normal((len(LENGTHS), model.state_bytes // 4 - 2)).astype(np.float32).view(np.uint8)
    for own, right in zip(*(run_every_way(engine, model, x, state) for engine in engines), strict=True):
        np.testing.assert_array_equal(own, right)


@pytest.mark.parametrize(("target", "precision"), RUNS)
def test_bits_are_those_of_the_interpreter_with_weights_beyond_the_l2_cache(target, precision):
    model = make_model("gru", {}, 600)
    x = np.random.default_rng(2).standard_normal((2, 35, 6)).astype(np.float32)
    state = np.zeros((35, model.state_bytes), np.uint8)
    found = []
    for choice in (True, False):
        engine, out = compile(model, target, choice, **to_arguments(precision)), np.zeros((2, 35, 600), np.float32)
        engine.run(x, np.full(35, 2, np.int32), state, state.copy(), out, True, 1)
        found.append(out)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", cells.names())
def test_bits_are_those_of_the_interpreter_with_ids_as_input(name):
    model = sample(seed=3, size=12, cell=name, dialect={"norm": "layer"}, depth=2, outputs=None, softmax=False)
    own, plain = (compile(model, None, choice) for choice in (True, False))
    x, lengths = np.random.default_rng(0).integers(0, 20, (8, 3)).astype(np.int32), np.array([8, 2, 5], np.int32)
    found = []
    for engine in (own, plain):
        out, end = np.zeros((3, engine.outputs), np.float32), np.zeros((3, model.state_bytes), np.uint8)
        engine.run(x, lengths, np.zeros_like(end), end, out, False, 1)
        found.append((out.tobytes(), end.tobytes()))
    assert found[0] == found[1]
    assert list(own.fused_layers) == list(range(len(model.layers)))


def change_instruction(tape: dict[str, Any], i: int) -> dict[str, Any] | None:
    """Return the tape with another operation, gate, map or parameter at instruction i; None if there is no other."""
    other = {"add": "sub", "sub": "add", "mul": "minimum", "sigmoid": "tanh", "tanh": "sigmoid", "relu": "tanh"}
    rows = [list(row) for row in tape["instructions"]]
    if rows[i][0] in other:
        rows[i][0] = other[rows[i][0]]
    elif rows[i][0] in ("input", "recur", "param"):
        names = {"input": tape["gates"], "recur": tape["recurrent"], "param": list(tape["params"])}[rows[i][0]]
        if len(names) == 1:
            return None
        rows[i][1] = names[(names.index(rows[i][1]) + 1) % len(names)]
    else:
        return None
    return {**tape, "instructions": rows}


@pytest.mark.parametrize(("name", "dialect"), [(n, d) for n, d in DIALECTS if has_fused_kernel(d)])
def test_a_tape_that_differs_anywhere_has_the_bits_of_the_interpreter(name, dialect):
    model = make_model(name, dialect, 5)
    own = cells.load(name, dialect).tape.to_json()
    assert list(compile(with_tape(model, own), fused=True).fused_layers) == [0]
    others = [other for i in range(len(own["instructions"])) if (other := change_instruction(own, i))]
    assert len(others) >= 2
    known = [cells.load(name, d).tape for d in cells.list_dialects(name)]
    for other in others:
        tape = Tape.from_json(other)
        if tape in known:
            continue
        changed = [a[0] for a, b in zip(own["instructions"], other["instructions"], strict=True) if a != b]
        found = [compile(with_tape(model, other), fused=choice) for choice in (True, False)]
        # With another map or parameter it is still this cell, with other weights.
        assert list(found[0].fused_layers) == ([0] if changed[0] in ("recur", "param") else []), other
        x = np.random.default_rng(0).standard_normal((9, len(LENGTHS), 6)).astype(np.float32)
        state = np.zeros((len(LENGTHS), model.state_bytes), np.uint8)
        for one, right in zip(*(run_every_way(engine, model, x, state) for engine in found), strict=True):
            np.testing.assert_array_equal(one, right)
