"""Measure accuracy on public sets of messages and of series, with the defaults and no option but the seed.

Each model is trained on the official training split alone, written, loaded again and scored on the official test split
by the native runtime. It is causal unless --direction both is given. Writes bench/results/accuracy.json and keeps its
other entries; each direction has an entry of its own.

    python bench/accuracy.py reuters_r8 clinc150 --seeds 0 1 2
    python bench/accuracy.py japanese_vowels --direction both
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from common import fits, record

from tidegate.cli.score import measure
from tidegate.data import catalogue
from tidegate.text_tables import format_table

SETS = ["reuters_r8", "clinc150"]


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("sets", nargs="*", default=SETS, help=f"data sets (default {' '.join(SETS)})")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="one fit each (default 0 1 2)")
    parser.add_argument("--direction", choices=("causal", "both"), default="causal", help="of every model")
    args = parser.parse_args()
    for name in args.sets:
        figures = {
            "published": list(catalogue.get(name).published),
            "runs": measure_seeds(name, args.seeds, args.direction),
        }
        store(args.out, entry_name(name, args.direction), record.with_provenance(figures, "torch"))
    print(format_results(record.read(args.out, "accuracy")))


def entry_name(name: str, direction: str) -> str:
    """Return the key of a set's figures: its name, and options that are not the default."""
    return name if direction == "causal" else f"{name} --direction {direction}"


def measure_seeds(name: str, seeds: list[int], direction: str) -> list[dict[str, Any]]:
    files = catalogue.fetch(name)
    return [measure_seed(name, files, seed, direction) for seed in seeds]


def measure_seed(name: str, files: dict[str, Path], seed: int, direction: str) -> dict[str, Any]:
    """Fit, write, load and score a model, and return the figures of one seed."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "model.safetensors")
        spent = fits.fit_set(name, files["train"], out, entry_name(name, direction), seed=seed, direction=direction)
        metrics = measure(out, str(files["test"]), {"unseen": "wrong"}).as_dict()  # as in the published figures
        figures = {key: metrics[key] for key in ("rows", "accuracy", "macro_f1", "log_loss", "unseen")}
        return {"seed": seed, **figures, **spent, "bytes": os.path.getsize(out)}


def store(folder: Path, name: str, entry: dict[str, Any]) -> None:
    """Write one set's figures to the file, and keep those of other sets."""
    known = {**record.read(folder, "accuracy"), name: entry}
    record.write(folder, "accuracy", {name: known[name] for name in sorted(known)})


def format_results(results: dict[str, Any]) -> str:
    rows = []
    for name, entry in results.items():
        accuracies = [run["accuracy"] for run in entry["figures"]["runs"]]
        wall = statistics.mean(run["wall_seconds"] for run in entry["figures"]["runs"])
        rows.append(
            [
                name,
                len(accuracies),
                *(f"{f(accuracies):.4f}" for f in (statistics.mean, min, max)),
                f"{wall:.0f}",
            ]
        )
    return format_table(["set", "seeds", "mean accuracy", "least", "most", "seconds a fit"], rows)


if __name__ == "__main__":
    main()
