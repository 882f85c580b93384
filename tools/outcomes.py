"""The sections of what trained models reach: accuracies and forecasts of public sets."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from sections import Found, made, section, table, unique


def accuracy(results: dict[str, Found]) -> str:
    return section(
        "Accuracy",
        "Official test splits of messages and of series, scored by the native engine; fitted on the train split "
        "alone, with the defaults, what stands beside the set's name, and a seed.",
        table(
            ["set", "mean of seeds", "each seed", "CPU seconds a fit", "model file"],
            [[name, *accuracies(of["figures"]["runs"])] for name, of in results.items()],
        ),
        others("Figures of others, in percent:", results),
        made(*results.values()),
    )


def others(said: str, results: dict[str, Found]) -> str:
    """The published figures under each set, once."""
    lines = unique(f"- {n.split()[0]}: {line}" for n, of in results.items() for line in of["figures"]["published"])
    return "\n".join([said, "", *lines]) if lines else ""


def accuracies(runs: list[Found]) -> list[str]:
    values = [100 * run["accuracy"] for run in runs]
    seconds = statistics.mean(run["cpu_seconds"] for run in runs)
    return [
        f"{statistics.mean(values):.2f} %",
        ", ".join(f"{value:.2f}" for value in values),
        f"{seconds:.0f}",
        f"{statistics.mean(run['bytes'] for run in runs) / 1e6:.1f} MB",
    ]


def forecast(results: dict[str, Found]) -> str:
    return section(
        "Forecasts",
        "Official test splits, forecast by the native engine from every origin of the test; fitted on the train split "
        "alone, with the defaults and a seed; a point forecast is the median. load: half-hourly demand for "
        "electricity, a day ahead, mean absolute error over that of the better seasonal naive, a week of the test by "
        "the first step ahead; etth1: 7 channels, 96 hours ahead, over the deviations of training; m4_hourly: 414 "
        "series, 48 hours ahead at the end of each; exchange_rate: 24 days ahead, where nothing is known to beat the "
        "last value and `tidegate score` must say so.",
        table(
            ["set", "figure", "mean of seeds", "each seed", "beside it"],
            [[name, *row] for name, of in results.items() for row in forecasts(of["figures"]["rows"])],
        ),
        others("Figures of others:", results),
        made(*results.values()),
    )


def forecasts(rows: list[Found]) -> Iterator[list[str]]:
    """The rows that are no details."""
    for row in rows:
        each = [f"{value:,.{row['digits']}f}" for value in (statistics.mean(row["values"]), *row["values"])]
        beside = "; ".join(f"{name} {value:,.{row['digits']}f}" for name, value in row["beside"].items())
        if not row.get("detail"):
            yield [row["figure"], each[0], " ".join(each[1:]), beside]
