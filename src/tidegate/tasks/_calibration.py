"""Calibration of a classifier: one factor on its logits, fitted on held-out rows; how calibrations are recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MIN_SCALE, MAX_SCALE = 0.25, 4.0
OF_REJECT: Final = ("threshold", "lost", "found")  # what is found of a rule `reject`
PRIOR_ROWS = 10  # the factor 1 counts as much as this many rows, so that a handful of rows cannot claim certainty


def log_loss(logits: npt.NDArray[np.float64], targets: npt.NDArray[np.int64], scale: float = 1.0) -> float:
    """Return the mean negative log likelihood of the targets [n] under softmax(scale * logits [n, classes])."""
    z = scale * logits
    z -= z.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), targets]))


def binary_log_loss(logits: npt.NDArray[np.float64], targets: npt.NDArray[Any], scale: float = 1.0) -> float:
    """Return the negative log likelihood of the targets [n, labels], 0 or 1 each, under sigmoid(scale * logits).

    It is summed over labels and averaged over rows.

    >>> round(binary_log_loss(np.zeros((1, 3)), np.array([[0, 1, 1]])), 3)
    2.079
    """
    z = scale * logits
    return float((np.logaddexp(0, z) - targets * z).sum(1).mean())


def fit_logit_scale(
    logits: npt.NDArray[np.float64], targets: npt.NDArray[Any], loss: Callable[..., float] = log_loss
) -> float:
    """Find the factor of the logits, between 0.25 and 4, under which the targets are most likely.

    Label smoothing leaves a model underconfident. A factor corrects that and changes no ranking, hence no label. It is
    found by golden-section search over its logarithm. loss: a function of logits, targets and a factor.

    Source: temperature scaling, Guo et al. 2017 (arXiv:1706.04599), section 4.2.

    >>> logits = np.array([[2.0, 0.0]] * 90 + [[0.0, 2.0]] * 10)
    >>> round(fit_logit_scale(logits, np.zeros(100, np.int64)), 1)  # right 9 times in 10: sure to 9 in 10
    1.1
    """

    def objective(x: float) -> float:
        return loss(logits, targets, float(np.exp(x))) + PRIOR_ROWS / len(targets) * x * x / 2

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
