"""Calibration of a classifier: one factor on its logits, fitted on held-out rows; how calibrations are recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MIN_SCALE, MAX_SCALE = 0.25, 4.0
LEAST_SHARE = 1e-3
OF_REJECT: Final = ("threshold", "lost", "found")  # what is found of a rule `reject`
PRIOR_ROWS = 10  # the factor 1 counts as much as this many rows, so that a handful of rows cannot claim certainty


def log_losses(logits: npt.NDArray[Any], targets: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return the negative log likelihood of each target [n] under softmax(logits [n, classes])."""
    z = logits - logits.max(1, keepdims=True)
    return np.asarray(np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), targets])


def binary_log_losses(logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the negative log likelihood of each row of targets [n, labels], 0 or 1 each, under sigmoid(logits).

    >>> binary_log_losses(np.zeros((1, 3)), np.array([[0, 1, 1]])).round(3).tolist()
    [2.079]
    """
    return np.asarray((np.logaddexp(0, logits) - targets * logits).sum(1))


def weigh_branch(
    factor: float,
    logits: npt.NDArray[Any],
    branch: npt.NDArray[Any],
    targets: npt.NDArray[Any],
    losses: Callable[..., npt.NDArray[np.float64]],
) -> tuple[float, float] | None:
    """Find the two factors under which the sum of a network's logits and a linear model's makes targets most likely.

    None: the likelihood gains less by it than one standard error of the gain, so that the linear model is not worth its
    size. factor: that of the logits alone. logits, branch: [n, outputs]. losses: gives the loss of each row.

    Both are found by their logarithms. With few rows, each stays near half of the factor that is best for its model
    without the other.
    """
    from scipy.optimize import minimize

    strength = PRIOR_ROWS / len(targets) / 2
    bounds = np.log([(LEAST_SHARE, MAX_SCALE)] * 2)
    halves = np.log([factor, fit_logit_scale(branch, targets, losses)]) - np.log(2)

    def objective(x: npt.NDArray[np.float64]) -> float:
        a, b = np.exp(x)
        return float(losses(a * logits + b * branch, targets).mean()) + strength * float(((x - halves) ** 2).sum())

    a, b = np.exp(minimize(objective, halves, method="L-BFGS-B", bounds=bounds).x).tolist()
    alone = min((losses(share * logits, targets) for share in (factor, a)), key=np.mean)  # what a gives is no gain of b
    gains = alone - losses(a * logits + b * branch, targets)
    worth = b > LEAST_SHARE and gains.mean() > gains.std() / len(gains) ** 0.5
    return (a, b) if worth else None


def fit_logit_scale(
    logits: npt.NDArray[np.float64],
    targets: npt.NDArray[Any],
    losses: Callable[..., npt.NDArray[np.float64]] = log_losses,
) -> float:
    """Find the factor of the logits, between 0.25 and 4, under which the targets are most likely.

    Label smoothing leaves a model underconfident. A factor corrects that and changes no ranking, hence no label. It is
    found by golden-section search over its logarithm. losses: gives the loss of each row of logits and targets.

    Source: temperature scaling, Guo et al. 2017 (arXiv:1706.04599), section 4.2.

    >>> logits = np.array([[2.0, 0.0]] * 90 + [[0.0, 2.0]] * 10)
    >>> round(fit_logit_scale(logits, np.zeros(100, np.int64)), 1)  # right 9 times in 10: sure to 9 in 10
    1.1
    """

    def objective(x: float) -> float:
        return float(losses(np.exp(x) * logits, targets).mean()) + PRIOR_ROWS / len(targets) * x * x / 2

    golden = (5**0.5 - 1) / 2
    low, high = float(np.log(MIN_SCALE)), float(np.log(MAX_SCALE))
    a, b = high - golden * (high - low), low + golden * (high - low)
    at_a, at_b = objective(a), objective(b)
    for _ in range(30):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - golden * (high - low)
            at_a = objective(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + golden * (high - low)
            at_b = objective(b)
    return float(np.exp((low + high) / 2))


def record_calibration(entry: dict[str, Any], found: Mapping[str, float]) -> dict[str, Any]:
    """Return the entry of an output with what its calibration found.

    >>> entry = {"reject": {"score": "entropy", "threshold": 0.0}}
    >>> record_calibration(entry, {"factor": 1.5, "threshold": 0.25, "lost": 0.05})
    {'reject': {'score': 'entropy', 'threshold': 0.25}, 'calibration': {'factor': 1.5}}
    """
    if "reject" not in entry:
        return {**entry, "calibration": dict(found)}
    factors = {name: value for name, value in found.items() if name not in OF_REJECT}
    return {**entry, "reject": {**entry["reject"], "threshold": found["threshold"]}, "calibration": factors}
