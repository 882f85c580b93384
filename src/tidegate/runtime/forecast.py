"""Forecasts: quantiles of the steps ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import OptionError

ROUNDING: Final = 1e-12  # levels that differ by less are the same

Floats = npt.NDArray[np.float64]


class Forecast:
    """Quantiles of each target at each step ahead, in the data's units, or the reason why there are none yet.

    values: float64 [horizon, targets, quantiles], or None; or a function that returns them, called when they are first
    read. quantiles: their levels, ascending. columns: the names of the targets. reason: why values is None, else "".

    A network's quantiles may cross. They are sorted, which never moves them further from the true quantiles.

    >>> forecast = Forecast(np.array([[[1.0, 2.0, 4.0]]]), [0.1, 0.5, 0.9], ["load"])
    >>> forecast.median.tolist(), forecast.quantile(0.9).tolist()
    ([[2.0]], [[4.0]])
    >>> Forecast(None, [0.5], ["load"], "warming up 3 of 32").reason
    'warming up 3 of 32'

    Source: Chernozhukov, Fernández-Val and Galichon 2010, Quantile and probability curves without crossing.
    """

    __slots__ = ("_values", "columns", "quantiles", "reason")

    def __init__(
        self,
        values: Floats | Callable[[], Floats] | None,
        quantiles: Sequence[float],
        columns: Sequence[str],
        reason: str = "",
    ) -> None:
        self._values = values
        self.quantiles, self.columns, self.reason = list(quantiles), list(columns), reason

    def __reduce__(self) -> tuple[Any, ...]:
        return Forecast, (self.values, self.quantiles, self.columns, self.reason)

    @property
    def values(self) -> Floats | None:
        """The quantiles: float64 [horizon, targets, quantiles], or None."""
        values = self._values
        if callable(values):
            values = self._values = values()
        return values

    @property
    def median(self) -> Floats:
        """The median of each target: float64 [horizon, targets]."""
        return self.quantile(0.5)

    def quantile(self, level: float) -> Floats:
        """Return one quantile: float64 [horizon, targets], interpolated between the two nearest levels of the model.

        A level that equals one of the model's up to rounding, as (1 - 0.8) / 2 equals 0.1, is that one.

        Raises OptionError for a level outside of the model's range, and if there is no forecast yet.
        """
        if self.values is None:
            raise OptionError(f"there is no forecast: {self.reason}")
        levels = self.quantiles
        for i, q in enumerate(levels):
            if abs(level - q) < ROUNDING:
                return self.values[..., i].copy()
        if not levels[0] <= level <= levels[-1]:
            raise OptionError(
                f"quantile {level:.12g} is outside of the model's, {levels[0]} to {levels[-1]}; choose one between them"
            )
        above = next(i for i, q in enumerate(levels) if q > level)
        share = (level - levels[above - 1]) / (levels[above] - levels[above - 1])
        return (1 - share) * self.values[..., above - 1] + share * self.values[..., above]

    def as_dict(self) -> dict[str, Any]:
        """Return a dict for JSON: `forecast`, the median, if the levels enclose it, and `quantiles`, both by target.

        Without values, `forecast` is None and `reason` says why.

        >>> Forecast(np.array([[[1.0, 2.0, 4.0]]]), [0.1, 0.5, 0.9], ["load"]).as_dict()["quantiles"]["0.9"]
        {'load': [4.0]}
        """
        if self.values is None:
            return {"forecast": None, "reason": self.reason}
        levels = self.quantiles
        middle = {"forecast": self.by_column(self.median)} if levels[0] <= 0.5 <= levels[-1] else {}
        return {**middle, "quantiles": {repr(q): self.by_column(self.values[..., i]) for i, q in enumerate(levels)}}

    def by_column(self, numbers: Floats) -> dict[str, list[float]]:
        """Return numbers [horizon, targets] as a list for each target."""
        return dict(zip(self.columns, numbers.T.tolist(), strict=True))

    def __repr__(self) -> str:
        if self._values is None:
            return f"Forecast(None, {self.reason!r})"
        shown = f"{', '.join(self.columns[:3])}{', ...' if len(self.columns) > 3 else ''}"
        return f"Forecast({shown}; quantiles {', '.join(map(str, self.quantiles))})"


def sort_quantiles(values: Floats) -> Floats:
    """Sort quantiles [..., quantiles] in place and return them."""
    values.sort(-1)
    return values
