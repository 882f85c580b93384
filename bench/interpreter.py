"""Compare the interpreter with the fused kernel in interleaved rounds: the same bits, and how much slower it is.

    python bench/interpreter.py [--size 64] [--rounds 31] [--json]

Batch 1 is one step from Python; batch 32 is a run of 50 steps. One thread. Ratios of CPU time: median and quartiles.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common import record

from tidegate import _native
from tidegate.model import Model
from tidegate.runtime import compile
from tidegate.verify.samples import sample

STEPS = 50


def make_call(engine: _native.Engine, model: Model, batch: int) -> tuple[Callable[[], Any], Callable[[], bytes]]:
    """Make a call to time, and a function that returns the bits of its results."""
    F, random = engine.inputs, np.random.default_rng(0)
    x = random.standard_normal((STEPS, batch, F)).astype(np.float32)
    begin = np.zeros((batch, model.state_bytes), np.uint8)
    end, out = np.zeros_like(begin), np.zeros((batch, engine.outputs), np.float32)
    if batch == 1:
        row, state, first = x[0, 0].copy(), begin[0], out[0]
        return lambda: engine.step(row, state, first), lambda: state.tobytes() + first.tobytes()
    lengths = np.full(batch, STEPS, np.int32)
    return (
        lambda: engine.run(x, lengths, begin, end, out, False, 1),
        lambda: end.tobytes() + out.tobytes(),
    )


def time_calls(work: Callable[[], Any], calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        work()
    return (time.process_time() - start) / calls


def measure(target: str, size: int, batch: int, rounds: int) -> dict[str, Any]:
    model = sample(features=size, size=size, over=(), outputs=None, softmax=False)
    engines = [compile(model, target, fused) for fused in (True, False)]
    assert [list(e.fused_layers) for e in engines] == [[0], []]
    (fused, fused_bits), (tape, tape_bits) = (make_call(engine, model, batch) for engine in engines)
    fused(), tape()
    same, calls = fused_bits() == tape_bits(), 5000 if batch == 1 else 40
    times = [(time_calls(fused, calls), time_calls(tape, calls)) for _ in range(rounds)]
    low, middle, high = statistics.quantiles([b / a for a, b in times], n=4)
    return {
        "target": target,
        "batch": batch,
        "size": size,
        "same_bits": same,
        "ratio": middle,
        "quartiles": [low, high],
        "fused_us": statistics.median(a for a, _ in times) * 1e6,
    }


def main() -> None:
    parser = record.make_speed_parser(__doc__)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(t, options.size, b, options.rounds) for t in _native.targets() for b in (1, 32)]
    record.write(options.out, "interpreter", record.with_provenance({"rounds": options.rounds, "rows": rows}))
    if options.json:
        print(json.dumps(rows))
        return
    for r in rows:
        bits, (low, high) = "same bits" if r["same_bits"] else "BITS DIFFER", r["quartiles"]
        print(
            f"{r['target']:7} H = {r['size']}, batch {r['batch']:2}: {bits}, fused {r['fused_us']:8.2f} us, "
            f"interpreter {r['ratio']:.2f} times that ({low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
