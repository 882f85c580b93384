"""The baselines of a detector: what each finds, that none reads the future, and what training may lack."""

from __future__ import annotations

import builtins
import warnings

import numpy as np
import pytest

from tidegate.errors import DataError, MissingExtra
from tidegate.tasks._alarm_metrics import Judged, measure_points
from tidegate.tasks._detect_baselines import (
    FIRST,
    HALF_LIFE,
    KINDS,
    LAGS,
    fill,
    fit_autoregression,
    fit_baselines,
    fit_moving_z,
    fit_t2,
    measure_scale,
    take_lags,
)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def make_waves(steps, seed=0):
    """Return two channels, [steps, 2]: a wave with noise, and one that follows it at another level."""
    random = np.random.default_rng(seed)
    wave = np.sin(np.arange(steps) / 9)[:, None] * [1.0, 200.0] + [0.0, 1e4]
    return wave + random.standard_normal((steps, 2)) * [0.05, 10.0]


@pytest.mark.parametrize("name", KINDS)
def test_a_jump_of_both_channels_stands_out(name):
    baseline = KINDS[name]([make_waves(3000)])
    values, truth = make_waves(2000, 1), np.zeros(2000, bool)
    values[1000:1003] += [6.0, 1200.0]
    truth[1000:1003] = True
    scores = baseline.score(values)
    assert scores.dtype == np.float64
    assert measure_points([Judged(scores, np.zeros(2000, bool), truth)])["auroc"] > 0.99


def test_each_finds_what_it_is_made_for_and_others_do_not():
    baselines = fit_baselines([make_waves(3000)])
    flat, apart = make_waves(2000, 1), make_waves(2000, 2)
    flat[1000:1010] = flat[1000]  # usual levels that do not move
    flat[1000:1010, 0] = [0.0, 0.4] * 5
    apart[1000, 1] = 1e4 - 200 * np.sin(1000 / 9)  # a usual level, but not beside the other channel
    residual, level = baselines["autoregression"], baselines["T2 of levels"]
    assert 1000 <= np.nanargmax(residual.score(flat)) < 1012
    assert not 1000 <= np.nanargmax(baselines["moving z-score"].score(flat)) < 1012
    assert np.argmax(level.score(apart)) == 1000


@pytest.mark.parametrize("name", KINDS)
def test_a_score_reads_nothing_later(name):
    baseline = KINDS[name]([make_waves(1000)])
    values = make_waves(1300, 1)
    values[np.random.default_rng(2).random(values.shape) < 0.1] = np.nan
    whole = baseline.score(values)
    for steps in (1, LAGS, LAGS + 1, FIRST, 499, 500, 501, 1299):
        np.testing.assert_allclose(baseline.score(values[:steps]), whole[:steps], rtol=1e-12, equal_nan=True)


def moving_z_by_sample(values, least):
    """Return the scores as the definition gives them, one sample after another."""
    decay, scores = 0.5 ** (1 / HALF_LIFE), np.full(len(values), np.nan)
    for t in range(FIRST, len(values)):
        z2 = []
        for c in range(values.shape[1]):
            past = values[:t, c][~np.isnan(values[:t, c])]
            if len(past) > 1 and not np.isnan(values[t, c]):
                weights = decay ** np.arange(len(past) - 1, -1, -1)
                mean = np.average(past, weights=weights)
                variance = np.average((past - mean) ** 2, weights=weights)
                z2.append((values[t, c] - mean) ** 2 / max(variance, least[c] ** 2))
        scores[t] = np.mean(z2) if z2 else np.nan
    return scores


def test_a_moving_z_score_is_that_of_its_definition():
    random = np.random.default_rng(0)
    values = random.standard_normal((1700, 3)) * [1.0, 1e3, 0.1] + [1e6, 0.0, 50.0]
    values[random.random(values.shape) < 0.2] = np.nan
    values[:600, 1] = values[1000:1600, 2] = values[100:150] = np.nan
    baseline = fit_moving_z([values])
    np.testing.assert_allclose(
        baseline.score(values), moving_z_by_sample(values, baseline.least), rtol=1e-6, atol=1e-9, equal_nan=True
    )


