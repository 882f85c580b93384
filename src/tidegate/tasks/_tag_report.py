"""What `score` says of the answers of a tagger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..text_tables import format_count, format_table, join_items
from ._spans import follows_scheme, score_spans

FIGURES = {
    "span_f1": "span F1",
    "span_precision": "span precision",
    "span_recall": "span recall",
    "tag_accuracy": "tag accuracy",
    "accuracy": "accuracy",
    "sentence_accuracy": "sentence accuracy",
}


@dataclass(frozen=True)
class TagScores:
    """The metrics of a tagger on a file, with a warning if it was trained on it."""

    metrics: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return self.metrics

    def report(self, width: int) -> str:
        """Format the figures of all rows, then those of the types of spans, most frequent first."""
        m = self.metrics
        figures = [f"{title} {m[name]:.4f}" for name, title in FIGURES.items() if m.get(name) is not None]
        parts = [join_items([format_count(m["rows"], "row"), *figures], width)]
        unseen = [format_count(m[f"unseen_{what}s"], what) for what in ("tag", "label") if m.get(f"unseen_{what}s")]
        if unseen:
            parts.append(join_items([f"{' and '.join(unseen)} unseen in training, counted as wrong"], width))
        if m["warning"]:
            parts.append(join_items([f"warning: {m['warning']}"], width))
        if types := m.get("types"):
            parts.append(format_types(types, width))
        return "\n\n".join(parts)


def score_tags(
    predicted: Sequence[Sequence[str]],
    truth: Sequence[Sequence[str]],
    known: Sequence[str],
    labels: tuple[Sequence[str | None], Sequence[str]] | None = None,
    known_labels: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Compute the metrics of rows of tags: of spans if the model's tags mark some, of single tags, and of whole rows.

    predicted, truth: the tags of each row. known: those of the model. labels: of each row the predicted one and the
    true one. known_labels: those of the model. A row counts as right if all its tags are, and its label.

    >>> figures = score_tags([["B-a", "O"]], [["B-a", "B-a"]], ["B-a", "O"], (["x"], ["x"]))
    >>> figures["span_recall"], figures["tag_accuracy"], figures["accuracy"], figures["sentence_accuracy"]
    (0.5, 0.5, 1.0, 0.0)
    """
    pairs = [(a, b) for row, real in zip(predicted, truth, strict=True) for a, b in zip(row, real, strict=True)]
    right = [list(row) == list(real) for row, real in zip(predicted, truth, strict=True)]
    spans = score_spans(predicted, truth) if follows_scheme(known) else {}
    types = {"types": spans.pop("types")} if spans else {}
    figures: dict[str, Any] = {"rows": len(truth), **spans, "tag_accuracy": sum(a == b for a, b in pairs) / len(pairs)}
    if labels is not None:
        of_label = [a == b for a, b in zip(*labels, strict=True)]
        figures["accuracy"] = sum(of_label) / len(of_label)
        right = [one and other for one, other in zip(right, of_label, strict=True)]
    figures |= {"sentence_accuracy": sum(right) / len(right), "unseen_tags": count_unseen((b for _, b in pairs), known)}
    if labels is not None and known_labels is not None:
        figures["unseen_labels"] = count_unseen(labels[1], known_labels)
    return {**figures, **types}


def count_unseen(names: Iterable[str], known: Sequence[str]) -> int:
    """Count the names that are not known."""
    known_names = set(known)
    return sum(name not in known_names for name in names)


def format_types(types: dict[str, dict[str, Any]], width: int) -> str:
    ordered = sorted(types.items(), key=lambda item: (-item[1]["support"], item[0]))
    rows = [
        [name, of["support"], *(f"{of[figure]:.3f}" for figure in ("precision", "recall", "f1"))]
        for name, of in ordered
    ]
    return format_table(["type", "spans", "precision", "recall", "f1"], rows, width=width)
