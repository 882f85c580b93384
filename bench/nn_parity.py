"""tidegate.nn's GRU, LSTM and RNN against torch.nn's on random configurations: values, gradients, state_dicts.

    python bench/nn_parity.py [--cases 500] [--steps 100 1000 10000] [--json]

Each configuration runs by the engine that the module chooses and once more by the tape. differences: the largest over
all cases, over the largest number of its tensor where that is above 1; torch's: of torch.nn in that dtype from itself
in float64. dialects: every cell in every dialect in float64, the largest difference over 100 steps from the tape as
NumPy reads it, and whether its gradients are those of finite differences. scan: a minimal GRU of one layer, forward and
backward, all steps at once over step by step, and its error.
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


def parity(count: int) -> list[dict[str, Any]]:
    """One row for each dtype and way: chosen by the module, or by the tape."""
    rows = []
    cases = [nn_cases.case(seed) for seed in range(count)]
    for fused in (True, False):
        found = [nn_cases.measured(chosen, fused) for chosen in cases]
        for dtype in ("float32", "float64"):
            of = [one for one in found if one["dtype"] == dtype]
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


def dialects() -> list[dict[str, Any]]:
    """One row for each cell and dialect and each way to run it."""
    rows = []
    for name, dialect in nn_tapes.every():
        engine = nn.engine(cells.load(name, dialect).tape, torch.float64)
        for fused in (True, False) if engine != "tape" else (False,):
            rows.append(
                {
                    "cell": name,
                    "dialect": dialect,
                    "engine": engine if fused else "tape",
                    "from_numpy": nn_tapes.from_numpy(name, dialect, fused, 100),
                    "gradients_hold": nn_tapes.gradients_hold(name, dialect, fused),
                }
            )
    return rows


def scanned(steps: int, rows: int, hidden: int = 64, rounds: int = 5) -> dict[str, Any]:
    """Time of the scan and of the tape step by step, and the scan's error in float32 against the loop in float64."""
    torch.manual_seed(0)
    module, x = nn.MinGRU(hidden, hidden), torch.randn(steps, rows, hidden)
    module.native = False
    both = {True: list[float](), False: list[float]()}
    for _ in range(rounds):
        for fused, taken in both.items():
            module.fused = fused
            taken.append(seconds(lambda: module(x)[0].sum().backward()))
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
    parser = record.arguments(__doc__)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {
        "parity": parity(options.cases),
        "dialects": dialects(),
        "scan": [scanned(steps, rows) for steps in options.steps for rows in (1, 8)],
    }
    record.write(options.out, "nn_parity", record.made(figures, "torch"))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{'way':8} {'dtype':8} cases same keys    values gradients   torch's own of each")
    for r in figures["parity"]:
        numbers = " ".join(f"{r[k]:9.1e}" for k in ("values", "gradients", "torch_values", "torch_gradients"))
        print(f"{r['way']:8} {r['dtype']:8} {r['cases']:5} {r['same_keys']:9} {numbers}")
    found = figures["dialects"]
    worst, held = max(d["from_numpy"] for d in found), sum(d["gradients_hold"] for d in found)
    print(f"{len(found)} dialects and ways: at most {worst:.1e} from NumPy, gradients of {held} hold")
    for s in figures["scan"]:
        times, error = f"{s['times_faster']:.1f} times as fast", f"error {s['error']:.1e}"
        print(f"scan of {s['steps']} steps, {s['rows']} rows: {times}, {error}")


if __name__ == "__main__":
    main()
