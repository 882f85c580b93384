"""The reference: rows of a padded batch are what they are alone, and whole-window models have no steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate.errors import OptionError
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.verify.samples import sample

POOLS = ("last", "mean", "max", "attention")
MODELS: dict[str, dict[str, Any]] = {
    "causal": {"features": 3, "size": 5, "over": POOLS},
    "conv": {"features": 3, "size": 5, "conv": 4, "over": POOLS},
    "centred": {"features": 3, "size": 5, "conv": 4, "centred": True, "over": POOLS},
    "both": {"features": 3, "size": 5, "direction": "both", "over": POOLS},
    "words": {"size": 5, "direction": "both", "conv": 2, "centred": True, "over": POOLS},
}
LENGTHS = np.array([7, 1, 3, 7, 0])


def batch(model: Model) -> Any:
    """Make inputs of LENGTHS, padded with NaN or with an id that does not exist."""

    random, entry = np.random.default_rng(0), model.document["inputs"]["x"]
    if entry["kind"] == "text":
        x = random.integers(0, entry["size"], (7, 5))
        return np.where(np.arange(7)[:, None] < LENGTHS, x, 10**6 if Reference(model).whole_window else 0)
    x = random.standard_normal((7, 5, 3))
    x[np.arange(7)[:, None] >= LENGTHS] = np.nan
    return x


@pytest.mark.parametrize("name", MODELS)
def test_padding_reaches_nothing(name: str) -> None:
    reference = Reference(sample(seed=1, **MODELS[name]))
    x = batch(sample(seed=1, **MODELS[name]))
    y, state = reference.run(x, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        assert np.isnan(y[length:, row]).all()
        if length:
            alone, end = reference.run(x[:length, row : row + 1])
            assert np.abs(alone[:, 0] - y[:length, row]).max() < 1e-14
            for key, value in end.items():
                assert np.abs(value[0] - state[key][row]).max() < 1e-14
    assert state["steps"].ravel().tolist() == LENGTHS.tolist()


@pytest.mark.parametrize("name", ["causal", "conv"])
def test_layer_by_layer_over_whole_rows_is_step_by_step(name: str) -> None:
    reference = Reference(sample(seed=1, **MODELS[name]))
    x = np.random.default_rng(2).standard_normal((9, 4, 3))
    steps, _ = reference.run(x)
    assert np.abs(np.stack(reference.run_layers(list(x))) - steps).max() < 1e-14


def test_a_whole_window_model_has_no_steps_and_goes_on_from_nothing() -> None:
    reference = Reference(sample(**MODELS["both"]))
    with pytest.raises(OptionError, match="the model has no steps, because it reads each input in both directions"):
        reference.step(reference.initial_state(1), np.zeros((1, 3)))
    with pytest.raises(
        OptionError, match="cannot continue from a state, because it reads each input in both directions"
    ):
        reference.run(np.zeros((2, 1, 3)), state=reference.initial_state(1))
