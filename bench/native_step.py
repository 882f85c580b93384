"""One GRU step from Python: the native engine against torch.nn.GRU and torch.nn.GRUCell, in one interleaved
run.

    python bench/native_step.py [--inputs 64] [--size 64] [--rounds 31] [--calls 2000] [--json]

The same weights everywhere; each one's largest error against float64 comes first. Then the median over rounds
of its time divided by the native engine's in the same round, with the quartiles. One thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from common import record

from tidegate.model import Model
from tidegate.runtime import compile
from tidegate.verify.carry import trajectory
from tidegate.verify.samples import sample

Step = Callable[[], Any]
STEPS = 50  # of the comparison that comes before the timing


def cells(model: Model, inputs: int, size: int) -> tuple[torch.nn.GRU, torch.nn.GRUCell]:
    """torch's two with the model's weights."""
    gru, cell = torch.nn.GRU(inputs, size), torch.nn.GRUCell(inputs, size)
    own = [torch.from_numpy(model.tensors[f"layers.0.{role}"].copy()) for role in "WRbc"]
    for module, suffix in ((gru, "_l0"), (cell, "")):
        for name, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), own, strict=True):
            getattr(module, name + suffix).data.copy_(value)
        module.eval()
    return gru, cell


def steppers(model: Model, x: np.ndarray, size: int) -> dict[str, tuple[Step, Step]]:
    """Name -> (a step, the state now)."""
    engine = compile(model)
    state, out = np.zeros(model.state_bytes, np.uint8), np.zeros(size, np.float32)
    gru, cell = cells(model, x.shape[-1], size)
    rows, tick = torch.from_numpy(x), {"native": 0, "torch.nn.GRU": 0, "torch.nn.GRUCell": 0}
    flat = [np.ascontiguousarray(row) for row in x]
    for_gru, for_cell = [row.reshape(1, 1, -1) for row in rows], [row.reshape(1, -1) for row in rows]
    h = {"torch.nn.GRU": torch.zeros(1, 1, size), "torch.nn.GRUCell": torch.zeros(1, size)}

    def at(name: str) -> int:
        tick[name] = (tick[name] + 1) % len(flat)
        return tick[name] - 1

    def native() -> None:
        engine.step(flat[at("native")], state, out)

    def torch_gru() -> None:
        _, h["torch.nn.GRU"] = gru(for_gru[at("torch.nn.GRU")], h["torch.nn.GRU"])

    def torch_cell() -> None:
        h["torch.nn.GRUCell"] = cell(for_cell[at("torch.nn.GRUCell")], h["torch.nn.GRUCell"])

    return {
        f"native {engine.target}": (native, lambda: out),
        "torch.nn.GRU": (torch_gru, lambda: h["torch.nn.GRU"].numpy()),
        "torch.nn.GRUCell": (torch_cell, lambda: h["torch.nn.GRUCell"].numpy()),
    }


def timed(step: Step, calls: int) -> float:
    """CPU seconds a call."""
    start = time.process_time()
    for _ in range(calls):
        step()
    return (time.process_time() - start) / calls


@torch.inference_mode()
def main() -> None:
    parser = record.arguments(__doc__)
    for name, value in (("inputs", 64), ("size", 64), ("rounds", 31), ("calls", 2000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = sample(features=options.inputs, size=options.size, over=(), outputs=None, softmax=False)
    x = np.random.default_rng(0).standard_normal((STEPS, options.inputs)).astype(np.float32)
    exact = trajectory(model, x).outputs[-1]
    found = steppers(model, x, options.size)
    errors = {}
    for name, (step, now) in found.items():
        for _ in range(STEPS):
            step()
        errors[name] = float(abs(now().reshape(-1) - exact).max())
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(options.rounds):
        for name, (step, _) in found.items():
            times[name].append(timed(step, options.calls if name.startswith("native") else options.calls // 10))
    report(errors, times, options)


def report(errors: dict[str, float], times: dict[str, list[float]], options: argparse.Namespace) -> None:
    base = next(iter(times.values()))
    rows = {}
    for name, own in times.items():
        low, middle, high = statistics.quantiles([t / b for t, b in zip(own, base, strict=True)], n=4)
        rows[name] = {"error": errors[name], "us": statistics.median(own) * 1e6, "ratio": middle,
                      "quartiles": [low, high]}  # fmt: skip
    figures = {"inputs": options.inputs, "size": options.size, "rounds": options.rounds, "rows": rows}
    record.write(options.out, "native_step", record.made(figures, "torch"))
    if options.json:
        print(json.dumps(figures))
        return
    print(f"a step of one stream, I = {options.inputs}, H = {options.size}, {options.rounds} rounds")
    for name, r in rows.items():
        low, high = r["quartiles"]
        print(
            f"{name:18} error {r['error']:.1e}  {r['us']:7.2f} us  "
            f"{r['ratio']:6.1f} times the native time ({low:.1f} to {high:.1f})"
        )


if __name__ == "__main__":
    main()
