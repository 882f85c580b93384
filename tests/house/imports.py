"""The rules of imports, as functions of a tree of source files, so that the tests can be tested."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROW = re.compile(r"^\| (\d+) \| ([^|]+) \|", re.MULTILINE)
NAME = re.compile(r"`(\w+)(?:\.py|/)`")
FOR_ALL = "errors"


class Import(NamedTuple):
    """One import: `inside` holds the names of the functions around it, outermost first."""

    module: str
    line: int
    inside: tuple[str, ...]


def ranks(architecture: str) -> dict[str, int]:
    """Room -> rank, from the table in ARCHITECTURE.md."""
    return {name: int(rank) for rank, rooms in ROW.findall(architecture) for name in NAME.findall(rooms)}


def imports(path: Path, package: Path) -> Iterator[Import]:
    """Every import of a file, relative ones made absolute; those under TYPE_CHECKING are left out."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    yield from walk(ast.parse(path.read_text("utf-8")), parts[:-1], ())


def walk(node: ast.AST, package: tuple[str, ...], inside: tuple[str, ...]) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, inside) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(name, child.lineno, inside) for name in targets(child, package))
        name = getattr(child, "name", None)
        deeper = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from walk(child, package, (*inside, str(name)) if deeper else inside)


def targets(node: ast.ImportFrom, package: tuple[str, ...]) -> list[str]:
    """`from ..tape import x` in tidegate/cells/gru.py -> tidegate.tape.x"""
    base = package[: len(package) - node.level + 1] if node.level else ()
    start = ".".join((*base, *((node.module,) if node.module else ())))
    return [f"{start}.{alias.name}" for alias in node.names]


def room(module: str, known: set[str]) -> str | None:
    """The room that `tidegate.room.more` lies in; None for what is not ours or is the package's own front."""
    parts = module.split(".")
    if parts[0] != "tidegate" or len(parts) == 1:
        return None
    return parts[1] if parts[1] in known else None


def home(path: Path, package: Path) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def upward(package: Path, rank: dict[str, int]) -> list[str]:
    """Each import that goes up, or sideways into another room."""
    return [
        f"{path.relative_to(package)}:{found.line}: {mine} imports {other}"
        for path in sorted(package.rglob("*.py"))
        if (mine := home(path, package)) in rank
        for found in imports(path, package)
        if (other := room(found.module, set(rank))) and other not in (mine, FOR_ALL)
        if rank[other] >= rank[mine]
    ]


def torch_outside(package: Path) -> list[str]:
    """Each import of torch that is not in nn/, in train/ or inside a task's `loss`."""
    return [
        f"{path.relative_to(package)}:{found.line}: imports torch"
        for path in sorted(package.rglob("*.py"))
        for found in imports(path, package)
        if found.module.split(".")[0] == "torch"
        and home(path, package) not in ("nn", "train")
        and not (home(path, package) == "tasks" and "loss" in found.inside)
    ]


def homeless(package: Path, rank: dict[str, int]) -> list[str]:
    """Rooms and modules on disk that the table does not name."""
    on_disk = {home(p, package) for p in package.rglob("*.py")} - {"__init__", "__main__"}
    return sorted(on_disk - set(rank))
