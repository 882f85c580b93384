"""The data behind each panel of a plot: history, median, nested intervals and truth of one target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError

MAX_PANELS: Final = 4  # a note says how many more targets there are
MIN_HISTORY: Final = 24  # steps of history shown even when the horizon is short
MAX_VALUE: Final = 1e300  # beyond this, computing an axis overflows to infinity

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """The interval between two quantiles. low, high: float64 [horizon]. levels: the two quantiles."""

    low: Floats
    high: Floats
    levels: tuple[float, float]

    @property
    def name(self) -> str:
        return f"{self.levels[0]:g} to {self.levels[1]:g}"


@dataclass(frozen=True)
class Panel:
    """What is plotted of one target.

    history: float64 [steps] up to the origin, NaN where missing. median: float64 [horizon]. bands: widest first.
    truth: float64 [horizon], NaN where unknown, or None.
    """

    name: str
    history: Floats
    median: Floats
    bands: tuple[Band, ...]
    truth: Floats | None

    @property
    def anchor(self) -> float | None:
        """The value at the origin, where lines into the forecast start, or None if it is missing."""
        return float(self.history[-1]) if len(self.history) and not np.isnan(self.history[-1]) else None

    @property
    def extent(self) -> tuple[float, float]:
        """The smallest and largest number shown. Raises DataError if they are too large for an axis."""
        arrays = [self.history, self.median, *(v for b in self.bands for v in (b.low, b.high))]
        numbers = np.concatenate(arrays if self.truth is None else [*arrays, self.truth])
        low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
        if max(-low, high) > MAX_VALUE:
            raise DataError(f"values from {low:g} to {high:g} are too large to plot; scale them")
        return low, high


def make_panels(
    history: npt.NDArray[Any],
    forecast: npt.NDArray[Any],
    quantiles: Sequence[float],
    truth: npt.NDArray[Any] | None = None,
    names: Sequence[str] | None = None,
    tail: int | None = None,
) -> list[Panel]:
    """Make a panel for each target.

    history: float [T, targets]; the last step is the origin, NaN marks missing values. forecast: float [horizon,
    targets, quantiles]. quantiles: ascending, including 0.5. truth: float [horizon, targets]. names: one for each
    target. tail: how many steps of history to show; by default twice the horizon and at least 24.

    Raises: DataError if the shapes do not match, the forecast is not finite, or history or truth is infinite.

    >>> one = make_panels(np.zeros((9, 1)), np.array([[[1.0, 2.0, 3.0]]]), [0.1, 0.5, 0.9], names=["load"])[0]
    >>> one.name, one.median.tolist(), one.bands[0].name, one.anchor
    ('load', [2.0], '0.1 to 0.9', 0.0)
    """
    past, ahead = np.asarray(history, np.float64), np.asarray(forecast, np.float64)
    known = None if truth is None else np.asarray(truth, np.float64)
    check_arrays(past, ahead, known, quantiles)
    recent = past[max(0, len(past) - (tail or max(2 * len(ahead), MIN_HISTORY))) :]
    middle = list(quantiles).index(0.5)
    panels = []
    for k, name in enumerate(target_names(names, ahead.shape[1])):
        bands = make_bands(ahead[:, k], quantiles)
        panels.append(Panel(name, recent[:, k], ahead[:, k, middle], bands, None if known is None else known[:, k]))
    return panels


def make_bands(ahead: Floats, quantiles: Sequence[float]) -> tuple[Band, ...]:
    """Pair the quantiles of [horizon, quantiles] from the outside in; pair one that is left over with the median."""
    middle = list(quantiles).index(0.5)
    lower, upper = range(middle), range(len(quantiles) - 1, middle, -1)
    pairs = zip_longest(lower, upper, fillvalue=middle)
    return tuple(Band(ahead[:, i], ahead[:, j], (quantiles[i], quantiles[j])) for i, j in pairs)


def target_names(names: Sequence[str] | None, targets: int) -> list[str]:
    """Return a name for each target: those given, or `target 1` and so on, or none for a single target."""
    if names is None:
        return [""] if targets == 1 else [f"target {k + 1}" for k in range(targets)]
    if len(names) != targets:
        raise DataError(f"there are {len(names)} names for {targets} targets; give one name for each target")
    return list(names)


def hidden_targets_note(targets: int) -> str | None:
    """Say how many targets are not drawn; return None if all are.

    >>> hidden_targets_note(7)
    '3 of 7 targets are not shown'
    """
    return f"{targets - MAX_PANELS} of {targets} targets are not shown" if targets > MAX_PANELS else None


def check_arrays(past: Floats, ahead: Floats, truth: Floats | None, quantiles: Sequence[float]) -> None:
    """Raise DataError unless the arrays match each other and can be drawn."""
    fits = past.ndim == 2 and ahead.ndim == 3 and ahead.size > 0 and ahead.shape[1:] == (past.shape[1], len(quantiles))
    if not fits:
        raise DataError(
            f"history has shape {list(past.shape)} and forecast {list(ahead.shape)} with {len(quantiles)} quantiles; "
            "expected [steps, targets] and [horizon, targets, quantiles]"
        )
    if truth is not None and truth.shape != ahead.shape[:2]:
        raise DataError(f"truth has shape {list(truth.shape)}; expected {list(ahead.shape[:2])}, like the forecast")
    if 0.5 not in quantiles or list(quantiles) != sorted(set(quantiles)):
        raise DataError(f"quantiles are {list(quantiles)}; they must be in ascending order and include 0.5")
    if not np.isfinite(ahead).all():
        h, k, _ = np.argwhere(~np.isfinite(ahead))[0]
        raise DataError(
            f"the forecast of target {k + 1} at step {h + 1} is not a finite number; there is nothing to plot yet"
        )
    for what, values in (("history", past), ("truth", truth)):
        if values is not None and np.isinf(values).any():
            raise DataError(f"the {what} contains an infinite value; mark it as missing (NaN)")
