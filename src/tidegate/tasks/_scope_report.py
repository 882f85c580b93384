"""What `fit` and `score` say of answers without a label, and of how doubt tells right from wrong."""

from __future__ import annotations

from typing import Any, Final

from ..outputs import Reject
from ..outputs._reject import MEASURES
from ..text_tables import format_count, format_number, format_table, join_items
from ._out_of_scope import JOINT

JOINT_WORDS: Final = "the product of the probabilities of its labels"


def describe_rule(document: dict[str, Any]) -> list[str]:
    """Say in a line what the rule of a new model does to held-out rows; an empty list without a rule."""
    output, found = document["outputs"].get("label", {}), document["provenance"]["calibration"]
    if "reject" not in output:
        return []
    line = f"no label where {Reject(**output['reject']).describe()}: {format_share(found['lost'])} of the held-out rows"
    return [line + (f" in scope, {format_share(found['found'])} of those out of scope" if "found" in found else "")]


def format_doubt(metrics: dict[str, Any], width: int) -> str:
    """Format the figures of `_out_of_scope.score_answers`."""
    words = JOINT_WORDS if metrics["doubt"] == JOINT else MEASURES[metrics["doubt"]].words
    curve, lines = metrics["risk_coverage"], list[str]()
    if rule := metrics.get("reject"):
        lines.append(join_items(describe_answered(rule), width))
    if outside := metrics.get("out_of_scope"):
        figures = [
            f"{format_count(outside['rows'], 'row')} out of scope",
            f"AUROC {outside['auroc']:.4f}",
            f"average precision {outside['average_precision']:.4f}",
            f"recall {outside['recall']:.4f} where {format_share(outside['lost'])} of the rows in scope are lost",
        ]
        lines.append(join_items(figures, width))
    rows = [[format_share(coverage), f"{error:.4f}"] for coverage, error in curve["errors"]]
    scope = " in scope" if rule or outside else ""
    title = [f"if only the surest rows{scope} are answered, by {words}", f"AURC {curve['aurc']:.4f}"]
    return "\n".join([*lines, join_items(title, width), format_table(["answered", "error"], rows, width=width)])


def describe_answered(rule: dict[str, Any]) -> list[str]:
    """Describe what a rule does to the rows of a file, in items."""
    accuracy = [] if rule["accuracy"] is None else [f"accuracy of these {rule['accuracy']:.4f}"]
    recall = [] if rule["recall"] is None else [f"out of scope and found {format_share(rule['recall'])}"]
    return [
        f"{rule['answered']:,} of {format_count(rule['rows'], 'row')} get a label (threshold "
        f"{format_number(rule['threshold'])})",
        *accuracy,
        f"in scope and lost {format_share(rule['lost'])}",
        *recall,
    ]


def format_share(share: float) -> str:
    """Format a share in percent.

    >>> format_share(0.0512), format_share(0.95), format_share(1.0)
    ('5.1 %', '95 %', '100 %')
    """
    return f"{round(100 * share, 1):g} %"
