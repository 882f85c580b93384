"""ONNX graphs with odd input: NaN, infinities, ids that do not exist, lengths that do not fit, and padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate import cells
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.verify import onnx_target as target
from tidegate.verify.samples import sample

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

Array = np.ndarray[Any, Any]
DIALECTS = [(cell, dialect) for cell in cells.names() for dialect in cells.list_dialects(cell)]
WHOLE: list[dict[str, Any]] = [
    {"direction": "both", "over": ("mean", "max", "attention")},
    {"direction": "both", "cell": "lstm", "dialect": {"peepholes": "yes"}, "depth": 2},
    {"direction": "both", "cell": "mingru", "over": ()},
    {"conv": 3, "depth": 2, "over": ("last", "max", "attention"), "dense": "relu"},
    {"conv": 4, "centred": True, "over": ("mean",)},
]
LENGTHS = np.array([6, 4, 6, 1], np.int32)
ON = np.arange(6)[:, None] < LENGTHS
ROW, STEP = 2, 3


def run(model: Model, x: Array, mode: str = "sequence", lengths: Array = LENGTHS) -> tuple[Array, dict[str, Array]]:
    """Return outputs [T, B, O], with zeros past the length of a row, and the last states."""
    session = target.OnnxSession(model, mode)
    state = session.initial_state(x.shape[1])
    if mode == "sequence":
        found, state = session.run(x, state, lengths)
        return found["y"], state
    said = []
    for one in x:
        found, state = session.run(one, state)
        said.append(found["output"])
    return np.stack(said), state


def drawn() -> Array:
    return np.random.default_rng(2).standard_normal((6, 4, 3)).astype(np.float32)


def assert_nan_stays(model: Model, mode: str = "sequence") -> None:
    """A row with NaN has it where float64 does; the other rows keep their bits."""
    x = drawn()
    clean, _ = run(model, x, mode)
    x[STEP, ROW, 1] = np.nan
    y, state = run(model, x, mode)
    expected, last = Reference(model).run(x, LENGTHS)
    assert np.isnan(expected[STEP:, ROW]).any()
    assert np.array_equal(np.isnan(y[:, ROW]), np.isnan(expected[:, ROW]))
    assert all(np.array_equal(np.isnan(v[ROW]), np.isnan(last[name][ROW])) for name, v in state.items())
    others = ON & (np.arange(4) != ROW)
    assert np.array_equal(y[others], clean[others])


@pytest.mark.parametrize(("cell", "dialect"), DIALECTS, ids=lambda v: v if isinstance(v, str) else "-".join(v.values()))
@pytest.mark.parametrize("mode", ["sequence", "step"])
def test_nan_stays_nan_in_its_row(cell: str, dialect: dict[str, str], mode: str) -> None:
    assert_nan_stays(sample(seed=3, features=3, size=7, cell=cell, dialect=dialect, over=(), outputs=3), mode)


@pytest.mark.parametrize("options", WHOLE)
def test_nan_stays_nan_in_other_layers(options: dict[str, Any]) -> None:
    assert_nan_stays(sample(seed=3, features=3, size=7, **options))


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
@pytest.mark.parametrize("mode", ["sequence", "step"])
def test_nan_in_a_state_stays(cell: str, mode: str) -> None:
    model = sample(seed=3, features=3, size=7, cell=cell, over=(), outputs=3)
    session = target.OnnxSession(model, mode)
    state = session.initial_state(4)
    state["layers.0.h"][ROW, 5] = np.nan
    x, lengths = (drawn(), LENGTHS) if mode == "sequence" else (drawn()[0], None)
    found, following = session.run(x, state, lengths)
    assert np.isnan(found["output"]).all(-1).tolist() == [False, False, True, False]
    assert np.isnan(following["layers.0.h"]).all(-1).tolist() == [False, False, True, False]


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e30, 1e-40])
@pytest.mark.parametrize(("cell", "dialect"), [("gru", {}), ("lstm", {"peepholes": "yes"}), ("rnn", {})])
def test_large_and_small_numbers_are_what_they_are(value: float, cell: str, dialect: dict[str, str]) -> None:
    model = sample(seed=3, features=3, size=7, cell=cell, dialect=dialect, over=(), outputs=3)
    x = drawn()
    x[STEP, ROW, 1] = value
    expected, _ = Reference(model).run(x, LENGTHS)
    assert np.abs(run(model, x)[0][ON] - expected[ON]).max() < 1e-5


@pytest.mark.parametrize("options", [{"over": ("mean",)}, {"direction": "both"}, {"cell": "mingru"}, {"conv": 2}])
def test_padding_may_hold_any_ids(options: dict[str, Any]) -> None:
    model = sample(seed=3, size=7, **options)
    size = model.document["inputs"]["x"]["size"]
    ids = np.random.default_rng(0).integers(0, size, (6, 4), dtype=np.int32)
    clean, _ = run(model, ids)
    for padding in (-1, size, 1 << 30, -(1 << 31)):
        assert np.array_equal(run(model, np.where(ON, ids, np.int32(padding)))[0], clean)


@pytest.mark.parametrize("mode", ["sequence", "step"])
@pytest.mark.parametrize("wrong", [-1, -5, "size", 1 << 30, -(1 << 31)])
def test_an_id_that_there_is_not_is_refused(mode: str, wrong: int | str) -> None:
    model = sample(seed=3, size=7)
    ids = np.zeros((6, 4), np.int32)
    ids[3, 2] = model.document["inputs"]["x"]["size"] if wrong == "size" else wrong
    with pytest.raises(Exception, match="indices element out of data bounds"):
        run(model, ids, mode)


@pytest.mark.parametrize("options", [{}, {"cell": "mingru"}, {"cell": None, "conv": 2}, {"direction": "both"}])
@pytest.mark.parametrize("wrong", [7, 100, -1, -6, -7])
def test_a_length_that_does_not_fit_is_refused(options: dict[str, Any], wrong: int) -> None:
    model = sample(seed=3, features=3, size=7, **options)
    with pytest.raises(Exception, match=r"INVALID_ARGUMENT.*(sequence_lens|invalid index)"):
        run(model, drawn(), lengths=np.array([6, wrong, 6, 1], np.int32))
