"""Numbers along an axis: few, round, and written so that they differ."""

from __future__ import annotations

import math
from itertools import product
from typing import Final, NamedTuple

ROUND: Final = (1.0, 2.0, 2.5, 5.0)
LEAST: Final = 3  # marks


class Axis(NamedTuple):
    """The values at the ends of an axis, and those of its marks."""

    low: float
    high: float
    marks: list[float]


def axis(low: float, high: float, most: int = 5) -> Axis:
    """An axis from `low` to `high` with three to `most` marks, 1, 2, 2.5 or 5 times a power of ten apart.

    As many as fit; where fewer than three do, the axis grows by what another one takes, and no more. A range of nothing
    is widened by a tenth of its value to either side, or by one around 0.

    >>> axis(3.2, 17.0)
    Axis(low=3.2, high=17.0, marks=[5.0, 7.5, 10.0, 12.5, 15.0])
    """
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-290):
        aside = max(abs(low), abs(high)) / 10
        aside = aside if aside > 1e-290 else 1.0
        low, high = low - aside, high + aside
    tens = math.floor(math.log10(high - low))
    found = []
    for step in (r * 10.0**k for k in range(tens - 2, tens + 2) for r in ROUND):
        below, above = low / step, high / step
        for first, last in product({math.floor(below), math.ceil(below)}, {math.floor(above), math.ceil(above)}):
            if LEAST <= last - first + 1 <= max(most, LEAST):
                waste = max(0.0, below - first) + max(0.0, last - above)
                found.append((waste * step, first - last, step, first))
    _, count, step, first = min(found)
    marks = [(first + i) * step for i in range(1 - count)]
    return Axis(min(low, marks[0]), max(high, marks[-1]), marks)


def written(numbers: list[float]) -> list[str]:
    """Evenly spaced numbers as text, with as many digits as tell them apart.

    >>> written([0.0, 2.5, 5.0])
    ['0.0', '2.5', '5.0']
    >>> written([0.0, 2e7, 4e7])
    ['0', '2e+07', '4e+07']
    """
    step = numbers[1] - numbers[0]
    largest = max(map(abs, numbers))
    decimals = next((d for d in range(5) if abs(round(step, d) - step) < 1e-6 * step), None)
    if largest < 1e6 and decimals is not None:
        return [f"{n:,.{decimals}f}" for n in numbers]
    digits = max(1, math.ceil(math.log10(largest / step)) + 2)
    return [f"{n:.{digits}g}" for n in numbers]
