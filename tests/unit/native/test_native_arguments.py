"""Wrong arguments: a ValueError or TypeError that names the argument, the value and what was expected."""

import os
import subprocess
import sys

import numpy as np
import pytest
from native_reference import GRU, Model

from tidegate import _native
from tidegate.layers.softmax import Softmax
from tidegate.runtime.engine import add_layer

BEST = _native.targets()[0]


@pytest.fixture
def model() -> Model:
    return Model().recurrent(GRU, 3, 5)


@pytest.fixture
def arguments(model):
    states = model.states(2)
    return {
        "x": np.zeros((4, 2, 3), np.float32),
        "lengths": np.full(2, 4, np.int32),
        "state_in": states,
        "state_out": states.copy(),
        "out": np.zeros((2, 5), np.float32),
        "per_step": False,
        "threads": 1,
    }


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


SHARED = np.zeros((2, 32), np.uint8)
WRONG_RUN = [
    ("x", [1.0], TypeError, "x must be a float32 array, found list"),
    ("x", np.zeros((4, 2, 3)), TypeError, "x must hold float32, found elements of format 'd'"),
    ("x", np.zeros((4, 2), np.float32), ValueError, "x must have 3 dimensions, found 2"),
    ("x", np.zeros((4, 2, 4), np.float32), ValueError, "x must have length 3 along axis 2, found 4"),
    ("x", np.zeros((2, 4, 3), np.float32).transpose(1, 0, 2), ValueError, "x must be C-contiguous"),
    ("x", np.zeros((4, 2, 3), ">f4"), TypeError, "x must hold float32, found elements of format '>f'"),
    ("lengths", np.full(2, 4), TypeError, "lengths must hold int32, found elements of format 'l'"),
    ("lengths", np.full(3, 4, np.int32), ValueError, "lengths must have length 2 along axis 0, found 3"),
    ("lengths", np.array([4, 5], np.int32), ValueError, r"lengths\[1\] must be from 0 to 4, found 5"),
    ("lengths", np.array([-1, 4], np.int32), ValueError, r"lengths\[0\] must be from 0 to 4, found -1"),
    ("state_in", np.zeros((2, 40), np.uint8), ValueError, "state_in must have length 32 along axis 1, found 40"),
    ("state_out", read_only(np.zeros((2, 32), np.uint8)), ValueError, "state_out must be writable"),
    ("out", read_only(np.zeros((2, 5), np.float32)), ValueError, "out must be writable"),
    ("out", np.zeros((4, 2, 5), np.float32), ValueError, "out must have 2 dimensions, found 3"),
    ("per_step", True, ValueError, "out must have 3 dimensions, found 2"),
    ("threads", 0, ValueError, "threads must be 1 or more, found 0"),
]


@pytest.mark.parametrize(("name", "value", "error", "sentence"), WRONG_RUN)
def test_run_refuses(model, arguments, name, value, error, sentence):
    before = arguments["state_out"].copy()
    with pytest.raises(error, match=sentence):
        model.engine(BEST).run(**(arguments | {name: value}))
    np.testing.assert_array_equal(arguments["state_out"], before)
    assert not arguments["out"].any()


def test_run_refuses_overlap(model, arguments):
    engine = model.engine(BEST)
    with pytest.raises(ValueError, match="state_out and state_in must not overlap"):
        engine.run(**(arguments | {"state_out": arguments["state_in"]}))
    rows = np.concatenate([model.states(2), model.states(1)])
    with pytest.raises(ValueError, match="state_out and state_in must not overlap"):
        engine.run(**(arguments | {"state_in": rows[:2], "state_out": rows[1:]}))
    with pytest.raises(ValueError, match="out and x must not overlap"):
        engine.run(**(arguments | {"out": arguments["x"].ravel()[:10].reshape(2, 5)}))


def test_step_refuses(model):
    engine, state, out = model.engine(BEST), model.states(1)[0], np.zeros(5, np.float32)
    x = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="x must have length 3 along axis 0, found 4"):
        engine.step(np.zeros(4, np.float32), state, out)
    with pytest.raises(ValueError, match="state must have length 32 along axis 0, found 31"):
        engine.step(x, state[:31], out)
    with pytest.raises(ValueError, match="out and state must not overlap"):
        engine.step(x, state, state[8:28].view(np.float32))
    with pytest.raises(TypeError, match="out must be a float32 array, found NoneType"):
        engine.step(x, state, None)


