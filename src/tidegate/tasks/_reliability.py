"""Calibration of a classifier: how often it is right where it says so with a probability of so much."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

BINS: Final = 15


def find_bins(probability: npt.NDArray[np.float64], bins: int = BINS) -> npt.NDArray[np.int64]:
    """Return the bin of each probability, int64 [n]: bin m has those above m/bins up to (m + 1)/bins, bin 0 also 0.

    >>> find_bins(np.array([0.0, 0.5, 0.51, 1.0]), 2).tolist()
    [0, 0, 1, 1]
    """
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probability)


def measure_reliability(
    probability: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], bins: int = BINS
) -> dict[str, Any]:
    """Compute the expected calibration error of decisions (`ece`), and the reliability table behind it.

    probability: [n], between 0 and 1. right: [n]. bins: how many of equal width between 0 and 1, 15 by default as in
    the paper. The error is the mean, over all decisions, of how far the mean probability of a bin is from the share of
    its decisions that are right (`accuracy`); None without a decision. `bias` is the mean probability of all less the
    share that is right: above 0, probabilities are too high. `reliability` has the bins that are not empty, each with
    `low` and `high`, its bounds, and `decisions`, how many it has.

    Source: Guo et al. 2017, On calibration of modern neural networks, section 2, equations 2 to 5.

    >>> found = measure_reliability(np.array([0.9, 0.9, 0.6]), np.array([True, False, True]), 5)
    >>> round(found["ece"], 3), round(found["bias"], 3), len(found["reliability"])
    (0.4, 0.133, 2)
    """
    bin_of = find_bins(probability, bins)
    count = np.bincount(bin_of, minlength=bins)
    filled = np.flatnonzero(count)
    mean = np.bincount(bin_of, probability, bins)[filled] / count[filled]
    accuracy = np.bincount(bin_of, right, bins)[filled] / count[filled]
    table = [
        {"low": m / bins, "high": (m + 1) / bins, "decisions": int(count[m]), "probability": p, "accuracy": a}
        for m, p, a in zip(filled.tolist(), mean.tolist(), accuracy.tolist(), strict=True)
    ]
    if not table:
        return {"ece": None, "bias": None, "reliability": []}
    share = count[filled] / len(probability)
    return {
        "ece": float(share @ np.abs(mean - accuracy)),
        "bias": float(share @ (mean - accuracy)),
        "reliability": table,
    }
