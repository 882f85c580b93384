"""Measure classifiers of texts on hard cases: half the words, typos, few examples, and texts that no label fits.

Each model is fitted with the default options, written, loaded again, and measured on the official test part, next to a
linear SVM on tf-idf. Writes bench/results/hard_text.json, an entry for each set and part, and keeps its other entries.

    python bench/hard_text.py clinc150
    python bench/hard_text.py clinc150 --parts few --seeds 0 1 2
    python bench/hard_text.py clinc150 --parts prefix typos --prefix-weight 1  # entries of their own, to compare with

- prefix: texts of which only the first half of the words is there, rounded up. Models learn from whole texts.
- typos: in each text, a random letter of a random word of at least four letters is replaced, dropped, doubled or
  swapped with the next one. The generator is the same for all models and seeds.
- few: models learn from ten texts a label, which the seed draws, and one of them starts from an encoder that has read
  all training texts without labels.
- scope: texts that no label fits, of the set NAME_oos. The threshold is that at which 5 % of the validation texts in
  scope are lost; the test part is read once. Models learn from texts in scope alone, or from some out of scope as well.
"""

from __future__ import annotations

import csv
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import fits, record
from common.text_models import LinearSVM, TextModel, Tidegate, halve, is_right, timed
from common.typos import add_typos, measure_loss

from tidegate.cli.score import measure
from tidegate.data import catalogue
from tidegate.data.table import read_table
from tidegate.errors import TidegateError
from tidegate.tasks._out_of_scope import find_quantile, measure_auroc
from tidegate.text_tables import format_table
from tidegate.train import fit

SETS = ["clinc150"]
FEW = 10  # texts a label
LOST = 0.05  # of the validation texts in scope
OOS = "oos"  # the label of texts out of scope
OURS, SVM = "tidegate", "linear SVM on tf-idf"
Run = dict[str, Any]


class Split(NamedTuple):
    """The texts of a part of a set, and the label of each."""

    texts: list[str]
    labels: list[str]


class Task(NamedTuple):
    """What a part is measured on. options: of every fit. trained: returns the model of all training texts of a seed."""

    name: str
    options: dict[str, Any]
    trained: Callable[[int], Tidegate]


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("sets", nargs="*", default=SETS, help=f"data sets of texts (default {' '.join(SETS)})")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="one fit each (default 0)")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), help="default: all that a set has")
    parser.add_argument("--prefix-weight", type=float, metavar="W", help="--prefix of fit (default: that of fit)")
    args = parser.parse_args()
    parts = {name: choose_parts(name, args.parts) for name in args.sets}
    for name, chosen in parts.items():
        measure_set(args.out, name, chosen, args.seeds, args.prefix_weight)
    print(format_results(record.read(args.out, "hard_text")))


def choose_parts(name: str, wanted: list[str] | None) -> list[str]:
    """Return the parts to measure of a set. Raises SystemExit for a set that has not what they need."""
    try:
        catalogue.get(name)
        read_split(name, "test")
    except TidegateError as error:
        raise SystemExit(f"{error}; choose a set of texts with one label each, such as clinc150") from error
    has_scope = f"{name}_{OOS}" in catalogue.list_names()
    if wanted is not None and "scope" in wanted and not has_scope:
        raise SystemExit(f"there is no set {name}_{OOS}, whose texts out of scope --parts scope needs; leave scope out")
    return wanted or [part for part in PARTS if part != "scope" or has_scope]


def measure_set(folder: Path, name: str, parts: list[str], seeds: list[int], prefix: float | None) -> None:
    """Measure parts of a set, and write each when it is done, so that an interruption loses only one."""
    options = {} if prefix is None else {"prefix": prefix}
    with tempfile.TemporaryDirectory() as models:
        made = dict[int, Tidegate]()

        def trained(seed: int) -> Tidegate:
            if seed not in made:  # several parts measure one model
                out = os.path.join(models, f"{seed}.safetensors")
                made[seed] = fit_model("classify", training_file(name), out, label="label", seed=seed, **options)
            return made[seed]

        for part in parts:
            runs = PARTS[part](Task(name, options, trained), seeds)
            store(folder, name, part, prefix, runs)


def store(folder: Path, name: str, part: str, prefix: float | None, runs: list[Run]) -> None:
    """Write the runs of a part, and keep all other entries."""
    weight = "" if prefix is None else f" --prefix-weight {prefix:g}"
    figures = {"data": name, "part": part, "runs": runs}
    entry = record.with_provenance(figures, "torch", "scikit-learn")
    known = {**record.read(folder, "hard_text"), f"{name} {part}{weight}": entry}
    record.write(folder, "hard_text", {key: known[key] for key in sorted(known)})


