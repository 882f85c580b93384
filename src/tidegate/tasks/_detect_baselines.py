"""Detectors of anomalies that a recurrent one has to beat: simple ones, fitted to the same normal samples.

Each is fitted to the training part, a list of series float64 [T, C] with NaN for missing numbers, and gives the score
of every sample of a series, float64 [T]: more is less normal, NaN is none yet. The score of a sample reads that sample
and those before it, nothing later. A channel that is constant in training keeps its unit. All but the isolation forest
are a few arrays, which a model file can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import DataError, MissingExtra

Floats = npt.NDArray[np.float64]

HALF_LIFE: Final = 500.0  # samples, of the moving z-score
BLOCK: Final = 500  # samples that are computed at once
FIRST: Final = 50  # samples until it has a score
LAGS: Final = 10  # samples that the autoregression reads
PENALTY: Final = 1e-3  # of ridge regression, a sample, in units of the deviation
SHRINKAGE: Final = 0.1  # share of the identity in a covariance
FLAT: Final = 1e-9  # least deviation, as a share of that in training, so that nothing is divided by 0


class Baseline(Protocol):
    """A detector that is fitted."""

    def score(self, values: Floats) -> Floats:
        """Return the score of every sample of a series [T, C], float64 [T]."""


def fit_baselines(parts: Sequence[Floats]) -> dict[str, Baseline]:
    """Fit every baseline to the training part, by its name.

    Raises:
        DataError: no series in which all of them can be fitted.
        MissingExtra: scikit-learn is not installed.

    >>> baselines = fit_baselines([np.random.default_rng(0).standard_normal((200, 2))])
    >>> list(baselines)
    ['moving z-score', 'autoregression', 'T2 of levels', 'isolation forest']
    >>> scores = baselines["T2 of levels"].score(np.array([[0.0, 0.0], [9.0, 9.0]]))
    >>> bool(scores[0] < 0.1), bool(60 < scores[1] < 100)
    (True, True)
    """
    return {name: fit(parts) for name, fit in KINDS.items()}


@dataclass(frozen=True, eq=False)
class MovingZ:
    """The z-score of each channel by a mean and a deviation that forget: half in `HALF_LIFE` samples.

    They are those of the samples before, all of which weigh alike at first. The score is the mean square over the
    channels that are known, and is there after `FIRST` samples.

    Args:
        least: [C], the least deviation.

    Source: the weighted incremental mean and variance of West 1979, Communications of the ACM 22.

    >>> x = np.random.default_rng(0).standard_normal((400, 1))
    >>> x[300] = 10.0
    >>> scores = fit_moving_z([x]).score(x)
    >>> int(np.isnan(scores).sum()), int(np.nanargmax(scores))
    (50, 300)
    """

    least: Floats

    def score(self, values: Floats) -> Floats:
        memory = Moments(*(np.zeros((1, values.shape[1])) for _ in range(3)))
        scores = []
        for first in range(0, len(values), BLOCK):
            x = values[first : first + BLOCK]
            after = memory.follow(x)
            before = Moments(*(np.concatenate([m, a[:-1]]) for m, a in zip(memory, after, strict=True)))
            judged = ~np.isnan(x) & (before.weight > 1)
            variance = np.maximum(before.squares / np.maximum(before.weight, 1), self.least**2)
            z2 = np.where(judged, (x - before.mean) ** 2 / variance, 0.0).sum(1)
            channels = judged.sum(1)
            scores.append(np.where(channels > 0, z2 / np.maximum(channels, 1), np.nan))
            memory = Moments(*(a[-1:] for a in after))
        joined = np.concatenate(scores)
        joined[:FIRST] = np.nan
        return joined


class Moments(NamedTuple):
    """What is known of each channel after each of T samples, [T, C]: the sum of the weights of its numbers, their
    weighted mean, and the weighted sum of their squared distances from it."""

    weight: Floats
    mean: Floats
    squares: Floats

    def follow(self, x: Floats) -> Moments:
        """Return the moments after each sample of a block that follows, where these are [1, C].

        x: [T, C], so short that numbers forget little in it. The moments of the block alone are sums, taken about a
        number from before, so that a high level costs no digits; Chan et al. 1979 joins them to those from before.
        """
        known = ~np.isnan(x)
        passed = 0.5 ** (np.cumsum(known, 0) / HALF_LIFE)  # what is left of a weight from before the block
        seen = known.argmax(0)
        centre = np.where(self.weight > 0, self.mean, x[seen, np.arange(x.shape[1])])
        apart = np.where(known, x - centre, 0.0)
        weight, total, squares = (passed * np.cumsum(part / passed, 0) for part in (known, apart, apart**2))
        some = np.maximum(weight, 1.0)
        inside = np.maximum(squares - total**2 / some, 0.0)
        old = self.weight * passed
        all_weight = old + weight
        step = np.where(weight > 0, centre + total / some - self.mean, 0.0)
        mean = self.mean + step * weight / np.maximum(all_weight, 1.0)
        joint = step**2 * old * weight / np.maximum(all_weight, 1.0)
        return Moments(all_weight, mean, self.squares * passed + inside + joint)


def fit_moving_z(parts: Sequence[Floats]) -> MovingZ:
    """Fit a moving z-score, to which training gives nothing but the unit of the least deviation."""
    return MovingZ(FLAT * measure_scale(parts)[1])


@dataclass(frozen=True, eq=False)
class Autoregression:
    """The residual of a ridge regression of all channels on all channels of the `LAGS` samples before.

    The score is the mean square of the residual, whitened by its covariance in training. The first `LAGS` samples of a
    series have none. A missing number repeats the one before it; before the first, it is the mean of training.

    Args:
        mean, deviation: [C], of training.
        weights: [LAGS * C + 1, C], of what `take_lags` gives.
        whitening: [C, C]; see `fit_whitening`.

    >>> x = np.sin(np.arange(400.0) / 7)[:, None]
    >>> y = x.copy()
    >>> y[300] += 0.1
    >>> int(np.nanargmax(fit_autoregression([x]).score(y)))
    300
    """

    mean: Floats
    deviation: Floats
    weights: Floats
    whitening: Floats

    def score(self, values: Floats) -> Floats:
        scores = np.full(len(values), np.nan)
        if len(values) > LAGS:
            part = fill((values - self.mean) / self.deviation)
            residuals = part[LAGS:] - take_lags(part) @ self.weights
            scores[LAGS:] = ((residuals @ self.whitening) ** 2).mean(1)
        return scores


def fit_autoregression(parts: Sequence[Floats]) -> Autoregression:
    """Fit an autoregression to the series of the training part.

    Raises:
        DataError: no series is longer than `LAGS` samples.

    >>> fit_autoregression([np.zeros((10, 1))])
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: the longest training series has 10 samples; the autoregression needs 11; add samples
    """
    mean, deviation = measure_scale(parts)
    scaled = [fill((part - mean) / deviation) for part in parts if len(part) > LAGS]
    if not scaled:
        found = f"the longest training series has {max(map(len, parts))} samples"
        raise DataError(f"{found}; the autoregression needs {LAGS + 1}; add samples")
    size = LAGS * len(mean) + 1
    gram, products, steps = np.zeros((size, size)), np.zeros((size, len(mean))), 0
    for part in scaled:  # one after another, as the lags of all of them at once may be large
        X = take_lags(part)
        gram, products, steps = gram + X.T @ X, products + X.T @ part[LAGS:], steps + len(X)
    weights: Floats = np.linalg.solve(gram + steps * PENALTY * np.eye(size), products).astype(np.float64)
    residuals = np.concatenate([part[LAGS:] - take_lags(part) @ weights for part in scaled])
    return Autoregression(mean, deviation, weights, fit_whitening(residuals))


@dataclass(frozen=True, eq=False)
class T2:
    """Hotelling's T2 of the levels: the mean square of a sample, whitened by the covariance of training.

    Args: as those of `Autoregression`, and missing numbers are filled as there.

    Source: Hotelling 1947, "Multivariate quality control".

    >>> x = np.random.default_rng(0).standard_normal((500, 1)) * np.ones(2)  # two channels that are always equal
    >>> scores = fit_t2([x]).score(np.array([[1.0, 1.0], [1.0, -1.0]]))
    >>> bool(scores[1] > 10 * scores[0])
    True
    """

    mean: Floats
    deviation: Floats
    whitening: Floats

    def score(self, values: Floats) -> Floats:
        return np.asarray(((fill((values - self.mean) / self.deviation) @ self.whitening) ** 2).mean(1))


def fit_t2(parts: Sequence[Floats]) -> T2:
    """Fit mean, deviation and covariance to all samples of the training part."""
    mean, deviation = measure_scale(parts)
    return T2(mean, deviation, fit_whitening(np.concatenate([fill((part - mean) / deviation) for part in parts])))


@dataclass(frozen=True, eq=False)
class Forest:
    """An isolation forest of single samples; the score is that of the paper, from 0 to 1.

    No tree divides a channel that is constant in training, so the score does not change where it moves later.

    Args: as those of `Autoregression`, and missing numbers are filled as there. forest: of scikit-learn.

    Source: Liu, Ting and Zhou 2008, "Isolation forest" (ICDM).

    >>> x = np.random.default_rng(0).standard_normal((300, 2))
    >>> scores = fit_isolation_forest([x]).score(np.array([[0.0, 0.0], [6.0, -6.0]]))
    >>> bool(scores[0] < 0.45 < 0.65 < scores[1])
    True
    """

    mean: Floats
    deviation: Floats
    forest: Any

    def score(self, values: Floats) -> Floats:
        return np.asarray(-self.forest.score_samples(fill((values - self.mean) / self.deviation)), np.float64)


def fit_isolation_forest(parts: Sequence[Floats]) -> Forest:
    """Fit an isolation forest to all samples of the training part. Raises MissingExtra without scikit-learn."""
    try:
        from sklearn.ensemble import IsolationForest
    except ImportError as error:
        raise MissingExtra(
            "scikit-learn fits the isolation forest that a detector is compared with; run pip install 'tidegate[train]'"
        ) from error
    mean, deviation = measure_scale(parts)
    forest = IsolationForest(random_state=0)
    return Forest(mean, deviation, forest.fit(np.concatenate([fill((part - mean) / deviation) for part in parts])))


KINDS: Final[dict[str, Callable[[Sequence[Floats]], Baseline]]] = {
    "moving z-score": fit_moving_z,
    "autoregression": fit_autoregression,
    "T2 of levels": fit_t2,
    "isolation forest": fit_isolation_forest,
}


def measure_scale(parts: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return mean and deviation of each channel, [C] each, of all known numbers; 1 in place of a deviation of 0.

    Raises:
        DataError: no samples, or a channel without any number.

    >>> measure_scale([np.array([[1.0, 5.0], [3.0, np.nan]])])
    (array([2., 5.]), array([1., 1.]))
    """
    if not any(map(len, parts)):
        raise DataError("the training part has no samples; add some")
    values = np.concatenate(list(parts))
    known = ~np.isnan(values)
    if (empty := np.flatnonzero(~known.any(0))).size:
        raise DataError(f"channel {empty[0] + 1} has no number in the training part; leave it out, or fill it in")
    mean = values.mean(0, where=known)
    deviation = values.std(0, where=known)
    # a constant such as 0.1 has a deviation of rounding errors
    flat = deviation <= 1e-12 * np.maximum(abs(mean), 1e-300)
    return mean, np.where(flat, 1.0, deviation)