def test_every_id_of_a_step_is_checked():
    model = Model().embed(6, 4, ids=3)
    engine, out = model.engine(BEST), np.zeros((1, 4), np.float32)
    for x, sentence in (
        ([[0, 5, 6]], r"x\[2\] .* is id 6, expected from 0 to 5"),
        ([[0, -1, 5]], r"x\[1\] .* is id -1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            engine.step_many(np.zeros(1, np.int64), np.array(x, np.int32), model.states(1), out, 1)
    with pytest.raises(ValueError, match="x must have shape|x must have 3|axis 1"):
        engine.step_many(np.zeros(1, np.int64), np.zeros((1, 2), np.int32), model.states(1), out, 1)
    with pytest.raises(ValueError, match="program: the number of ids must be from 0 to 512, found 513"):
        Model().embed(6, 4, ids=513).engine(BEST)


def test_step_many_checks_all_before_it_changes_any():
    model = Model().embed(6, 4).pool(4, ["mean"])
    engine, states, out = model.engine(BEST), model.states(3), np.zeros((3, 4), np.float32)
    before = states.copy()
    for ids, x, sentence in (
        ([0, 1, 3], [1, 2, 3], r"ids\[2\] must be from 0 to 2, found 3"),
        ([0, -1, 2], [1, 2, 3], r"ids\[1\] must be from 0 to 2, found -1"),
        ([2, 1, 0], [1, 6, 3], r"x\[1\] .* is id 6, expected from 0 to 5"),
        ([2, 1, 0], [1, 5, -1], r"x\[2\] .* is id -1, expected from 0 to 5"),
    ):
        with pytest.raises(ValueError, match=sentence):
            engine.step_many(np.array(ids, np.int64), np.array(x, np.int32), states, out, 1)
        np.testing.assert_array_equal(states, before)
        assert not out.any()
    engine.step_many(np.zeros(0, np.int64), np.zeros(0, np.int32), states, out[:0], 1)
    np.testing.assert_array_equal(states, before)


def test_the_builder_refuses():
    new = lambda: _native.Engine(BEST, 8)  # noqa: E731
    with pytest.raises(ValueError, match="an engine needs at least one layer"):
        new().finish()
    with pytest.raises(ValueError, match="layer 0: add must be -1 or the index of an earlier layer, found 0"):
        Model().dense(2, 3, add=0).engine(BEST)
    with pytest.raises(ValueError, match="state_bytes must be a multiple of 8"):
        _native.Engine(BEST, 12)
    with pytest.raises(ValueError, match="not finished"):
        new().step(np.zeros(1, np.float32), np.zeros(8, np.uint8), np.zeros(1, np.float32))
    with pytest.raises(ValueError, match=r"layer 1 \(dense\): expects 4 inputs, layer 0 has 3 outputs"):
        Model().dense(2, 3).dense(4, 3).engine(BEST)
    with pytest.raises(ValueError, match=r"layer 1 \(embed\): takes ids, so it must read the engine's input"):
        Model().softmax(3).embed(9, 3).engine(BEST)
    wrong = Model().dense(2, 3)
    wrong.added[0][1]["bias"] = np.zeros(4)
    with pytest.raises(TypeError, match="tensors must hold float32, found elements of format 'd'"):
        wrong.engine(BEST)
    wrong.added[0][1]["bias"] = np.zeros(2, np.float32)
    with pytest.raises(ValueError, match="operation 2: reads past the end of tensor 1"):
        wrong.engine(BEST)
    engine = Model().softmax(3).engine(BEST)
    with pytest.raises(ValueError, match="finished and takes no more layers"):
        add_layer(engine, Softmax(size=3), {}, {})


def test_targets():
    assert _native.targets() == [name for name in _native.compiled_targets() if name in _native.targets()]
    assert _native.targets()[-1] == "base"
    with pytest.raises(
        ValueError, match=f"target 'sse9' is not in this build; choose one of {', '.join(_native.targets())}"
    ):
        _native.Engine("sse9", 8)


@pytest.mark.parametrize("name", [*_native.targets(), "sse9", ""])
def test_the_environment_names_the_default_target_or_fails(name):
    script = (
        "from tidegate import _native\n"
        "try: print(_native.default_target())\n"
        "except ValueError as error: print('error:', error)"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"TIDEGATE_TARGET": name},
    )
    if name in _native.targets():
        assert outcome.stdout.strip() == name
    else:
        choices = ", ".join(_native.targets())
        expected = f"error: TIDEGATE_TARGET '{name}' is not in this build; choose one of {choices}"
        assert outcome.stdout.strip() == expected
