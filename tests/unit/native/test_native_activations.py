"""The errors of the activations compared with float64, on a sample of all floats; limits and NaN."""

import numpy as np
import pytest

from tidegate import _native
from tidegate.tape.encode import OPCODES

NORMAL = 2.0**-126  # the smallest normal float32
EXACT = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh, "exp": np.exp}
TARGETS = pytest.mark.parametrize("target", _native.targets())


def activate(target: str, name: str, x: np.ndarray) -> np.ndarray:
    """Apply an activation to each value, as the operations of a layer of width 1."""
    engine, none = _native.Engine(target, 8), np.zeros(0, np.int32)
    code = np.array([[OPCODES[one], 1, 0, 0, 0, 0, 0, 0] for one in ("input", name)], np.int32)
    engine.add(code, none, np.zeros(0, np.float32), [], 1, 0, 1, none, none, none)
    engine.finish()
    assert engine.target == target
    states, out = np.zeros((x.size, 8), np.uint8), np.empty((x.size, 1), np.float32)
    engine.run(x.reshape(1, -1, 1), np.ones(x.size, np.int32), states, states.copy(), out, False, 1)
    return out[:, 0]


def sample() -> np.ndarray:
    """Return finite floats of every magnitude and both signs, densely where the functions bend."""
    every = np.arange(0, 0x7F800000, 6151, dtype=np.uint32).view(np.float32)
    bend = np.linspace(0, 20, 150_001, dtype=np.float32)
    return np.concatenate([every, -every, bend, -bend])


def largest_error(target: str, name: str, x: np.ndarray) -> float:
    got = activate(target, name, x).astype(float)
    with np.errstate(over="ignore", under="ignore"):
        exact = EXACT[name](x.astype(float))
    if name == "sigmoid":
        return float(np.abs(got - exact).max())
    within = (np.abs(exact) >= NORMAL) & (np.abs(exact) <= np.finfo(np.float32).max)
    return float(np.abs(got[within] / exact[within] - 1).max())


@TARGETS
@pytest.mark.parametrize(("name", "bound"), [("sigmoid", "sigmoid_abs"), ("tanh", "tanh_rel"), ("exp", "exp_rel")])
def test_the_error_is_within_its_bound_and_the_bound_is_tight(target, name, bound):
    found = largest_error(target, name, sample())
    assert 0.5 * _native.ERRORS[target][bound] < found <= _native.ERRORS[target][bound]


def test_every_compiled_target_has_its_bounds():
    assert set(_native.ERRORS) == set(_native.compiled_targets("compute=bf16"))
    assert all(set(bounds) == {"sigmoid_abs", "tanh_rel", "exp_rel"} for bounds in _native.ERRORS.values())


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "exp", "relu"])
def test_activations_are_the_same_bits_on_every_target(name):
    x = sample()[::7].copy()
    first, *others = (activate(target, name, x) for target in _native.targets())
    for other in others:
        np.testing.assert_array_equal(first.view(np.uint32), other.view(np.uint32))


@TARGETS
@pytest.mark.parametrize(
    ("name", "low", "zero", "high"),
    [
        ("sigmoid", 0.0, 0.5, 1.0),
        ("tanh", -1.0, 0.0, 1.0),
        ("exp", 0.0, 1.0, np.inf),
        ("relu", 0.0, 0.0, np.inf),
    ],
)
def test_limits_and_nan(target, name, low, zero, high):
    x = np.array([-np.inf, 0.0, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(activate(target, name, x), np.array([low, zero, high, np.nan], np.float32))
    big = np.array([-3e38, -1e4, 1e4, 3e38], np.float32)
    if name in ("sigmoid", "tanh"):
        np.testing.assert_allclose(activate(target, name, big), [low, low, high, high], atol=1e-37)


@TARGETS
def test_tanh_stays_within_one_and_keeps_the_sign_of_zero(target):
    y = activate(target, "tanh", sample())
    assert np.abs(y).max() == 1.0
    assert np.signbit(activate(target, "tanh", np.array([-0.0], np.float32)))[0]


@TARGETS
def test_exp_below_the_normal_floats_is_within_one_step(target):
    x = np.linspace(-110, -87, 20_001, dtype=np.float32)
    assert np.abs(activate(target, "exp", x).astype(float) - np.exp(x.astype(float))).max() <= 2.0**-149 * 4
