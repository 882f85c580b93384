"""A linear model joins the network where held-out rows gain by it, and is left out where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.tasks._calibration import (
    LEAST_SHARE,
    MAX_SCALE,
    binary_log_losses,
    fit_logit_scale,
    log_losses,
    weigh_branch,
)

ROWS, CLASSES = 400, 4


def draw(sure: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw targets [n], and logits of them that are as sure as this."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, CLASSES, ROWS)
    return sure * np.eye(CLASSES)[targets] + rng.normal(size=(ROWS, CLASSES)), targets


@pytest.mark.parametrize("seed", range(8))
def test_a_branch_of_noise_is_left_out(seed: int) -> None:
    logits, targets = draw(2.0, seed)
    noise = np.random.default_rng(seed + 100).normal(size=logits.shape)
    factor = fit_logit_scale(logits, targets)
    found = weigh_branch(factor, logits, noise, targets, log_losses)
    assert found is None or found[1] < 0.2  # one standard error is exceeded now and then, by next to nothing
    assert weigh_branch(factor, logits, 1e-9 * noise, targets, log_losses) is None


def test_a_branch_that_contradicts_the_labels_is_left_out() -> None:
    logits, targets = draw(2.0, 0)
    assert weigh_branch(1.0, logits, -np.eye(CLASSES)[targets], targets, log_losses) is None


def test_a_branch_that_knows_the_labels_is_taken() -> None:
    logits, targets = draw(0.5, 1)
    perfect = 4 * np.eye(CLASSES)[targets]
    factor = fit_logit_scale(logits, targets)
    found = weigh_branch(factor, logits, perfect, targets, log_losses)
    assert found is not None
    a, b = found
    assert a > 0
    assert 1 < b <= MAX_SCALE
    assert log_losses(a * logits + b * perfect, targets).mean() < 0.1 * log_losses(factor * logits, targets).mean()


def test_shares_are_where_the_loss_is_least() -> None:
    (logits, targets), rng = draw(1.0, 2), np.random.default_rng(5)
    branch = np.eye(CLASSES)[targets] + 0.7 * rng.normal(size=logits.shape)
    factor, other = fit_logit_scale(logits, targets), fit_logit_scale(branch, targets)
    found = weigh_branch(factor, logits, branch, targets, log_losses)
    assert found is not None

    def loss(a: float, b: float) -> float:
        prior = np.log(2 * a / factor) ** 2 + np.log(2 * b / other) ** 2
        return float(log_losses(a * logits + b * branch, targets).mean() + 10 / ROWS * prior / 2)

    assert all(
        loss(*found) <= loss(found[0] * f, found[1] * g) + 1e-7 for f in (0.9, 1.0, 1.1) for g in (0.9, 1.0, 1.1)
    )


def test_shares_follow_the_scale_of_the_branch() -> None:
    (logits, targets), rng = draw(1.0, 2), np.random.default_rng(5)
    branch = 2 * np.eye(CLASSES)[targets] + rng.normal(size=logits.shape)
    few = slice(0, 60)
    one, other = (weigh_branch(1.0, logits[few], scale * branch[few], targets[few], log_losses) for scale in (1.0, 0.5))
    assert one is not None
    assert other is not None
    assert other[0] == pytest.approx(one[0], rel=0.1)
    assert other[1] == pytest.approx(2 * one[1], rel=0.2)


def test_a_network_that_knows_nothing_keeps_a_positive_share() -> None:
    _, targets = draw(1.0, 3)
    noise = 1e3 * np.random.default_rng(0).normal(size=(ROWS, CLASSES))
    found = weigh_branch(0.25, noise, 4 * np.eye(CLASSES)[targets], targets, log_losses)
    assert found is not None
    assert found[0] >= LEAST_SHARE


def test_any_number_of_labels_a_row() -> None:
    rng = np.random.default_rng(4)
    targets = (rng.random((ROWS, 5)) < 0.3).astype(np.float32)
    logits = rng.normal(size=targets.shape)
    factor = fit_logit_scale(logits, targets, binary_log_losses)
    perfect = weigh_branch(factor, logits, 4 * (targets - 0.5), targets, binary_log_losses)
    assert perfect is not None
    assert perfect[1] > 1
    assert weigh_branch(factor, logits, np.zeros_like(logits), targets, binary_log_losses) is None
