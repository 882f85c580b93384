"""Find code that switches on the kinds of a room outside of it, so that a new kind is one new file and no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Switch(NamedTuple):
    """Code that depends on a kind. file: within the package. words: the kinds that it names."""

    file: str
    line: int
    words: tuple[str, ...]
    code: str


# Words of other vocabularies: the file, the words, the beginning of the code, and what the words mean there.
OTHERS = (
    ("document/upgrade.py", (), "", "reads formats of the past, which get no new kinds"),
    ("data/candidates.py", ("text",), "table.kind(name)", "what the cells of a column hold"),
    ("data/table.py", ("text",), "(kind := self.kind(name))", "what the cells of a column hold"),
    ("data/table_cells.py", ("text",), "'text' in kinds", "what the cells of a column hold"),
    ("tasks/_classified_texts.py", ("text",), "kind ==", "what the cells of a column hold"),
    ("data/lookalikes.py", ("series",), "unit !=", "a noun without a plural of its own, in messages"),
    ("tasks/_holdout.py", ("series",), "noun", "a noun without a plural of its own, in messages"),
    ("tasks/_label_predictions.py", ("labels",), "'labels' in one", "a key of an answer's JSON"),
    ("data/", ("tokens", "tags"), "", "columns of a table"),
    ("estimators/tagger.py", ("tokens", "tags"), "", "columns of a table"),
    ("data/frames.py", ("category",), "kind", "a type of pandas"),
    ("tasks/_label_report.py", ("threshold",), "'threshold' in metrics", "a figure of a report"),
    ("layers/program.py", ("vector",), "use", "how a tensor is used"),
    ("layers/embed.py", ("ids",), "", "an option of the layer"),
    ("train/checkpoint.py", ("values",), "set(document)", "a key of a checkpoint"),
    ("formats/c/", ("norm",), "name", "an operation of programs"),
    ("formats/c/", ("bag",), "name", "an operation of programs"),
    ("tape/", ("bag",), "name", "an operation of programs"),
    ("nn/", ("softmax",), "model.layers[-1].ends_in", "a function"),
)


def find_switches(package: Path, room: str, kinds: set[str]) -> list[Switch]:
    """List the switches on `kinds` outside their room.

    A switch is a comparison with a kind (`==`, `in`, `match`), a table with kinds as its keys, or a list of them.
    """
    others = (path for path in sorted(package.rglob("*.py")) if path.relative_to(package).parts[0] != room)
    return [
        Switch(path.relative_to(package).as_posix(), node.lineno, words, ast.unparse(node))
        for path in others
        for node, words in list_switches(ast.parse(path.read_text("utf-8")), kinds)
    ]


def is_other(switch: Switch, other: tuple[str, tuple[str, ...], str, str]) -> bool:
    """Tell whether the words of a switch are of another vocabulary, as an entry of `OTHERS` says."""
    file, words, code, _ = other
    return switch.file.startswith(file) and (not words or {*switch.words} <= {*words}) and switch.code.startswith(code)


def list_switches(tree: ast.AST, kinds: set[str]) -> Iterator[tuple[ast.expr, tuple[str, ...]]]:
    """Iterate over the switches in a syntax tree, each with the kinds that it names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            words = [word for side in (node.left, *node.comparators) for word in names_kinds(side, kinds)]
        elif isinstance(node, ast.Dict) and len(node.keys) > 1 and all(node.keys):
            words = all_kinds([key for key in node.keys if key], kinds)
        elif isinstance(node, ast.Tuple | ast.List | ast.Set) and len(node.elts) > 1:
            words = all_kinds(node.elts, kinds)
        else:
            words = names_kinds(node.value, kinds) if isinstance(node, ast.MatchValue) else []
        if words:
            yield node.value if isinstance(node, ast.MatchValue) else node, tuple(words)  # type: ignore[misc]


def names_kinds(node: ast.expr, kinds: set[str]) -> list[str]:
    """List the kinds that an expression is, or that a tuple, list or set has."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return [word for one in node.elts for word in names_kinds(one, kinds)]
    return [node.value] if isinstance(node, ast.Constant) and node.value in kinds else []  # type: ignore[list-item]


def all_kinds(nodes: list[ast.expr], kinds: set[str]) -> list[str]:
    """List the kinds that expressions are if each is one, and an empty list otherwise."""
    words = [word for node in nodes for word in names_kinds(node, kinds) if isinstance(node, ast.Constant)]
    return words if len(words) == len(nodes) else []
