"""From forecast errors to scores and alarms, as the layers and the decoder of a finished model compute them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from ..layers.recent_scale import LEAST
from ._alarm_metrics import find_runs

Floats = npt.NDArray[np.float64]

SHRINKAGE: Final = 0.1  # of the covariance, towards its diagonal


def hold_alarms(scores: Floats, on: float, off: float) -> npt.NDArray[np.bool_]:
    """Return at which steps an alarm runs: from a score of at least `on` until one below `off`. NaN ends it.

    >>> hold_alarms(np.array([5.0, 9.0, 5.0, 3.0, 5.0]), 8.0, 4.0).tolist()
    [False, True, True, False, False]
    """
    inside = scores >= min(on, off)
    found = np.zeros(len(scores), bool)
    for first, end in find_runs(inside).tolist():
        hits = np.flatnonzero(scores[first:end] >= on)
        if len(hits):
            found[first + hits[0] : end] = True
    return found


def block_diagonal(a: Floats, b: Floats) -> Floats:
    """Return the matrix with two square ones on its diagonal.

    >>> block_diagonal(np.array([[2.0]]), np.array([[3.0]])).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    return np.block([[a, np.zeros((len(a), len(b)))], [np.zeros((len(b), len(a))), b]])


def compare_recent(x: Floats, share: float, trusted: float, most: float) -> Floats:
    """Return how large numbers [T, columns] are, as they stand or beside their recent size; see `recent_scale`.

    >>> compare_recent(np.array([[2.0], [-2.0], [9.0]]), 0.5, 3.0, 10.0).round(2).tolist()
    [[2.0], [2.0], [4.99]]
    """
    square = np.stack([average(column, share) for column in (x**2).T], 1)
    before = np.concatenate([np.ones((1, x.shape[1])), square[:-1]])
    recent = np.minimum(np.abs(x) / np.sqrt(np.maximum(before, LEAST)), most)
    return np.asarray(np.maximum(np.minimum(np.abs(x), trusted), recent))


def average(squares: Floats, share: float) -> Floats:
    """Return the exponentially weighted mean of a series [T], which begins at 1; see the layer `mean_square`.

    >>> average(np.array([1.0, 5.0]), 0.25).tolist()
    [1.0, 2.0]
    """
    from scipy.signal import lfilter

    return np.asarray(lfilter([share], [1, share - 1], squares, zi=[1 - share])[0])


def whiten(surprise: Floats) -> Floats:
    """Return the symmetric matrix [columns, columns] that makes errors [n, columns] uncorrelated and of mean square 1.

    Missing ones, NaN, count nothing. The covariance is shrunk towards its diagonal. As the matrix is symmetric, each
    number stays that of its column, so that its square is the column's part of the score.
    """
    known = (~np.isnan(surprise)).astype(np.float64)
    e = np.nan_to_num(surprise, nan=0.0)
    covariance = e.T @ e / (known.T @ known).clip(1)
    spread = np.diag(covariance).clip(1e-6)
    covariance = (1 - SHRINKAGE) * covariance
    np.fill_diagonal(covariance, spread)
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 1e-3 * spread.min())
    return np.asarray(vectors / np.sqrt(values) @ vectors.T)
