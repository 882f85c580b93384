"""Back-test forecasters on public series with the defaults, compared with seasonal naive and ridge regression.

    python bench/forecast.py [load etth1 m4_hourly exchange_rate] [--seeds ...]

No option but the seed is given. Each model is trained on the official training split alone, written, loaded again and
back-tested on the official test split by the native runtime: each forecast is made from the steps before it, and its
point is the median. Writes bench/results/forecast.json and keeps the entries of other sets.

load: ratios of mean absolute errors to that of the better seasonal naive, a day or a week before, over all origins and
over each week of the test split; an origin's week is that of its first step ahead. etth1: errors of all channels and
test windows, divided by the deviation of the training rows. m4_hourly: the competition's metrics of one forecast at the
end of each series. exchange_rate: no method is known to beat the last value; where a model does not, `tidegate score`
must say so.
"""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import fits, record

from tidegate import cli
from tidegate.backtest import Backtest, SeriesBacktest, backtest, load_forecaster
from tidegate.data import catalogue
from tidegate.tasks._baseline_models import Ridge, seasonal_naive
from tidegate.tasks._forecast_metrics import score, seasonal_scale
from tidegate.tasks.forecast import Options
from tidegate.text_tables import format_table

Floats = npt.NDArray[np.float64]
Figures = dict[str, Any]
DAY, WEEK = 48, 336  # half hours
HOURS = 24


@dataclass(frozen=True)
class Case:
    """How a set is tested.

    start: the first step to forecast; None: the one after the training rows. figures: computes the figures of a
    back-test. seeds: the default.
    """

    start: int | None
    figures: Callable[[Backtest, Options], list[Figures]]
    seeds: tuple[int, ...] = (0, 1, 2)


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("sets", nargs="*", default=list(CASES), help=f"data sets (default {' '.join(CASES)})")
    parser.add_argument("--seeds", nargs="+", type=int, help="one fit each (default 0 1 2, of the two last sets 0)")
    args = parser.parse_args()
    if unknown := [name for name in args.sets if name not in CASES]:
        parser.error(f"no case {unknown[0]!r}; choose of {', '.join(CASES)}")
    for name in args.sets:
        store(args.out, name, record.with_provenance(measure(name, args.seeds or CASES[name].seeds), "torch"))
        print(format_results(name, record.read(args.out, "forecast")[name]["figures"]), flush=True)


def measure(name: str, seeds: tuple[int, ...]) -> Figures:
    """Return the published figures, and rows of figures with one value per seed."""
    files = catalogue.fetch(name)
    runs = [measure_seed(name, files, seed) for seed in seeds]
    return {"published": list(catalogue.get(name).published), "seeds": list(seeds), "rows": merge_seeds(runs)}


def measure_seed(name: str, files: dict[str, Path], seed: int) -> list[Figures]:
    """Fit, write, load and back-test; return the figures of one seed, each {figure, value, digits, beside}.

    beside: the values of the baselines by name.
    """
    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "model.safetensors")
        spent = fits.fit_set(name, files["train"], out, seed=seed)
        begun = time.perf_counter()
        result = backtest(out, str(files["all"]), case.start)
        seconds = time.perf_counter() - begun
        coverage = result.metrics["coverage"]["0.8"]
        return [
            *case.figures(result, load_forecaster(out)[1]),
            *(check_warning(out, files["all"], result, case.start) if name == "exchange_rate" else []),
            figure("80 % interval holds, %", 100 * coverage, 1),
            figure("pinball loss, the data's units", result.metrics["pinball"], 4),
            figure("CPU seconds of a fit", spent["cpu_seconds"], 1),
            detail("error over that of ridge, as `fit` compares them", over_ridge(result), 3),
            detail("forecasts of the test", sum(len(each.origins) for each in result.series), 0),
            detail("seconds of a fit", spent["wall_seconds"], 1),
            detail("seconds of the back-test, with its baselines", seconds, 1),
            detail("bytes of the file", os.path.getsize(out), 0),
        ]


