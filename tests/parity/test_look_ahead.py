"""Models that look ahead are within their bounds on every target, and mistakes at the end of a row exceed them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from tidegate import cells
from tidegate.formats.onnx import encode
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.verify import attach, native_target, verify
from tidegate.verify.onnx_target import OnnxSession
from tidegate.verify.replay import Replay
from tidegate.verify.samples import build_model, sample

POOLS = ("last", "mean", "max", "attention")
SAMPLES: dict[str, dict[str, Any]] = {
    "words": {"size": 12, "conv": 4, "ahead": 2, "over": POOLS},
    "words with features": {"size": 6, "conv": 3, "ahead": 1, "ids": 3, "cell": "rnn"},
    "numbers": {"features": 3, "size": 9, "conv": 5, "ahead": 4, "cell": "lstm", "over": (), "scale": True},
    "deep, with norms": {"features": 3, "size": 8, "conv": 3, "ahead": 2, "depth": 2, "norm": True, "dense": "relu"},
    "no recurrence": {"features": 2, "size": 4, "conv": 6, "ahead": 3, "cell": None, "over": ("mean",)},
}


def behind(over: tuple[str, ...] = POOLS, cell: str = "gru", last: int = 0) -> Model:
    """Return a model that looks ahead behind a recurrence, before a pool, and in its last layer if `last`."""
    builder = Builder(3)
    builder.recurrence(cells.load(cell), 7)
    builder.add("conv", size=6, width=3, ahead=2, activation="tanh")
    builder.add("norm", eps=1e-5)
    if over:
        builder.add("pool", over=list(over))
    builder.add("dense", size=4, activation="none")
    if last:
        builder.add("conv", size=3, width=last + 1, ahead=last, activation="none")
    return build_model(builder.layers, 0, 3, None)


@cache
def checked(name: str) -> Model:
    if name in SAMPLES:
        return attach(sample(**SAMPLES[name]))
    return attach(behind() if name == "behind" else behind((), "mingru", 2))


NAMES = [*SAMPLES, "behind", "behind, and last"]
SLOW = ("deep, with norms", "numbers", "behind, and last")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NAMES])
def test_every_target_is_within_its_bound(name: str) -> None:
    results = verify(checked(name))
    assert {result.target for result in results if result.ran} >= {"oracle", "torch", "base"}
    assert not [result for result in results if result.ran and not result.ok]
    assert all(result.chunks for result in results if result.path in ("fused", "interpreter") and result.ran)
    assert all(result.step_ratio is not None for result in results if result.target in ("base", "torch", "c"))


@pytest.mark.parametrize("name", NAMES)
def test_steps_and_the_end_are_the_whole_in_the_reference(name: str) -> None:
    model = checked(name)
    reference, (source,) = Reference(model), model.inputs.values()
    draws = iter(np.random.default_rng(0).integers(0, 1 << 63, 4096).tolist())
    for steps in (1, 2, 3, 8):
        x = source.synthesise(draws, steps)[:, None]
        found, state = reference.run(x)
        assert np.abs(found - np.stack(reference.run_layers(list(x)))).max() < 1e-13
        assert state["steps"].item() == steps


@pytest.mark.parametrize("name", ["behind", "numbers", "words"])
def test_an_end_that_lacks_its_last_absent_step_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer about the step before the last, in place of that about the last."""
    right = native_target.run_whole

    def one_less(engine: Any, state: Any, x: Any) -> Any:
        out = np.empty((len(x) + engine.look_ahead, 1, engine.outputs), np.float32)
        rows, lengths = np.ascontiguousarray(x[:, None]), np.array([len(x)], np.int32)
        engine.run(rows, lengths, state, np.empty_like(state), out, True, 1, True)
        return out[-2, 0] if len(x) > 1 else out[-1, 0], right(engine, state, x)[1]

    monkeypatch.setattr(native_target, "run_whole", one_less)
    replay = Replay(checked(name))
    (result, *_) = native_target.verify_target(replay, "base")
    assert result.verdict == "over its bound"


@pytest.mark.parametrize("name", ["behind", "behind, and last"])
def test_an_end_of_real_zeros_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of zeros go through the recurrence before the layer that looks ahead; absent steps do not."""

    def with_zeros(engine: Any, state: Any, x: Any) -> Any:
        after, out = state.copy(), np.empty(engine.outputs, np.float32)
        for _ in range(engine.look_ahead):
            engine.step(np.zeros(3, np.float32), after[0], out)
        return out[None].repeat(engine.look_ahead, 0)

    monkeypatch.setattr(native_target, "run_end", with_zeros)
    (result, *_) = native_target.verify_target(Replay(checked(name)), "base")
    assert result.verdict in ("over its bound", "its pieces differ from the whole")
    assert result.ok is False


@pytest.mark.parametrize("name", ["behind", "words"])
def test_onnx_steps_of_several_rows_wait_and_end_each_for_itself(name: str) -> None:
    """Rows that begin at different steps of a batch are late by their own steps."""
    model = checked(name)
    session, (source,) = OnnxSession(model, "step"), model.inputs.values()
    draws = iter(np.random.default_rng(1).integers(0, 1 << 63, 4096).tolist())
    x, expected = source.synthesise(draws, 7), {}
    alone = session.run_steps(x)
    state = session.initial_state(2)
    fresh = {key: v.copy() for key, v in state.items()}
    for k in range(7):
        state = state if k != 2 else {key: np.concatenate([state[key][:1], fresh[key][1:]]) for key in state}
        both = np.stack([x[k], x[max(k - 2, 0)]])  # the second row begins anew two steps later
        outputs, state = session.run(both, state)
        expected[k] = outputs["output"]
    for k in range(2, 7):
        if k >= model.look_ahead:
            np.testing.assert_allclose(expected[k][0], alone[k][0], atol=1e-5)
        if k - 2 >= model.look_ahead:
            np.testing.assert_allclose(expected[k][1], alone[k - 2][0], atol=1e-5)
    assert state["steps"].ravel().tolist() == [7, 5]


def test_the_graph_of_late_steps_says_how_rows_end() -> None:
    data = encode(checked("behind"), "step")
    assert b"After the last step of the rows, 1 to 2, one after the other" in data
    assert b"one after the other" not in encode(checked("behind"))
