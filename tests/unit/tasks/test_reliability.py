"""The expected calibration error, against scikit-learn and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.tasks._answered_rows import AnsweredRows
from tidegate.tasks._reliability import BINS, find_bins, measure_reliability


def test_bins_are_those_of_scikit_learn() -> None:
    calibration = pytest.importorskip("sklearn.calibration")
    rng = np.random.default_rng(0)
    p = rng.random(3000).round(3)  # many at the bounds of bins, or on 0 and 1
    right = rng.random(3000) < p**1.5
    found = measure_reliability(p, right)
    share, mean = calibration.calibration_curve(right, p, n_bins=BINS, strategy="uniform")
    assert [one["accuracy"] for one in found["reliability"]] == pytest.approx(share.tolist())
    assert [one["probability"] for one in found["reliability"]] == pytest.approx(mean.tolist())


def test_the_error_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    p = rng.beta(5, 2, 700)
    right = rng.random(700) < p - 0.1
    total = 0.0
    for m in range(BINS):
        inside = [i for i in range(700) if m / BINS < p[i] <= (m + 1) / BINS]
        if inside:
            total += len(inside) / 700 * abs(np.mean(p[inside]) - np.mean(right[inside]))
    found = measure_reliability(p, right)
    assert found["ece"] == pytest.approx(total)
    assert found["bias"] == pytest.approx(p.mean() - right.mean())
    assert 0.05 < found["bias"] < 0.15


def test_empty_bins_are_left_out_and_bounds_belong_to_the_bin_below() -> None:
    found = measure_reliability(np.array([0.0, 0.2, 0.2000001, 1.0]), np.array([False, True, True, True]), bins=5)
    assert [(one["low"], one["high"], one["decisions"]) for one in found["reliability"]] == [
        (0.0, 0.2, 2),
        (0.2, 0.4, 1),
        (0.8, 1.0, 1),
    ]
    assert find_bins(np.array([1 / 15, 2 / 15])).tolist() == [0, 1]


def test_nothing_is_said_of_no_decision() -> None:
    assert measure_reliability(np.zeros(0), np.zeros(0, bool)) == {"ece": None, "bias": None, "reliability": []}


def test_a_row_without_an_answer_decides_nothing_and_an_unseen_label_is_wrong() -> None:
    scores = np.array([[0.7, 0.3], [0.0, 0.0], [0.4, 0.6]], np.float32)
    rows = AnsweredRows(scores, np.array([0, 1, -1]), ["a", "b"], np.array([False, True, False]), 0.5)
    decisions = rows.decide()
    assert decisions.row.tolist() == [0, 2]
    assert decisions.probability.tolist() == pytest.approx([0.7, 0.6])
    assert decisions.right.tolist() == [True, False]


def test_with_several_labels_each_row_decides_about_each_known_label() -> None:
    truth = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0]], np.float32)  # the last column is of a label not in training
    scores = np.array([[0.9, 0.2], [0.1, 0.4], [0.0, 0.0]])
    decisions = AnsweredRows(scores, truth, ["a", "b"], np.array([False, False, True]), 0.5).decide()
    assert decisions.row.tolist() == [0, 0, 1, 1]
    assert decisions.probability.tolist() == [0.9, 0.2, 0.1, 0.4]
    assert decisions.right.tolist() == [True, False, False, True]
