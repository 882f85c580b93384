"""Check every cell in every dialect on every target: the largest error against its derived bound, over lengths.

    python bench/dialects.py [--cells ...] [--size 16] [--lengths 1 7 100 1000] [--json]

error: the largest error of outputs and states against the float64 reference, and its bound. ratio: the largest ratio of
an error to its bound. mistaken: the smallest such ratio of a wrong model: the same weights in another dialect, with two
gates swapped, or without a bias; it must be far above 1. C and ONNX have benchmarks of their own.
"""

from __future__ import annotations

import json
from typing import Any

from common import record

from tidegate import _native, cells
from tidegate.runtime import compile
from tidegate.verify import attach
from tidegate.verify.mutants import wrong_variants
from tidegate.verify.native_target import run_cases
from tidegate.verify.replay import Replay, Result
from tidegate.verify.samples import sample
from tidegate.verify.torch_target import verify_torch

LENGTHS = (1, 7, 100, 1000)
VERDICTS = {True: "", False: "  OVER", None: "  no bound"}


def measure(cell: str, dialect: dict[str, str], size: int, length: int) -> list[dict[str, Any]]:
    """Measure a cell in a dialect; return one row for each target."""
    model = attach(sample(seed=1, features=size, size=size, cell=cell, dialect=dialect), lengths=(length,))
    replay, wrong = Replay(model), wrong_variants(model)
    rows = []
    for target in _native.targets():
        bounds = replay.target_bounds(target)

        def evaluate(engine: Any, target: str = target, bounds: Any = bounds) -> Result:
            return replay.compare(target, "fused", replay.to_answers(run_cases(replay, engine)), bounds)

        result = evaluate(compile(model, target))
        ratios = [float(evaluate(compile(one, target)).ratio or 0) for one in wrong.values()]
        rows.append(make_row(cell, dialect, length, result, min(ratios)))
    return [*rows, make_row(cell, dialect, length, verify_torch(replay), None)]


def make_row(cell: str, dialect: dict[str, str], length: int, result: Result, mistaken: float | None) -> dict[str, Any]:
    choices = [f"{k}={v}" for k, v in dialect.items() if v != cells.load(cell).dialect[k]]
    return {
        "cell": cell,
        "dialect": ", ".join(choices),
        "target": result.target,
        "steps": length,
        "error": result.error,
        "bound": result.bound,
        "ratio": result.ratio,
        "ok": result.ok,
        "mistaken": mistaken,
    }


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("--cells", nargs="+", choices=cells.names(), default=cells.names())
    parser.add_argument("--size", type=int, default=16)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [
        row
        for cell in options.cells
        for dialect in cells.list_dialects(cell)
        for length in options.lengths
        for row in measure(cell, dialect, options.size, length)
    ]
    record.write(options.out, "dialects", record.with_provenance({"size": options.size, "rows": rows}, "torch"))
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'cell':7} {'dialect':45} {'target':7} {'T':>5} {'error':>9} {'bound':>9} {'ratio':>6} {'mistaken':>9}")
    for r in rows:
        wrong = "-" if r["mistaken"] is None else f"{r['mistaken']:.0f}"
        print(
            f"{r['cell']:7} {r['dialect'] or 'default':45} {r['target']:7} {r['steps']:5} {r['error']:9.1e} "
            f"{r['bound']:9.1e} {r['ratio']:6.3f} {wrong:>9}{VERDICTS[r['ok']]}"
        )
    within, unbounded = (sum(r["ok"] is ok for r in rows) for ok in (True, None))
    worst = max(r["ratio"] for r in rows)
    print(f"{within} of {len(rows)} within their bounds, {unbounded} without one; worst ratio {worst:.3f}")


if __name__ == "__main__":
    main()
