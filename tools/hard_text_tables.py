"""The tables of docs/hard-text.md, one for each part of bench/hard_text.py; `tables.py` says what a column is."""

from __future__ import annotations

from table_formats import FORMATS
from tables import Table

COSTS = (
    "a word in a stream = us_a_word time min | bytes of state = state_bytes ,.0f mean | model file = bytes MB mean | "
    "CPU seconds a fit = cpu_seconds .0f mean"
)


def between(edges: list[float]) -> str:
    """Format the edges of an interval, in points.

    >>> between([-0.512, 1.25])
    '-0.51 to 1.25'
    """
    return f"{edges[0]:.2f} to {edges[1]:.2f}"


def of_part(part: str, columns: str, by: str = "") -> Table:
    """Return the table of a part, with a line for each set and model."""
    return Table(
        "hard_text",
        "runs",
        f"data = set | model = model{by}",
        f"{columns} | {COSTS}",
        where=lambda row: row["part"] == part,
        source="" if part != "scope" else "command",
    )


FORMATS["between"] = between
TABLES = {
    "hard-text-prefix": of_part(
        "prefix", "after half the words = half percent mean | after all = accuracy percent mean"
    ),
    "hard-text-typos": of_part(
        "typos",
        "without typos = accuracy percent mean | with one in each text = with_typos percent mean | "
        "points lost = lost .2f mean | 95 % of draws = interval between | "
        "more than the SVM = over_svm/lost +.2f mean | 95 % of these = over_svm/interval between",
    ),
    "hard-text-few": of_part(
        "few",
        "accuracy = accuracy percent mean | each draw = accuracy list hundredths | texts = learnt ,.0f mean | "
        "CPU seconds of the encoder = encoder_cpu_seconds .0f",
    ),
    "hard-text-scope": of_part(
        "scope",
        "found = found percent mean | lost = lost percent mean | AUROC = auroc .3f mean | "
        "in scope, if all are answered = accuracy percent mean",
        by=" | examples = learnt from texts in scope",
    ),
}