def read_split(name: str, split: str) -> Split:
    table = read_table(catalogue.fetch(name)[split], ["text", "label"])
    return Split(table.column("text"), table.column("label"))


def training_file(name: str) -> str:
    return str(catalogue.fetch(name)["train"])


def fit_model(kind: str, train: str, out: str, **options: Any) -> Tidegate:
    """Fit a model to the texts of a file, write and load it."""
    progress = fits.print_epochs(f"{kind} {os.path.basename(out)}")
    _, cpu_seconds = timed(lambda: fit(kind, train, text="text", out=out, progress=progress, **options))
    return Tidegate(out, cpu_seconds)


def describe(model: str, options: dict[str, Any]) -> str:
    """Return the name of a model with the options that are not the default.

    >>> describe("tidegate", {"prefix": 1.0})
    'tidegate --prefix 1'
    """
    return " ".join([model, *(f"--{key} {value:g}" for key, value in options.items())])


def each_model(task: Task, seeds: list[int]) -> list[tuple[Run, TextModel]]:
    """Return the models of all training texts, with what their runs begin with; the SVM once, as it has no seed."""
    name = describe(OURS, task.options)
    ours = [({"model": name, "seed": seed}, task.trained(seed)) for seed in seeds]
    return [*ours, ({"model": SVM}, LinearSVM(*read_split(task.name, "train")))]


# ---- the parts


def measure_prefix(task: Task, seeds: list[int]) -> list[Run]:
    """Measure accuracy after the first half of the words and after all."""
    test = read_split(task.name, "test")
    halves = [halve(text) for text in test.texts]
    return [
        {
            **about,
            "rows": len(test.texts),
            "half": float(is_right(model, halves, test.labels).mean()),
            "accuracy": float(is_right(model, *test).mean()),
            **model.measure_costs(test.texts),
        }
        for about, model in each_model(task, seeds)
    ]


def measure_typos(task: Task, seeds: list[int]) -> list[Run]:
    """Measure accuracy with a typo in each text and without, and how much more of it the SVM loses."""
    test = read_split(task.name, "test")
    changed = add_typos(test.texts, seed=0)
    runs, models = list[Run](), each_model(task, seeds)
    svm = [is_right(models[-1][1], texts, test.labels) for texts in (test.texts, changed)]
    for about, model in models:
        before, after = (is_right(model, texts, test.labels) for texts in (test.texts, changed))
        runs.append(
            {
                **about,
                "rows": len(test.texts),
                "changed": sum(a != b for a, b in zip(test.texts, changed, strict=True)),
                "accuracy": float(before.mean()),
                "with_typos": float(after.mean()),
                **measure_loss(before, after),
                **({"over_svm": measure_loss(before, after, (svm[0], svm[1]))} if "seed" in about else {}),
                **model.measure_costs(test.texts),
            }
        )
    return runs


def measure_few(task: Task, seeds: list[int]) -> list[Run]:
    """Measure models of ten texts a label, alone and behind an encoder of all training texts without labels."""
    train, test = read_split(task.name, "train"), read_split(task.name, "test")
    runs = list[Run]()
    with tempfile.TemporaryDirectory() as folder:
        encoder = os.path.join(folder, "encoder.safetensors")
        read = fit_model("encode", training_file(task.name), encoder, seed=0)
        for seed in seeds:
            few, path = draw_few(train, seed), os.path.join(folder, f"few{seed}.csv")
            write_split(path, few)
            for behind in (False, True):
                options = {**task.options, **({"from_model": encoder} if behind else {})}
                out = os.path.join(folder, f"few{seed}{'-from' if behind else ''}.safetensors")
                model = fit_model("classify", path, out, label="label", seed=seed, **options)
                name = describe(OURS, task.options) + (" --from an encoder of all texts" if behind else "")
                own = {"model": name, "seed": seed, **({"encoder_cpu_seconds": read.cpu_seconds} if behind else {})}
                runs.append({**own, **measure_small(model, few, test)})
            runs.append({"model": SVM, "seed": seed, **measure_small(LinearSVM(*few), few, test)})
    return sorted(runs, key=lambda run: (run["model"] == SVM, run["model"]))


def measure_small(model: TextModel, few: Split, test: Split) -> Run:
    accuracy = float(is_right(model, *test).mean())
    return {"learnt": len(few.texts), "rows": len(test.texts), "accuracy": accuracy, **model.measure_costs(test.texts)}


def draw_few(train: Split, seed: int) -> Split:
    """Draw `FEW` texts of each label, in the order of the training part; all of a label that has fewer."""
    random, labels = np.random.default_rng(seed), np.array(train.labels)
    groups = [np.flatnonzero(labels == label) for label in sorted(set(train.labels))]
    drawn = sorted(int(i) for rows in groups for i in random.permutation(rows)[:FEW])
    return Split([train.texts[i] for i in drawn], [train.labels[i] for i in drawn])


