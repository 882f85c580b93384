"""Compare forecasters with ridge regression on their own window, by which no forecast should be beaten.

    python bench/forecast_ridge.py [load etth1 etth1_ot ...] [--seeds ...]

Nothing but a set's own flags is given. Each model is fitted on the training split, written, loaded again and
back-tested on the test split beside the ridge that its file stores; both have seen the same rows. Ratios are of mean
absolute errors (of MASE where channels have different units). Writes bench/results/forecast_ridge.json and keeps the
entries of other sets.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import fits, record

from tidegate.backtest import backtest
from tidegate.data import catalogue
from tidegate.model import Model
from tidegate.text_tables import format_table

Figures = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """How a set is tested: its name, the first step to forecast (None: the one after the rows that were learnt), and
    options in place of the set's own.
    """

    name: str
    start: int | None = None
    values: dict[str, Any] = field(default_factory=dict)


CASES = {
    "load": Case("load"),
    "etth1_ot": Case("etth1", 11_520, {"values": "OT", "horizon": 24}),
    "etth1": Case("etth1", 11_520),
    "m4_hourly": Case("m4_hourly"),
    "exchange_rate": Case("exchange_rate", 6070),
    "seattle_temperature": Case("seattle_temperature"),
    "interstate_traffic": Case("interstate_traffic"),
    "sea_temperature": Case("sea_temperature"),
    "petroleum": Case("petroleum"),
    "water_flow": Case("water_flow"),
}


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"cases (default {' '.join(CASES)})")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="one fit each (default 0)")
    args = parser.parse_args()
    if unknown := [name for name in args.cases if name not in CASES]:
        parser.error(f"no case {unknown[0]!r}; choose of {', '.join(CASES)}")
    for name in args.cases:
        runs = [measure(CASES[name], seed) for seed in args.seeds]
        known = {**record.read(args.out, "forecast_ridge"), name: record.with_provenance({"runs": runs}, "torch")}
        record.write(args.out, "forecast_ridge", {each: known[each] for each in CASES if each in known})
        print(format_runs(name, runs), flush=True)


def measure(case: Case, seed: int) -> Figures:
    """Fit, write, load and back-test; return the figures of one seed."""
    paths = catalogue.fetch(case.name)
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "model.safetensors")
        spent = fits.fit_set(case.name, paths["train"], out, seed=seed, **case.values)
        result = backtest(out, str(paths["all"]), case.start)
        return {
            "seed": seed,
            **compare(result.metrics, result.baseline_figures, len(result.targets)),
            **learnt(out),
            **spent,
        }


def compare(own: Figures, baselines: dict[str, Figures], channels: int) -> Figures:
    """Return the errors of a model and of its baselines, its error over that of ridge, and how much intervals hold.

    >>> own = {"mae": 3.0, "mase": 1.0, "coverage": {"0.8": 0.75}}
    >>> compare(own, {"ridge on the same window": {"mae": 4.0, "mase": 2.0}}, 2)["over_ridge"]
    0.5
    """
    metric = "mase" if channels > 1 else "mae"
    (ridge,) = (name for name in baselines if name.startswith("ridge"))
    return {
        "mae": own["mae"],
        "mase": own["mase"],
        "baselines": {name: {key: of[key] for key in ("mae", "mase")} for name, of in baselines.items()},
        "metric": metric,
        "over_ridge": own[metric] / baselines[ridge][metric],
        "coverage": own["coverage"]["0.8"],
    }


def learnt(path: str) -> Figures:
    """Return what a model file says about held-out steps: the share of the linear branch, and the figures there."""
    provenance = Model.load(Path(path)).document["provenance"]
    held_out = provenance["metrics"]["held_out"]
    return {
        "share": provenance["calibration"].get("branch", 0.0),
        "held_out": held_out,
        "held_out_ridge": provenance["linear_model"],
    }


def format_runs(name: str, runs: list[Figures]) -> str:
    rows = [
        [
            str(run["seed"]),
            f"{run['over_ridge']:.3f}",
            f"{100 * run['share']:.0f} %",
            f"{100 * run['coverage']:.1f} %",
            f"{run['mae']:,.5g}",
            f"{run['cpu_seconds']:.0f}",
        ]
        for run in runs
    ]
    heads = [name, "error over ridge's", "ridge's share", "80 % interval holds", "MAE", "CPU seconds"]
    return format_table(heads, rows)


if __name__ == "__main__":
    main()
