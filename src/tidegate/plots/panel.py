"""What a plot of a forecast shows of each target: history, median, nested intervals and truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError

MOST: Final = 4  # targets that are drawn
SHORTEST: Final = 24  # steps of history, however short the horizon
LARGEST: Final = 1e300  # number that is drawn; beyond, an axis meets infinity

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """What lies between two quantiles: low and high [horizon], and the quantiles themselves."""

    low: Floats
    high: Floats
    levels: tuple[float, float]

    @property
    def name(self) -> str:
        return f"{self.levels[0]:g} to {self.levels[1]:g}"


@dataclass(frozen=True)
class Panel:
    """One target: history [steps], which ends at the origin, NaN where missing; median [horizon]; bands, widest first;
    truth [horizon], NaN where unknown, None where there is none.
    """

    name: str
    history: Floats
    median: Floats
    bands: tuple[Band, ...]
    truth: Floats | None

    @property
    def anchor(self) -> float | None:
        """The value at the origin, from which lines to the forecast start; None where it is missing."""
        return float(self.history[-1]) if len(self.history) and not np.isnan(self.history[-1]) else None

    @property
    def extent(self) -> tuple[float, float]:
        """The least and the largest number shown. Raises DataError for what no axis can show."""
        shown = [self.history, self.median, *(v for b in self.bands for v in (b.low, b.high))]
        numbers = np.concatenate(shown if self.truth is None else [*shown, self.truth])
        low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
        if max(-low, high) > LARGEST:
            raise DataError(f"values from {low:g} to {high:g} are too large to plot; scale them")
        return low, high


def panels(
    history: npt.NDArray[Any],
    forecast: npt.NDArray[Any],
    quantiles: Sequence[float],
    truth: npt.NDArray[Any] | None = None,
    names: Sequence[str] | None = None,
    tail: int | None = None,
) -> list[Panel]:
    """A panel for each target, all of them.

    history: float [T, targets], the last step being the origin, NaN where missing. forecast: float [horizon, targets,
    quantiles]. quantiles: ascending, with 0.5. truth: float [horizon, targets]. names: of the targets. tail: how many
    steps of history are shown; if not given, twice the horizon, at least 24.

    Raises: DataError for shapes that do not fit, a forecast that is not finite, or infinity.

    >>> one = panels(np.zeros((9, 1)), np.array([[[1.0, 2.0, 3.0]]]), [0.1, 0.5, 0.9], names=["load"])[0]
    >>> one.name, one.median.tolist(), one.bands[0].name, one.anchor
    ('load', [2.0], '0.1 to 0.9', 0.0)
    """
    past, ahead = np.asarray(history, np.float64), np.asarray(forecast, np.float64)
    known = None if truth is None else np.asarray(truth, np.float64)
    check(past, ahead, known, quantiles)
    shown = past[max(0, len(past) - (tail or max(2 * len(ahead), SHORTEST))) :]
    called = named(names, ahead.shape[1])
    middle = list(quantiles).index(0.5)
    return [
        Panel(
            called[k],
            shown[:, k],
            ahead[:, k, middle],
            bands(ahead[:, k], quantiles),
            None if known is None else known[:, k],
        )
        for k in range(ahead.shape[1])
    ]


def bands(ahead: Floats, quantiles: Sequence[float]) -> tuple[Band, ...]:
    """The outermost quantiles of [horizon, quantiles] paired, then the next; one without a partner with the median."""
    middle = list(quantiles).index(0.5)
    lower, upper = range(middle), range(len(quantiles) - 1, middle, -1)
    pairs = zip_longest(lower, upper, fillvalue=middle)
    return tuple(Band(ahead[:, i], ahead[:, j], (quantiles[i], quantiles[j])) for i, j in pairs)


def named(names: Sequence[str] | None, targets: int) -> list[str]:
    if names is None:
        return [""] if targets == 1 else [f"target {k + 1}" for k in range(targets)]
    if len(names) != targets:
        raise DataError(f"{len(names)} names for {targets} targets; give one for each")
    return list(names)


def left_out(targets: int) -> str | None:
    """What to say of targets that are not drawn.

    >>> left_out(7)
    '3 of 7 targets are not shown'
    """
    return f"{targets - MOST} of {targets} targets are not shown" if targets > MOST else None


def check(past: Floats, ahead: Floats, known: Floats | None, quantiles: Sequence[float]) -> None:
    """Raises DataError unless the arrays fit each other and can be drawn."""
    fits = past.ndim == 2 and ahead.ndim == 3 and ahead.size > 0 and ahead.shape[1:] == (past.shape[1], len(quantiles))
    if not fits:
        raise DataError(
            f"history has shape {list(past.shape)} and forecast {list(ahead.shape)} with {len(quantiles)} quantiles; "
            "expected [steps, targets] and [horizon, targets, quantiles]"
        )
    if known is not None and known.shape != ahead.shape[:2]:
        raise DataError(f"truth has shape {list(known.shape)}; expected {list(ahead.shape[:2])}, as the forecast")
    if 0.5 not in quantiles or list(quantiles) != sorted(set(quantiles)):
        raise DataError(f"quantiles are {list(quantiles)}; they must ascend, with 0.5 among them")
    if not np.isfinite(ahead).all():
        h, k, _ = np.argwhere(~np.isfinite(ahead))[0]
        raise DataError(
            f"the forecast of step {h + 1}, target {k + 1} is no finite number; there is nothing to plot yet"
        )
    for what, values in (("history", past), ("truth", known)):
        if values is not None and np.isinf(values).any():
            raise DataError(f"the {what} has an infinite value; leave it out as missing (NaN)")
