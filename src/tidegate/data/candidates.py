"""Find the columns that look like text and like labels, to suggest them when the requested ones are missing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tidegate.data.delimited import NUMBER
from tidegate.data.table import Table, read_table
from tidegate.errors import TidegateError

LONGEST_LABEL = 60
IDEOGRAPHS = "\u2e80"  # from this character on, a few of them without spaces can be a sentence


def suggest_columns(source: Any, names: Sequence[str], text: str, label: str | None) -> str:
    """Suggest the only column that looks like text and the only one that looks like a label; "" if it is not one each.

    Args:
        source: as in `table.read_table`.
        names: its columns; those that cannot be read are skipped.
        text, label: the requested columns; one that exists keeps its role. None: no labels are wanted.
    """
    return describe_candidates(read_columns(source, names), text, label)


def suggest_series(source: Any, names: Sequence[str], label: str | None) -> str:
    """Suggest to read series if a table holds mostly numbers and no text; "" otherwise."""
    columns = {name: table for table in read_columns(source, names) for name in table.columns if name != label}
    numeric = [name for name, table in columns.items() if looks_like_numbers(table, name)]
    if 2 * len(numeric) <= len(columns) or any(looks_like_text(table, name) for name, table in columns.items()):
        return ""
    shown = ", ".join(map(repr, numeric[:3])) + (", ..." if len(numeric) > 3 else "")
    if label is None:  # the rows of a table without labels are steps, unless the user says otherwise
        return (
            f"{shown} hold numbers: if each row is one step, add --input series, and --id with the column that "
            "identifies the series if there are several; if each row is a series, add --layout rows"
        )
    return (
        f"{shown} hold numbers: if each row is a series, add --input series; if each row is one step, add --id with "
        "the column that identifies the series"
    )


def looks_like_numbers(table: Table, name: str) -> bool:
    """Return whether all cells of a column are numbers or missing."""
    cells = [cell for cell in table.columns[name] if cell not in (None, "")]
    return all(NUMBER.fullmatch(c.strip()) if isinstance(c, str) else type(c) in (int, float) for c in cells)


def read_columns(source: Any, names: Sequence[str]) -> list[Table]:
    """Return the columns of a source that can be read, in one table or in a table each."""
    try:
        return [read_table(source)]
    except TidegateError:
        tables = []
        for name in names:
            with suppress(TidegateError):  # the message is about another column
                tables.append(read_table(source, [name]))
        return tables


def describe_candidates(tables: list[Table], text: str, label: str | None) -> str:
    """Suggest columns as `suggest_columns` does, from tables that have been read.

    >>> rows = {"utterance": ["hi there", "good bye", "see you", "hello you"], "category": ["a", "b", "b", "a"]}
    >>> describe_candidates([Table("t.csv", rows, [2, 3, 4, 5], "")], "text", "label")
    "'utterance' looks like text, 'category' has 2 distinct values: use --text utterance --label category"
    """
    columns = {name: table for table in tables for name in table.columns}
    texts = [name for name in columns if name != label and looks_like_text(columns[name], name)]
    texts = [text] if text in columns else texts
    if label is None:
        return f"{texts[0]!r} looks like text: use --text {quote_name(texts[0])}" if len(texts) == 1 else ""
    labels = [name for name in columns if name not in texts and looks_like_labels(columns[name], name)]
    labels = [label] if label in columns else labels
    if len(texts) != 1 or len(labels) != 1:
        return ""
    (text,), (label,) = texts, labels
    looks = f"{text!r} looks like text, {label!r} has {len(set(columns[label].columns[label]))} distinct values"
    return f"{looks}: use --text {quote_name(text)} --label {quote_name(label)}"


def looks_like_text(table: Table, name: str) -> bool:
    """Return whether most cells of a column are different, and most are sentences."""
    cells = table.columns[name]
    if table.kind(name) != "text" or 2 * len(set(cells)) <= len(cells):
        return False
    return 2 * sum(map(is_sentence, cells)) > len(cells)


def looks_like_labels(table: Table, name: str) -> bool:
    """Return whether a column has two or more values, each twice on average, and all of them short."""
    if table.kind(name) == "numbers":
        return False
    values = set(table.columns[name])
    return 2 <= len(values) <= len(table) / 2 and all(len(str(value)) <= LONGEST_LABEL for value in values)


def is_sentence(cell: str) -> bool:
    """Return whether a cell has two or more words, with letters in one of them, or two or more ideographs.

    >>> is_sentence("good bye"), is_sentence("2024-01-01 10:00"), is_sentence("\u4f60\u597d")
    (True, False, True)
    """
    if sum(character >= IDEOGRAPHS for character in cell) >= 2:
        return True
    return len(cell.split()) >= 2 and any(map(str.isalpha, cell))


def quote_name(name: str) -> str:
    """Return a name as it is typed after a flag.

    >>> quote_name("intent"), quote_name("my label")
    ('intent', '"my label"')
    """
    return name if name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'
