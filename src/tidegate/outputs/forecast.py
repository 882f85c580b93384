"""Forecasts: quantiles of the steps ahead, in the units of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError, OptionError
from ..expect import check_integer, check_list
from ..features.series import HEADS, ForecastSpec, SeriesTransform
from ..limits import MAX_HORIZON, MAX_QUANTILES, MAX_WIDTH
from ..strictjson import show
from ..text_tables import format_count, join_names
from .base import Context, LazyAnswer, Output, check_common

ROUNDING: Final = 1e-12  # levels that differ by less are the same

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> ForecastOutput:
    """Check the entry of a forecast and return its output. Raises ModelFileError."""
    place = f"outputs.{name}"
    own = check_common(place, entry, "step", width, "of", "columns", "horizon", "quantiles", "head")
    transform = getattr(inputs.get(entry["of"]) if isinstance(entry["of"], str) else None, "transform", None)
    if transform is None:
        raise ModelFileError(f"{place}.of: is {show(entry['of'])}; expected the name of an input of kind 'series'")
    horizon = check_integer(f"{place}.horizon", entry["horizon"], 1, MAX_HORIZON)
    check_quantiles(f"{place}.quantiles", entry["quantiles"])
    if entry["head"] not in HEADS:
        raise ModelFileError(f"{place}.head: is {show(entry['head'])}; expected one of {', '.join(HEADS)}")
    check_columns(place, entry, transform)
    if transform.window is None and transform.deviation is None:
        source = f"inputs.{entry['of']}"
        raise ModelFileError(
            f"{place}: needs a window in {source}, or its means and deviations, to scale outputs to their units"
        )
    count = len(entry["columns"]) * len(entry["quantiles"])
    if horizon * count > MAX_WIDTH:
        raise ModelFileError(f"{place}: a forecast has {horizon * count} numbers; at most {MAX_WIDTH} are allowed")
    if own != (needed := count * (horizon if entry["head"] == "direct" else 1)):
        raise ModelFileError(f"{place}: needs {needed} numbers; its node gives {own}")
    return ForecastOutput(name, entry, width)


def feeds_back(entry: Mapping[str, Any]) -> bool:
    """Return whether the head of an entry gives one step ahead, which is fed back for the next."""
    return bool(entry["head"] == "autoregressive")


def make_entry(transform: SeriesTransform, of: str) -> dict[str, Any]:
    """Make the entry of what a transform forecasts, all but `from`. of: the name of its series among the inputs.

    >>> make_entry(SeriesTransform(("load",), ("target",), forecast=ForecastSpec(2, (0.5,))), "x")["columns"]
    ['load']
    """
    assert transform.forecast, "a transform that forecasts"
    return {
        "kind": "forecast",
        "at": "step",
        "of": of,
        "columns": [transform.columns[c] for c in transform.find_columns("target")],
        "horizon": transform.forecast.horizon,
        "quantiles": list(transform.forecast.quantiles),
        "head": transform.forecast.head,
    }


def check_quantiles(place: str, value: Any) -> None:
    """Check the levels: ascending, between 0 and 1. Raises ModelFileError."""
    check_list(place, value, 1, MAX_QUANTILES)
    for i, q in enumerate(value):
        if type(q) is not float or not 0 < q < 1:
            raise ModelFileError(f"{place}[{i}]: is {show(q)}; expected a number between 0 and 1")
    if not all(a < b for a, b in pairwise(value)):
        raise ModelFileError(f"{place}: are {show(value)}; each must be greater than the one before")


def check_columns(place: str, entry: dict[str, Any], transform: Any) -> None:
    """Check the columns that are forecast: past columns of the series, in its order. Raises ModelFileError."""
    value = entry["columns"]
    past = [transform.columns[i] for i in transform.find_columns("past")]
    if not isinstance(value, list) or not value or value != [name for name in past if name in value]:
        raise ModelFileError(
            f"{place}.columns: is {show(value)}; expected names of past columns of inputs.{entry['of']}, in their order"
        )


class ForecastOutput(Output):
    """Quantiles of the steps ahead of some columns of a series, which scales them.

    of: the name of the series. columns: those that are forecast. spec: how many steps ahead, which quantiles, and
    whether a step is fed back for the next.
    """

    kind = "forecast"
    scales = True
    whole_reason = "this model forecasts; use forecasts, which gives quantiles in the data's units"

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        super().__init__(name, entry, width)
        self.of: str = entry["of"]
        self.columns: list[str] = list(entry["columns"])
        self.spec = ForecastSpec(entry["horizon"], tuple(entry["quantiles"]), entry["head"])
        self.feeds_back = feeds_back(entry)

    def implied_decoder(self) -> dict[str, Any] | None:
        options = {"quantiles": self._entry["quantiles"]}
        return {"kind": "rollout", "reads": self._entry["from"], "options": options} if self.feeds_back else None

    def describe(self) -> list[tuple[str, str]]:
        how = "one after another, each fed back" if self.feeds_back else "all at once"
        levels, ahead = ", ".join(map(str, self.spec.quantiles)), format_count(self.spec.horizon, "step")
        return [("forecasts", f"{ahead} ahead of {join_names(self.columns)}, {how}; quantiles {levels}")]

    def describe_numbers(self) -> str:
        sizes = f"{len(self.columns)} targets x {len(self.spec.quantiles)} quantiles"
        return f"{self.spec.output_horizon} steps ahead x {sizes}, in the scaled units of the rows"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.spec.horizon, len(self.columns), len(self.spec.quantiles)

    @property
    def dtype(self) -> type[Any]:
        return np.float64

    def convert(self, values: Rows, scaling: Any = None) -> Floats:
        """Return quantiles in the data's units, in order: float64 [n, steps of the node, columns, quantiles].

        The node of an autoregressive head gives one step ahead.
        """
        quantiles: Floats = scaling.invert(self.select(values), len(self.spec.quantiles))
        quantiles.sort(-1)
        return quantiles

    def answer(self, values: Rows | None, context: Context, reason: str = "") -> Forecast:
        if reason or values is None:
            return Forecast(None, self.spec.quantiles, self.columns, reason)
        if context.roll is not None:
            return Forecast(context.roll, self.spec.quantiles, self.columns)
        return Forecast(lambda: self.convert(values[None], context.scaling)[0], self.spec.quantiles, self.columns)


class Forecast(LazyAnswer[Floats]):
    """Quantiles of each target at each step ahead, in the data's units, or the reason why there are none yet.

    values: float64 [horizon, targets, quantiles], or None; or a function that returns them, called when they or the
    reason are first read. Values of which one is not finite become None, with a reason. quantiles: their levels,
    ascending. columns: the names of the targets. reason: why values is None, else "".

    A network's quantiles may cross. They are sorted, which never moves them further from the true quantiles.

    >>> forecast = Forecast(np.array([[[1.0, 2.0, 4.0]]]), [0.1, 0.5, 0.9], ["load"])
    >>> forecast.median.tolist(), forecast.quantile(0.9).tolist()
    ([[2.0]], [[4.0]])
    >>> Forecast(None, [0.5], ["load"], "warming up 3 of 32").reason
    'warming up 3 of 32'

    Source: Chernozhukov, Fernández-Val and Galichon 2010, Quantile and probability curves without crossing.
    """

    __slots__ = ("columns", "quantiles")

    def __init__(
        self,
        values: Floats | Callable[[], Floats] | None,
        quantiles: Sequence[float],
        columns: Sequence[str],
        reason: str = "",
    ) -> None:
        super().__init__(values, reason)
        self.quantiles, self.columns = list(quantiles), list(columns)

    def __reduce__(self) -> tuple[Any, ...]:
        return Forecast, (self.values, self.quantiles, self.columns, self.reason)

    def _make(self, source: Floats | Callable[[], Floats]) -> Floats:
        return source() if callable(source) else source

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

    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
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
        if isinstance(self._content, tuple) and self._content[0] is None:
            return f"Forecast(None, {self.reason!r})"
        shown = f"{', '.join(self.columns[:3])}{', ...' if len(self.columns) > 3 else ''}"
        return f"Forecast({shown}; quantiles {', '.join(map(str, self.quantiles))})"
