"""Peaks over threshold: how large scores are that are rarer than any that was seen.

Scores of normal samples above a high level follow a generalised Pareto distribution, whatever their own distribution
(Pickands 1975). It is fitted to those that there are, and tells the score that is exceeded with a given probability.

Source: Siffer et al. 2017, "Anomaly detection in streams with extreme value theory" (KDD), sections 3 and 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, OptionError

QUANTILE: Final = 0.98  # where the tail begins
PEAKS: Final = 10  # samples above it, at least
BOUNDED: Final = -1.5  # the least shape; that of a uniform tail is -1
HEAVY: Final = 0.5  # the largest shape: from there on the variance is infinite
BEYOND: Final = 10.0  # times rarer than one in all normal samples may a score be


@dataclass(frozen=True)
class Tail:
    """The distribution of scores above a level: P(score > level + y) = share * (1 + shape * y / scale) ^ (-1 / shape).

    Args:
        level: where the tail begins.
        scale: > 0, in the unit of the scores.
        shape: from BOUNDED to HEAVY; below 0 scores have a bound, at 0 the tail is exponential, above 0 it is heavier.
        share: of the samples that are above the level.
        samples: how many samples there were.
    """

    level: float
    scale: float
    shape: float
    share: float
    samples: int


def fit_tail(scores: npt.NDArray[np.float64], quantile: float = QUANTILE) -> Tail:
    """Fit the tail of the scores of normal samples by probability-weighted moments.

    Scores that follow each other closely are alike, and exceed a threshold together; the probability is that of a step,
    so there are fewer alarms than steps above the threshold.

    Args:
        scores: float64 [n], more is less normal; NaN is left out.
        quantile: of the scores, at which the tail begins.

    Raises:
        OptionError: a quantile that is not between 0 and 1.
        DataError: too few scores above the level, or a score that is infinite.

    Source: Hosking and Wallis 1987, Technometrics 29, section 4; where their estimate would exclude the largest score,
    the shape is that whose bound it is, as in Dupuis and Tsao 1998.

    >>> tail = fit_tail(np.random.default_rng(0).exponential(2.0, 20_000))
    >>> abs(tail.shape) < 0.15, abs(tail.scale - 2) < 0.3, abs(tail.level - 2 * math.log(50)) < 0.3
    (True, True, True)
    >>> fit_tail(np.arange(100.0))
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: 100 normal samples have a score, but 500 are needed, so that 10 are in the tail; add more
    """
    if not 0 < quantile < 1:
        raise OptionError(f"quantile is {quantile}; expected more than 0 and less than 1, such as {QUANTILE}")
    known = np.asarray(scores, np.float64)
    known = known[~np.isnan(known)]
    needed = math.ceil(PEAKS / (1 - quantile) - 1e-9)
    if len(known) < needed:
        found = f"{len(known):,} normal samples have a score, but {needed:,} are needed"
        raise DataError(f"{found}, so that {PEAKS} are in the tail; add more")
    if not np.isfinite(known).all():
        raise DataError(
            "the score of a normal sample is infinite; expected finite scores; check the values for extremes"
        )
    level = float(np.quantile(known, quantile))
    peaks = np.sort(known[known > level] - level)
    if len(peaks) < PEAKS:
        found = f"only {len(peaks):,} of {len(known):,} normal samples have a score above {level:.6g}"
        raise DataError(f"{found}, since most are equal; expected {PEAKS} or more; add samples that vary")
    return Tail(level, *fit_pareto(peaks), len(peaks) / len(known), len(known))


def fit_pareto(peaks: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return scale and shape of a generalised Pareto distribution. peaks: float64 [n], > 0, ascending; see `fit_tail`.

    >>> scale, shape = fit_pareto(np.sort(np.random.default_rng(0).exponential(3.0, 10_000)))
    >>> abs(scale - 3) < 0.1, abs(shape) < 0.03
    (True, True)
    """
    n, mean, largest = len(peaks), float(peaks.mean()), float(peaks[-1])
    exceeded = 1 - (np.arange(1, n + 1) - 0.35) / n
    weighted = float((exceeded * peaks).mean())
    # weighted < mean / 2, as the smaller a peak is, the larger its weight; they are equal only if all peaks are
    shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else BOUNDED
    shape = min(max(shape, BOUNDED), HEAVY)
    scale = mean * (1 - shape)  # so that the mean is right, whatever the shape
    if shape < 0 and largest > -scale / shape:
        shape = -scale / largest
    return scale, shape


def threshold_of(tail: Tail, rate: float) -> float:
    """Return the score that a normal sample exceeds with this probability.

    Args:
        tail: of the scores of normal samples.
        rate: more than 0, below the share of samples in the tail.

    Raises:
        OptionError: a rate outside of that.
        DataError: a rate so low that the samples do not tell; the message says how many are needed.

    >>> round(threshold_of(Tail(2.0, 1.0, 0.0, 0.02, 10_000), 0.001), 3)  # 2 + log(20)
    4.996
    >>> threshold_of(Tail(2.0, 1.0, 0.0, 0.02, 1000), 1e-5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: 1,000 normal samples do not tell ...; 10,000 are needed; add more, or allow more alarms
    """
    if not 0 < rate < tail.share:
        raise OptionError(
            f"a rate of {rate:g} a step is asked for; expected more than 0 and less than {tail.share:g}, the share of "
            "normal samples in the tail; allow fewer alarms"
        )
    if tail.samples < (needed := count_needed(rate)):
        found = f"{tail.samples:,} normal samples do not tell which score one in {round(1 / rate):,} exceeds"
        raise DataError(f"{found}; {needed:,} are needed; add more, or allow more alarms")
    rarer = math.log(tail.share / rate)
    return tail.level + tail.scale * (rarer if tail.shape == 0 else math.expm1(tail.shape * rarer) / tail.shape)


def count_needed(rate: float) -> int:
    """Return how many normal samples tell the score that is exceeded at this rate.

    >>> count_needed(1e-5)
    10000
    """
    return math.ceil(1 / (BEYOND * rate) - 1e-6)
