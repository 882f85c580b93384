"""Forecasts of public series with the defaults and no option but the seed, beside seasonal naive and ridge regression.

    python bench/forecast.py [load etth1 m4_hourly exchange_rate] [--seeds ...]

Each model is fitted on the official train split alone, written, loaded again and back-tested on the official test by
the native runtime: each forecast is made from the steps before it, its point is the median. Writes
bench/results/forecast.json; other sets keep their entry.

load: mean absolute errors over that of the better seasonal naive, of a day or a week before; of all origins, and of
each week of the test, to which an origin belongs by its first step ahead. etth1: errors of all channels over the
deviation of the training rows, of every test window. m4_hourly: the competition's figures, of one forecast at the end
of each series. exchange_rate: nothing is known to beat the last value; where a model does not, `tidegate score` must
say so.
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
from tidegate.backtest import Backtest, Rolled, backtest, forecaster
from tidegate.cli._table import table
from tidegate.data import catalogue
from tidegate.tasks._baseline_models import Ridge, seasonal_naive
from tidegate.tasks._forecast_metrics import score, seasonal_scale
from tidegate.tasks.forecast import Options

Floats = npt.NDArray[np.float64]
Figures = dict[str, Any]
DAY, WEEK = 48, 336  # half hours
HOURS = 24


@dataclass(frozen=True)
class Case:
    """How a set is tested. start: the first step that is forecast, None: what follows the rows of training. figures: of
    a back-test. seeds: where no others are asked for.
    """

    start: int | None
    figures: Callable[[Backtest, Options], list[Figures]]
    seeds: tuple[int, ...] = (0, 1, 2)


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("sets", nargs="*", default=list(CASES), help=f"data sets (default {' '.join(CASES)})")
    parser.add_argument("--seeds", nargs="+", type=int, help="one fit each (default 0 1 2, of the two last sets 0)")
    args = parser.parse_args()
    if unknown := [name for name in args.sets if name not in CASES]:
        parser.error(f"no case {unknown[0]!r}; choose of {', '.join(CASES)}")
    for name in args.sets:
        store(args.out, name, record.made(measured(name, args.seeds or CASES[name].seeds), "torch"))
        print(shown(name, record.read(args.out, "forecast")[name]["figures"]), flush=True)


def measured(name: str, seeds: tuple[int, ...]) -> Figures:
    """Published figures, and rows of figures with one value a seed."""
    files = catalogue.fetch(name)
    runs = [one(name, files, seed) for seed in seeds]
    return {"published": list(catalogue.get(name).published), "seeds": list(seeds), "rows": together(runs)}


def one(name: str, files: dict[str, Path], seed: int) -> list[Figures]:
    """Fit, write, load, back-test: the figures of one seed, each {figure, value, digits, beside: name -> value}."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "model.safetensors")
        spent = fits.fitted(name, files["train"], out, seed=seed)
        begun = time.perf_counter()
        found = backtest(out, str(files["all"]), case.start)
        seconds = time.perf_counter() - begun
        held = found.metrics["coverage"]["0.8"]
        return [
            *case.figures(found, forecaster(out)[1]),
            *(told(out, files["all"], found, case.start) if name == "exchange_rate" else []),
            figure("80 % interval holds, %", 100 * held, 1),
            figure("pinball loss, the data's units", found.metrics["pinball"], 4),
            figure("CPU seconds of a fit", spent["cpu_seconds"], 1),
            detail("forecasts of the test", sum(len(each.origins) for each in found.series), 0),
            detail("seconds of a fit", spent["wall_seconds"], 1),
            detail("seconds of the back-test, with its baselines", seconds, 1),
            detail("bytes of the file", os.path.getsize(out), 0),
        ]


def figure(name: str, value: float, digits: int, **beside: float) -> Figures:
    return {"figure": name, "value": value, "digits": digits, "beside": beside}


def detail(name: str, value: float, digits: int) -> Figures:
    """A figure that README.md leaves out."""
    return {**figure(name, float(value), digits), "detail": True}


def together(runs: list[list[Figures]]) -> list[Figures]:
    """The rows of all seeds in one: a value a seed; what stands beside does not depend on it."""
    rows = []
    for same in zip(*runs, strict=True):
        values = [row["value"] for row in same]
        rows.append({**{k: v for k, v in same[0].items() if k != "value"}, "values": values})
    return rows


# ---- load


def of_load(found: Backtest, options: Options) -> list[Figures]:
    """Ratios to the better seasonal naive of all origins together, and of those of each week."""
    (one,) = found.series
    errors = {name: np.abs(made - one.truth).mean((1, 2)) for name, made in rivals(one, options).items()}
    week = (one.origins - one.origins[0]) // WEEK
    rows = [
        *ratios("all origins", errors, np.ones(len(week), bool)),
        *(row for k in range(int(week[-1]) + 1) for row in ratios(f"week {k + 1}", errors, week == k)),
    ]
    overall = {name: float(of.mean()) for name, of in errors.items() if name != "model"}
    return [*rows, figure("mean absolute error, megawatts", float(errors["model"].mean()), 1, **overall)]


