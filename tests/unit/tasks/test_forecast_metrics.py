"""The metrics of a forecaster, each compared with values computed by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError
from tidegate.tasks._forecast_metrics import check_quantiles, score, seasonal_scale, symmetric_pairs

LEVELS = [0.1, 0.5, 0.9]
nan = math.nan

# Two origins, two steps ahead, one target: truth 10, 0 and 2, unknown; medians 8, 0 and 5, 1.
TRUTH = np.array([[[10.0], [0.0]], [[2.0], [nan]]])
FORECASTS = np.array([[[[7.0, 8.0, 9.0]], [[-1.0, 0.0, 1.0]]], [[[2.0, 5.0, 6.0]], [[3.0, 1.0, 4.0]]]])


def example_scores(scale: float = 4.0) -> dict[str, Any]:
    return score(FORECASTS, TRUTH, LEVELS, np.array([scale]))


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("origins", 2),
        ("unknown", 1),
        ("mae", (2 + 0 + 3) / 3),
        ("mse", (4 + 0 + 9) / 3),
        ("rmse", math.sqrt(13 / 3)),
        ("smape", (200 * 2 / 18 + 0 + 200 * 3 / 7) / 3),  # 0 against 0 counts 0
        ("mase", 5 / 3 / 4),
        ("crossing", 1 / 4),  # 3, 1, 4; it needs no truth
    ],
)
def test_a_figure_worked_out_by_hand(figure: str, value: float) -> None:
    assert example_scores()[figure] == pytest.approx(value, rel=1e-15)


def test_pinball_by_hand() -> None:
    got = example_scores()
    # level x (y - q) above the quantile, (1 - level) x (q - y) below it
    low = (0.1 * 3 + 0.1 * 1 + 0) / 3
    middle = (0.5 * 2 + 0 + 0.5 * 3) / 3
    high = (0.9 * 1 + 0.1 * 1 + 0.1 * 4) / 3
    assert got["pinball_per_quantile"] == pytest.approx({"0.1": low, "0.5": middle, "0.9": high}, rel=1e-14)
    assert got["pinball"] == pytest.approx((low + middle + high) / 3, rel=1e-14)
    assert middle == pytest.approx(got["mae"] / 2)


def test_coverage_counts_the_ends_in() -> None:
    # 10 lies above 9; 0 within -1 and 1; 2 on the lower end
    assert example_scores()["coverage"] == {"0.8": pytest.approx(2 / 3)}


def test_every_symmetric_pair_has_its_coverage() -> None:
    levels = [0.05, 0.1, 0.25, 0.5, 0.75, 0.95]
    forecasts = np.arange(6.0).reshape(1, 1, 1, 6)
    got = score(forecasts, np.array([[[1.5]]]), levels, np.ones(1))
    assert got["coverage"] == {"0.9": 1.0, "0.5": 0.0}
    assert symmetric_pairs(levels) == [(0, 5), (2, 4)]


def test_figures_of_each_step() -> None:
    truth = np.array([[[1.0, 100.0], [2.0, nan]], [[3.0, 100.0], [4.0, nan]]])
    forecasts = np.zeros((2, 2, 2, 3))
    forecasts[..., 1, :] = 90.0
    got = score(forecasts, truth, LEVELS, np.array([2.0, 5.0]))
    assert got["per_step"] == [(1 + 10 + 3 + 10) / 4, 3.0]
    assert got["mase"] == pytest.approx((0.5 + 1 + 1.5 + 2 + 2 + 2) / 6)


def test_a_scale_for_each_origin() -> None:
    truth, forecasts = np.full((2, 1, 1), 6.0), np.zeros((2, 1, 1, 3))
    assert score(forecasts, truth, LEVELS, np.array([[2.0], [3.0]]))["mase"] == 2.5


def test_without_a_scale_there_is_no_mase_but_a_reason() -> None:
    got = example_scores(0.0)
    assert got["mase"] is None
    assert got["mase_reason"] == (
        "all true values have no scale (their history is constant or shorter than a season) and are left out"
    )
    assert example_scores(nan)["mase"] is None
    assert example_scores()["mase_reason"] is None


def test_values_without_a_scale_are_left_out_and_counted() -> None:
    truth, forecasts = np.full((1, 2, 2), 6.0), np.zeros((1, 2, 2, 3))
    got = score(forecasts, truth, LEVELS, np.array([2.0, 0.0]))
    assert got["mase"] == 3.0
    assert got["mase_reason"].startswith("2 of 4 true values have no scale")


def test_an_unknown_value_changes_nothing_whatever_was_forecast() -> None:
    other = FORECASTS.copy()
    other[1, 1, 0] = [0.0, 1e6, 2e6]
    same = ("mae", "mse", "smape", "mase", "pinball", "coverage", "per_step")
    again = score(other, TRUTH, LEVELS, np.array([4.0]))
    assert {k: example_scores()[k] for k in same} == {k: again[k] for k in same}
    assert example_scores()["per_step"] == [2.5, 0.0]


@pytest.mark.parametrize("origins", [0, 3])
def test_no_truth_gives_no_figures(origins: int) -> None:
    got = score(np.zeros((origins, 2, 1, 3)), np.full((origins, 2, 1), nan), LEVELS, np.ones(1))
    assert (got["mae"], got["rmse"], got["smape"], got["mase"], got["pinball"]) == (None,) * 5
    assert got["coverage"] == {"0.8": None}
    assert got["per_step"] == [None, None]
    assert got["unknown"] == 2 * origins


def test_figures_are_plain_json() -> None:
    assert json.loads(json.dumps(example_scores(), allow_nan=False)) == example_scores()


def test_float32_is_summed_in_float64() -> None:
    truth = np.full((1000, 1, 1), 1e6 + 0.25)
    got = score(np.full((1000, 1, 1, 3), 1e6, np.float32), truth, LEVELS, np.ones(1))
    assert got["mae"] == 0.25


def test_the_loss_of_the_true_quantile_is_least() -> None:
    draws = np.random.default_rng(0).normal(size=(4000, 1, 1))
    true = float(np.quantile(draws, 0.9))

    def loss(guess: float) -> float:
        q = np.broadcast_to([-9.0, 0.0, guess], (4000, 1, 1, 3))
        return float(score(q, draws, LEVELS, np.ones(1))["pinball_per_quantile"]["0.9"])

    assert loss(true) < min(loss(true - 0.1), loss(true + 0.1))


def test_the_formulas_of_scikit_learn_agree() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    y, q = random.normal(size=(50, 1, 1)), np.sort(random.normal(size=(50, 1, 1, 3)), -1)
    got = score(q, y, LEVELS, np.ones(1))
    flat, point = y.ravel(), q[..., 1].ravel()
    assert got["mae"] == pytest.approx(metrics.mean_absolute_error(flat, point))
    assert got["mse"] == pytest.approx(metrics.mean_squared_error(flat, point))
    for i, level in enumerate(LEVELS):
        theirs = metrics.mean_pinball_loss(flat, q[..., i].ravel(), alpha=level)
        assert got["pinball_per_quantile"][f"{level:g}"] == pytest.approx(theirs)


@pytest.mark.parametrize(
    ("values", "season", "scale"),
    [
        ([1.0, 2.0, 4.0, 8.0], 1, (1 + 2 + 4) / 3),
        ([1.0, 2.0, 4.0, 8.0], 2, (3 + 6) / 2),
        ([1.0, nan, 4.0, 8.0], 1, 4.0),
        ([5.0, 5.0, 5.0], 1, 0.0),
        ([1.0, 2.0], 2, nan),
        ([1.0, nan, 3.0], 1, nan),
    ],
)
def test_the_scale_of_mase(values: list[float], season: int, scale: float) -> None:
    assert seasonal_scale(np.array(values)[:, None], season).tolist() == pytest.approx([scale], nan_ok=True)


@pytest.mark.parametrize(
    "quantiles", [[], [0.5, 0.1], [0.1, 0.9], [0.0, 0.5], [0.5, 1.0], [0.5, 0.5], [nan, 0.5], [-0.1, 0.5]]
)
def test_quantiles_that_cannot_be(quantiles: list[float]) -> None:
    with pytest.raises(DataError, match="must ascend between 0 and 1, with 0.5 among them"):
        check_quantiles(quantiles)


def break_at(place: tuple[int, ...], value: float) -> np.ndarray[Any, Any]:
    found = FORECASTS.copy() if len(place) == 4 else TRUTH.copy()
    found[place] = value
    return found


@pytest.mark.parametrize(
    ("forecasts", "truth", "scale", "message"),
    [
        (
            break_at((1, 0, 0, 2), nan),
            TRUTH,
            [1.0],
            "the forecast of origin 1, step 1, target 0 is not a finite number",
        ),
        (FORECASTS, break_at((0, 1, 0), math.inf), [1.0], "the true value of origin 0, step 2, target 0 is infinite"),
        (
            FORECASTS[..., :2],
            TRUTH,
            [1.0],
            r"forecasts have shape \[2, 2, 1, 2\] and truth \[2, 2, 1\] with 3 quantiles",
        ),
        (FORECASTS, TRUTH[0], [1.0], r"truth \[2, 1\]"),
        (FORECASTS, TRUTH, [1.0, 1.0], r"scale has shape \[2\]; expected \[1\] or \[2, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(forecasts: Any, truth: Any, scale: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        score(forecasts, truth, LEVELS, np.array(scale))


def test_a_scale_needs_steps_by_targets_and_a_season() -> None:
    with pytest.raises(DataError, match=r"values have shape \[3\]; expected \[steps, targets\]"):
        seasonal_scale(np.zeros(3), 1)
    with pytest.raises(DataError, match="season is 0; expected 1 or more steps"):
        seasonal_scale(np.zeros((3, 1)), 0)
