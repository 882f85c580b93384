"""The baselines agree with their definitions and never look ahead."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.errors import DataError
from tidegate.features.series import ForecastSpec, SeriesTransform, Window
from tidegate.tasks import _baseline_models
from tidegate.tasks._baseline_models import Moments, Ridge, RidgeWindow, best_season, seasonal_naive
from tidegate.tasks._forecast_errors import baseline_warning

Floats = np.ndarray[Any, Any]
nan = math.nan


def column(*values: float) -> Floats:
    return np.array(values, np.float64)[:, None]


def walk(steps: int, targets: int = 1, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(steps, targets)).cumsum(0)


# --- seasonal naive


@settings(max_examples=60, deadline=None)
@given(steps=st.integers(1, 40), season=st.integers(1, 9), horizon=st.integers(1, 20), seed=st.integers(0, 99))
def test_seasonal_naive_is_its_definition(steps: int, season: int, horizon: int, seed: int) -> None:
    steps += season
    y = walk(steps, 2, seed)
    origins = np.arange(season - 1, steps)
    got = seasonal_naive(y, origins, horizon, season)
    assert got.shape == (len(origins), horizon, 2)
    for n, t in enumerate(origins):
        for h in range(1, horizon + 1):
            assert got[n, h - 1].tolist() == y[t + h - season * math.ceil(h / season)].tolist()


def test_what_is_missing_is_taken_a_season_earlier() -> None:
    y = column(1.0, 2.0, nan, 4.0, nan, nan)
    assert seasonal_naive(y, np.array([5]), 3, 2).ravel().tolist() == [1.0, 4.0, 1.0]
    assert seasonal_naive(y, np.array([2]), 1, 1).ravel().tolist() == [2.0]


@pytest.mark.parametrize(
    ("y", "origin", "message"),
    [
        (column(1, 2, 3), 0, "origin 0 of a history of 3 steps; expected 1 to 2, so that 2 steps are known"),
        (column(1, 2, 3), 3, "origin 3 of a history of 3 steps; expected 1 to 2"),
        (column(nan, 2, nan), 2, "target 0 has no known value a whole number of seasons before step 4"),
        (np.zeros(3), 2, r"history has shape \[3\]; expected \[steps, targets\]"),
    ],
)
def test_an_origin_without_a_season_behind_it_is_refused(y: Floats, origin: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        seasonal_naive(y, np.array([origin]), 2, 2)


def test_the_future_of_an_origin_changes_nothing() -> None:
    y = walk(120, 2)
    ridge = Ridge.fit(y[:100], 12, 6, season=5)
    for t in (99, 104, 113):
        blind, at = y.copy(), np.array([t])
        blind[t + 1 :] = nan
        assert np.array_equal(seasonal_naive(y, at, 6, 4), seasonal_naive(blind, at, 6, 4))
        assert np.array_equal(ridge.predict(y, at), ridge.predict(blind, at))


def test_the_last_known_step_does_change_it() -> None:
    y, at = walk(60), np.array([50])
    ridge = Ridge.fit(y[:45], 6, 2)
    other = y.copy()
    other[50] += 1
    assert (seasonal_naive(other, at, 2, 1) - seasonal_naive(y, at, 2, 1)).ravel().tolist() == pytest.approx([1, 1])
    assert (ridge.predict(other, at) != ridge.predict(y, at)).all()


# --- the season


@pytest.mark.parametrize("horizon", [1, 5, 12])
def test_the_season_is_the_one_whose_forecasts_err_least(horizon: int) -> None:
    random = np.random.default_rng(horizon)
    t = np.arange(150)
    y = (np.sin(t * 2 * np.pi / 7) + 0.5 * np.sin(t * 2 * np.pi / 3) + 0.3 * random.normal(size=150))[:, None]
    candidates = [1, 3, 7, 10]
    reach = max(s * math.ceil(horizon / s) for s in candidates)
    errors = {}
    for s in candidates:
        leads = [
            np.abs(y[reach:, 0] - [y[u - s * math.ceil(h / s), 0] for u in range(reach, 150)])
            for h in range(1, horizon + 1)
        ]
        errors[s] = np.mean(leads)
        deviation = np.abs(y - y.mean()).mean()
        assert _baseline_models.relative_errors(y, s, horizon, reach) == pytest.approx(errors[s] / deviation)
    assert best_season(y, candidates, horizon) == min(errors, key=lambda s: errors[s]) == 7


def test_targets_weigh_the_same_whatever_their_unit() -> None:
    t = np.arange(60)
    weekly = np.array([0, 0, 0, 0, 0, 9, 9.0])[t % 7]
    two = np.stack([np.array([0, 3.0, 1])[t % 3], np.array([0, 3.0, 1])[t % 3], weekly * 1e9], 1)
    assert best_season(two, [3, 7]) == 3
    assert best_season(two[:, 2:], [3, 7]) == 7


def test_what_is_missing_or_constant_has_no_say() -> None:
    t = np.arange(60)
    y = np.stack([np.array([0, 3.0, 1])[t % 3], np.full(60, 5.0), np.full(60, nan)], 1)
    y[[7, 20, 21]] = nan
    assert best_season(y, [1, 2, 3, 4]) == 3


def test_of_equal_seasons_the_shortest_in_any_order() -> None:
    y = column(*np.array([0, 3.0, 1])[np.arange(40) % 3])
    assert best_season(y, [9, 6, 3]) == 3
    assert best_season([y[:20], y[:25]], [6, 9]) == 6


def test_a_series_too_short_to_compare_on_is_left_out_unless_all_are() -> None:
    y = column(*np.array([0, 3.0, 1])[np.arange(40) % 3])
    assert best_season([y[:4], y], [2, 3, 8]) == 3
    with pytest.raises(DataError, match=r"the longest series has 8 steps; comparing seasons of \[2, 3, 8\] takes 9"):
        best_season([y[:4], y[:8]], [8, 3, 2])
    with pytest.raises(DataError, match="season is 0"):
        best_season(y, [0, 3])


# --- ridge


def test_the_view_is_the_models_window() -> None:
    y, origins = walk(80, 2).astype(np.float32).astype(np.float64), np.array([30, 41, 77])
    for centre in ("last", "mean"):
        window = Window(20, 5, season=7, centre=centre, spread="window")
        transform = SeriesTransform(("a", "b"), ("target", "target"), window=window, forecast=ForecastSpec(9, (0.5,)))
        rows, frame = transform.make_windows(y.astype(np.float32), origins)
        for k in range(2):
            mine, base, spread = RidgeWindow(20, 9, 7, centre, "window").windows(y[:, k], origins)
            theirs = rows.reshape(3, 4, 5, 2)[..., k].reshape(3, 20)
            assert np.abs(mine - theirs).max() < 1e-5
            assert np.abs(base - frame.base[..., k] - frame.centre[:, None, k]).max() < 1e-5
            assert np.abs(spread - frame.spread[:, k]).max() < 1e-5


@pytest.mark.parametrize("season", [0, 6])
def test_a_linear_rule_is_learnt_to_the_last_digits(season: int) -> None:
    t = np.arange(400)
    y = np.stack([np.sin(t / 5) + np.cos(t / 11), 100 + 3 * np.sin(t / 7) + t / 10], 1)
    ridge = Ridge.fit(y[:300], 24, 8, season)
    origins = np.arange(299, 391)
    truth = np.stack([y[origins + h] for h in range(1, 9)], 1)
    assert np.abs(ridge.predict(y, origins) - truth).max() < 2e-3
    assert ridge.penalties == (1e-6, 1e-6)
    assert ridge.window_counts == (300 - 24 - season - 8 + 1,) * 2


def test_the_weights_are_those_of_least_squares_with_rows_for_the_penalty() -> None:
    y = walk(300, seed=3)
    ridge = Ridge.fit(y, 10, 4)
    examples = [np.concatenate(parts) for parts in zip(*ridge.window.examples(y[:, 0], 0, 295), strict=True)]
    x, truth = examples
    deviation = x.std(0)
    assert deviation[-1] == 0  # the last value minus itself
    x = (x - x.mean(0))[:, :-1] / deviation[:-1]
    penalised = np.vstack([x, np.sqrt(ridge.penalties[0] * len(x)) * np.eye(9)])
    weights, *_ = np.linalg.lstsq(penalised, np.vstack([truth - truth.mean(0), np.zeros((9, 4))]))
    assert ridge.maps[0].weights[:-1] * deviation[:-1, None] == pytest.approx(weights, abs=1e-9)
    assert (ridge.maps[0].weights[-1] == 0).all()
    assert ridge.maps[0].bias == pytest.approx(truth.mean(0))


def test_noise_asks_for_a_larger_penalty() -> None:
    noise = np.random.default_rng(0).normal(size=(200, 1))
    assert Ridge.fit(noise, 40, 3).penalties[0] >= 0.1


def test_the_penalty_is_chosen_on_windows_after_the_fitted_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, int]] = []
    fitted: list[tuple[int, int]] = []
    examples, solved = RidgeWindow.examples, Moments.solve

    def reading(self: RidgeWindow, x: Floats, first: int, last: int, every: int) -> Any:
        read.append((first, last))
        return examples(self, x, first, last, every)

    def solving(self: Moments, penalties: Any) -> Any:
        fitted.append((self.count, len(penalties)))
        return solved(self, penalties)

    monkeypatch.setattr(RidgeWindow, "examples", reading)
    monkeypatch.setattr(Moments, "solve", solving)
    Ridge.fit(walk(100), 10, 5, hold_out=0.2)
    # The truth of origin 74 ends with step 79, that of origin 79 begins with step 80; then the rest is added.
    assert read == [(0, 74), (79, 94), (75, 94)]
    assert fitted == [(66, len(_baseline_models.PENALTIES)), (86, 1)]


def test_what_lies_in_the_held_out_part_decides() -> None:
    noise = np.random.default_rng(2).normal(size=300)

    def momentum(after: float) -> Floats:
        """Make a walk whose differences are 0.9 of the one before, and from step 200 on `after` of it."""
        steps = [0.0]
        for t, e in enumerate(noise):
            steps.append((0.9 if t < 200 else after) * steps[-1] + e)
        return np.cumsum(steps)[:, None]

    assert Ridge.fit(momentum(0.9), 20, 5).penalties[0] < 1
    assert Ridge.fit(momentum(-0.9), 20, 5).penalties[0] == max(_baseline_models.PENALTIES)


def test_series_are_pooled_and_never_joined() -> None:
    t = np.arange(120)
    one, two = np.sin(t / 5)[:, None], np.cos(t / 5)[:, None] + 40
    ridge = Ridge.fit([one, two], 12, 4)
    assert ridge.window_counts == (2 * (120 - 12 - 4 + 1),)
    assert np.abs(ridge.predict(two, np.array([60]))[0] - two[61:65]).max() < 1e-3


def test_windows_of_their_own_spread_make_the_unit_irrelevant() -> None:
    y = walk(200, seed=5)
    one, thousand = (Ridge.fit(y * unit, 12, 4, spread="window") for unit in (1.0, 1000.0))
    at = np.array([150, 180])
    assert thousand.predict(y * 1000, at) == pytest.approx(one.predict(y, at) * 1000)
    flat = np.full((30, 1), 7.0)
    assert one.predict(flat, np.array([20])).ravel().tolist() == [7.0] * 4


def test_chunks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    y, at = walk(150, 2), np.arange(100, 140)
    whole = Ridge.fit(y, 12, 4)
    assert np.array_equal(whole.predict(y, at), Ridge.fit(y, 12, 4).predict(y, at))
    monkeypatch.setattr(_baseline_models, "CHUNK", 7)
    pieces = Ridge.fit(y, 12, 4)
    assert pieces.penalties == whole.penalties
    assert pieces.window_counts == whole.window_counts
    assert pieces.predict(y, at) == pytest.approx(whole.predict(y, at), abs=1e-8)


def test_windows_with_a_gap_are_left_out_of_the_fit_and_refused_in_a_forecast() -> None:
    y = walk(150)
    y[30] = nan
    ridge = Ridge.fit(y, 12, 4)
    assert ridge.window_counts == (150 - 12 - 4 + 1 - 16,)
    assert np.isfinite(ridge.predict(y, np.array([29, 42]))).all()
    with pytest.raises(DataError, match="the 12 steps up to step 41 have a missing value of target 0"):
        ridge.predict(y, np.array([29, 41]))


@pytest.mark.parametrize(
    ("series", "message"),
    [
        (
            [walk(19)],
            "look-back and twice the horizon take 20 steps without missing values, and the longest series has 19",
        ),
        ([walk(90), walk(90, 2)], r"series of \[1, 2\] targets; expected one number"),
    ],
)
def test_series_that_cannot_be_fitted(series: list[Floats], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Ridge.fit(series, 12, 4)


def test_the_shortest_series_that_can_be_fitted() -> None:
    assert Ridge.fit([walk(20)], 12, 4).window_counts == (5,)


def test_a_part_to_choose_by_that_is_all_gaps_is_said() -> None:
    y = walk(100)
    y[66::3] = nan
    with pytest.raises(DataError, match="no window without missing values in the last part"):
        Ridge.fit(y, 12, 4)


def test_forecasts_of_another_number_of_targets_are_refused() -> None:
    with pytest.raises(DataError, match="history has 2 targets; ridge was fitted on 1"):
        Ridge.fit(walk(90), 12, 4).predict(walk(90, 2), np.array([50]))


# --- the warning


def test_the_verdict_names_every_baseline_that_is_not_beaten() -> None:
    assert baseline_warning(1.0, {"ridge": 1.1, "seasonal naive": 2.0}) is None
    said = baseline_warning(1.0, {"ridge": 0.9, "seasonal naive": 1.0, "last value": 3.0})
    assert said is not None
    assert said.startswith(
        "the model does not beat ridge (MAE 1 against 0.9) and seasonal naive (MAE 1 against 1); use"
    )
    assert "last value" not in said
    assert baseline_warning(nan, {"ridge": 0.9}) is not None


def test_of_many_windows_every_nth_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(7).standard_normal((600, 1))
    whole = Ridge.fit(noise, 8, 2)
    monkeypatch.setattr("tidegate.tasks._baseline_models.MAX_WINDOWS", 200)
    thinned = Ridge.fit(noise, 8, 2)
    assert whole.window_counts == (591,)
    assert 591 // 3 <= thinned.window_counts[0] <= 591 // 3 + 2
    with pytest.raises(DataError, match="look-back of at most 2,048 steps; this one has 2,049"):
        Ridge.fit(noise, 2049, 2)
