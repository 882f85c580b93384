"""Find code that switches on the kinds of a room outside of it, so that a new kind is one new file and no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

NOT_KINDS = ("name", "ends_in", "op")  # attributes that hold the same words with another meaning
FROZEN = ("document/upgrade.py",)  # reads formats of the past, which get no new kinds


def find_switches(package: Path, room: str, kinds: set[str]) -> list[str]:
    """List the switches on `kinds` outside their room: file, line and code.

    A switch is a comparison with a kind (`==`, `in`, `match`), or a table with kinds as its keys.
    """
    others = (path for path in sorted(package.rglob("*.py")) if path.relative_to(package).parts[0] != room)
    files = (path for path in others if path.relative_to(package).as_posix() not in FROZEN)
    return [
        f"{path.relative_to(package).as_posix()}:{node.lineno}: {ast.unparse(node)[:80]}"
        for path in files
        for node in list_switches(ast.parse(path.read_text("utf-8")), kinds)
    ]


def list_switches(tree: ast.AST, kinds: set[str]) -> Iterator[ast.expr]:
    """Iterate over the switches in a syntax tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and compares(node, kinds):
            yield node
        elif isinstance(node, ast.MatchValue) and names_kind(node.value, kinds):
            yield node.value
        elif isinstance(node, ast.Dict) and len(node.keys) > 1 and all(names_kind(key, kinds) for key in node.keys):
            yield node


def compares(node: ast.Compare, kinds: set[str]) -> bool:
    sides = [node.left, *node.comparators]
    others = [side for side in sides if not names_kind(side, kinds)]
    return len(others) < len(sides) and not all(means_other(side) for side in others)


def names_kind(node: ast.expr | None, kinds: set[str]) -> bool:
    """Tell whether an expression is a kind, or a tuple, list or set with one."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(names_kind(one, kinds) for one in node.elts)
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in kinds


def means_other(node: ast.expr) -> bool:
    """Tell whether an expression holds a word of another vocabulary, such as an operation of a tape."""
    return isinstance(node, ast.Attribute) and node.attr in NOT_KINDS
