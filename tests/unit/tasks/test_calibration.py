"""Calibration finds the factor that made the labels, stays near 1 without evidence, and changes no label."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.tasks._calibration import fit_logit_scale, log_losses


def draw(factor: float, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits, and targets from softmax(factor * logits)."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(rows, 5)) * 2
    p = np.exp(factor * logits)
    p /= p.sum(1, keepdims=True)
    return logits, np.array([rng.choice(5, p=row) for row in p])


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_factor_that_made_the_labels_is_found(factor: float) -> None:
    logits, targets = draw(factor, 4000)
    assert fit_logit_scale(logits, targets) == pytest.approx(factor, rel=0.1)


def test_it_is_the_least_log_loss_around() -> None:
    logits, targets = draw(1.7, 4000)
    best = fit_logit_scale(logits, targets)
    least = log_losses(best * logits, targets).mean()
    assert all(log_losses(best * f * logits, targets).mean() > least - 1e-4 for f in (0.8, 0.9, 1.1, 1.25))
    assert least < log_losses(logits, targets).mean()


def test_a_few_right_rows_do_not_make_certainty() -> None:
    logits = np.array([[1.0, 0.0]] * 5)
    assert 1.0 < fit_logit_scale(logits, np.zeros(5, np.int64)) < 1.5
    assert fit_logit_scale(np.repeat(logits, 400, 0), np.zeros(2000, np.int64)) > 3.5


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]])
    assert np.isfinite(fit_logit_scale(logits, np.array([0, 1])))
    assert log_losses(logits, np.array([0, 1])).tolist() == [0.0, 0.0]
