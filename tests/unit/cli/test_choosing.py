"""What `fit` says of folds and of searches."""

from __future__ import annotations

from typing import Any

from tidegate.cli._choosing import format_folds, format_report, format_search

FOLDS: dict[str, Any] = {
    "count": 5,
    "mean": {"accuracy": 0.93184, "log_loss": 0.25},
    "deviation": {"accuracy": 0.0061, "log_loss": 0.031},
}


def make_search(best: float, noise: float | None = 0.01, **more: Any) -> dict[str, Any]:
    each = [
        {"trial": 1, "state": "finished", "figure": 0.9, "options": {"rate": 0.003, "drop_pool": 0.5}},
        {"trial": 2, "state": "finished", "figure": best, "options": {"rate": 0.005, "drop_pool": 0.5}},
        {"trial": 3, "state": "pruned", "figure": None, "options": {"rate": 0.009, "drop_pool": 0.1}, "reason": "x"},
    ]
    wins = best > 0.9
    return {
        **{"trials": 3, "pruned": 1, "failed": 0, "metric": "micro_f1", "lower": False, "default": 0.9},
        "best": {"trial": 2 if wins else 1, "figure": max(best, 0.9), "options": {"rate": 0.005} if wins else {}},
        "noise": {"standard_error": noise, "of": "the figure"},
        **{"searched": {}, "importance": {}, "optuna": "5.0.0", "each": each},
        **more,
    }


def test_folds_are_a_mean_and_a_spread() -> None:
    assert format_folds(FOLDS) == "accuracy 0.932 ± 0.006, log loss 0.250 ± 0.031 in 5 folds"
    assert format_report({"folds": FOLDS}, 80) == format_folds(FOLDS)
    assert format_report({}, 80) == ""


def test_a_search_shows_the_defaults_the_best_and_what_differs() -> None:
    assert format_search(make_search(0.93), None, 80).splitlines() == [
        "search: 3 trials, 1 stopped early; micro f1 on held-out rows:",
        "defaults 0.9000, best 0.9300",
        "trial  figure  options",
        "2      0.9300  rate 0.005",
        "1      0.9000  the defaults",
        "The best of 3 figures flatters, as it was chosen by the rows that it is",
        "measured on. One standard error of the figure is 0.0100. Measure the model on",
        "other rows with tidegate score.",
    ]


def test_a_gain_within_the_noise_may_be_chance() -> None:
    assert "so the difference may be chance" in format_search(make_search(0.905), None, 999)
    assert "chance" not in format_search(make_search(0.905, noise=None), None, 999)
    same = format_search(make_search(0.89), FOLDS, 999)
    assert "No trial is better than the defaults, which the model has." in same
    assert "micro f1 on 5 folds:" in same


def test_a_figure_of_which_less_is_better_is_sorted_so() -> None:
    shown = format_search(make_search(0.93, lower=True), None, 80).splitlines()
    assert [line.split()[0] for line in shown[3:5]] == ["1", "2"]


def test_importance_is_shown_in_shares() -> None:
    shown = format_search(make_search(0.93, importance={"rate": 0.75, "drop_pool": 0.25}), None, 80)
    assert "what makes the difference: rate 75%, drop pool 25%" in shown
