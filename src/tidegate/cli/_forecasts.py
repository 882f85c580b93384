"""The parts of `fit`, `score` and `predict` that are about forecasters."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import OptionError, error_context
from . import _console, _forecast_report, _predictions
from ._parser import FilePath, Renamed
from ._precision import load_arguments
from ._table import escape_breaks, format_number, format_table

if TYPE_CHECKING:
    import argparse

    from ..backtest import Backtest, SeriesBacktest, SeriesForecast
    from ..runtime import Predictor
    from ._parser import Parser

MIN_CHART_WIDTH = 40  # a narrower terminal gets no chart
MAX_CHARTS = 4  # further series are printed as numbers only


def count_digits(values: Any) -> int:
    """Count the digits that show the range of some numbers to four digits, even if they are all large and close.

    >>> count_digits(np.array([231.4, 240.0])), count_digits(np.array([98765432.1, 98765433.2]))
    (5, 11)
    """
    largest, range_ = float(np.abs(values).max()), float(np.ptp(values))
    return max(4, min(16, 3 + math.ceil(math.log10(largest / range_)))) if range_ else 4


# ---- score


def add_flags(parser: Parser) -> None:
    """Add the flags of `score` that only forecasters have."""
    group = parser.add_argument_group("forecasters only")
    group.add_argument("--start", metavar="STEP", help="forecast from this step on: its number, or its time")
    group.add_argument("--from", action=Renamed, now="--start")
    group.add_argument("--every", metavar="N", type=int, help="forecast from every Nth step (default 1)")
    group.add_argument(
        "--scaled",
        action="store_true",
        default=None,
        help="divide the errors of each channel by its standard deviation in training, so that they can be compared",
    )
    group.add_argument("--plot", metavar="FILE", action=FilePath, help="plot the last forecast and the truth, as PNG")


def refuse_flags(args: argparse.Namespace) -> None:
    """Raise OptionError if a flag that only forecasters have was typed."""
    for name in ("start", "every", "scaled", "plot"):
        if getattr(args, name) is not None:
            raise OptionError(f"--{name} is for forecasters, but this model predicts labels; leave it out")


def score(args: argparse.Namespace) -> int:
    """Back-test a forecaster on a file."""
    from ..backtest import backtest
    from ..runtime import load

    for name in ("text", "label"):
        if getattr(args, name) is not None:
            raise OptionError(f"--{name} is for labels, but this model forecasts; leave it out")
    check_plot(args)
    every = 1 if args.every is None else args.every
    result = backtest(load(args.model, **load_arguments(args)), args.file, args.start, every, bool(args.scaled))
    if args.plot:
        of = f", the first of {len(result.series)} series" if len(result.series) > 1 else ""
        print(f"wrote {plot_last(result.series[0], result, args.plot, args.force)}{of}", file=sys.stderr)
    if args.json:
        _console.print_json(_forecast_report.as_dict(result))
    else:
        print(_forecast_report.format_backtest(result))
    return 0


def check_plot(args: argparse.Namespace) -> None:
    """Check early that the picture of --plot can be written."""
    if args.plot is None:
        return
    from ..plots import png

    with error_context("--plot"):
        png.check_path(args.plot, [args.model, args.file], args.force)


def plot_last(series: SeriesBacktest, result: Backtest, path: str, force: bool = False) -> str:
    """Plot the last forecast of a series with the truth; return the path."""
    from ..plots import png

    end = int(series.origins[-1]) + 1
    times = None if series.times is None else series.times[: end + len(series.truth[-1])]
    png.plot_forecast(
        path,
        series.track.truth[:end],
        series.forecasts[-1],
        result.quantiles,
        times,
        series.truth[-1],
        series.name or "the last forecast",
        result.columns,
        force,
    )
    return path


# ---- predict


def predict(args: argparse.Namespace, predictor: Predictor) -> int:
    """Forecast what follows the last step of each series in a file."""
    from ..backtest import forecast_ahead
    from ..tasks._left_out import describe_left_out

    if args.file in (None, "-") or args.message or args.text:
        raise OptionError("this model forecasts; give a file of series: tidegate predict MODEL series.csv")
    if args.top is not None:
        raise OptionError("--top is for labels, but this model forecasts; leave it out")
    check_plot(args)
    forecasts = forecast_ahead(predictor, args.file)
    if args.plot and len(forecasts) > 1:
        raise OptionError(f"--plot draws one series, but {args.file} has {len(forecasts)}; give a file with one series")
    if args.plot:
        from ..plots import png

        series = forecasts[0]
        times = None if series.past is None or series.times is None else np.concatenate([series.past, series.times])
        png.plot_forecast(
            args.plot,
            series.history,
            series.values,
            series.forecast.quantiles,
            times,
            title=series.name or "forecast",
            names=series.forecast.columns,
            force=args.force,
        )
        print(f"wrote {args.plot}", file=sys.stderr)
    missing = [{"series": f.name, "reason": f.forecast.reason} for f in forecasts if f.forecast.reason]
    if missing:
        print(describe_left_out(missing, "without a forecast"), file=sys.stderr)
    if args.out:
        _predictions.write(args.out, tabulate(forecasts), args.force)
    for k, series in enumerate([] if args.out else forecasts):
        if args.json:
            _console.print_json(record_of(series))
            continue
        if series.forecast.reason:
            continue
        if k < MAX_CHARTS and sys.stdout.isatty() and _console.terminal_width() >= MIN_CHART_WIDTH:
            print(draw_chart(series))
        print(format_forecast(series))
    if not args.json:
        for note in format_assumed_dates(forecasts):
            print(note, file=sys.stderr)
    return 0


def record_of(series: SeriesForecast) -> dict[str, Any]:
    """Return the forecast of a series as an object for JSON."""
    head = {"series": series.name, "steps": series.steps, "assumed": series.assumed or None}
    return {**head, **series.forecast.as_dict()}


def tabulate(forecasts: list[SeriesForecast]) -> _predictions.Output:
    """Make a table with a row for each series, step ahead and target, and a column for each quantile.

    A series without a forecast has no rows.
    """
    made = [series for series in forecasts if not series.forecast.reason]
    step = "step" if all(series.times is None for series in made) else "time"
    levels = dict.fromkeys((repr(level) for level in made[0].forecast.quantiles), float)
    rows = (
        [series.name, name, target, *quantiles]
        for series in made
        for name, of_step in zip(series.steps, series.values.tolist(), strict=True)
        for target, quantiles in zip(series.forecast.columns, of_step, strict=True)
    )
    columns = {"series": str, step: str, "target": str, **levels}
    return _predictions.Output(columns, rows, map(record_of, forecasts))


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


def draw_chart(forecast: SeriesForecast) -> str:
    """Draw the recent history and the forecast as text."""
    return draw_text(forecast.history, forecast.values, forecast.forecast.quantiles, forecast.forecast.columns)


def draw_last_chart(series: SeriesBacktest, result: Backtest) -> str:
    """Draw the last forecast of a back-test and the history before it as text."""
    history = series.track.truth[: int(series.origins[-1]) + 1]
    return draw_text(history, series.forecasts[-1], result.quantiles, result.columns)


def draw_text(history: Any, values: Any, quantiles: list[float], names: list[str]) -> str:
    from ..plots import terminal

    width = min(100, _console.terminal_width())
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    return terminal.plot_forecast(history, values, quantiles, width, unicode=unicode, names=names)


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