def fill(scaled: Floats) -> Floats:
    """Return the samples [T, C] with the number before in place of a missing one; before the first, 0, the mean.

    >>> fill(np.array([[np.nan], [2.0], [np.nan]])).ravel().tolist()
    [0.0, 2.0, 2.0]
    """
    known = ~np.isnan(scaled)
    if known.all():
        return scaled
    latest = np.maximum.accumulate(np.where(known, np.arange(len(scaled))[:, None], -1), axis=0)
    return np.where(latest < 0, 0.0, np.take_along_axis(scaled, np.maximum(latest, 0), 0))


def take_lags(part: Floats) -> Floats:
    """Return the samples before each from `LAGS` on, by channel, oldest first, and 1: [T - LAGS, LAGS * C + 1].

    >>> take_lags(np.arange(11.0)[:, None]).tolist()
    [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0]]
    """
    windows = np.lib.stride_tricks.sliding_window_view(part[:-1], LAGS, axis=0)  # [T - LAGS, C, LAGS]
    return np.column_stack([windows.reshape(len(windows), -1), np.ones(len(windows))])


def fit_whitening(residuals: Floats) -> Floats:
    """Return the matrix [C, C] that makes residuals [T, C] uncorrelated, of variance 1.

    Their covariance is shrunk towards the mean variance times the identity, so that channels which are equal, or
    constant, have an inverse too. Source: Ledoit and Wolf 2004, Journal of Multivariate Analysis 88; here the share is
    fixed.

    >>> residuals = np.random.default_rng(0).standard_normal((1000, 2))
    >>> np.array([[0.0, 1.0]]) @ fit_whitening(residuals) < 1.1
    array([[ True,  True]])
    """
    covariance = residuals.T @ residuals / len(residuals)
    shared = max(float(np.trace(covariance)) / len(covariance), FLAT**2)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * shared * np.eye(len(covariance))
    return np.asarray(np.linalg.inv(np.linalg.cholesky(shrunk)).T)
