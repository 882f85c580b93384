"""The threshold of an alarm for a rate of false ones, by the tail of the scores of normal steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ._alarm_metrics import find_runs
from ._tails import PEAKS, QUANTILE, Tail, count_needed, fit_tail, threshold_of

Floats = npt.NDArray[np.float64]

LOWEST: Final = 0.9  # the quantile at which the tail of few scores begins
IN_TAIL: Final = 2 * PEAKS  # scores, if there are enough of them
INSIDE: Final = 0.99  # of the tail's share: the most steps that can be above the threshold


class Threshold(NamedTuple):
    """Scores from which an alarm begins and below which it ends. tail: of the scores of steps. runs: the share of the
    steps in the tail that begin a run of them, so that there is one alarm for 1 / runs steps above the threshold.
    """

    on: float
    off: float
    tail: Tail
    runs: float

    def as_dict(self) -> dict[str, Any]:
        """Return it for the provenance of a model."""
        return {"on": self.on, "off": self.off, "runs": self.runs, "tail": vars(self.tail)}


def choose_threshold(scores: Sequence[Floats], rate: float) -> Threshold:
    """Choose the threshold that normal steps begin to exceed so many times a step.

    Neighbouring scores are alike, and exceed it together: the share of steps above it is the rate of alarms over the
    extremal index, which is estimated by the runs at the level where the tail begins.

    Args:
        scores: of each series float64 [T], those of normal steps in order.
        rate: of alarms a step.

    Raises:
        DataError: too few scores, or scores of which most are equal.

    Source: Smith and Weissman 1994, Estimating the extremal index, section 1 (the runs estimator).

    >>> found = choose_threshold([np.random.default_rng(0).exponential(size=20_000)], 1e-3)
    >>> round(found.on, 1)  # -ln(0.001) is 6.9
    6.9
    """
    together = np.concatenate(scores)
    tail = fit_tail(together, min(QUANTILE, max(LOWEST, 1 - IN_TAIL / len(together))))
    runs = sum(len(find_runs(one > tail.level)) for one in scores) / float((together > tail.level).sum())
    on = threshold_of(tail, min(rate / runs, INSIDE * tail.share))
    return Threshold(on, tail.level, tail, runs)


def choose_larger(held_out: Sequence[Floats], trained: Sequence[Floats], rate: float) -> Threshold:
    """Choose the threshold by held-out steps, or that by the steps of training where it is larger.

    A detector errs no more on steps that it has learnt from than on new ones, so a threshold that these exceed too
    often is too low: the held-out steps are few, or quieter than the others. Too few steps of training choose nothing.

    Args and Raises: see `choose_threshold`.

    >>> rng = np.random.default_rng(0)
    >>> quiet, usual = rng.exponential(size=1000), rng.exponential(2.0, size=4000)
    >>> choose_larger([quiet], [usual], 1e-3) == choose_threshold([usual], 1e-3)
    True
    """
    found = choose_threshold(held_out, rate)
    if sum(map(len, trained)) < count_scores(rate):
        return found
    return max(found, choose_threshold(trained, rate), key=lambda one: one.on)


def count_scores(rate: float) -> int:
    """Return how many scores of normal steps a threshold for so many alarms a step needs.

    >>> count_scores(1e-3), count_scores(1e-5)
    (200, 10000)
    """
    return max(math.ceil(IN_TAIL / (1 - LOWEST) - 1e-9), count_needed(rate))


def check_rate(scores: int, rate: float, place: str, hold_out: float, words: str) -> None:
    """Raises DataError if there are too few scores of held-out steps for a rate of alarms a step.

    hold_out: the share of the rows that is held out; 0 if a file of its own is. words: the rate.
    """
    if scores >= (needed := count_scores(rate)):
        return
    rows = math.ceil(needed / hold_out) if hold_out else needed
    raise DataError(
        f"{place}: a threshold for {words} needs {needed:,} normal steps that are held out, and there are {scores:,}; "
        f"give {rows:,} rows of normal data or more, or allow more alarms (--alarms-per-1000, --alarms-per-day)"
    )
