"""The evaluator of forecasts: the training loss, errors in the data's units, and unknown targets."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tidegate.tasks._quantiles import Quantiles
from tidegate.tasks.forecast import Options, loss

LEVELS = (0.1, 0.5, 0.9)
OUTPUTS = np.array([[0.0, 1.0, 2.0, 1.0, 1.0, 1.0], [0.0, 0.0, 4.0, -1.0, 0.0, 1.0]])
TRUTH = np.array([[3.0, 1.0], [2.0, np.nan]])
SCALE = np.array([[4.0, 4.0], [5.0, 5.0]])
TARGETS = np.stack([TRUTH, np.full((2, 2), 10.0), SCALE], 1)[..., None].astype(np.float32)


def test_figures_by_hand() -> None:
    found = Quantiles(LEVELS).figures(OUTPUTS, TARGETS)
    first, second, third = (0.3 + 1.0 + 0.9) / 3, 0.0, (0.2 + 1.0 + 0.2) / 3
    assert found["pinball"] == pytest.approx((first + second + third) / 3)
    assert found["mae"] == pytest.approx(10 * (2 + 0 + 2) / 3)
    assert found["mase"] == pytest.approx((20 / 4 + 0 + 20 / 5) / 3)
    assert found["coverage"] == pytest.approx(2 / 3)
    each = np.array([(first + second) / 2, third])
    assert found["standard_error"] == pytest.approx(each.std() / 1.0)
    assert "coverage" not in Quantiles((0.5,)).figures(OUTPUTS[:, [1, 4]], TARGETS)


def test_origins_that_share_steps_ahead_count_as_few() -> None:
    noise = np.random.default_rng(0).standard_normal((60, 3))
    targets = np.full((60, 3, 3, 1), np.nan, np.float32)
    targets[:, 0], targets[:, 1] = 0, 1
    found = Quantiles((0.5,)).figures(noise, targets)
    assert "mase" not in found
    assert found["standard_error"] == pytest.approx(np.abs(noise / 2).mean(1).std() / 20**0.5)


def test_the_loss_is_the_sum_over_quantiles_of_the_judged_one() -> None:
    judge = Quantiles(LEVELS)
    got = loss(Options(horizon=2), torch.tensor(OUTPUTS), torch.tensor(TARGETS).double(), torch.ones(1))
    assert float(got) == pytest.approx(3 * judge.figures(OUTPUTS, TARGETS)["pinball"])


def test_an_unknown_truth_teaches_nothing() -> None:
    outputs = torch.tensor(OUTPUTS, requires_grad=True)
    loss(Options(horizon=2), outputs, torch.tensor(TARGETS).double(), torch.ones(1)).backward()
    assert outputs.grad is not None
    assert outputs.grad[1, 3:].tolist() == [0, 0, 0]
    assert (outputs.grad[0, :3] != 0).all()
    nothing = loss(Options(horizon=2), outputs, torch.full((2, 3, 2, 1), torch.nan).double(), torch.ones(1))
    assert float(nothing.detach()) == 0


def test_steps_of_a_row_are_judged_as_origins() -> None:
    rows, targets = torch.tensor(OUTPUTS)[:, None], torch.tensor(TARGETS).double()[:, None]
    flat = loss(Options(horizon=2), torch.tensor(OUTPUTS), torch.tensor(TARGETS).double(), torch.ones(1))
    assert float(loss(Options(horizon=2), rows, targets, torch.ones(1))) == float(flat)


def test_less_is_better_and_one_standard_error_is_no_difference() -> None:
    judge = Quantiles(LEVELS)
    figures = {"pinball": 0.5, "standard_error": 0.1}
    assert judge.value(figures) == (-0.5, 0.0)
    assert judge.tolerance(-0.45, figures, 9) == 0.1
    assert judge.lower_is_better
    assert judge.median_index == 1
    assert judge.fit_adjustment(OUTPUTS, TARGETS) == []
    assert judge.apply_adjustment(OUTPUTS, []) is OUTPUTS
