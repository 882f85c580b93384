"""A stepper is `Engine.step` with state and output checked only once: the same bits and the same errors."""

import gc
import weakref

import numpy as np
import pytest
from native_reference import GRU, Model

from tidegate import _native

TARGETS = pytest.mark.parametrize("target", _native.targets())


@TARGETS
@pytest.mark.parametrize("H", [1, 16, 33, 48, 80, 130])
def test_steps_have_the_same_bits_as_engine_steps_and_runs(target, H):
    model = Model(3).recurrent(GRU, 11, H)
    engine, plain, x = model.engine(target), model.engine(target, fused=False), model.random.standard_normal((9, 11))
    x = x.astype(np.float32)
    states, out = model.states(3), np.full((3, H), np.nan, np.float32)
    stepper = _native.Stepper(engine, states[0], out[0])
    whole, end = np.empty((9, 1, H), np.float32), states[2:].copy()
    engine.run(x[:, None], np.array([9], np.int32), states[:1].copy(), end, whole, True, 1)
    for t, row in enumerate(x):
        stepper.step(row)
        plain.step(row, states[1], out[1])
        np.testing.assert_array_equal(out[0].view(np.uint32), out[1].view(np.uint32))
        np.testing.assert_array_equal(out[0].view(np.uint32), whole[t, 0].view(np.uint32))
        np.testing.assert_array_equal(states[0], states[1])


@pytest.fixture
def parts():
    model = Model().recurrent(GRU, 3, 5)
    return model.engine(_native.targets()[0]), model.states(1)[0], np.zeros(5, np.float32)


def test_its_state_and_output_are_checked_at_the_start(parts):
    engine, state, out = parts
    for wrong, sentence in (
        ((engine, state[:31], out), "state must have length 32 along axis 0, found 31"),
        ((engine, state, out[:4]), "out must have length 5 along axis 0, found 4"),
        ((engine, state, state[8:28].view(np.float32)), "out and state must not overlap"),
        ((_native.Engine(engine.target, 32), state, out), "the engine is not finished"),
    ):
        with pytest.raises(ValueError, match=sentence):
            _native.Stepper(*wrong)
    with pytest.raises(TypeError, match="out must be a float32 array, found NoneType"):
        _native.Stepper(engine, state, None)


def test_a_refused_step_changes_nothing(parts):
    engine, state, out = parts
    stepper, before = _native.Stepper(engine, state, out), state.copy()
    for x, error, sentence in (
        (np.zeros(4, np.float32), ValueError, "x must have length 3 along axis 0, found 4"),
        (np.zeros(3), TypeError, "x must hold float32"),
        (None, TypeError, "x must be a float32 array, found NoneType"),
        (state[8:20].view(np.float32), ValueError, "state and x must not overlap"),
    ):
        with pytest.raises(error, match=sentence):
            stepper.step(x)
        np.testing.assert_array_equal(state, before)
        assert not out.any()


def test_it_holds_its_state_and_output(parts):
    engine, state, out = parts
    reference = weakref.ref(state)
    stepper = _native.Stepper(engine, state, out)
    with pytest.raises(ValueError, match="resize"):
        out.resize(50)
    del engine, state, parts
    gc.collect()
    assert reference() is not None
    stepper.step(np.ones(3, np.float32))
    assert out.any()
