"""Score a model on a test file: accuracy and F1, or forecast errors.

Columns have the names of those in training, unless you give --text or --label.
Predictions are made by the native engine, as in use. If rows can have several
labels, those with a probability of at least 0.5 are predicted.

A forecaster is back-tested: at each step it forecasts from the steps up to
there, and is compared to seasonal naive and ridge regression. If the file
begins with the training data, the back-test starts after it; --start overrides.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from ..data.columns import MissingColumn
from ..errors import OptionError
from . import _console, _flags, _forecasts, _precision
from ._inputs import check_times, read_task, require_labels
from ._parser import FilePath, Parser
from ._table import format_count, format_table, join_items

EXAMPLES = """\
  tidegate score intent.safetensors test.csv
  tidegate score intent.safetensors test.csv --label gold --unseen wrong
  tidegate score intent.safetensors test.csv --json
  tidegate score load.safetensors all.csv --start 2688 --plot last.png"""

MAX_CONFUSIONS = 10
FIGURES = (
    ("accuracy", "accuracy"),
    ("subset_accuracy", "subset accuracy"),
    ("micro_f1", "micro F1"),
    ("macro_f1", "macro F1"),
    ("sample_f1", "sample F1"),
    ("hamming_loss", "Hamming loss"),
    ("log_loss", "log loss"),
)


def add_flags(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", action=FilePath, help="model file")
    parser.add_argument(
        "file",
        metavar="FILE",
        action=FilePath,
        help="labelled rows or series: .csv, .tsv or .jsonl (also .gz), .parquet, .npz or a folder",
    )
    parser.add_argument("--text", metavar="COLUMN", help="column of messages (default: as in training)")
    parser.add_argument("--label", metavar="COLUMN", help="column of labels (default: as in training)")
    parser.add_argument(
        "--unseen",
        choices=("error", "wrong"),
        default="error",
        help="for labels that training did not have: stop with an error (default), or count the row as wrong",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    _precision.add_flags(parser)
    _forecasts.add_flags(parser)
    _flags.add_force(parser)


def run(args: argparse.Namespace) -> int:
    if read_task(args.model) == "forecast":
        if args.unseen != "error":
            raise OptionError("--unseen is for labels, but this model forecasts; leave it out")
        return _forecasts.score(args)
    _forecasts.refuse_flags(args)
    metrics = measure(args.model, args.file, args.text, args.label, args.unseen, **_precision.load_arguments(args))
    if args.json:
        _console.print_json(metrics)
    else:
        print(format_report(metrics, _console.terminal_width()))
    return 0


def measure(
    model: str,
    file: str,
    text: str | None,
    label: str | None,
    unseen: str,
    weights: str | None = None,
    compute: str | None = None,
) -> dict[str, Any]:
    """Predict the rows of a file and return the task's metrics."""
    from .. import tasks
    from ..runtime import load
    from ..tasks._options import restore_options

    predictor = load(model, weights=weights, compute=compute)
    require_labels(predictor.model, model, "score")
    if text and predictor.model.input_section["kind"] == "series":
        raise OptionError("--text is for messages, but this model takes series; leave it out")
    recorded = predictor.model.document["task"]
    task = tasks.load(recorded["kind"])
    options = restore_options(task.Options, recorded["options"])
    options = dataclasses.replace(options, text=text or options.text, label=label or options.label)
    columns = predictor.model.input_section.get("columns")
    try:
        source = task.read(file, options, columns)
    except MissingColumn as error:
        if options.group is None or error.wanted != options.group:
            raise
        source = task.read(file, dataclasses.replace(options, group=None), columns)  # scoring needs no groups
    check_times(source, predictor.model)
    targets, labels = task.read_targets(source, options, predictor.model.labels, unseen)
    probabilities = predictor.predict(**task.predictor_inputs(source, options))
    metrics: dict[str, Any] = task.score(probabilities, list(targets), labels)
    return {**metrics, "warning": warn_of_training_data(predictor.model.document["provenance"], source.sha256)}


def warn_of_training_data(provenance: dict[str, Any], sha256: str) -> str:
    """Return a warning if the scored file was used in training, otherwise "".

    >>> warn_of_training_data({"data": {"sha256": "ab"}, "valid": None}, "ab")
    'this is the training data: the figures say nothing about new data'
    """
    files = {role: provenance.get(role) for role in ("data", "valid")}
    known = {role: file.get("sha256") if isinstance(file, dict) else None for role, file in files.items()}
    if sha256 == known["data"]:
        return "this is the training data: the figures say nothing about new data"
    if sha256 == known["valid"]:
        return "this file chose the model's weights (--valid): the figures are slightly too good"
    return ""


def format_report(metrics: dict[str, Any], width: int) -> str:
    """Format the metrics for people: labels by number of rows, then confusions if a row has one label.

    width: of the terminal.
    """
    parts = [format_summary(metrics, width), format_labels(metrics["labels"], width)]
    if metrics["warning"]:
        parts.insert(1, join_items([f"warning: {metrics['warning']}"], width))
    if metrics.get("confusions"):
        parts.append("most frequent confusions\n" + format_confusions(metrics["confusions"][:MAX_CONFUSIONS], width))
    return "\n\n".join(parts)


def format_summary(metrics: dict[str, Any], width: int) -> str:
    figures = [f"{title} {metrics[name]:.4f}" for name, title in FIGURES if metrics.get(name) is not None]
    unseen = metrics.get("unseen", 0)
    tail = f"({unseen:,} with labels unseen in training: counted as wrong, but not in macro F1 and log loss)"
    lines = [join_items([format_count(metrics["rows"], "row"), *figures, *([tail] if unseen else [])], width)]
    if "threshold" in metrics:
        labels, predicted, least = metrics["labels_a_row"], metrics["predicted_a_row"], metrics["threshold"]
        counts = f"{labels:.2f} labels per row, {predicted:.2f} predicted (probability at least {least})"
        lines.append(join_items([counts], width))
    return "\n".join(lines)


def format_labels(labels: dict[str, dict[str, float]], width: int) -> str:
    ordered = sorted(labels.items(), key=lambda item: (-item[1]["support"], item[0]))
    rows = [
        [name, of["support"], *(f"{of[figure]:.3f}" for figure in ("precision", "recall", "f1"))]
        for name, of in ordered
    ]
    return format_table(["label", "rows", "precision", "recall", "f1"], rows, width=width)


def format_confusions(pairs: list[list[Any]], width: int) -> str:
    return format_table(["label", "predicted", "rows"], pairs, left=2, width=width)
