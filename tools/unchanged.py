"""Hash the weights and the outputs of short fits at a fixed seed, to show that a change left every bit as it was.

Run it before and after a change, on the same machine: bits depend on the instruction set and on torch's version.
Five public sets cover texts and series, classification and forecasting, causal and bidirectional layers. Takes about
a minute. With --compare, exits with 1 if a hash differs from one in another file.

    python tools/unchanged.py before.json
    python tools/unchanged.py after.json --compare before.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import tidegate
from tidegate import cli
from tidegate.data import catalogue

FITS = {
    "trec": "--epochs 3",
    "snips": "--epochs 1 --cell lstm",
    "ecg5000": "--epochs 3",
    "japanese_vowels": "--epochs 3 --direction both",
    "load": "--epochs 1",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", metavar="FILE", type=Path, help="write the hashes here, as JSON")
    parser.add_argument("--compare", metavar="FILE", type=Path, help="hashes of before the change")
    args = parser.parse_args()
    figures = {name: hashes(name, flags) for name, flags in FITS.items()}
    args.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    for name, one in figures.items():
        print(f"{name:16} weights {one['weights'][:16]} outputs {one['outputs'][:16]}")
    if args.compare:
        before = json.loads(args.compare.read_text("utf-8"))
        changed = [name for name in figures if figures[name] != before[name]]
        print(f"changed: {', '.join(changed)}" if changed else f"all {len(figures)} as in {args.compare}")
        sys.exit(bool(changed))


def hashes(name: str, flags: str) -> dict[str, str]:
    """Fit one set through the command line and hash the model's weights and its outputs on the test file."""
    files, known = catalogue.fetch(name), catalogue.get(name)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model.safetensors")
        fit = ["fit", known.task, str(files["train"]), *shlex.split(f"{known.flags} {flags}"), "--seed", "0"]
        run([*fit, "--threads", "1", "--out", str(model)])
        tensors = tidegate.load(model).model.tensors
        digest = hashlib.sha256()
        for tensor in sorted(name for name in tensors if not name.startswith(("baseline.", "check."))):
            digest.update(tensor.encode() + np.ascontiguousarray(tensors[tensor]).tobytes())
        scored = Path(folder, "scores.json")
        with scored.open("w") as file:
            run(["score", str(model), str(files.get("all", files["test"])), "--json"], file)
        return {"weights": digest.hexdigest(), "outputs": hashlib.sha256(stable(scored)).hexdigest()}


def run(arguments: list[str], out: Any = None) -> None:
    """Run one command of tidegate, its output into `out` or nowhere."""
    with open("/dev/null", "w") as nowhere:
        keep = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = out or nowhere, nowhere
        try:
            code = cli.run(arguments)
        finally:
            sys.stdout, sys.stderr = keep
    if code:
        sys.exit(f"tidegate {shlex.join(arguments)} ended with {code}")


BESIDE = ("baselines", "baseline_figures", "per_target", "per_series", "mase_season", "without_unit", "empty")


def stable(scored: Path) -> bytes:
    """Every number of a score's JSON, in order, whatever its keys and sentences are called.

    Without baselines, which are no outputs of the model, and without groups of the errors that are all in the rest.
    """
    numbers: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                if key not in BESIDE:
                    walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)
        elif isinstance(value, int | float):
            numbers.append(repr(value))

    walk(json.loads(scored.read_text("utf-8")))
    return "\n".join(numbers).encode()


if __name__ == "__main__":
    main()
