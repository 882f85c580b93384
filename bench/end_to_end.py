"""Time the whole process of `tidegate fit` on a public set, compared with the same model and loop on torch.nn.GRU.

    python bench/end_to_end.py [--set reuters_r8] [--engines native torch.nn.GRU native=False] [-- --epochs 2]

Each engine fits in processes of its own with the defaults of the set and one seed; engines alternate between runs
(`--runs`). Times are CPU seconds and wall seconds of the process, from start to end. torch.nn.GRU: every recurrent
layer is run by that module with the model's own weights, and all else is the same. native=False (not a default, as it
takes ten minutes): the network's argument that leaves everything to torch's operations (`common/fit_on.py`). The
accuracy on the set's test split, predicted by the native engine, comes before the times. Arguments after `--` go to
`tidegate fit`.
"""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import record

from tidegate.cli.score import measure
from tidegate.data import catalogue
from tidegate.model import Model

ENGINES = ["native", "torch.nn.GRU", "native=False", "fused=False"]
FIT_ON = Path(__file__).parent / "common" / "fit_on.py"


def run_fit(engine: str, command: list[str]) -> dict[str, float]:
    """Run `tidegate fit` in a process of its own, and return its times."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, str(FIT_ON), engine, *command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"tidegate fit on {engine} ended with {process.returncode}")
    return {"wall_s": time.perf_counter() - start, "cpu_s": used.ru_utime + used.ru_stime}


def fit_and_score(engine: str, name: str, seed: int, more: list[str]) -> dict[str, Any]:
    """Fit once, and score the model on the test split."""
    files, known = catalogue.fetch(name), catalogue.get(name)
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "model.safetensors")
        flags = [*shlex.split(known.flags), "--seed", str(seed), "--out", out, *more]
        spent = run_fit(engine, ["fit", known.task, str(files["train"]), *flags])
        metrics = measure(out, str(files["test"]), {"unseen": "wrong"}).as_dict()
        return {**spent, "accuracy": metrics["accuracy"], "epochs": len(read_history(out))}


def read_history(path: str) -> list[Any]:
    return list(Model.load(path).document["provenance"]["history"])


def main() -> None:
    parser = record.make_speed_parser(__doc__)
    parser.add_argument("--set", default="reuters_r8")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES[:2])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("more", nargs="*", help="arguments for tidegate fit, after --")
    options = parser.parse_args()
    results: dict[str, list[dict[str, Any]]] = {engine: [] for engine in options.engines}
    for _ in range(options.runs):
        for engine, runs in results.items():
            runs.append(fit_and_score(engine, options.set, options.seed, options.more))
            print(format_line(engine, runs[-1]), flush=True)
    rows = [
        {"engine": engine, "runs": runs, **ratios(runs, results[options.engines[0]])}
        for engine, runs in results.items()
    ]
    figures = {"set": options.set, "seed": options.seed, "rows": rows}
    record.write(options.out, "end_to_end", record.with_provenance(figures, "torch"))
    for row in rows[1:]:
        print(
            f"fit {options.set} vs {row['engine']}: {row['cpu_ratio']:.2f}x the CPU seconds of {rows[0]['engine']}, "
            f"{row['wall_ratio']:.2f}x on the wall"
        )


def format_line(engine: str, of: dict[str, Any]) -> str:
    return (
        f"{engine}: accuracy {100 * of['accuracy']:.2f} %, {of['epochs']} epochs, {of['cpu_s']:.1f} s of CPU, "
        f"{of['wall_s']:.1f} s on the wall"
    )


def ratios(runs: list[dict[str, Any]], own: list[dict[str, Any]]) -> dict[str, float]:
    """Return the median ratios of CPU and wall seconds to those of the first engine in the same run."""
    pairs = list(zip(runs, own, strict=True))
    return {
        f"{key}_ratio": statistics.median(a[f"{key}_s"] / b[f"{key}_s"] for a, b in pairs) for key in ("cpu", "wall")
    }


if __name__ == "__main__":
    main()
