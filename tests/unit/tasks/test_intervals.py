"""Bootstrap intervals, against a plain loop that draws rows and measures them anew, and against the truth."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from tidegate.tasks._answered_rows import AnsweredRows
from tidegate.tasks._intervals import Units, add_units, bootstrap, compute_figures, number_units
from tidegate.tasks._reliability import measure_reliability

Rows = AnsweredRows


def make_single(n: int = 90, classes: int = 4, seed: int = 0) -> Rows:
    """Make rows of one label each, some of them without an answer or with an unseen label."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), truth] += 1.5
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth[rng.random(n) < 0.1] = -1
    return Rows(p.astype(np.float32), truth, [f"c{k}" for k in range(classes)], rng.random(n) < 0.1, 0.5)


def make_several(n: int = 90, labels: int = 4, seed: int = 0) -> Rows:
    """Make rows of several labels, some of them without an answer or with a label that is not in training."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, labels + 1)) < 0.3).astype(np.float32)
    truth[:, -1] *= rng.random(n) < 0.2
    p = 1 / (1 + np.exp(-(rng.normal(size=(n, labels)) + 3 * truth[:, :-1] - 1.5)))
    return Rows(p.astype(np.float32), truth, [f"c{k}" for k in range(labels)], rng.random(n) < 0.1, 0.5)


def measure(rows: Rows) -> dict[str, Any]:
    """Measure rows in the plain way."""
    decisions = rows.decide()
    return {**rows.measure(), "ece": measure_reliability(decisions.probability, decisions.right)["ece"]}


BOTH = pytest.mark.parametrize("rows", [make_single(), make_several()], ids=["one label", "several"])


@BOTH
def test_sums_of_all_rows_give_the_metrics(rows: Rows) -> None:
    sums = add_units(rows, np.arange(len(rows)))
    (counts,), (dense,) = sums.total(np.ones((1, len(rows))))
    expected = measure(rows)
    for name, value in compute_figures(sums, counts, dense).items():
        assert value == pytest.approx(expected[name], rel=1e-6), name


@pytest.mark.parametrize("grouped", [False, True])
@BOTH
def test_intervals_are_those_of_a_plain_loop(rows: Rows, grouped: bool) -> None:
    n, resamples = len(rows), 60
    number = np.random.default_rng(3).integers(0, 12, n) * 5 if grouped else np.arange(n)
    names = np.unique(number)
    rng, found = np.random.default_rng(7), []
    for _ in range(resamples):
        drawn = rng.integers(0, len(names), len(names))
        chosen = np.concatenate([np.flatnonzero(number == names[k]) for k in drawn])
        found.append(measure(rows.select(chosen)))
    got = bootstrap(rows, Units(number), resamples, seed=7)
    assert set(got) >= {"macro_f1", "log_loss", "ece"}
    assert ("micro_f1" in got) == ("subset_accuracy" in got) == rows.several == ("accuracy" not in got)
    for name, interval in got.items():
        plain = np.percentile([one[name] for one in found], [2.5, 97.5])
        assert interval == pytest.approx(plain.tolist(), rel=1e-6), name


def test_intervals_cover_the_truth_nineteen_times_of_twenty() -> None:
    rng, hits = np.random.default_rng(5), 0
    for _ in range(100):
        right = rng.random(300) < 0.8
        rows = Rows(
            np.where(right[:, None], [0.9, 0.1], [0.2, 0.8]), np.zeros(300, int), ["a", "b"], ~np.ones(300, bool), 0.5
        )
        low, high = bootstrap(rows, Units(np.arange(300)), 100)["accuracy"]
        hits += low <= 0.8 <= high
    assert 88 <= hits <= 99


def test_groups_of_equal_rows_have_intervals_as_wide_as_those_of_the_groups_alone() -> None:
    one = make_single(60)
    nine = one.select(np.repeat(np.arange(60), 9))
    number = np.repeat(np.arange(60), 9)
    alone, rows, groups = (
        bootstrap(of, Units(k))["accuracy"] for of, k in ((one, np.arange(60)), (nine, np.arange(540)), (nine, number))
    )
    assert groups == pytest.approx(alone)
    assert rows[1] - rows[0] < 0.5 * (groups[1] - groups[0])


def test_a_single_unit_has_no_intervals_and_a_figure_without_a_value_has_none() -> None:
    rows = make_single()
    assert bootstrap(rows, Units(np.zeros(len(rows), np.int64))) == {}
    blank = Rows(rows.probabilities, rows.truth, rows.labels, np.ones(len(rows), bool), 0.5)
    got = bootstrap(blank, Units(np.arange(len(rows))))
    assert got["accuracy"] == [0, 0]
    assert not {"log_loss", "ece"} & set(got)


def test_the_same_rows_have_the_same_intervals() -> None:
    rows = make_single()
    assert bootstrap(rows, Units(np.arange(90))) == bootstrap(rows, Units(np.arange(90)))


def test_rows_without_a_group_are_a_group_each() -> None:
    units = number_units(["a", "", "a", "", "b"], "group", "patient")
    assert units.number.tolist() == [0, 1, 0, 2, 3]
    assert units.as_dict() == {
        "resamples": 1000,
        "of": "group",
        "units": 4,
        "column": "patient",
        "missing_column": None,
    }


@pytest.mark.slow
def test_a_thousand_resamples_of_twenty_thousand_rows_take_seconds() -> None:
    rows = make_single(20_000, 150)
    start = time.process_time()
    bootstrap(rows, Units(np.arange(20_000)))
    assert time.process_time() - start < 10  # about 0.5 s on an idle machine
