"""The causal convolution: near the reference at every place in a model, with the same bits however it is run."""

import numpy as np
import pytest
from native_reference import GRU, Model

from tidegate import _native
from tidegate.layers.conv import Conv
from tidegate.runtime.engine import add_layer

TARGETS = pytest.mark.parametrize("target", _native.targets())
T, B = 23, 13


def make_model(place: str, width: int) -> Model:
    """Make a model with the layer first, after an embedding, between others with a residual, or last."""
    model = Model(width)
    if place == "first":
        return model.conv(7, 12, width, "tanh").recurrent(GRU, 12, 9)
    if place == "after embed":
        return model.embed(10, 6).conv(6, 8, width, "relu").recurrent(GRU, 8, 9)
    if place == "added":
        return model.dense(7, 19, "tanh").conv(19, 19, width, "relu", add=0).recurrent(GRU, 19, 19, add=1)
    return model.recurrent(GRU, 7, 9).conv(9, 33, width, "sigmoid")


PLACES = ("first", "after embed", "added", "last")


def inputs(model: Model, place: str) -> tuple[np.ndarray, np.ndarray]:
    lengths = model.random.integers(0, T + 1, B).astype(np.int32)
    lengths[:3] = 0, 1, T
    if place == "after embed":
        x = model.random.integers(0, 10, (T, B)).astype(np.int32)
    else:
        x = model.random.standard_normal((T, B, 7)).astype(np.float32)
    for row, length in enumerate(lengths):
        x[length:, row] = -1 if x.ndim == 2 else np.nan
    return x, lengths


def run(engine, model: Model, x, lengths, states=None, threads: int = 1):
    states = model.states(x.shape[1]) if states is None else states
    out, after = np.full((*x.shape[:2], engine.outputs), -7, np.float32), np.empty_like(states)
    engine.run(x, lengths, states, after, out, True, threads)
    return out, after


@TARGETS
@pytest.mark.parametrize("width", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("place", PLACES)
def test_it_agrees_with_the_oracle(target, place, width):
    model = make_model(place, width)
    x, lengths = inputs(model, place)
    out, after = run(model.engine(target), model, x, lengths)
    for row, length in enumerate(lengths):
        if length:
            np.testing.assert_allclose(out[:length, row], model.reference(x[:length, row]), rtol=1e-5, atol=1e-5)
        assert (out[length:, row] == -7).all()
    np.testing.assert_array_equal(after[:, :8].copy().view(np.int64).ravel(), lengths)


@TARGETS
@pytest.mark.parametrize("activation", ["none", "relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("size", [1, 5, 16, 33, 64])
def test_every_activation_and_size(target, activation, size):
    model = Model(1).conv(5, size, 3, activation)
    x = model.random.standard_normal((T, 2, 5)).astype(np.float32)
    out, _ = run(model.engine(target), model, x, np.full(2, T, np.int32))
    for row in range(2):
        np.testing.assert_allclose(out[:, row], model.reference(x[:, row]), rtol=3e-6, atol=3e-6)


@TARGETS
@pytest.mark.parametrize("width", [1, 3, 8, 40])
@pytest.mark.parametrize("place", PLACES)
def test_steps_chunks_rows_threads_and_pools_give_the_same_bits(target, place, width):
    model = make_model(place, width)
    x, lengths = inputs(model, place)
    engine = model.engine(target)
    out, after = run(engine, model, x, lengths)
    for threads in (2, 5):
        again = run(engine, model, x, lengths, threads=threads)
        assert (again[0].tobytes(), again[1].tobytes()) == (out.tobytes(), after.tobytes())
    states, parts = model.states(B), []
    for t in range(0, T, 5):
        left = np.clip(lengths - t, 0, min(5, T - t)).astype(np.int32)
        part, states = run(engine, model, x[t : t + 5], left, states)
        parts.append(part)
    assert (np.concatenate(parts).tobytes(), states.tobytes()) == (out.tobytes(), after.tobytes())
    alone, pooled, said = model.states(B), model.states(B), np.empty((1, engine.outputs), np.float32)
    for row, length in enumerate(lengths):
        for t in range(length):
            engine.step(x[t, row : row + 1] if x.ndim == 2 else x[t, row], alone[row], said[0])
            assert said.tobytes() == out[t, row].tobytes()
    for t in range(T):
        ids = np.flatnonzero(lengths > t)
        said = np.empty((len(ids), engine.outputs), np.float32)
        engine.step_many(ids, np.ascontiguousarray(x[t, ids]), pooled, said, 2)
        assert said.tobytes() == out[t, ids].tobytes()
    assert alone.tobytes() == pooled.tobytes() == after.tobytes()


@TARGETS
def test_a_window_of_one_is_dense(target):
    conv, dense = Model(2).conv(7, 20, 1, "tanh"), Model(2).dense(7, 20, "tanh")
    x = conv.random.standard_normal((T, B, 7)).astype(np.float32)
    lengths = np.full(B, T, np.int32)
    found = [run(m.engine(target), m, x, lengths)[0].tobytes() for m in (conv, dense)]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("offset", "sentence"), [(-1, "does not start at a multiple of 4"), (60, "does not fit in 64 bytes")]
)
def test_its_past_must_be_inside_the_state(offset, sentence):
    engine = _native.Engine(_native.targets()[0], 64)
    layer = Conv(inputs=3, size=4, window=2, activation="none")
    add_layer(
        engine, layer, {"weight": np.zeros((4, 6), np.float32), "bias": np.zeros(4, np.float32)}, {"past": offset}
    )
    with pytest.raises(ValueError, match=sentence):
        engine.finish()
