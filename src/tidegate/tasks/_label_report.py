"""Reports about classifiers: what `fit` says of a new one, and what `score` says of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..text_tables import format_count, format_table, join_items, shorten
from ._scope_report import describe_rule, format_doubt

MAX_CONFUSIONS = 10
MAX_VALUE = 40  # characters of a value of --by
SLICE_FIGURES = (("micro_f1", "micro F1"), ("accuracy", "accuracy"))
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
    lines += describe_linear(document) + describe_rule(document)
    return "\n".join([*lines, f"next: tidegate score {path} TEST.csv"])


def describe_linear(document: dict[str, Any]) -> list[str]:
    """Compare a new classifier of texts with a linear model of the same rows, in lines; none if there is none.

    The first figure is compared: accuracy, or micro F1. A difference within one standard error of the held-out rows is
    none.
    """
    provenance = document["provenance"]
    if not (linear := provenance.get("linear_model")):
        return []
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in linear.items())
    calibration = provenance["calibration"]
    used = isinstance(calibration, dict) and "branch" in calibration
    part = "it is a part of the model" if used else "the held-out rows do not need it, so the model is without it"
    lines = [f"a linear model of words and their parts alone: {figures}; {part}"]
    name, best = next(iter(linear.items()))
    own, rows = provenance["metrics"]["held_out"][name], provenance["rows"]["held_out"]
    if best > own + (best * (1 - best) / rows) ** 0.5:
        lines.append(
            f"warning: the linear model alone is better on the held-out rows ({name.replace('_', ' ')} {best:.4f} "
            f"against {own:.4f}), so a network may not be worth its size here"
        )
    return lines


@dataclass(frozen=True)
class LabelScores:
    """The metrics of a classifier on a file, with a warning if it was trained on it."""

    metrics: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return self.metrics

    def report(self, width: int) -> str:
        """Format the figures, their calibration, slices, the most frequent confusions, and labels by number of rows."""
        m = self.metrics
        parts = [format_summary(m, width)]
        if m["warning"]:
            parts.append(join_items([f"warning: {m['warning']}"], width))
        if m["reliability"]:
            parts.append(format_calibration(m, width))
        parts += [format_slices(column, of, width) for column, of in m.get("by", {}).items()]
        if m.get("confusions"):
            parts.append("most frequent confusions\n" + format_confusions(m["confusions"][:MAX_CONFUSIONS], width))
        parts.append(format_doubt(m, width))
        return "\n\n".join([*parts, format_labels(m["labels"], width)])

    def plot(self, path: str, force: bool) -> str:
        """Plot confusions, or with several labels a row each label's figures, and the calibration; return the path."""
        from ..plots import label_scores

        m, intervals = self.metrics, self.metrics["intervals"]
        known = [(name, title) for name, title in FIGURES if m.get(name) is not None][:2]
        figures = [format_figure(title, m[name], intervals.get(name)) for name, title in known]
        title = ", ".join([format_count(m["rows"], "row"), *figures])
        calibration = "" if m["ece"] is None else format_figure("calibration: ECE", m["ece"], intervals.get("ece"))
        if table := m.get("confusion_matrix"):
            truths, predicted = [*table["labels"], *table["more_rows"]], [*table["labels"], *table["more_columns"]]
            matrix = np.array(table["matrix"])
            label_scores.plot_confusions(path, matrix, truths, predicted, m["reliability"], title, calibration, force)
        else:
            precision, recall, support = (
                np.array([one[name] for one in m["labels"].values()]) for name in ("precision", "recall", "support")
            )
            names, table = list(m["labels"]), m["reliability"]
            label_scores.plot_labels(path, names, precision, recall, support, table, title, calibration, force)
        return path


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
    """Format the figures with their intervals, and what they are about."""
    intervals = metrics["intervals"]
    figures = [
        format_figure(title, metrics[name], intervals.get(name))
        for name, title in FIGURES
        if metrics.get(name) is not None
    ]
    unseen = metrics.get("unseen", 0)
    tail = f"({unseen:,} with labels unseen in training: counted as wrong, but not in macro F1 and log loss)"
    lines = [join_items([format_count(metrics["rows"], "row"), *figures, *([tail] if unseen else [])], width)]
    lines.append(join_items([describe_intervals(metrics)], width))
    if empty := metrics["empty"]:
        lines.append(join_items([f"{format_count(empty, 'row')} without an answer, counted as wrong"], width))
    if "threshold" in metrics:
        labels, predicted, least = metrics["labels_a_row"], metrics["predicted_a_row"], metrics["threshold"]
        counts = f"{labels:.2f} labels per row, {predicted:.2f} predicted (probability at least {least})"
        lines.append(join_items([counts], width))
    return "\n".join(lines)


