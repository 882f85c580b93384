"""Time pushes of one piece into a stream, of the golden models: what Python adds to the native step of a tiny model.

    python bench/push.py [--against CHECKOUT] [--rounds 40]

Times are CPU times of one thread, the least of all rounds, in microseconds. With --against, another checkout of this
project, built, takes turns with this one in processes of their own, and each case prints both times and their ratio.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common import record

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
PUSHES = 100


def cases() -> dict[str, Callable[[], Callable[[], Any]]]:
    """Return functions that open a stream and return a function that pushes into it, by name."""
    return {
        "text, a word": lambda: push_text("tide "),
        "text, five words": lambda: push_text("tide gate opens the water "),
        "series, window": lambda: push_steps("1-meter", None),
        "series, window and calendar": lambda: push_steps("1-seasonal", [231.0, 14.5, 0.0]),
        "series, window, bidirectional layer": lambda: push_steps("1-gestures", None),
        "series, fixed scale": lambda: push_steps("1-stations", None),
        "array": lambda: push_steps("1-forecaster", [0.1, 0.2, 0.3]),
    }


def push_text(text: str) -> Callable[[], Any]:
    stream = load("1-classifier").stream()
    return lambda: stream.push(text)


def push_steps(name: str, step: list[float] | None) -> Callable[[], Any]:
    """Push the same step again and again, an hour later each time if the model uses a calendar."""
    import numpy as np

    predictor = load(name)
    document = predictor.model.document
    entry = document.get("input") or document["inputs"]["x"]
    step = [1.0] * len(entry.get("columns", ())) if step is None else step
    names = (entry.get("scale") or {}).get("names")
    stream = predictor.stream(names[0]) if names else predictor.stream()
    clock: Iterator[Any] = iter(np.datetime64("2026-01-01", "us") + np.timedelta64(1, "h") * np.arange(1 << 17))
    if entry.get("calendar"):
        return lambda: stream.push(step, time=next(clock))
    return lambda: stream.push(step)


def load(name: str) -> Any:
    import tidegate

    return tidegate.load(GOLDEN / f"{name}.safetensors", threads=1)


def work() -> None:
    """Time the case that each line of stdin names, and print microseconds of a push."""
    pushes: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        name = line.strip()
        push = pushes.setdefault(name, cases()[name]())
        push()
        started = time.thread_time()
        for _ in range(PUSHES):
            push()
        print((time.thread_time() - started) / PUSHES * 1e6, flush=True)


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("--against", metavar="CHECKOUT", type=Path, help="another checkout to take turns with")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of every case (default 40)")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work()
        return
    rows: list[dict[str, Any]] = []
    trees = [ROOT, *([args.against.resolve()] if args.against else [])]
    workers = [start(tree) for tree in trees]
    for name in cases():
        rounds = [[ask(worker, name) for worker in workers] for _ in range(args.rounds)]
        least = [min(times) for times in zip(*rounds, strict=True)]
        against = f"  against {least[1]:7.1f}: ratio {least[0] / least[1]:.2f}" if len(trees) > 1 else ""
        print(f"{name:<38}{least[0]:7.1f} us{against}", flush=True)
        rows.append({"case": name, "us": least[0], "other_us": least[1] if len(trees) > 1 else None})
    for worker in workers:
        worker.kill()
        worker.wait()
    record.write(args.out, "push", record.with_provenance({"rows": rows}))


def start(tree: Path) -> subprocess.Popen[str]:
    """Start a worker that runs the sources of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--worker"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def ask(worker: subprocess.Popen[str], name: str) -> float:
    """Return the microseconds of a push in a worker."""
    assert worker.stdin
    assert worker.stdout
    print(name, file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


if __name__ == "__main__":
    main()
