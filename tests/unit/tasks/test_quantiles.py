"""The problem of a forecaster: the training loss, errors in the data's units, and unknown targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tidegate.data.series import from_arrays
from tidegate.tasks._quantiles import Quantiles, measure_quantiles
from tidegate.tasks.base import Batch
from tidegate.tasks.forecast import Options, prepare, read

LEVELS = (0.1, 0.5, 0.9)
OUTPUTS = np.array([[0.0, 1.0, 2.0, 1.0, 1.0, 1.0], [0.0, 0.0, 4.0, -1.0, 0.0, 1.0]])
TRUTH = np.array([[3.0, 1.0], [2.0, np.nan]])[..., None]
KNOWN, UNIT = ~np.isnan(TRUTH), np.full(TRUTH.shape, 10.0)
SCALE = np.array([[4.0, 4.0], [5.0, 5.0]])[..., None]


def measure(outputs: Any, levels: tuple[float, ...]) -> dict[str, float]:
    return measure_quantiles(outputs, TRUTH, UNIT, SCALE, KNOWN, levels)


@pytest.fixture(scope="module")
def problem() -> Quantiles:
    options = Options(horizon=2, hidden=2)
    return prepare(read(from_arrays([np.sin(np.arange(90) / 3)]), options), None, options)


def compute_loss(problem: Quantiles, outputs: torch.Tensor, known: Any = KNOWN) -> torch.Tensor:
    targets = np.stack([np.where(KNOWN, TRUTH, 0), UNIT, SCALE], 1)
    batch = Batch({}, np.array([1, 1]), {"forecast": targets}, mask={"forecast": known})
    return problem.loss({"forecast": outputs}, batch)


def test_figures_by_hand() -> None:
    found = measure(OUTPUTS, LEVELS)
    first, second, third = (0.3 + 1.0 + 0.9) / 3, 0.0, (0.2 + 1.0 + 0.2) / 3
    assert found["pinball"] == pytest.approx((first + second + third) / 3)
    assert found["mae"] == pytest.approx(10 * (2 + 0 + 2) / 3)
    assert found["mase"] == pytest.approx((20 / 4 + 0 + 20 / 5) / 3)
    assert found["coverage"] == pytest.approx(2 / 3)
    each = np.array([(first + second) / 2, third])
    assert found["standard_error"] == pytest.approx(each.std() / 1.0)
    assert "coverage" not in measure(OUTPUTS[:, [1, 4]], (0.5,))


def test_errors_are_of_the_quantiles_in_order_as_the_model_answers() -> None:
    crossed = OUTPUTS.reshape(2, 2, 3)[..., [1, 2, 0]].reshape(2, 6)
    found, sorted_ones = measure(crossed, LEVELS), measure(OUTPUTS, LEVELS)
    for name in ("mae", "mase", "coverage"):
        assert found[name] == sorted_ones[name]
    assert found["pinball"] > sorted_ones["pinball"]  # what is trained, and selects the weights


def test_origins_that_share_steps_ahead_count_as_few() -> None:
    noise, zeros = np.random.default_rng(0).standard_normal((60, 3)), np.zeros((60, 3, 1))
    found = measure_quantiles(noise, zeros, zeros + 1, zeros + np.nan, zeros == 0, (0.5,))
    assert "mase" not in found
    assert found["standard_error"] == pytest.approx(np.abs(noise / 2).mean(1).std() / 20**0.5)


def test_the_loss_is_the_sum_over_quantiles_of_the_judged_one(problem: Quantiles) -> None:
    assert float(compute_loss(problem, torch.tensor(OUTPUTS))) == pytest.approx(3 * measure(OUTPUTS, LEVELS)["pinball"])


def test_an_unknown_truth_teaches_nothing(problem: Quantiles) -> None:
    outputs = torch.tensor(OUTPUTS, requires_grad=True)
    compute_loss(problem, outputs).backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    assert outputs.grad[1, 3:].tolist() == [0, 0, 0]
    assert (outputs.grad[0, :3] != 0).all()
    assert float(compute_loss(problem, outputs, np.zeros_like(KNOWN)).detach()) == 0


def test_less_is_better_and_one_standard_error_is_no_difference(problem: Quantiles) -> None:
    figures = {"pinball": 0.5, "standard_error": 0.1}
    assert problem.rank(figures) == (-0.5, 0.0)
    assert problem.tolerance(-0.45, figures) == 0.1
    assert problem.lower
