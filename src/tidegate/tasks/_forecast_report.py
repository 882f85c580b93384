"""Reports about forecasters: what `fit` says of a new one, and what `score` says of a back-test."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from ..text_tables import escape_breaks, format_count, format_number, format_table, shorten
from ._backtest import Backtest
from ._forecast_errors import baseline_warning
from ._left_out import describe_left_out
from ._windows import format_steps

MAX_CHANNELS, MAX_SERIES = 20, 10  # in the report; the JSON has all
NAME_WIDTH = 24  # of a channel or series in a table
FIGURES = {"mse": "MSE", "rmse": "RMSE", "mase": "MASE", "smape": "sMAPE %", "pinball": "pinball loss"}
TITLES = {"mae": "mean absolute error", "mase": "MASE"}


# ---- fit


def report_fit(document: dict[str, Any], path: str) -> str:
    """Say how good a new forecaster is on held-out steps, and what to run next."""
    figures = format_fit(document["provenance"], document["task"]["options"])
    return f"{figures}\nnext: tidegate predict {path} SERIES.csv"


def format_fit(provenance: dict[str, Any], options: dict[str, Any]) -> str:
    """Compare a new forecaster on held-out steps to its baselines, with a warning if it does not beat them."""
    figures, targets = provenance["metrics"]["held_out"], provenance["targets"]
    ahead = f"{format_steps(provenance['steps_ahead'])} ahead"
    where = "--valid" if provenance["valid"] else "held-out end"
    idle = provenance["judging_nothing"]
    do, their = ("does", "its") if idle == 1 else ("do", "their")
    but = f" ({idle:,} {do} not count, because {their} window is constant or the truth is missing)" if idle else ""
    evaluated = f"{where}: {format_count(provenance['rows']['held_out'], 'forecast')} {ahead}{but}"
    if refit := options["refit_epochs"]:
        epochs = "the last epoch" if refit == 1 else f"the last {refit} epochs"
        evaluated += f", measured before {epochs}, which trained on it too"
    metric = "mase" if len(targets) > 1 and "mase" in figures else "mae"
    metrics = [metric, *(["mase"] if metric == "mae" and len(provenance["fitted_on"]) > 1 else [])]
    compared = "mase" if "mase" in metrics and "mase" in figures else metric  # in which no series counts for its unit
    errors = provenance["baselines" if compared == "mae" else "baselines_mase"]
    rivals = {name: error for name, error in errors.items() if isinstance(error, float)}
    beside = {
        name: {"mae": error, "mase": provenance["baselines_mase"].get(name)}
        for name, error in provenance["baselines"].items()
        if isinstance(error, float)
    }
    lines = [evaluated, format_errors(metrics, figures, beside, provenance["baselines"])]
    if metric == "mase":
        lines.append(explain_mase(len(targets), options["season"], "; `tidegate score` gives the errors of each"))
    elif len(targets) > 1:
        lines.append(f"This is a mean over {len(targets)} channels, whatever their units.")
    if share := (provenance["calibration"] or {}).get("branch"):
        lines.append(explain_branch(share, provenance["calibration"].get("width", 1.0)))
    warning = baseline_warning(figures[compared], rivals, compared.upper())
    return "\n".join([*lines, *([f"warning: {warning}"] if warning else [])])


def format_errors(
    metrics: list[str], own: dict[str, Any], rivals: dict[str, Any], baselines: dict[str, float | str]
) -> str:
    """Format errors of the model (`own`) and of its baselines (`rivals`), and why a baseline has none.

    >>> print(format_errors(["mae"], {"mae": 2.0}, {"last value": {"mae": 2.5}}, {"ridge": "not possible: too short"}))
                mean absolute error
    the model                     2
    last value                  2.5
    ridge: not possible: too short
    """
    rows = [
        [who, *(format_figure(of.get(name)) for name in metrics)] for who, of in (("the model", own), *rivals.items())
    ]
    reasons = [f"{name}: {why}" for name, why in baselines.items() if isinstance(why, str)]
    return "\n".join([format_table(["", *(TITLES[name] for name in metrics)], rows), *reasons])


def explain_mase(channels: int, season: int | None, more: str = "") -> str:
    """Explain the figure that stands for channels of different units, in lines of less than 80 characters.

    >>> print(explain_mase(7, 24))
    The 7 channels may have different units, so each error is divided by how far
    values 24 steps apart differ on average in the history of its channel (MASE).
    """
    apart = "one step" if (season or 1) == 1 else f"{season} steps"
    return textwrap.fill(
        f"The {channels} channels may have different units, so each error is divided by how far values {apart} apart "
        f"differ on average in the history of its channel (MASE){more}.",
        79,
    )


def explain_branch(share: float, width: float = 1.0) -> str:
    """Say what the linear branch does, in lines of less than 80 characters.

    >>> print(explain_branch(0.7))
    The model is a network with a linear branch: each forecast moves 70 % of the
    way from the network's median to ridge on the same window, as the held-out rows
    chose.
    """
    where = "to ridge" if share == 1 else f"{100 * share:.0f} % of the way from the network's median to ridge"
    return textwrap.fill(
        f"The model is a network with a linear branch: each forecast moves {where} on the same window, as the held-out "
        f"rows chose{f', and its intervals are {100 * width:.0f} % as wide' if width != 1 else ''}.",
        79,
    )


# ---- score


@dataclass(frozen=True)
class ForecastScores:
    """A back-test, for the command `score`."""

    result: Backtest

    def as_dict(self) -> dict[str, Any]:
        return as_dict(self.result)

    def report(self, width: int) -> str:
        """Format the errors of model and baselines."""
        return format_backtest(self.result)

    def plot(self, path: str, force: bool) -> str:
        """Plot the last forecast of the first series with the truth, and return what was written, in words."""
        from ..plots import png

        result, series = self.result, self.result.series[0]
        end = int(series.origins[-1]) + 1
        times = None if series.times is None else series.times[: end + len(series.truth[-1])]
        history, title = series.track.truth[:end], series.name or "the last forecast"
        forecast, truth = series.forecasts[-1], series.truth[-1]
        png.plot_forecast(path, history, forecast, result.quantiles, times, truth, title, result.columns, force)
        return path + (f", the first of {len(result.series)} series" if len(result.series) > 1 else "")

    def draw(self, width: int, unicode: bool) -> str:
        """Draw the last forecast of the first series, and the history before it, as text."""
        from ..plots import terminal

        series, result = self.result.series[0], self.result
        history = series.track.truth[: int(series.origins[-1]) + 1]
        return terminal.plot_forecast(
            history, series.forecasts[-1], result.quantiles, width, unicode=unicode, names=result.columns
        )


def as_dict(result: Backtest) -> dict[str, Any]:
    """Return a back-test as an object for JSON."""
    mixed = (
        f"mae, mse, rmse, pinball and per_step pool {len(result.targets)} channels, whose units may differ; compare "
    )
    return {
        **result.metrics,
        "pooling": f"{mixed}mase, per_target, or the errors of --scaled" if is_mixed(result) else "",
        "baselines": result.baselines,
        "baseline_figures": result.baseline_figures,
        "warning": result.warning,
        "begins": result.begins,
        "targets": result.targets,
        "series": len(result.metrics["per_series"]),
        "left_out": result.left_out,
        "short": result.short,
        "dropped": result.dropped,
    }


def is_mixed(result: Backtest) -> bool:
    """Return whether errors of all channels together mix units."""
    return len(result.targets) > 1 and result.metrics["unit"] == "data"


def format_backtest(result: Backtest) -> str:
    """Format a back-test for people: the errors of model and baselines, by channel and series, then the intervals."""
    m, several = result.metrics, len(result.metrics["per_series"]) > 1
    metrics = ["mase"] if is_mixed(result) else ["mae", "mase"] if several else ["mae"]
    parts = [describe_forecasts(result), format_errors(metrics, m, result.baseline_figures, result.baselines)]
    if is_mixed(result):
        parts.append(explain_mase(len(result.targets), m["mase_season"]))
    elif m["unit"] != "data":
        parts.append("Errors are in units of each channel's standard deviation in training (--scaled).")
    if result.warning:
        parts.append(f"warning: {result.warning}")
    if len(result.targets) > 1:
        parts.append(format_channels(result))
    if several:
        parts.append(format_series(result))
    left_out = {"mse", "rmse", "pinball"} if is_mixed(result) else {"mse"} if m["unit"] == "data" else set()
    shown = [name for name in FIGURES if name not in left_out and name not in metrics and m[name] is not None]
    parts.append("  ".join(f"{FIGURES[name]} {format_number(m[name])}" for name in shown))
    return "\n\n".join([*filter(None, parts), *format_notes(result)])


def describe_forecasts(result: Backtest) -> str:
    """Say how many forecasts were made of what, and from where on."""
    m = result.metrics
    of = [f"{len(result.targets):,} channels"] if len(result.targets) > 1 else []
    if len(m["per_series"]) > 1 or result.left_out:
        of.append(f"{len(m['per_series']):,} series")
    what = f" of {' of '.join(of)}, each" if of else ""
    return f"{format_count(m['origins'], 'forecast')}{what} of {format_steps(len(m['per_step']))}, {result.begins}"


def format_channels(result: Backtest) -> str:
    """Format the errors of each channel beside the best baseline's, in the order of the file."""
    rows = []
    for name, own in list(result.metrics["per_target"].items())[:MAX_CHANNELS]:
        beside = [(one["per_target"][name]["mae"], who) for who, one in result.baseline_figures.items()]
        known = [(mae, who) for mae, who in beside if mae is not None]
        best = f"{format_number(min(known)[0])} {min(known)[1]}" if known else ""
        rows.append([shorten(escape_breaks(name), NAME_WIDTH), *map(format_figure, pick(own)), best])
    table = format_table(["channel", "MAE", "RMSE", "MASE", "MAE of the best baseline"], rows, words_last=True)
    unit = "its own unit" if is_mixed(result) else "these units"
    more = len(result.targets) - MAX_CHANNELS
    rest = f"\nand {more:,} more channels; --json has all" if more > 0 else ""
    return f"Each channel's mean absolute error (MAE) and others, in {unit}:\n\n{table}{rest}"