def rivals(one: Rolled, options: Options) -> dict[str, Floats]:
    """Forecasts float64 [origins, horizon, targets] of the model and of what stands beside it."""
    H, x = one.truth.shape[1], one.track.truth
    first = int(one.origins[0]) + 1
    weekly = [one.origins[i : i + WEEK] for i in range(0, len(one.origins), WEEK)]
    return {
        "model": median(one),
        "day before": seasonal_naive(x, one.origins, H, DAY),
        "week before": seasonal_naive(x, one.origins, H, WEEK),
        "ridge": ridge(x[:first], options).predict(x, one.origins),
        "ridge, refitted weekly": np.concatenate([ridge(x[: at[0] + 1], options).predict(x, at) for at in weekly]),
    }


def ridge(history: Floats, options: Options) -> Ridge:
    """A ridge regression on the window that the model has."""
    assert options.lookback
    assert options.horizon
    spread = options.spread or "training"
    return Ridge.fit([history], options.lookback, options.horizon, options.season or 0, options.centre, spread)


def ratios(what: str, errors: dict[str, Floats], of: npt.NDArray[np.bool_]) -> list[Figures]:
    """The model's error over that of the better seasonal naive on these origins; the others' beside it."""
    means = {name: float(each[of].mean()) for name, each in errors.items()}
    name = min(("day before", "week before"), key=means.__getitem__)
    beside = {rival: mean / means[name] for rival, mean in means.items() if rival.startswith("ridge")}
    return [figure(f"error over that of the {name}, {what}", means["model"] / means[name], 3, **beside)]


def median(one: Rolled) -> Floats:
    """The points of forecasts with the quantiles .1, .5 and .9: float64 [origins, horizon, targets]."""
    return np.asarray(one.forecasts[..., one.forecasts.shape[-1] // 2])


# ---- etth1

TRAINED = 8640  # official rows of training, whose mean and deviation scale a channel


def of_etth1(found: Backtest, options: Options) -> list[Figures]:
    """MSE and MAE of all channels, each over its deviation in training."""
    errors: dict[str, list[Floats]] = {"model": [], "last value": [], "day before": []}
    for one in found.series:
        H, x = one.truth.shape[1], one.track.truth
        deviation = x[:TRAINED].std(0)
        naive = {
            "last value": seasonal_naive(x, one.origins, H, 1),
            "day before": seasonal_naive(x, one.origins, H, HOURS),
        }
        for name, made in {"model": median(one), **naive}.items():
            errors[name].append((made - one.truth) / deviation)
    mse, mae = ({name: float(mean(np.array(of))) for name, of in errors.items()} for mean in (squared, absolute))
    return [figure(what, of.pop("model"), 4, **of) for what, of in (("MSE", mse), ("MAE", mae))]


def squared(errors: Floats) -> float:
    return float((errors**2).mean())


def absolute(errors: Floats) -> float:
    return float(np.abs(errors).mean())


# ---- m4_hourly


def of_m4(found: Backtest, options: Options) -> list[Figures]:
    """sMAPE and MASE as the competition counts them, season 24."""
    truth = np.concatenate([one.truth for one in found.series])
    scale = np.array([seasonal_scale(one.track.truth[: one.origins[0] + 1], HOURS) for one in found.series])
    naive = [seasonal_naive(one.track.truth, one.origins, truth.shape[1], HOURS) for one in found.series]
    own = score(np.concatenate([one.forecasts for one in found.series]), truth, found.quantiles, scale)
    beside = score(np.concatenate(naive)[..., None], truth, [0.5], scale)
    return [
        figure("sMAPE, %", own["smape"], 2, **{"day before": beside["smape"]}),
        figure("MASE", own["mase"], 3, **{"day before": beside["mase"]}),
    ]


# ---- exchange_rate


def of_exchange(found: Backtest, options: Options) -> list[Figures]:
    last = found.baselines["last value"]
    assert isinstance(last, float)
    return [figure("error over that of the last value", found.metrics["mae"] / last, 3)]


def told(model: str, file: Path, found: Backtest, start: int | None) -> list[Figures]:
    """Whether the command says that the model is beaten. Ends the bench where it is and nothing is said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = cli.main(["score", model, str(file), "--start", str(start)])
    warned = "warning: the model does not beat last value" in said.getvalue()
    beaten = not found.metrics["mae"] < float(found.baselines["last value"])
    if code or warned != beaten:
        raise SystemExit(f"tidegate score ended with {code}; beaten by the last value: {beaten}; said so: {warned}")
    return [figure("warned that the last value is better (1: yes)", float(warned), 0)]


CASES = {
    "load": Case(None, of_load),
    "etth1": Case(11_520, of_etth1),
    "m4_hourly": Case(None, of_m4, (0,)),
    "exchange_rate": Case(6070, of_exchange, (0,)),
}


def store(folder: Path, name: str, found: Figures) -> None:
    """Put one set's figures into the file; those of other sets stay."""
    known = {**record.read(folder, "forecast"), name: found}
    record.write(folder, "forecast", {name: known[name] for name in CASES if name in known})


def shown(name: str, found: Figures) -> str:
    rows = [
        [
            row["figure"],
            f"{statistics.mean(row['values']):,.{row['digits']}f}",
            " ".join(f"{value:,.{row['digits']}f}" for value in row["values"]),
            "; ".join(f"{rival} {value:,.{row['digits']}f}" for rival, value in row["beside"].items()),
        ]
        for row in found["rows"]
    ]
    seeds = " ".join(map(str, found["seeds"]))
    return table([name, "mean of seeds", f"seeds {seeds}", "beside it"], rows, words_last=True)


if __name__ == "__main__":
    main()
