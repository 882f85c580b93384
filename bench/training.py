"""Training a recurrence: forward, backward and all gradients by tidegate.nn against torch.nn, in one interleaved run.

    python bench/training.py [--shapes 32x100x64x128 ...] [--cells GRU LSTM] [--rounds 9] [--json]

A shape is rows x steps x inputs x units. The same weights everywhere. Each one's largest error over all gradients comes
first, against float64 and over that gradient's largest number; then the median over rounds of torch.nn's CPU time
divided by tidegate's in the same round, with the quartiles. float32, one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from common import record

from tidegate import nn

SHAPES = ("1x1000x64x128", "32x100x64x128", "32x100x256x256", "32x100x32x32", "16x200x32x64", "8x400x64x128")
PEERS = {"GRU": ("GRU", "LSTM"), "LSTM": ("LSTM",)}  # torch.nn's modules that each of tidegate.nn is timed against
Gradients = list[torch.Tensor]


class Case:
    """One module over one batch: what a training step of it costs, and its gradients."""

    def __init__(self, module: torch.nn.Module, x: torch.Tensor, dy: torch.Tensor) -> None:
        self.module, self.x, self.dy = module, x.clone().requires_grad_(), dy

    def gradients(self) -> Gradients:
        y, _ = self.module(self.x)
        return list(torch.autograd.grad(y, [self.x, *self.module.parameters()], self.dy))

    def seconds(self) -> float:
        """CPU seconds of a training step."""
        start = time.process_time()
        self.gradients()
        return time.process_time() - start


def cases(cell: str, shape: str) -> tuple[dict[str, Case], Case]:
    """Name -> module over the same batch; and the first one in float64."""
    B, T, inputs, H = map(int, shape.split("x"))
    torch.manual_seed(0)
    x, dy = torch.randn(T, B, inputs), torch.randn(T, B, H)
    own = getattr(nn, cell)(inputs, H)
    exact = getattr(torch.nn, cell)(inputs, H, dtype=torch.float64)
    exact.load_state_dict(own.state_dict())
    found = {"tidegate.nn." + cell: Case(own, x, dy)}
    for peer in PEERS[cell]:
        module = getattr(torch.nn, peer)(inputs, H)
        if peer == cell:
            module.load_state_dict(own.state_dict())
        found["torch.nn." + peer] = Case(module, x, dy)
    return found, Case(exact, x.double(), dy.double())


def error(found: Gradients, right: Gradients) -> float:
    """The largest difference, over the largest number of its gradient."""
    pairs = zip(found, right, strict=True)
    return max(float((one.double() - exact).abs().max() / exact.abs().max()) for one, exact in pairs)


def measured(cell: str, shape: str, rounds: int) -> dict[str, Any]:
    """One row of the table for each peer, the module's own first."""
    found, exact = cases(cell, shape)
    right = exact.gradients()
    same = [name for name in found if name.endswith("." + cell)]
    errors = {name: error(found[name].gradients(), right) for name in same}
    times: dict[str, list[float]] = {name: [] for name in found}
    taken(found, lambda name, seconds: None)
    for _ in range(rounds):
        taken(found, lambda name, seconds: times[name].append(seconds))
    own, *peers = times
    return {
        "cell": cell, "shape": shape, "engine": found[own].module.engine,
        "milliseconds": {name: 1e3 * statistics.median(of) for name, of in times.items()},
        "errors": errors,
        "ratios": {peer: ratios(times[peer], times[own]) for peer in peers},
    }  # fmt: skip


def taken(found: dict[str, Case], note: Callable[[str, float], None]) -> None:
    for name, case in found.items():
        note(name, case.seconds())


def ratios(peer: list[float], own: list[float]) -> list[float]:
    """Quartiles of how many times the peer takes longer."""
    return statistics.quantiles([p / o for p, o in zip(peer, own, strict=True)], n=4)


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES))
    parser.add_argument("--cells", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [measured(cell, shape, options.rounds) for cell in options.cells for shape in options.shapes]
    report(rows, options)


def report(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    figures = {"rounds": options.rounds, "rows": rows}
    record.write(options.out, "training", record.made(figures, "torch"))
    if options.json:
        print(json.dumps(figures))
        return
    for row in rows:
        errors = ", ".join(f"{name} {value:.1e}" for name, value in row["errors"].items())
        print(f"{row['cell']} {row['shape']} ({row['engine']}): error {errors}")
        for name, ms in row["milliseconds"].items():
            low, middle, high = row["ratios"].get(name, (1.0, 1.0, 1.0))
            print(f"  {name:16} {ms:9.2f} ms  {middle:5.1f} times as long ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
