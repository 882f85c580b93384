"""Every kind of layer and several cells compared with the float64 reference on every target."""

import numpy as np
import pytest
from native_reference import CELLS, GRU, LSTM, Model

from tidegate import _native

TARGETS = pytest.mark.parametrize("target", _native.targets())
SIZES = [1, 5, 16, 33, 64, 100]
STEPS = 7


def check(model: Model, target: str, x: np.ndarray, fused: bool = True, tolerance: float = 3e-6):
    """Check the outputs of all steps and rows against the reference; return the engine."""
    engine, rows = model.engine(target, fused), x.shape[1]
    states = model.states(rows)
    after, out = np.empty_like(states), np.empty((*x.shape[:2], engine.outputs), np.float32)
    engine.run(x, np.full(rows, x.shape[0], np.int32), states, after, out, True, 1)
    for row in range(rows):
        exact = np.array(model.reference(x[:, row]))
        np.testing.assert_allclose(out[:, row], exact, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(after[:, :8].copy().view(np.int64).ravel(), x.shape[0])
    return engine


def rows(model: Model, inputs: int) -> np.ndarray:
    return model.random.standard_normal((STEPS, 3, inputs)).astype(np.float32)


@TARGETS
@pytest.mark.parametrize("size", SIZES)
def test_embed(target, size):
    model = Model().embed(11, size)
    ids = model.random.integers(0, 11, (STEPS, 3)).astype(np.int32)
    engine = check(model, target, ids, tolerance=0)
    assert (engine.inputs, engine.outputs) == (1, size)


@TARGETS
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ids", [2, 6, 64])
def test_embed_sums_the_rows_of_several_ids(target, size, ids):
    model = Model(3).embed(11, size, ids=ids)
    x = model.random.integers(0, 11, (STEPS, 3, ids)).astype(np.int32)
    engine = check(model, target, x, tolerance=1e-6 * ids)
    assert (engine.inputs, engine.outputs) == (ids, size)
    out = np.empty((1, size), np.float32)
    engine.step_many(np.zeros(1, np.int64), x[0, :1], model.states(1), out, 1)
    table, expected = model.added[0][1]["weight"], np.zeros(size, np.float32)
    for k, i in enumerate(x[0, 0]):
        expected = expected + table[i] if k else table[i]  # in the order of the ids, to the bit
    np.testing.assert_array_equal(out[0], expected)


@TARGETS
def test_a_cell_behind_several_ids_is_not_merged_with_them(target):
    """A row of the product of table and matrix would be another sum; the bits must be those of the sum's product."""
    model = Model(4).embed(20, 24, ids=3).recurrent(GRU, 24, 24)
    x = model.random.integers(0, 20, (STEPS, 3, 3)).astype(np.int32)
    check(model, target, x)


@TARGETS
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("activation", ["none", "relu", "tanh", "sigmoid"])
def test_dense(target, size, activation):
    model = Model(1).dense(13, size, activation)
    engine = check(model, target, rows(model, 13))
    assert (engine.inputs, engine.outputs) == (13, size)


@TARGETS
@pytest.mark.parametrize("size", SIZES)
def test_norm(target, size):
    model = Model(2).norm(size)
    check(model, target, rows(model, size), tolerance=1e-5)


@TARGETS
@pytest.mark.parametrize("size", SIZES)
def test_scale(target, size):
    model = Model(2).scale(size)
    check(model, target, rows(model, size))


@TARGETS
@pytest.mark.parametrize("size", SIZES)
def test_softmax(target, size):
    model = Model(3).softmax(size)
    check(model, target, 4 * rows(model, size))


@TARGETS
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("over", [["last"], ["mean"], ["max"], ["attention"], ["attention", "max", "last", "mean"]])
def test_pool(target, size, over):
    model = Model(4).pool(size, over)
    check(model, target, rows(model, size))


@TARGETS
@pytest.mark.parametrize("H", SIZES)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("fused", [True, False])
def test_recurrent(target, H, name, fused):
    model = Model(5).recurrent(CELLS[name], 9, H)
    engine = check(model, target, rows(model, 9), fused, 1e-5)
    assert engine.fused_layers == ([0] if fused and name.startswith("gru") else [])


@TARGETS
def test_layers_add_up(target):
    model = Model(6).embed(20, 24).recurrent(GRU, 24, 24, add=0).norm(24).recurrent(LSTM, 24, 24, add=1)
    model.pool(24, ["mean", "attention"]).dense(48, 5).softmax(5)
    engine = check(model, target, model.random.integers(0, 20, (STEPS, 3)).astype(np.int32), tolerance=1e-5)
    assert engine.fused_layers == [0, 1, 2, 4, 5, 6]  # the gates of this LSTM have another order


@TARGETS
@pytest.mark.parametrize("kind", ["max", "norm", "softmax", "maximum"])
def test_nan_stays_nan(target, kind):
    model = Model(7)
    if kind == "maximum":
        model.dense(5, 5, "relu")
    else:
        model.pool(5, ["max"]) if kind == "max" else getattr(model, kind)(5)
    engine, state, out = model.engine(target), model.states(1)[0], np.zeros(5, np.float32)
    x = np.array([0, 1, np.nan, 3, 4], np.float32)
    engine.step(x, state, out)
    assert np.isnan(out[2])
    assert np.isnan(out).sum() == (1 if kind == "max" else 5)
    if kind == "max":
        engine.step(np.ones(5, np.float32), state, out)
        np.testing.assert_array_equal(out, [1, 1, np.nan, 3, 4])
