"""Reports about classifiers: what `fit` says of a new one, and what `score` says of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..text_tables import format_count, format_table, join_items
from ._scope_report import describe_rule, format_doubt

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


def report_fit(document: dict[str, Any], path: str) -> str:
    """Say how good a new classifier is on the held-out rows, and what to run next."""
    provenance, refit = document["provenance"], document["task"]["options"]["refit_epochs"]
    held_out = provenance["metrics"]["held_out"]
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in held_out.items())
    lines = [f"{figures} on {provenance['judged_on']}"]
    if refit:
        last = "epoch" if refit == 1 else f"{refit} epochs"
        lines.append(f"measured before the last {last}, which trained on all rows")
    lines += describe_rule(document)
    return "\n".join([*lines, f"next: tidegate score {path} TEST.csv"])


@dataclass(frozen=True)
class LabelScores:
    """The metrics of a classifier on a file, with a warning if it was trained on it."""

    metrics: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return self.metrics

    def report(self, width: int) -> str:
        """Format labels by number of rows, then confusions if a row has one label."""
        m = self.metrics
        parts = [format_summary(m, width), format_labels(m["labels"], width)]
        if m["warning"]:
            parts.insert(1, join_items([f"warning: {m['warning']}"], width))
        if m.get("confusions"):
            parts.append("most frequent confusions\n" + format_confusions(m["confusions"][:MAX_CONFUSIONS], width))
        return "\n\n".join([*parts, format_doubt(m, width)])


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


def format_summary(metrics: dict[str, Any], width: int) -> str:
    figures = [f"{title} {metrics[name]:.4f}" for name, title in FIGURES if metrics.get(name) is not None]
    unseen = metrics.get("unseen", 0)
    tail = f"({unseen:,} with labels unseen in training: counted as wrong, but not in macro F1 and log loss)"
    lines = [join_items([format_count(metrics["rows"], "row"), *figures, *([tail] if unseen else [])], width)]
    if empty := metrics["empty"]:
        lines.append(join_items([f"{format_count(empty, 'row')} without an answer, counted as wrong"], width))
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
