"""Measure what the conversation adds to a classifier of messages: on public sets, with it and without it.

Each model is trained on the official training split, its weights are selected on the official validation split, and it
is written, loaded again and scored on the official test split by the native runtime. The options of a set were chosen
on its validation split. Writes bench/results/conversations.json and keeps its other entries.

    python bench/conversations.py swda meld --seeds 0 1 2
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from common import fits, record

from tidegate.cli.score import measure
from tidegate.data import catalogue
from tidegate.text_tables import format_table
from tidegate.train import fit

OPTIONS: dict[str, dict[str, Any]] = {
    "swda": {"hidden": 128, "epochs": 5, "drop_embed": 0.3, "drop_pool": 0.3, "drop_words": 0.05, "drop_rare": 0.2},
    "meld": {"hidden": 128, "average": 0.99, "pool": "max,attention", "smoothing": 0.0, "drop_embed": 0.6},
}
WITHOUT: dict[str, Any] = {"conversation": None, "turn": None, "speaker": None}
CASES: dict[str, dict[str, Any]] = {
    "the message alone": WITHOUT,
    "its conversation": {"speaker": None},
    "its conversation and who speaks": {},
}


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("sets", nargs="*", default=list(OPTIONS), help=f"data sets (default {' '.join(OPTIONS)})")
    record.add_seeds(parser)
    args = parser.parse_args()
    for name in args.sets:
        earlier = record.read(args.out, "conversations").get(name, {}) if args.add else {}
        if earlier and earlier["figures"]["options"] != OPTIONS[name]:
            raise SystemExit(f"{name} was measured with other options than this script has; leave out --add")
        made = {(run["case"], run["seed"]) for run in earlier["figures"]["runs"]} if earlier else set()
        runs = list[dict[str, Any]]()
        for case, seed in [(case, seed) for case in reversed(CASES) for seed in args.seeds]:  # the quick ones first
            if (case, seed) not in made:
                runs.append(measure_case(name, case, seed))
                store(args.out, name, sorted(runs, key=place_of), earlier)
    print(format_results(record.read(args.out, "conversations")))


def store(folder: Path, name: str, runs: list[dict[str, Any]], earlier: dict[str, Any]) -> None:
    """Write the runs of a set so far, so that an interruption loses only the one that it interrupts."""
    figures = {"published": list(catalogue.get(name).published), "options": OPTIONS[name], "runs": runs}
    known = record.read(folder, "conversations")
    known[name] = record.with_earlier(record.with_provenance(figures, "torch"), earlier, place_of)
    record.write(folder, "conversations", {key: known[key] for key in sorted(known)})


def place_of(run: dict[str, Any]) -> tuple[int, int]:
    """Return where a run stands among those of its set."""
    return list(CASES).index(run["case"]), run["seed"]


def measure_case(name: str, case: str, seed: int) -> dict[str, Any]:
    """Fit, write, load and score one model, and return its figures."""
    files = catalogue.fetch(name)
    options = fits.options(name, **{**OPTIONS[name], **CASES[case], "seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "model.safetensors")
        wall, cpu = time.perf_counter(), time.process_time()
        progress = fits.print_epochs(f"{name}, {case}, seed {seed}")
        model = fit("classify", str(files["train"]), options, out, valid=str(files["val"]), progress=progress)
        spent = {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        metrics = measure(out, str(files["test"]), {"unseen": "wrong"}).as_dict()  # as in the published figures
    return {
        "case": case,
        "seed": seed,
        **fits.classified(metrics, model),
        **spent,
        "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,  # of all fits of the process so far
    }


def format_results(results: dict[str, Any]) -> str:
    rows = []
    for name, entry in results.items():
        for run in entry["figures"]["runs"]:
            figures = (run["accuracy"], run["weighted_f1"], run["log_loss"])
            own = [name, run["case"], str(run["seed"])]
            rows.append([*own, *(f"{figure:.4f}" for figure in figures), f"{run.get('wall_seconds', 0):.0f}"])
    return format_table(["set", "read", "seed", "accuracy", "weighted F1", "log loss", "seconds a fit"], rows, left=2)


if __name__ == "__main__":
    main()