def write_split(path: str, split: Split) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *zip(*split, strict=True)])


def measure_scope(task: Task, seeds: list[int]) -> list[Run]:
    """Measure how many texts out of scope get no label, without examples of such texts and with them."""
    runs = list[Run]()
    for examples in (False, True):
        source = f"{task.name}_{OOS}" if examples else task.name
        learnt = {
            "examples": f"and {read_split(source, 'train').labels.count(OOS)} out of scope" if examples else "alone"
        }
        with tempfile.TemporaryDirectory() as folder:
            runs += [{**learnt, **measure_threshold(task, source, seed, folder)} for seed in seeds]
        runs.append({**learnt, **measure_svm_threshold(task, source)})
    return runs


def measure_threshold(task: Task, source: str, seed: int, folder: str) -> Run:
    """Fit a model that has a threshold in its file, and score it once."""
    out, test = os.path.join(folder, f"{source}-{seed}.safetensors"), catalogue.fetch(f"{task.name}_{OOS}")["test"]
    rule = {"reject": LOST, **({"out_of_scope": OOS} if source != task.name else {})}
    valid = str(catalogue.fetch(source)["val"])
    model = fit_model(
        "classify", training_file(source), out, label="label", valid=valid, seed=seed, **rule, **task.options
    )
    found = measure(out, str(test), {"out_of_scope": OOS}).as_dict()
    return {
        "model": describe(OURS, task.options),
        "seed": seed,
        "rows": found["rows"],
        "outside": found["out_of_scope"]["rows"],
        "accuracy": 1 - found["risk_coverage"]["errors"][0][1],  # of rows in scope, if all of them are answered
        "lost": found["reject"]["lost"],
        "found": found["reject"]["recall"],
        "auroc": found["out_of_scope"]["auroc"],
        **model.measure_costs(read_split(task.name, "test").texts),
    }


def measure_svm_threshold(task: Task, source: str) -> Run:
    """Measure an SVM, whose threshold is chosen by the same validation texts in scope."""
    model, test = LinearSVM(*read_split(source, "train")), read_split(f"{task.name}_{OOS}", "test")
    doubts, is_out = measure_doubts(model, test.texts), np.array(test.labels) == OOS
    threshold = find_quantile(measure_doubts(model, read_split(task.name, "val").texts), LOST)
    inside = Split(*zip(*(row for row in zip(*test, strict=True) if row[1] != OOS), strict=True))
    known = [k for k, label in enumerate(model.labels) if label != OOS]
    chosen = np.array(model.labels)[known][model.score(inside.texts)[:, known].argmax(1)]
    return {
        "model": SVM,
        "rows": len(inside.texts),
        "outside": int(is_out.sum()),
        "accuracy": float((chosen == np.array(inside.labels)).mean()),
        "lost": float((doubts[~is_out] > threshold).mean()),
        "found": float((doubts[is_out] > threshold).mean()),
        "auroc": measure_auroc(doubts, is_out),
        **model.measure_costs(inside.texts),
    }


def measure_doubts(model: LinearSVM, texts: list[str]) -> Any:
    """Return how small the largest score of a label is, less the score of the class out of scope, if there is one."""
    scores, is_class = model.score(texts), np.array([label == OOS for label in model.labels])
    return scores[:, is_class].sum(1) - scores[:, ~is_class].max(1)


def format_results(results: dict[str, Any]) -> str:
    rows = []
    for name, entry in results.items():
        groups: dict[tuple[str, str], list[Run]] = {}
        for run in entry["figures"]["runs"]:
            groups.setdefault((run["model"], run.get("examples", "")), []).append(run)
        for (model, examples), runs in groups.items():
            means = [mean_of(runs, key) for key in FIGURES]
            rows.append([name, f"{model} {examples}".strip(), len(runs), *means])
    return format_table(["entry", "model", "runs", *FIGURES.values()], rows, left=2)


def mean_of(runs: list[Run], key: str) -> str:
    """Return the mean of a figure over runs; "-" where they have none."""
    values = [run[key] for run in runs if key in run]
    return f"{statistics.mean(values):.4g}" if values else "-"


FIGURES = {
    "accuracy": "accuracy",
    "half": "after half",
    "with_typos": "with typos",
    "lost": "lost",
    "found": "found",
    "us_a_word": "us a word",
    "state_bytes": "bytes of state",
    "bytes": "bytes of file",
    "cpu_seconds": "CPU s",
}
PARTS: dict[str, Callable[[Task, list[int]], list[Run]]] = {
    "prefix": measure_prefix,
    "typos": measure_typos,
    "few": measure_few,
    "scope": measure_scope,
}


if __name__ == "__main__":
    main()