def format_series(result: Backtest) -> str:
    """Format the errors of the series with the largest ones."""
    m, figures = result.metrics, ["mase"] if is_mixed(result) else ["mae", "rmse", "mase"]
    worst = sorted(m["per_series"].items(), key=lambda item: (item[1]["mase"] is None, -(item[1]["mase"] or 0.0)))
    rows = [
        [shorten(escape_breaks(name), NAME_WIDTH), f"{one['origins']:,}", *(format_figure(one[key]) for key in figures)]
        for name, one in worst[:MAX_SERIES]
    ]
    heads = {"mae": "MAE", "rmse": "RMSE", "mase": "MASE"}
    table = format_table(["series, highest MASE first", "forecasts", *(heads[key] for key in figures)], rows)
    more = len(worst) - MAX_SERIES
    return table + (f"\nand {more:,} more series; --json has all" if more > 0 else "")


def pick(figures: dict[str, Any]) -> list[float | None]:
    return [figures[name] for name in ("mae", "rmse", "mase")]


def format_figure(value: float | None) -> str:
    return "none" if value is None else format_number(value)


def format_notes(result: Backtest) -> list[str]:
    """Say how good the intervals are, and what the figures do not cover."""
    m = result.metrics
    inside = [f"{float(share):.0%} interval covers {v:.1%}" for share, v in m["coverage"].items() if v is not None]
    notes = [", ".join(inside) + " of the truth"] if inside else []
    if m["unknown"]:
        are, do = ("is", "does") if m["unknown"] == 1 else ("are", "do")
        notes.append(f"{format_count(m['unknown'], 'value')} of the truth {are} missing and {do} not count")
    if m["without_unit"]:
        notes.append(f"{m['without_unit']:,} values are of channels that never changed in training and do not count")
    if result.dropped:
        are = "is" if result.dropped == 1 else "are"
        notes.append(f"{format_count(result.dropped, 'step')} with missing values {are} dropped")
    if m["mase_reason"]:
        notes.append(f"MASE: {m['mase_reason']}")
    if result.short:
        use = "uses" if result.short == 1 else "use"
        notes.append(f"{format_count(result.short, 'forecast')} {use} fewer steps than the look-back")
    if result.left_out:
        notes.append(describe_left_out(result.left_out))
    return notes
