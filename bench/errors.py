"""Check each target's largest error against its derived bound, over lengths, and which wrong models it catches.

    python bench/errors.py [--size 64] [--lengths 1 7 100 1000] [--json]

error: the largest error of outputs and states, and its bound. ratio: the largest ratio of an error to its bound.
mutants: how many models with one mistake exceed the right model's bound, and by what factor the nearest of them does.
"""

from __future__ import annotations

import json
from typing import Any

from common import record

from tidegate import _native
from tidegate.runtime import compile
from tidegate.verify import attach
from tidegate.verify.mutants import mutants
from tidegate.verify.native_target import run_cases
from tidegate.verify.replay import Replay
from tidegate.verify.samples import sample

LENGTHS = (1, 7, 100, 1000)


def measure(size: int, length: int) -> list[dict[str, Any]]:
    """Measure all targets at one length; return one row for each."""
    model = attach(sample(seed=1, features=size, size=size, outputs=10), lengths=(length,))
    replay, wrong = Replay(model), mutants(model)
    rows = []
    for target in _native.targets():
        bounds = replay.target_bounds(target)

        def evaluate(engine: Any, target: str = target, bounds: Any = bounds) -> Any:
            return replay.compare(target, "fused", replay.to_answers(run_cases(replay, engine)), bounds)

        right = evaluate(compile(model, target))
        ratios = {name: evaluate(compile(mutant, target)).ratio for name, mutant in wrong.items()}
        rows.append(
            {
                "target": target,
                "steps": length,
                "error": right.error,
                "bound": right.bound,
                "ratio": right.ratio,
                "mutants": len(wrong),
                "caught": sum(r > 1 for r in ratios.values()),
                "least_mutant": min(ratios, key=lambda name: ratios[name]),
                "least_ratio": min(ratios.values()),
            }
        )
    return rows


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [row for length in options.lengths for row in measure(options.size, length)]
    record.write(options.out, "errors", record.with_provenance({"size": options.size, "rows": rows}))
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'target':8} {'T':>5} {'error':>9} {'bound':>9} {'ratio':>7}  mutants caught")
    for r in rows:
        print(
            f"{r['target']:8} {r['steps']:5} {r['error']:9.1e} {r['bound']:9.1e} {r['ratio']:7.3f}  "
            f"{r['caught']} of {r['mutants']}; least: {r['least_mutant']}, "
            f"{r['least_ratio']:.0f} times the bound"
        )


if __name__ == "__main__":
    main()
