"""What `predict` prints and writes of forecasts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import OptionError
from ..text_tables import escape_breaks, format_number, format_table
from ._backtest import SeriesForecast
from ._left_out import describe_left_out

MIN_CHART_WIDTH, MAX_CHART_WIDTH = 40, 100  # a narrower terminal gets no chart
MAX_CHARTS = 4  # further series are printed as numbers only


@dataclass(frozen=True)
class ForecastPredictions:
    """The forecasts of all series of a file."""

    forecasts: list[SeriesForecast]
    file: str

    @property
    def notes(self) -> list[str]:
        """Say how the dates of the steps ahead were assumed."""
        return format_assumed_dates(self.forecasts)

    @property
    def warnings(self) -> list[str]:
        """Say which series have no forecast."""
        missing = [{"series": f.name, "reason": f.forecast.reason} for f in self.forecasts if f.forecast.reason]
        return [describe_left_out(missing, "without a forecast")] if missing else []

    @property
    def made(self) -> list[SeriesForecast]:
        return [series for series in self.forecasts if not series.forecast.reason]

    @property
    def columns(self) -> dict[str, type]:
        step = "step" if all(series.times is None for series in self.made) else "time"
        levels = dict.fromkeys((repr(level) for level in self.made[0].forecast.quantiles), float)
        return {"series": str, step: str, "target": str, **levels}

    def rows(self) -> Iterator[list[Any]]:
        """Iterate over a row for each series, step ahead and target; a series without a forecast has none."""
        return (
            [series.name, name, target, *quantiles]
            for series in self.made
            for name, of_step in zip(series.steps, series.values.tolist(), strict=True)
            for target, quantiles in zip(series.forecast.columns, of_step, strict=True)
        )

    def records(self) -> Iterator[dict[str, Any]]:
        return map(record_of, self.forecasts)

    def format(self, width: int | None, unicode: bool) -> Iterator[str]:
        """Format each forecast as a table, and the first ones as charts. width: of the terminal; None: no charts."""
        for k, series in enumerate(self.forecasts):
            if series.forecast.reason:
                continue
            if k < MAX_CHARTS and width is not None and width >= MIN_CHART_WIDTH:
                yield draw_chart(series, min(MAX_CHART_WIDTH, width), unicode)
            yield format_forecast(series)

    def plot(self, path: str, force: bool) -> str:
        """Plot the forecast of the only series, and return the path. Raises OptionError for several."""
        from ..plots import png

        if len(self.forecasts) > 1:
            raise OptionError(
                f"--plot draws one series, but {self.file} has {len(self.forecasts)}; give a file with one series"
            )
        series = self.forecasts[0]
        times = None if series.past is None or series.times is None else np.concatenate([series.past, series.times])
        png.plot_forecast(
            path,
            series.history,
            series.values,
            series.forecast.quantiles,
            times,
            title=series.name or "forecast",
            names=series.forecast.columns,
            force=force,
        )
        return path


def count_digits(values: Any) -> int:
    """Count the digits that show the range of some numbers to four digits, even if they are all large and close.

    >>> count_digits(np.array([231.4, 240.0])), count_digits(np.array([98765432.1, 98765433.2]))
    (5, 11)
    """
    largest, range_ = float(np.abs(values).max()), float(np.ptp(values))
    return max(4, min(16, 3 + math.ceil(math.log10(largest / range_)))) if range_ else 4


def record_of(series: SeriesForecast) -> dict[str, Any]:
    """Return the forecast of a series as an object for JSON."""
    head = {"series": series.name, "steps": series.steps, "assumed": series.assumed or None}
    return {**head, **series.forecast.as_dict()}


def format_assumed_dates(forecasts: list[SeriesForecast]) -> list[str]:
    """Say how the dates of the steps ahead were assumed; if series differ, name up to three for each assumption."""
    names: dict[str, list[str]] = {}
    for forecast in forecasts:
        if forecast.assumed:
            names.setdefault(forecast.assumed, []).append(repr(forecast.name))
    if len(names) < 2:
        return list(names)
    return [
        f"{', '.join(of[:3])}{f' and {len(of) - 3:,} more' if of[3:] else ''}: {note}" for note, of in names.items()
    ]


def draw_chart(series: SeriesForecast, width: int, unicode: bool) -> str:
    """Draw the recent history and the forecast as text."""
    from ..plots import terminal

    forecast = series.forecast
    return terminal.plot_forecast(
        series.history, series.values, forecast.quantiles, width, unicode=unicode, names=forecast.columns
    )


def format_forecast(forecast: SeriesForecast) -> str:
    """Format the steps ahead of one series, one per line."""
    levels, names = forecast.forecast.quantiles, forecast.forecast.columns
    heads = [f"{name} {level:g}" if len(names) > 1 else f"{level:g}" for name in names for level in levels]
    digits = count_digits(forecast.values)
    rows = [
        [step, *(format_number(v, digits) for v in ahead.ravel().tolist())]
        for step, ahead in zip(forecast.steps, forecast.values, strict=True)
    ]
    title = f"{escape_breaks(forecast.name)}\n" if forecast.name else ""
    return title + format_table(["step" if forecast.times is None else "time", *heads], rows)
