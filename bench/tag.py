"""Measure the tagger on public sets: slots and intent, with the defaults and no option but the seed, and its streams.

Each model is trained on the official training split, part of which is held out to select the weights; it is written,
loaded again and scored on the official test split by the native runtime. A stream then reads the test split word by
word. Writes bench/results/tag.json and keeps its other entries.

    python bench/tag.py atis snips --seeds 0 1 2
    python bench/tag.py atis --direction both  # entries of their own, to compare with
    python bench/tag.py atis --lookahead 0
    python bench/tag.py atis snips --decoder crf
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from operator import itemgetter
from pathlib import Path
from typing import Any

from common import fits, record

from tidegate import load
from tidegate.cli.score import measure
from tidegate.data import catalogue
from tidegate.data.table import read_table
from tidegate.runtime import Predictor
from tidegate.text_tables import format_table
from tidegate.train import fit

SETS = ["atis", "snips"]
FIGURES = ("accuracy", "span_f1", "span_precision", "span_recall", "tag_accuracy", "sentence_accuracy")


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("sets", nargs="*", default=SETS, help=f"data sets (default {' '.join(SETS)})")
    record.add_seeds(parser)
    parser.add_argument("--direction", choices=("both",), help="as that of fit")
    parser.add_argument("--lookahead", type=int, help="as that of fit")
    parser.add_argument("--decoder", choices=("crf",), help="as that of fit")
    args = parser.parse_args()
    options = {key: value for key in ("direction", "lookahead", "decoder") if (value := getattr(args, key)) is not None}
    for name in args.sets:
        entry = " ".join([name, *(f"--{key} {value}" for key, value in options.items())])
        known = record.read(args.out, "tag")
        earlier = known.get(entry, {}) if args.add else {}
        made = {run["seed"] for run in earlier["figures"]["runs"]} if earlier else set()
        if not (wanted := [seed for seed in args.seeds if seed not in made]):
            continue
        figures = {"published": list(catalogue.get(name).published), "runs": measure_seeds(name, wanted, options)}
        known[entry] = record.with_earlier(record.with_provenance(figures, "torch"), earlier, itemgetter("seed"))
        record.write(args.out, "tag", {key: known[key] for key in sorted(known)})
    print(format_results(record.read(args.out, "tag")))


def measure_seeds(name: str, seeds: list[int], options: dict[str, Any]) -> list[dict[str, Any]]:
    files = catalogue.fetch(name)
    return [measure_seed(name, files, seed, options) for seed in seeds]


def measure_seed(name: str, files: dict[str, Path], seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """Fit, write, load and score a model, and return the figures of one seed."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "model.safetensors")
        progress, start = fits.print_epochs(f"{name} seed {seed}"), time.perf_counter()
        fit("tag", files["train"], label="label", seed=seed, out=out, progress=progress, **options)
        spent = time.perf_counter() - start
        metrics = measure(out, str(files["test"])).as_dict()
        predictor, streamed = load(out, threads=1), dict[str, float]()
        if not predictor.model.whole_window:
            streamed = measure_stream(predictor, read_table(files["test"], ["tokens"]).column("tokens"))
        figures = {key: metrics[key] for key in ("rows", *FIGURES, "unseen_tags")}
        return {"seed": seed, **figures, **streamed, "wall_seconds": spent, "bytes": os.path.getsize(out)}


def measure_stream(predictor: Predictor, texts: list[str]) -> dict[str, float]:
    """Push the words of texts one by one into a stream; return the microseconds a word and the bytes of its state.

    The tags of all words, the late ones included, are compared with those of the whole text first. words_late: the mean
    number of words from a word to its tag, of those that come before the end of their text.
    """
    stream, seconds, waits = predictor.stream(), list[float](), list[int]()
    for text, whole in zip(texts, predictor.answers(texts), strict=True):
        tags = []
        for k, word in enumerate(text.split()):
            start = time.perf_counter()
            answers = stream.push(word + " ", per_step=True)
            seconds.append(time.perf_counter() - start)
            waits += [k - len(tags) - i for i in range(len(answers))]
            tags += [one["tags"].tags[0] for one in answers]
        state = stream.state.block.nbytes
        for late in stream.push("", end=True, per_step=True):
            tags += late["tags"].tags
        if tags != whole["tags"].tags:
            raise SystemExit(f"a stream tags the words of {text!r} otherwise than the whole text")
    cuts = statistics.quantiles(seconds, n=100)
    times = {"us_a_word": 1e6 * statistics.median(seconds), "us_a_word_99": 1e6 * cuts[98]}
    return {**times, "state_bytes": state, "words_late": statistics.mean(waits)}


def format_results(results: dict[str, Any]) -> str:
    rows = []
    for name, entry in results.items():
        runs = entry["figures"]["runs"]
        means = [statistics.mean(run[key] for run in runs) for key in ("accuracy", "span_f1", "sentence_accuracy")]
        known = [[run[key] for run in runs if key in run] for key in ("us_a_word", "state_bytes")]
        times = [statistics.median(values or [0]) for values in known]
        rows.append([name, len(runs), *(f"{mean:.4f}" for mean in means), f"{times[0]:.1f}", f"{times[1]:,.0f}"])
    return format_table(["set", "seeds", "accuracy", "span F1", "sentences", "us a word", "bytes of state"], rows)


if __name__ == "__main__":
    main()
