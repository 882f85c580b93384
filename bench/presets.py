"""Measure what the sizes of `--preset` cost and give: a held-out figure, bytes, the time of a step, and that of a fit.

    python bench/presets.py [trec atis ...] [--presets tiny small base] [--add]

Nothing but the preset and a set's own flags is given; the seed is 0. Each model is trained on the official training
split alone, written, loaded again and scored on the official test split. A stream then reads rows of the test split, a
word or a sample a push, and its CPU time is taken. Writes bench/results/presets.json and keeps its other entries.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import forecast_ridge
from common import fits, record

from tidegate import load
from tidegate.backtest import backtest
from tidegate.cli.score import measure
from tidegate.data import catalogue
from tidegate.runtime import Predictor
from tidegate.tasks import load as load_task
from tidegate.tasks._options import PRESETS
from tidegate.text_tables import format_table
from tidegate.train import fit

PUSHES = 2000
Files = dict[str, Path]


@dataclass(frozen=True)
class Case:
    """What is fitted on a set, and what its figure is.

    task: of the model; "": the set's. figure: a metric of `score`; "": the error over that of ridge on the same window.
    start: the first step to forecast; None: the one after the training rows. values: options beside the set's own.
    """

    name: str
    task: str = ""
    figure: str = "accuracy"
    start: int | None = None
    values: dict[str, Any] = field(default_factory=dict)


CASES = {
    "trec": Case("trec"),
    "atis": Case("atis"),
    "snips": Case("snips"),
    "ecg5000": Case("ecg5000"),
    "atis, tags": Case("atis", "tag", "span_f1", values={"label": "label"}),
    "load": Case("load", figure=""),
    "etth1": Case("etth1", figure="", start=11_520),
}
TITLES = {"accuracy": "accuracy", "span_f1": "slot F1", "": "error over ridge's"}


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"cases (default {', '.join(CASES)})")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=PRESETS, help="default all")
    parser.add_argument("--add", action="store_true", help="keep the runs of other presets that the file has")
    args = parser.parse_args()
    if unknown := [name for name in args.cases if name not in CASES]:
        parser.error(f"no case {unknown[0]!r}; choose of {', '.join(CASES)}")
    for name in args.cases:
        known = record.read(args.out, "presets")
        earlier = drop_presets(known[name], args.presets) if args.add and name in known else {}
        runs = [measure_preset(name, preset) for preset in args.presets]
        entry = record.with_provenance({"runs": runs}, "torch")
        known[name] = record.with_earlier(entry, earlier, lambda run: PRESETS.index(run["preset"]))
        record.write(args.out, "presets", {each: known[each] for each in CASES if each in known})
        print(format_runs(name, known[name]["figures"]["runs"]), flush=True)


def drop_presets(entry: dict[str, Any], presets: list[str]) -> dict[str, Any]:
    """Return an entry of a file without the runs of these presets."""
    runs = [run for run in entry["figures"]["runs"] if run["preset"] not in presets]
    return {**entry, "figures": {**entry["figures"], "runs": runs}}


def measure_preset(name: str, preset: str) -> dict[str, Any]:
    """Fit, write, load and score a model; return its figures."""
    case = CASES[name]
    files, task = catalogue.fetch(case.name), case.task or catalogue.get(case.name).task
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "model.safetensors")
        progress, start = fits.print_epochs(f"{name}, {preset}"), time.process_time()
        fit(task, str(files["train"]), make_options(case, task, preset), out, progress=progress)
        spent = time.process_time() - start
        predictor = load(out, threads=1)
        return {
            "preset": preset,
            "figure": TITLES[case.figure],
            "value": score(case, out, files),
            "bytes": os.path.getsize(out),
            "state_bytes": predictor.stream().state.block.nbytes,
            "us_a_step": time_steps(predictor, case, files),
            "cpu_seconds": spent,
            "options": {
                key: value
                for key, value in predictor.model.document["task"]["options"].items()
                if key in ("hidden", "embed", "depth", "epochs")
            },
        }


def make_options(case: Case, task: str, preset: str) -> Any:
    """Return the options of a fit: the set's own flags, if the task is the set's, and those of the case."""
    if task == catalogue.get(case.name).task:
        return fits.options(case.name, preset=preset, **case.values)
    return load_task(task).Options(preset=preset, **case.values)


def score(case: Case, out: str, files: Files) -> float:
    """Return the figure of a model on the test split: a share, or an error over that of ridge on the same window."""
    if case.figure:
        flags = {"unseen": "wrong"} if case.figure == "accuracy" else {}
        return float(measure(out, str(files["test"]), flags).as_dict()[case.figure])
    result = backtest(out, str(files["all"]), case.start)
    ratios = forecast_ridge.compare(result.metrics, result.baseline_figures, len(result.targets))
    return float(ratios["over_ridge"])


def time_steps(predictor: Predictor, case: Case, files: Files) -> float:
    """Return the median CPU time of a push into a stream, in microseconds, after as many pushes as a window has."""
    stream, spent, skipped = predictor.stream(), list[float](), reach_of(predictor)
    for one, ends in islice(iter_pushes(predictor, case, files), skipped + PUSHES):
        start = time.thread_time()
        stream.push(one, end=ends)
        spent.append(time.thread_time() - start)
    return 1e6 * statistics.median(spent[skipped:])


def reach_of(predictor: Predictor) -> int:
    """Return how many steps a stream waits for its first answer, and at least 20, to warm up."""
    transform = getattr(predictor.model.inputs["x"], "transform", None)
    return max(20, transform.window.reach if transform is not None and transform.window else 0)


def iter_pushes(predictor: Predictor, case: Case, files: Files) -> Iterator[tuple[Any, bool]]:
    """Yield words or samples of the test split, and whether a row ends with them."""
    task = case.task or catalogue.get(case.name).task
    if task == "forecast":
        options = fits.options(case.name)
        columns = predictor.model.inputs["x"].to_json()["columns"]
        yield from ((row, False) for row in load_task(task).read(str(files["all"]), options, columns).series[0].values)
        return
    options = make_options(case, task, "small")
    source = load_task(task).read(str(files["test"]), options)
    if hasattr(source, "series"):
        for series in source.series:
            yield from ((row, k == len(series.values) - 1) for k, row in enumerate(series.values))
        return
    for text in source.column(options.tokens if task == "tag" else options.text):
        words = text.split()
        yield from ((f"{word} ", k == len(words) - 1) for k, word in enumerate(words))


def format_runs(name: str, runs: list[dict[str, Any]]) -> str:
    rows = [
        [
            run["preset"],
            f"{run['value']:.4f}",
            f"{run['bytes']:,}",
            f"{run['state_bytes']:,}",
            f"{run['us_a_step']:.1f}",
            f"{run['cpu_seconds']:.1f}",
        ]
        for run in runs
    ]
    return format_table([name, runs[0]["figure"], "bytes", "bytes of state", "us a step", "CPU seconds of a fit"], rows)


if __name__ == "__main__":
    main()
