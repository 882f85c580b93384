"""Peaks over threshold: thresholds of draws from known distributions are exceeded as often as they should be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tidegate.errors import DataError, OptionError
from tidegate.tasks._tails import Tail, count_needed, fit_pareto, fit_tail, threshold_of

SAMPLES, RUNS = 20_000, 40
DISTRIBUTIONS = {  # how to draw, the probability that a value is exceeded, and the shape of the tail
    "exponential": (lambda random, n: random.exponential(2.0, n), lambda t: math.exp(-t / 2), 0.0),
    "uniform": (lambda random, n: random.uniform(0.0, 3.0, n), lambda t: max(0.0, 1 - t / 3), -1.0),
    "Pareto of index 4": (lambda random, n: random.pareto(4.0, n), lambda t: (1 + t) ** -4.0, 0.25),
    "squared normal": (lambda random, n: random.standard_normal(n) ** 2, lambda t: math.erfc(math.sqrt(t / 2)), None),
}


def measure_ratios(name, rate, change=lambda tail: tail):
    """Return how often a fitted threshold is exceeded, over the rate that was asked for, in each of several runs."""
    draw, survival, _ = DISTRIBUTIONS[name]
    tails = [fit_tail(draw(np.random.default_rng(seed), SAMPLES)) for seed in range(RUNS)]
    return np.array([survival(threshold_of(change(tail), rate)) / rate for tail in tails])


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_threshold_is_exceeded_at_its_rate(name):
    """A threshold that is a quantile of the samples would be exceeded at 1 +- 0.22 of the rate."""
    ratios = measure_ratios(name, 1e-3)
    assert abs(ratios.mean() - 1) < 0.25
    assert ratios.std() < 0.35


@pytest.mark.parametrize("name", ["exponential", "Pareto of index 4", "squared normal"])
def test_a_threshold_beyond_most_samples_is_of_the_right_size(name):
    ratios = measure_ratios(name, 5e-5)  # one of the samples is expected above it
    assert 0.6 < np.median(ratios) < 1.7


@pytest.mark.parametrize("name", ["uniform", "Pareto of index 4"])
def test_the_wrong_sign_of_the_shape_would_show(name):
    def turn(tail):
        return Tail(tail.level, tail.scale, -tail.shape, tail.share, tail.samples)

    wrong = measure_ratios(name, 1e-3, turn).mean()
    assert abs(wrong - 1) > 0.25, wrong


@pytest.mark.parametrize(("name", "shape"), [(name, of[2]) for name, of in DISTRIBUTIONS.items() if of[2] is not None])
def test_scale_and_shape_are_those_of_the_distribution(name, shape):
    draw = DISTRIBUTIONS[name][0]
    tails = [fit_tail(draw(np.random.default_rng(seed), SAMPLES)) for seed in range(RUNS)]
    assert np.mean([tail.shape for tail in tails]) == pytest.approx(shape, abs=0.06)
    assert all(tail.share == pytest.approx(0.02, abs=1e-3) and tail.samples == SAMPLES for tail in tails)


def test_scores_in_another_unit_have_their_threshold_in_it():
    scores = np.random.default_rng(1).exponential(1.0, 5000)
    plain, scaled = (threshold_of(fit_tail(one), 1e-3) for one in (scores, 7 + 1000 * scores))
    assert scaled == pytest.approx(7 + 1000 * plain, rel=1e-9)


def test_rarer_scores_are_larger_and_those_of_a_shape_near_0_as_those_of_0():
    for shape in (-1.0, -0.3, 0.0, 0.5):
        tail = Tail(1.0, 2.0, shape, 0.02, 10**7)
        thresholds = [threshold_of(tail, rate) for rate in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)]
        assert thresholds == sorted(thresholds)
        assert shape >= 0 or thresholds[-1] < 1.0 - 2.0 / shape
    near, zero = (threshold_of(Tail(1.0, 2.0, shape, 0.02, 10**7), 1e-5) for shape in (1e-12, 0.0))
    assert near == pytest.approx(zero, rel=1e-9)


def test_no_peak_is_beyond_the_bound_of_its_own_tail():
    for seed in range(200):
        peaks = np.sort(np.random.default_rng(seed).uniform(0.0, 1.0, 12) ** 0.5)
        scale, shape = fit_pareto(peaks)
        assert scale > 0
        assert shape >= 0 or peaks[-1] <= -scale / shape * (1 + 1e-12)


def test_a_very_heavy_tail_keeps_a_finite_variance():
    assert fit_tail(np.random.default_rng(0).pareto(0.7, 20_000)).shape == 0.5


def test_peaks_that_are_all_equal_have_a_bound():
    scores = np.where(np.arange(1000) < 990, 0.0, 5.0)
    tail = fit_tail(scores, 0.9)
    assert tail.share == 0.01  # of the samples that are above the level, not 1 - 0.9
    assert 0 < threshold_of(tail, 1e-3) <= 10.0


def test_scores_of_the_warm_up_are_left_out():
    scores = np.random.default_rng(0).exponential(1.0, 1000)
    assert fit_tail(np.concatenate([[math.nan] * 50, scores])) == fit_tail(scores)


@pytest.mark.parametrize(
    ("scores", "quantile", "error", "message"),
    [
        (np.arange(499.0), 0.98, DataError, "499 normal samples have a score, but 500 are needed, so that 10 are in"),
        (np.full(600, math.nan), 0.98, DataError, "0 normal samples have a score, but 500 are needed"),
        (np.full(600, 3.0), 0.98, DataError, "only 0 of 600 normal samples have a score above 3, since most are equal"),
        (np.append(np.arange(600.0), math.inf), 0.98, DataError, "the score of a normal sample is infinite"),
        (np.arange(600.0), 1.0, OptionError, "quantile is 1.0; expected more than 0 and less than 1"),
    ],
)
def test_scores_without_a_tail(scores, quantile, error, message):
    with pytest.raises(error, match=message):
        fit_tail(scores, quantile)


def test_a_rate_that_is_too_low_says_how_many_samples_it_needs():
    tail = fit_tail(np.random.default_rng(0).exponential(1.0, 1000))
    assert threshold_of(tail, 1e-4) > tail.level  # a tenth of a sample is expected above it
    with pytest.raises(DataError, match=r"1,000 normal samples do not tell .* one in 86,400 exceeds; 8,640 are needed"):
        threshold_of(tail, 1 / 86400)
    assert count_needed(1 / 86400) == 8640
    assert threshold_of(fit_tail(np.random.default_rng(0).exponential(1.0, 8640)), 1 / 86400) > tail.level


@pytest.mark.parametrize("rate", [0.0, -0.1, 0.02, 0.5, math.nan])
def test_a_rate_that_is_not_in_the_tail(rate):
    with pytest.raises(OptionError, match=r"expected more than 0 and less than 0.02, the share of normal samples in"):
        threshold_of(Tail(1.0, 1.0, 0.0, 0.02, 10_000), rate)
