"""Tick marks of an axis: a few round numbers, formatted so that no two look the same."""

from __future__ import annotations

import math
from itertools import product
from typing import Final, NamedTuple

ROUND_STEPS: Final = (1.0, 2.0, 2.5, 5.0)
MIN_TICKS: Final = 3


class Axis(NamedTuple):
    """The values at the ends of an axis, and those of its ticks."""

    low: float
    high: float
    ticks: list[float]


def make_axis(low: float, high: float, max_ticks: int = 5) -> Axis:
    """Choose an axis that covers `low` to `high` and has three to `max_ticks` ticks.

    Ticks are 1, 2, 2.5 or 5 times a power of ten apart, and as many as fit. If fewer than three fit, the axis grows
    just enough for three. If `low` equals `high`, the axis extends a tenth of the value to either side, or by one
    around zero.

    >>> make_axis(3.2, 17.0)
    Axis(low=3.2, high=17.0, ticks=[5.0, 7.5, 10.0, 12.5, 15.0])
    """
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-290):
        padding = max(abs(low), abs(high)) / 10
        padding = padding if padding > 1e-290 else 1.0
        low, high = low - padding, high + padding
    tens = math.floor(math.log10(high - low))
    candidates = []
    for step in (r * 10.0**k for k in range(tens - 2, tens + 2) for r in ROUND_STEPS):
        below, above = low / step, high / step
        for first, last in product({math.floor(below), math.ceil(below)}, {math.floor(above), math.ceil(above)}):
            if MIN_TICKS <= last - first + 1 <= max(max_ticks, MIN_TICKS):
                waste = max(0.0, below - first) + max(0.0, last - above)
                candidates.append((waste * step, first - last, step, first))
    _, count, step, first = min(candidates)
    marks = [(first + i) * step for i in range(1 - count)]
    return Axis(min(low, marks[0]), max(high, marks[-1]), marks)


def format_numbers(numbers: list[float]) -> list[str]:
    """Format evenly spaced numbers with as many digits as it takes to tell them apart.

    >>> format_numbers([0.0, 2.5, 5.0])
    ['0.0', '2.5', '5.0']
    >>> format_numbers([0.0, 2e7, 4e7])
    ['0', '2e+07', '4e+07']
    """
    step = numbers[1] - numbers[0]
    largest = max(map(abs, numbers))
    decimals = next((d for d in range(5) if abs(round(step, d) - step) < 1e-6 * step), None)
    if largest < 1e6 and decimals is not None:
        return [f"{n:,.{decimals}f}" for n in numbers]
    digits = max(1, math.ceil(math.log10(largest / step)) + 2)
    return [f"{n:.{digits}g}" for n in numbers]
