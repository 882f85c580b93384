"""Compare tidegate.nn's GRU, LSTM and RNN with torch.nn's on random configurations: values, gradients, state_dicts.

    python bench/nn_parity.py [--cases 500] [--steps 100 1000 10000] [--json]

Each configuration runs on the engine that the module chooses, and again on the tape. Differences are the largest over
all cases, divided by the largest number of the tensor where that is above 1; "torch's own" are those of torch.nn in
that dtype from torch.nn in float64. dialects: for every cell in every dialect in float64, the largest difference over
100 steps from the tape run by NumPy, and whether the gradients agree with finite differences. scan: a minimal GRU of
one layer, forward and backward: the speed-up of all steps at once over step by step, and the error.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from common import nn_cases, nn_tapes, record

from tidegate import cells, nn


def measure_parity(count: int) -> list[dict[str, Any]]:
    """Return one row for each dtype and engine: the one that the module chooses, and the tape."""
    rows = []
    cases = [nn_cases.make_case(seed) for seed in range(count)]
    for fused in (True, False):
        measurements = [nn_cases.measure(case, fused) for case in cases]
        for dtype in ("float32", "float64"):
            of = [one for one in measurements if one["dtype"] == dtype]
            worst = {k: max(one[k] for one in of) for k in ("values", "gradients", "torch_values", "torch_gradients")}
            engines = sorted({one["engine"] for one in of})
            keys = sum(one["keys"] for one in of)
            rows.append(
                {
                    "way": "chosen" if fused else "tape",
                    "engines": engines,
                    "dtype": dtype,
                    "cases": len(of),
                    "same_keys": keys,
                    **worst,
                }
            )
    return rows


def measure_dialects() -> list[dict[str, Any]]:
    """Return one row for each cell, dialect and engine."""
    rows = []
    for name, dialect in nn_tapes.all_dialects():
        engine = nn.engine(cells.load(name, dialect).tape, torch.float64)
        for fused in (True, False) if engine != "tape" else (False,):
            rows.append(
                {
                    "cell": name,
                    "dialect": dialect,
                    "engine": engine if fused else "tape",
                    "from_numpy": nn_tapes.difference_from_numpy(name, dialect, fused, 100),
                    "gradients_hold": nn_tapes.check_gradients(name, dialect, fused),
                }
            )
    return rows


def measure_scan(steps: int, rows: int, hidden: int = 64, rounds: int = 5) -> dict[str, Any]:
    """Time the scan and the tape step by step, and measure the scan's error in float32 against the tape in float64."""
    torch.manual_seed(0)
    module, x = nn.MinGRU(hidden, hidden), torch.randn(steps, rows, hidden)
    module.native = False
    both = {True: list[float](), False: list[float]()}
    for _ in range(rounds):
        for fused, times in both.items():
            module.fused = fused
            times.append(seconds(lambda: module(x)[0].sum().backward()))
    module.fused = True
    with torch.no_grad():
        y = module(x)[0].double()
        exact = module.double()
        exact.fused = False
        right = exact(x.double())[0]
    median = {name: statistics.median(both[fused]) for name, fused in (("scan", True), ("steps", False))}
    return {
        "steps": steps,
        "rows": rows,
        "hidden": hidden,
        "milliseconds": {k: 1e3 * v for k, v in median.items()},
        "times_faster": median["steps"] / median["scan"],
        "error": float((y - right).abs().max() / right.abs().max()),
    }


def seconds(what: Callable[[], None]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {
        "parity": measure_parity(options.cases),
        "dialects": measure_dialects(),
        "scan": [measure_scan(steps, rows) for steps in options.steps for rows in (1, 8)],
    }
    record.write(options.out, "nn_parity", record.with_provenance(figures, "torch"))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'way':8} {'dtype':8} cases same keys    values gradients   torch's own of each")
    for r in figures["parity"]:
        numbers = " ".join(f"{r[k]:9.1e}" for k in ("values", "gradients", "torch_values", "torch_gradients"))
        print(f"{r['way']:8} {r['dtype']:8} {r['cases']:5} {r['same_keys']:9} {numbers}")
    dialects = figures["dialects"]
    worst, matching = max(d["from_numpy"] for d in dialects), sum(d["gradients_hold"] for d in dialects)
    print(f"{len(dialects)} dialects and ways: at most {worst:.1e} from NumPy, gradients of {matching} hold")
    for s in figures["scan"]:
        times, error = f"{s['times_faster']:.1f} times as fast", f"error {s['error']:.1e}"
        print(f"scan of {s['steps']} steps, {s['rows']} rows: {times}, {error}")


if __name__ == "__main__":
    main()
