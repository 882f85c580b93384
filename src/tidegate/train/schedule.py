"""The learning rate of each step."""

from __future__ import annotations

import math


def rate(step: int, steps: int, peak: float, warm: float = 0.1, end: float = 0.01) -> float:
    """Return a step's rate: a linear warm-up over the first `warm` share of the steps, then a cosine decay to `end`
    times the peak.

    >>> [round(rate(s, 100, 1.0), 3) for s in (0, 9, 10, 55, 99)]
    [0.1, 1.0, 1.0, 0.496, 0.01]
    """
    rising = max(1, round(warm * steps))
    if step < rising:
        return peak * (step + 1) / rising
    done = (step - rising) / max(1, steps - 1 - rising)
    return peak * (end + (1 - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))
