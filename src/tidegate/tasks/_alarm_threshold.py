"""The threshold of an alarm for a rate of false ones, by the tail of the scores of normal steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..text_tables import format_number

Floats = npt.NDArray[np.float64]

TAIL, LEAST_TAIL = 0.02, 20  # the share of the scores that is the tail, and how many it has at least
LEAST_SCORES: Final = 10 * LEAST_TAIL  # so that the tail is at most a tenth of them
FARTHEST: Final = 20.0  # times as many steps as there are: how rare an alarm can be
MOST_SHAPE: Final = 0.5


class Tail(NamedTuple):
    """The scores above a level, as a generalised Pareto distribution of what they are over it.

    share: of all scores that is above. runs: the share of those that begin a run of such scores, so that rate of events
    = runs x rate of steps.
    """

    level: float
    share: float
    runs: float
    shape: float
    scale: float

    def threshold(self, rate: float) -> float:
        """Return the score that so many events a step exceed, at least the level."""
        q = min(1.0, rate / (self.runs * self.share))
        if abs(self.shape) < 1e-6:
            return self.level - self.scale * float(np.log(q))
        return self.level + self.scale / self.shape * (q**-self.shape - 1)


def fit_tail(scores: Sequence[Floats]) -> Tail:
    """Fit the tail of the scores of some series, each [T], in the order of their steps.

    The shape, at most 0.5 either way, and the scale are those of the probability-weighted moments.

    Source: Hosking and Wallis 1987, Parameter and quantile estimation for the generalized Pareto distribution, eq. 6.

    >>> tail = fit_tail([np.random.default_rng(0).exponential(size=20_000)])
    >>> round(tail.threshold(1e-3), 1)  # -ln(0.001) is 6.9
    6.8
    """
    together = np.concatenate(scores)
    level = float(np.quantile(together, 1 - max(TAIL, LEAST_TAIL / len(together))))
    above = [one > level for one in scores]
    over = np.sort(together[together > level] - level)
    n = len(over)
    if not n:
        return Tail(level, TAIL, 1.0, 0.0, max(level, 1.0) * 1e-3)
    runs = sum(int((one & ~np.concatenate([[False], one[:-1]])).sum()) for one in above)
    mean, weighted = over.mean(), float((over * np.arange(n - 1, -1, -1)).sum()) / max(1, n * (n - 1))
    shape = 2 - mean / (mean - 2 * weighted) if n > 1 and mean > 2 * weighted else 0.0
    shape = float(np.clip(shape, -MOST_SHAPE, MOST_SHAPE))
    return Tail(level, n / len(together), runs / n, shape, float(mean * (1 - shape)))


def check_rate(scores: int, rate: float, place: str, hold_out: float, what: str) -> None:
    """Raises DataError if there are too few scores of held-out steps for a rate of events a step.

    what: the rate, in words.
    """
    needed = max(LEAST_SCORES, int(np.ceil(1 / (rate * FARTHEST))))
    if scores >= needed:
        return
    rows = int(np.ceil(needed / hold_out)) if hold_out else needed
    steps = f"1 in {format_number(1 / rate)} steps" if rate < 1 else "more than one a step"
    raise DataError(
        f"{place}: {what} is {steps}, and the threshold needs the scores of {needed:,} normal steps for it; {scores:,} "
        f"are held out; give about {rows:,} rows of normal data, or allow more alarms"
    )