def over_ridge(result: Backtest) -> float:
    """Return the error of the model over that of ridge on its window: of MASE where channels have different units."""
    metric = "mase" if len(result.targets) > 1 else "mae"
    (name,) = (name for name in result.baseline_figures if name.startswith("ridge"))
    return float(result.metrics[metric] / result.baseline_figures[name][metric])


def figure(name: str, value: float, digits: int, **beside: float) -> Figures:
    return {"figure": name, "value": value, "digits": digits, "beside": beside}


def detail(name: str, value: float, digits: int) -> Figures:
    """Make a figure that the documentation leaves out."""
    return {**figure(name, float(value), digits), "detail": True}


def merge_seeds(runs: list[list[Figures]]) -> list[Figures]:
    """Merge the rows of all seeds into rows with one value per seed; `beside` does not depend on the seed."""
    rows = []
    for same in zip(*runs, strict=True):
        values = [row["value"] for row in same]
        rows.append({**{k: v for k, v in same[0].items() if k != "value"}, "values": values})
    return rows


# ---- load


def load_figures(result: Backtest, options: Options) -> list[Figures]:
    """Return ratios to the better seasonal naive over all origins, and over those of each week."""
    (one,) = result.series
    errors = {
        name: np.abs(forecasts - one.truth).mean((1, 2)) for name, forecasts in all_forecasts(one, options).items()
    }
    week = (one.origins - one.origins[0]) // WEEK
    rows = [
        *ratios("all origins", errors, np.ones(len(week), bool)),
        *(row for k in range(int(week[-1]) + 1) for row in ratios(f"week {k + 1}", errors, week == k)),
    ]
    overall = {name: float(of.mean()) for name, of in errors.items() if name != "model"}
    return [*rows, figure("mean absolute error, megawatts", float(errors["model"].mean()), 1, **overall)]


def all_forecasts(one: SeriesBacktest, options: Options) -> dict[str, Floats]:
    """Return the forecasts of the model and its baselines, float64 [origins, horizon, targets]."""
    H, x = one.truth.shape[1], one.track.truth
    first = int(one.origins[0]) + 1
    weekly = [one.origins[i : i + WEEK] for i in range(0, len(one.origins), WEEK)]
    return {
        "model": point_forecasts(one),
        "day before": seasonal_naive(x, one.origins, H, DAY),
        "week before": seasonal_naive(x, one.origins, H, WEEK),
        "ridge": fit_ridge(x[:first], options).predict(x, one.origins),
        "ridge, refitted weekly": np.concatenate([fit_ridge(x[: at[0] + 1], options).predict(x, at) for at in weekly]),
    }


def fit_ridge(history: Floats, options: Options) -> Ridge:
    """Fit a ridge regression on the model's window."""
    assert options.lookback
    assert options.horizon
    spread = options.spread or "training"
    return Ridge.fit([history], options.lookback, options.horizon, options.season or 0, options.centre, spread)


def ratios(what: str, errors: dict[str, Floats], of: npt.NDArray[np.bool_]) -> list[Figures]:
    """Return the ratio of the model's error to that of the better seasonal naive on these origins, and the others'."""
    means = {name: float(each[of].mean()) for name, each in errors.items()}
    name = min(("day before", "week before"), key=means.__getitem__)
    beside = {rival: mean / means[name] for rival, mean in means.items() if rival.startswith("ridge")}
    return [figure(f"error over that of the {name}, {what}", means["model"] / means[name], 3, **beside)]


