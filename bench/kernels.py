"""Kernels against the libraries that people use: a step from Python, sequences, and a pool of many streams.

    python bench/kernels.py [--cases step:64x128 sequence:32x100x64x128 pool:10000x64x64] [--peers torch jax]
                            [--rounds 15] [--seconds .02] [--json]

A case is step:IxH, sequence:BxTxIxH or pool:BxIxH. The same GRU everywhere, one thread; its largest error against
float64 comes first. Times are CPU time, in turns in one run: each one's median, and the median over rounds of its time
divided by the native engine's in the same round. A library that is not installed is named and left out; all of them:
pip install "tidegate[bench]". share: of the most multiply-adds that a core does (`common/fma.py`), products only.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from common import record
from common.fma import peak
from common.gru_peers import Float, Weights, Work

from tidegate import _native
from tidegate.model import Model
from tidegate.oracle import Oracle
from tidegate.runtime import compile
from tidegate.verify.samples import sample

CASES = [
    *(f"step:64x{size}" for size in (32, 64, 128, 256, 512)),
    "sequence:1x1000x64x128", "sequence:32x100x64x128", "sequence:32x100x256x256", "pool:10000x64x64",
]  # fmt: skip
PEERS = {
    "torch": "gru_peers.torch_gru",
    "onnxruntime": "gru_peers.onnxruntime_gru",
    "openvino": "gru_peers.openvino_gru",
    "jax": "gru_peers.jax_gru",
    "ai-edge-litert": "gru_litert.litert_gru",
}
STEPS = 8  # rows that steps go through by turns, and the comparison before the timing
MOST_CALLS = 5000


class Case(NamedTuple):
    kind: str
    rows: int
    steps: int
    inputs: int
    size: int

    @property
    def stepwise(self) -> bool:
        return self.kind != "sequence"

    @property
    def operations(self) -> int:
        """Multiplications and additions of the products of one call."""
        each = 2 * 3 * self.size * (self.inputs + self.size)
        return self.rows * (1 if self.stepwise else self.steps) * each


def case(text: str) -> Case:
    kind, _, sizes = text.partition(":")
    numbers = [int(n) for n in sizes.split("x")]
    wanted = {"step": 2, "pool": 3, "sequence": 4}.get(kind)
    if wanted != len(numbers) or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is none of step:IxH, pool:BxIxH, sequence:BxTxIxH")
    rows, steps = (numbers[0] if kind != "step" else 1), (numbers[1] if kind == "sequence" else STEPS)
    return Case(kind, rows, steps, *numbers[-2:])


def native(model: Model, x: Float, of: Case) -> Work:
    engine, (T, B), H = compile(model), x.shape[:2], of.size
    states = np.zeros((B, model.state_bytes), np.uint8)
    if of.kind == "sequence":
        lengths, last, out = np.full(B, T, np.int32), np.zeros_like(states), np.zeros((T, B, H), np.float32)
        return Work(lambda: engine.run(x, lengths, states, last, out, True, 1), lambda: out)
    out, ids = np.zeros((B, H), np.float32), np.arange(B)
    if of.kind == "pool":
        rows = itertools.cycle(list(x))
        return Work(lambda: engine.pool_step(ids, next(rows), states, out, 1), lambda: out)
    rows, stepper = itertools.cycle(list(x[:, 0])), _native.Stepper(engine, states[0], out[0])
    return Work(lambda: stepper.step(next(rows)), lambda: out)


def works(of: Case, peers: list[str], model: Model, x: Float) -> dict[str, Work]:
    """By name, the native engine first; a peer that has nothing for this case is left out."""
    weights = Weights(*(model.tensors[f"layers.0.{role}"].copy() for role in "WRbc"))
    found = {f"native {compile(model).target}": native(model, x, of)}
    for name in peers:
        module, _, function = PEERS[name].partition(".")
        made = getattr(importlib.import_module(f"common.{module}"), function)(weights, x, of.stepwise)
        if made:
            found[name] = made
    return found


def timed(call: Callable[[], Any], calls: int) -> float:
    """CPU seconds a call."""
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls


def measured(of: Case, peers: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """Name -> its error, median microseconds a call, and ratio to the native engine with its quartiles."""
    model = sample(features=of.inputs, size=of.size, over=(), outputs=None, softmax=False)
    x = np.random.default_rng(0).standard_normal((of.steps, of.rows, of.inputs)).astype(np.float32)
    exact = Oracle(model).run(x)[0]
    found, errors = works(of, peers, model, x), {}
    for name, work in found.items():
        for _ in range(of.steps if of.stepwise else 1):
            work.call()
        errors[name] = float(abs(work.left() - (exact[-1] if of.stepwise else exact)).max())
    calls = {name: min(MOST_CALLS, 1 + int(seconds / max(1e-7, timed(work.call, 3)))) for name, work in found.items()}
    times: dict[str, list[float]] = {name: [] for name in found}
    for _, (name, work) in itertools.product(range(rounds), found.items()):
        times[name].append(timed(work.call, calls[name]))
    base = next(iter(times.values()))
    rows = {}
    for name, own in times.items():
        low, middle, high = statistics.quantiles([t / b for t, b in zip(own, base, strict=True)], n=4)
        rows[name] = {"error": errors[name], "us": statistics.median(own) * 1e6, "ratio": middle,
                      "quartiles": [low, high]}  # fmt: skip
    return rows


def installed(peers: list[str]) -> tuple[list[str], list[str]]:
    """Those that are here, and those that are not."""
    here = []
    for name in peers:
        try:
            importlib.import_module(name.replace("-", "_"))
            here.append(name)
        except ModuleNotFoundError:
            continue
    return here, [name for name in peers if name not in here]


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--cases", nargs="+", type=case, default=[case(text) for text in CASES])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.02, help="of one timing, about")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    # read when the library is loaded
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    peers, absent = installed(options.peers)
    found: dict[str, Any] = {"rounds": options.rounds, "absent": absent, "cases": []}
    for name in absent:
        print(f"{name} is not installed and left out")
    rates: dict[str, float | None] = {}
    for of in options.cases:
        rows = measured(of, peers, options.rounds, options.seconds)
        target = next(iter(rows)).removeprefix("native ")
        rate = rates.setdefault(target, peak(target))
        share = of.operations / next(iter(rows.values()))["us"] / 1e3 / rate if rate else None
        found["cases"].append({**of._asdict(), "peak_gflops": rate, "share": share, "peers": rows})
        if not options.json:
            print(line(found["cases"][-1]), flush=True)
    record.write(options.out, "kernels", record.made(found, *peers))
    if options.json:
        print(json.dumps(found))


def line(of: dict[str, Any]) -> str:
    """One case: errors, then medians and ratios."""
    rows = of["peers"]
    shape = "x".join(str(of[key]) for key in ("rows", "steps", "inputs", "size"))
    errors = ", ".join(f"{name} {row['error']:.0e}" for name, row in rows.items())
    times = ", ".join(
        f"{name} {row['us']:.2f} us ({row['ratio']:.2f}; {row['quartiles'][0]:.2f} to {row['quartiles'][1]:.2f})"
        for name, row in rows.items()
    )
    share = "" if of["share"] is None else f"; {of['share']:.0%} of the peak of {of['peak_gflops']:.0f} GFLOP/s"
    return f"{of['kind']} {shape}: errors {errors}; {times}{share}"


if __name__ == "__main__":
    main()