def test_a_level_that_changed_long_ago_is_normal_for_the_moving_z_score_alone():
    values = make_waves(6000)
    values[2000:, 0] += 30.0
    moving, level = fit_moving_z([values[:1000]]), fit_t2([values[:1000]])
    assert np.nanmean(moving.score(values)[5500:]) < 2
    assert level.score(values)[5500:].mean() > 100


def test_an_autoregression_does_not_read_across_series():
    first, second = make_waves(500), make_waves(500, 1) + np.array([50.0, 0.0])
    apart, joined = fit_autoregression([first, second]), fit_autoregression([np.concatenate([first, second])])
    residuals = [np.nanmean(one.score(second)) for one in (apart, joined)]
    assert residuals[0] > residuals[1]  # the jump between them is in the deviation of the joined one
    assert np.isnan(apart.score(second)[:LAGS]).all()
    assert not np.isnan(apart.score(second)[LAGS:]).any()
    assert np.isnan(apart.score(second[:LAGS])).all()


def test_the_residual_of_an_autoregression_is_what_was_added_to_it():
    random = np.random.default_rng(0)
    noise, values = random.standard_normal(5000), np.zeros((5000, 1))
    for t in range(2, 5000):
        values[t] = 1.5 * values[t - 1] - 0.7 * values[t - 2] + noise[t]
    baseline = fit_autoregression([values])
    assert baseline.weights[LAGS - 2 : LAGS, 0] == pytest.approx([-0.7, 1.5], abs=0.06)  # of the two samples before
    assert np.corrcoef(baseline.score(values)[LAGS:], noise[LAGS:] ** 2)[0, 1] > 0.99


def test_the_residual_of_normal_samples_is_white():
    values = make_waves(5000)
    baseline = fit_autoregression([values])
    part = (values - baseline.mean) / baseline.deviation
    white = (part[LAGS:] - take_lags(part) @ baseline.weights) @ baseline.whitening
    assert np.abs(np.cov(white.T) - np.eye(2)).max() < 0.25  # the covariance is shrunk by a tenth
    assert np.nanmean(baseline.score(values)) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("name", [name for name in KINDS if name != "isolation forest"])
def test_a_channel_that_was_constant_and_moves_later_stands_out(name):
    values = np.column_stack([make_waves(1000)[:, 0], np.full(1000, 0.1)])
    baseline = KINDS[name]([values])
    moved = values.copy()
    moved[900:, 1] = 9.0
    assert np.isfinite(baseline.score(values)[FIRST:]).all()
    assert baseline.score(moved)[900] > np.nanmax(baseline.score(values))


@pytest.mark.parametrize("name", KINDS)
def test_series_that_are_constant_throughout_have_finite_scores(name):
    scores = KINDS[name]([np.full((200, 2), 45.0)]).score(np.full((100, 2), 45.0))
    assert np.isfinite(scores[FIRST:]).all()


def test_missing_numbers_repeat_the_one_before_and_begin_with_the_mean():
    nan = np.nan
    assert fill(np.array([[nan, 1.0], [2.0, nan], [nan, nan]])).tolist() == [[0, 1], [2, 1], [2, 1]]
    mean, deviation = measure_scale([np.array([[1.0, nan]]), np.array([[3.0, 7.0], [nan, 7.0]])])
    assert (mean.tolist(), deviation.tolist()) == ([2.0, 7.0], [1.0, 1.0])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "the training part has no samples; add some"),
        ([np.zeros((0, 2))], "the training part has no samples; add some"),
        ([np.array([[1.0, np.nan]] * 30)], "channel 2 has no number in the training part; leave it out, or fill it in"),
        (
            [np.zeros((10, 1))] * 3,
            "the longest training series has 10 samples; the autoregression needs 11; add samples",
        ),
    ],
)
def test_a_training_part_that_lacks_something(parts, message):
    with pytest.raises(DataError, match=message):
        fit_baselines(parts)


def test_without_scikit_learn_the_forest_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def refuse(name, *more, **named):
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtra, match=r"run pip install 'tidegate\[train\]'"):
        fit_baselines([make_waves(100)])