def point_forecasts(one: SeriesBacktest) -> Floats:
    """Return the medians of forecasts with the quantiles .1, .5 and .9: float64 [origins, horizon, targets]."""
    return np.asarray(one.forecasts[..., one.forecasts.shape[-1] // 2])


# ---- etth1

TRAINING_ROWS = 8640  # official training rows, whose deviation scales a channel


def etth1_figures(result: Backtest, options: Options) -> list[Figures]:
    """Return MSE and MAE over all channels, each divided by its deviation in training."""
    errors: dict[str, list[Floats]] = {"model": [], "last value": [], "day before": []}
    for one in result.series:
        H, x = one.truth.shape[1], one.track.truth
        deviation = x[:TRAINING_ROWS].std(0)
        naive = {
            "last value": seasonal_naive(x, one.origins, H, 1),
            "day before": seasonal_naive(x, one.origins, H, HOURS),
        }
        for name, forecasts in {"model": point_forecasts(one), **naive}.items():
            errors[name].append((forecasts - one.truth) / deviation)
    mse, mae = ({name: float(mean(np.array(of))) for name, of in errors.items()} for mean in (squared, absolute))
    return [figure(what, of.pop("model"), 4, **of) for what, of in (("MSE", mse), ("MAE", mae))]


def squared(errors: Floats) -> float:
    return float((errors**2).mean())


def absolute(errors: Floats) -> float:
    return float(np.abs(errors).mean())


# ---- m4_hourly


def m4_figures(result: Backtest, options: Options) -> list[Figures]:
    """Return sMAPE and MASE as the competition defines them, with season 24."""
    truth = np.concatenate([one.truth for one in result.series])
    scale = np.array([seasonal_scale(one.track.truth[: one.origins[0] + 1], HOURS) for one in result.series])
    naive = [seasonal_naive(one.track.truth, one.origins, truth.shape[1], HOURS) for one in result.series]
    own = score(np.concatenate([one.forecasts for one in result.series]), truth, result.quantiles, scale)
    beside = score(np.concatenate(naive)[..., None], truth, [0.5], scale)
    return [
        figure("sMAPE, %", own["smape"], 2, **{"day before": beside["smape"]}),
        figure("MASE", own["mase"], 3, **{"day before": beside["mase"]}),
    ]


# ---- exchange_rate


def exchange_rate_figures(result: Backtest, options: Options) -> list[Figures]:
    last = result.baseline_figures["last value"]["mae"]
    return [figure("error over that of the last value", result.metrics["mae"] / last, 3)]


def check_warning(model: str, file: Path, result: Backtest, start: int | None) -> list[Figures]:
    """Check that the command warns where the last value beats the model, and only there. Ends the benchmark if not."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = cli.main(["score", model, str(file), "--start", str(start)])
    warned = "warning: the model does not beat last value" in output.getvalue()
    metric = "mase" if len(result.targets) > 1 else "mae"  # channels of different units are compared scaled
    beaten = not result.metrics[metric] < result.baseline_figures["last value"][metric]
    if code or warned != beaten:
        raise SystemExit(f"tidegate score ended with {code}; beaten by the last value: {beaten}; warned: {warned}")
    return [figure("warned that the last value is better (1: yes)", float(warned), 0)]


CASES = {
    "load": Case(None, load_figures),
    "etth1": Case(11_520, etth1_figures),
    "m4_hourly": Case(None, m4_figures, (0,)),
    "exchange_rate": Case(6070, exchange_rate_figures, (0,)),
}


def store(folder: Path, name: str, entry: Figures) -> None:
    """Write one set's figures to the file, and keep those of other sets."""
    known = {**record.read(folder, "forecast"), name: entry}
    record.write(folder, "forecast", {name: known[name] for name in CASES if name in known})


def format_results(name: str, entry: Figures) -> str:
    rows = [
        [
            row["figure"],
            f"{statistics.mean(row['values']):,.{row['digits']}f}",
            " ".join(f"{value:,.{row['digits']}f}" for value in row["values"]),
            "; ".join(f"{rival} {value:,.{row['digits']}f}" for rival, value in row["beside"].items()),
        ]
        for row in entry["rows"]
    ]
    seeds = " ".join(map(str, entry["seeds"]))
    return format_table([name, "mean of seeds", f"seeds {seeds}", "beside it"], rows, words_last=True)


if __name__ == "__main__":
    main()
