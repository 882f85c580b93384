"""Figures of doubt: areas under curves, recall at a share that is lost, risk and coverage, and what thresholds do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from tidegate.outputs import Reject, Scores
from tidegate.tasks import _out_of_scope
from tidegate.tasks._labels import OUT_OF_SCOPE
from tidegate.tasks._scope_report import format_doubt


def floats(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


@pytest.mark.parametrize("digits", [1, 2, 12])
def test_areas_are_those_of_scikit_learn_with_equal_doubts_too(digits: int) -> None:
    rng = np.random.default_rng(digits)
    for _ in range(20):
        is_out = np.append(rng.random(80) < rng.choice([0.1, 0.5]), [True, False])
        doubts = np.round(rng.random(82) + 0.3 * is_out, digits)
        assert _out_of_scope.measure_auroc(doubts, is_out) == pytest.approx(roc_auc_score(is_out, doubts))
        found = _out_of_scope.measure_average_precision(doubts, is_out)
        assert found == pytest.approx(average_precision_score(is_out, doubts))


def test_the_recall_is_that_of_the_curve_at_the_share_that_is_lost() -> None:
    rng = np.random.default_rng(3)
    for digits in (1, 12):
        is_out = rng.random(300) < 0.3
        doubts = np.round(rng.normal(size=300) + is_out, digits)
        false, true, _ = roc_curve(is_out, doubts, drop_intermediate=False)
        for lost in (0.0, 0.05, 0.4, 1.0):
            assert _out_of_scope.measure_recall(doubts, is_out, lost) == pytest.approx(true[false <= lost + 1e-9].max())


def test_risk_and_coverage_follow_the_rows_of_least_doubt() -> None:
    rng = np.random.default_rng(5)
    doubts, is_wrong = rng.random(200), rng.random(200) < 0.2
    found = _out_of_scope.measure_risk_coverage(doubts, is_wrong)
    order = np.argsort(doubts)
    for coverage, error in found["errors"]:
        assert error == pytest.approx(is_wrong[order][: round(200 * coverage)].mean())
    assert found["aurc"] == pytest.approx(np.mean([is_wrong[order][: k + 1].mean() for k in range(200)]))
    equal = _out_of_scope.measure_risk_coverage(np.zeros(4), np.array([True, False, False, False]))
    assert {error for _, error in equal["errors"]} == {0.25}
    last = _out_of_scope.measure_risk_coverage(np.array([np.inf, 0.1, np.inf]), np.array([True, False, True]))
    assert last["errors"][-1] == [0.5, pytest.approx(0.5)]


def test_the_balance_is_the_index_of_youden() -> None:
    rng = np.random.default_rng(7)
    for digits in (1, 12):
        inside, outside = np.round(rng.normal(0, 1, 200), digits), np.round(rng.normal(1, 1, 30), digits)
        is_out = np.repeat([False, True], [200, 30])
        false, true, _ = roc_curve(is_out, np.concatenate([inside, outside]), drop_intermediate=False)
        threshold = _out_of_scope.find_balance(inside, outside)
        assert (outside > threshold).mean() - (inside > threshold).mean() == pytest.approx((true - false).max())
    assert _out_of_scope.find_balance(np.array([1.0, 3.0]), np.array([])) == 3.0


@pytest.mark.parametrize("share", [0.0, 0.05, 0.333, 0.9])
def test_at_most_the_share_of_rows_is_beyond_the_quantile(share: float) -> None:
    rng = np.random.default_rng(9)
    for digits in (1, 12):
        inside = np.round(rng.random(57), digits)
        beyond = (inside > _out_of_scope.find_quantile(inside, share)).sum()
        assert beyond <= share * 57
        assert digits == 1 or beyond == int(share * 57)


def test_the_entropy_of_a_model_in_training_is_that_of_its_answers() -> None:
    logits = np.random.default_rng(1).normal(0, 4, (20, 7))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = [Reject("entropy", 0.0).doubt(row) for row in p.astype(np.float32)]
    assert found == pytest.approx(_out_of_scope.measure_entropies(logits), rel=1e-5, abs=1e-6)


def test_what_a_rule_does_to_rows_is_counted() -> None:
    rule = Reject("max_probability", 0.6)
    answers = [
        Scores(values, ["a", "b"], "" if values is not None else "the text is empty", reject=rule)
        for values in (floats(0.9, 0.1), floats(0.55, 0.45), floats(0.2, 0.8), floats(0.3, 0.7), None)
    ]
    found = _out_of_scope.score_answers(answers, np.array([0, 0, 0, OUT_OF_SCOPE, OUT_OF_SCOPE]))
    assert found["reject"] == {
        "threshold": 0.6,
        "rows": 5,
        "answered": 3,
        "accuracy": pytest.approx(1 / 3),
        "lost": pytest.approx(1 / 3),
        "recall": 0.5,
    }
    assert found["doubt"] == "max_probability"
    assert found["risk_coverage"]["errors"][0] == [1.0, pytest.approx(1 / 3)]
    assert found["out_of_scope"]["rows"] == 2
    none = _out_of_scope.score_answers(answers[1:2], np.array([1]))
    assert (none["reject"]["accuracy"], none["reject"]["recall"]) == (None, None)
    assert "0 of 1 row get" in format_doubt(none, 200)


def test_several_labels_are_as_sure_as_the_product_of_their_decisions() -> None:
    answers = [
        Scores(values, ["a", "b"], "", True, 0.5) for values in (floats(0.9, 0.1), floats(0.75, 0.75), floats(0.5, 0.0))
    ]
    doubts, by = _out_of_scope.measure_doubts(answers)
    assert doubts == pytest.approx([-0.81, -0.5625, -0.5])
    assert by == "joint_probability"
    truth = np.array([[1, 0, 0], [1, 1, 1], [0, 0, 0]], np.float32)  # the last column: a label the model does not know
    assert _out_of_scope.find_wrong(answers, truth).tolist() == [False, True, True]