def format_figure(title: str, value: float, interval: list[float] | None) -> str:
    """Format a figure with its interval, if it has one.

    >>> format_figure("accuracy", 0.931, [0.92561, 0.9363])
    'accuracy 0.9310 (0.9256 to 0.9363)'
    """
    return f"{title} {value:.4f}" + format_interval(interval, " ({:.4f} to {:.4f})")


def format_interval(interval: list[float] | None, form: str = "{:.4f} to {:.4f}") -> str:
    return form.format(*interval) if interval else ""


def describe_intervals(metrics: dict[str, Any]) -> str:
    """Say what the intervals are, and what was resampled for them, or why there are none."""
    of = metrics["resampling"]
    units = f"{format_count(of['units'], of['of'])}" + (f" (column {of['column']!r})" if of["column"] else "")
    if not metrics["intervals"]:
        return f"no intervals, because all rows are of {units}" if of["column"] else "no intervals of a single row"
    how = f"in brackets: 95 % intervals from {of['resamples']:,} resamples of {units}"
    if of["column"]:
        how += ", whose rows depend on each other"
    if of["missing_column"]:
        how += (
            f"; without the column {of['missing_column']!r}, by which rows were grouped in training, they are too "
            "narrow if rows depend on each other"
        )
    return how


def format_calibration(metrics: dict[str, Any], width: int) -> str:
    """Format the calibration: what the error means, and the reliability table."""
    ece, bias, table, several = metrics["ece"], metrics["bias"], metrics["reliability"], "threshold" in metrics
    count = sum(one["decisions"] for one in table)
    mean = sum(one["decisions"] * one["probability"] for one in table) / count
    if abs(bias) < ece / 2:
        side = "too high in some bins and too low in others"
    else:
        side = "mostly too high" if bias > 0 else "mostly too low"
    what = f"mean {mean:.4f}, {'share of labels that apply' if several else 'accuracy'} {mean - bias:.4f}"
    lines = [
        format_figure("calibration: ECE", ece, metrics["intervals"].get("ece")),
        f"probabilities are {100 * ece:.1f} points off on average, {side} ({what})",
    ]
    if several:
        lines.append(f"over all {count:,} decisions, one for each row and label")
    rows = [
        [f"{one['low']:.3f} to {one['high']:.3f}", *format_cells(one["decisions"], one["probability"], one["accuracy"])]
        for one in table
    ]
    noun, right = ("decisions", "label applies") if several else ("rows", "accuracy")
    head = ["probability", noun, "mean probability", right]
    return join_items(lines, width) + "\n\n" + format_table(head, rows, width=width)


def format_cells(count: int, *shares: float | None) -> list[str]:
    return [f"{count:,}", *("" if share is None else f"{share:.3f}" for share in shares)]


def format_slices(column: str, slices: dict[str, dict[str, Any]], width: int) -> str:
    """Format the figures of the rows with each value of a column."""
    first = next(iter(slices.values()))
    name, title = next((name, title) for name, title in SLICE_FIGURES if name in first)
    rows = []
    for value, of in slices.items():
        count, *figures = format_cells(of["rows"], of[name], of["macro_f1"], of["log_loss"])
        figures.insert(1, format_interval(of["intervals"].get(name), "{:.3f} to {:.3f}"))
        rows.append([shorten(value, MAX_VALUE) or "(empty)", count, *figures])
    head = [f"by {column}", "rows", title, "95 % interval", "macro F1", "log loss"]
    return format_table(head, rows, width=width)


def format_labels(labels: dict[str, dict[str, float]], width: int) -> str:
    ordered = sorted(labels.items(), key=lambda item: (-item[1]["support"], item[0]))
    rows = [
        [name, of["support"], *(f"{of[figure]:.3f}" for figure in ("precision", "recall", "f1"))]
        for name, of in ordered
    ]
    return format_table(["label", "rows", "precision", "recall", "f1"], rows, width=width)


def format_confusions(pairs: list[list[Any]], width: int) -> str:
    return format_table(["label", "predicted", "rows"], pairs, left=2, width=width)
