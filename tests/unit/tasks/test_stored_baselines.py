"""Baselines that are stored in a model file forecast like those that were fitted, within float32."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tidegate.errors import ModelFileError
from tidegate.limits import MAX_BASELINE_BYTES
from tidegate.tasks import _baseline_models
from tidegate.tasks._baseline_models import MAX_INPUTS, Ridge, RidgeWindow
from tidegate.tasks._baselines import RIDGE, choose_lookback, fit_baselines
from tidegate.tasks._stored_baselines import load_baselines, store_baselines
from tidegate.tasks.forecast import Options

WAVE = np.random.default_rng(0).standard_normal((200, 2)).cumsum(0) + 1e6
OPTIONS = Options(horizon=4, lookback=12, season=7)


def test_what_is_stored_forecasts_like_what_was_fitted() -> None:
    fitted, _ = fit_baselines([WAVE], OPTIONS, 4)
    entries, tensors = store_baselines(fitted)
    entries = json.loads(json.dumps(entries))
    assert all(array.dtype == np.float32 for array in tensors.values())
    loaded = load_baselines({"baseline_models": entries}, tensors, 4, 2)
    assert loaded is not None
    assert list(loaded) == ["last value", "seasonal naive (7 steps)", RIDGE]
    assert (loaded["last value"], loaded["seasonal naive (7 steps)"]) == (1, 7)
    before, after = (models[RIDGE] for models in (fitted, loaded))
    assert isinstance(before, Ridge)
    assert isinstance(after, Ridge)
    at = np.arange(30, 190)
    assert np.allclose(before.predict(WAVE, at), after.predict(WAVE, at), rtol=0, atol=1e-4)
    with pytest.raises(ModelFileError, match="forecasts 4 steps of 2 targets; the model forecasts 5 of 2"):
        load_baselines({"baseline_models": entries}, tensors, 5, 2)
    assert load_baselines({}, {}, 4, 2) is None


def test_what_float32_cannot_hold_is_not_stored() -> None:
    fitted, _ = fit_baselines([WAVE * 1e40], Options(horizon=4, lookback=12, season=0), 4)
    assert isinstance(fitted[RIDGE], Ridge)
    assert store_baselines(fitted) == ({"last value": {"kind": "seasonal_naive", "season": 1}}, {})


def test_a_reason_is_kept() -> None:
    fitted, _ = fit_baselines([WAVE[:10]], OPTIONS, 4)
    reason = next(value for value in fitted.values() if isinstance(value, str))
    entries, tensors = store_baselines(fitted)
    errors = {"last value": 1.0, **{name: value for name, value in fitted.items() if isinstance(value, str)}}
    loaded = load_baselines({"baselines": errors, "baseline_models": entries}, tensors, 4, 2)
    assert loaded is not None
    assert list(loaded.values()) == [1, 7, reason]


def test_a_longer_history_continues_the_fit_with_its_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    window = RidgeWindow(12, 4, 7)
    short, longer = Ridge.fit_windows(window, [WAVE[:150]], longer=[WAVE, WAVE[:60]])
    assert short.penalties == longer.penalties == Ridge.fit([WAVE[:150]], 12, 4, 7).penalties
    assert short.window_counts == (150 - 19 - 3,) * 2
    assert longer.window_counts == (200 - 19 - 3 + 60 - 19 - 3,) * 2
    monkeypatch.setattr(_baseline_models, "PENALTIES", short.penalties[:1])
    _, longer = Ridge.fit_windows(window, [WAVE[:150, :1]], longer=[WAVE[:, :1], WAVE[:60, :1]])
    whole = Ridge.fit([WAVE[:, :1], WAVE[:60, :1]], 12, 4, 7)
    assert np.allclose(longer.maps[0].weights, whole.maps[0].weights)


@pytest.mark.parametrize(("targets", "horizon"), [(1, 96), (7, 720), (1, 10_000)])
def test_a_look_back_fits_the_limits(targets: int, horizon: int) -> None:
    got = choose_lookback(7 * horizon, 24, horizon, targets, 10**6)
    assert 1 <= got <= MAX_INPUTS
    assert 4 * targets * (got + got * horizon + horizon) <= MAX_BASELINE_BYTES
    assert choose_lookback(7 * horizon, 24, horizon, targets, 10) == 1
