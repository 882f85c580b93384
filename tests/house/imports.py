"""The rules of imports, as functions of a tree of source files, so that the tests can be tested."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

ROW = re.compile(r"^\| (\d+) \| ([^|]+) \|", re.MULTILINE)
NAME = re.compile(r"`(\w+)(?:\.py|/)`")
FOR_ALL = "errors"


class Import(NamedTuple):
    """One import. inside: the names of the functions around it, outermost first."""

    module: str
    line: int
    inside: tuple[str, ...]


def read_ranks(architecture: str) -> dict[str, int]:
    """Read the rank of each room from the table in ARCHITECTURE.md."""
    return {name: int(rank) for rank, rooms in ROW.findall(architecture) for name in NAME.findall(rooms)}


def list_imports(path: Path, package: Path, type_checking: bool = False) -> Iterator[Import]:
    """List every import of a file, relative ones made absolute. type_checking: include those under TYPE_CHECKING."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    yield from walk_imports(ast.parse(path.read_text("utf-8")), parts[:-1], (), type_checking)


def walk_imports(
    node: ast.AST, package: tuple[str, ...], inside: tuple[str, ...], type_checking: bool
) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test) and not type_checking:
            continue
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, inside) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(name, child.lineno, inside) for name in imported_names(child, package))
        name = getattr(child, "name", None)
        deeper = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from walk_imports(child, package, (*inside, str(name)) if deeper else inside, type_checking)


def imported_names(node: ast.ImportFrom, package: tuple[str, ...]) -> list[str]:
    """List what a statement imports: `from ..tape import x` in tidegate/cells/gru.py gives tidegate.tape.x."""
    base = package[: len(package) - node.level + 1] if node.level else ()
    start = ".".join((*base, *((node.module,) if node.module else ())))
    return [f"{start}.{alias.name}" for alias in node.names]


def room_of_module(module: str, known: set[str]) -> str | None:
    """Return the room of a module `tidegate.room.more`; None for other packages and for `tidegate` itself."""
    parts = module.split(".")
    if parts[0] != "tidegate" or len(parts) == 1:
        return None
    return parts[1] if parts[1] in known else None


def room_of_file(path: Path, package: Path) -> str:
    """Return the room that a file lies in."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def find_upward(package: Path, rank: dict[str, int]) -> list[str]:
    """List the imports that go up, or sideways into another room."""
    return [
        f"{path.relative_to(package)}:{one.line}: {mine} imports {other}"
        for path in sorted(package.rglob("*.py"))
        if (mine := room_of_file(path, package)) in rank
        for one in list_imports(path, package)
        if (other := room_of_module(one.module, set(rank))) and other not in (mine, FOR_ALL)
        if rank[other] >= rank[mine]
    ]


def find_stray_torch(package: Path) -> list[str]:
    """List the imports of torch outside of nn/, train/ and a task's `loss`."""
    return [
        f"{path.relative_to(package)}:{one.line}: imports torch"
        for path in sorted(package.rglob("*.py"))
        for one in list_imports(path, package)
        if one.module.split(".")[0] == "torch"
        and room_of_file(path, package) not in ("nn", "train")
        and not (room_of_file(path, package) == "tasks" and "loss" in one.inside)
    ]


def find_unranked(package: Path, rank: dict[str, int]) -> list[str]:
    """List the rooms and modules on disk that the table does not name."""
    on_disk = {room_of_file(p, package) for p in package.rglob("*.py")} - {"__init__", "__main__"}
    return sorted(on_disk - set(rank))


def find_cycles(package: Path) -> list[str]:
    """List the import cycles between modules of one room; imports in functions and for types count too."""
    return [
        " -> ".join(cycle)
        for name in sorted({room_of_file(path, package) for path in package.rglob("*.py")})
        for cycle in graph_cycles(build_graph(package / name, package))
    ]


def build_graph(folder: Path, package: Path) -> dict[str, list[str]]:
    """Return the modules that each module of a room imports from the same room, by dotted names."""
    files = {module_name(path, package): path for path in sorted(folder.rglob("*.py"))}
    return {
        name: sorted(
            {module for one in list_imports(path, package, True) if (module := find_module(one.module, files))} - {name}
        )
        for name, path in files.items()
    }


def module_name(path: Path, package: Path) -> str:
    """Return a file's dotted name: tidegate/cells/gru.py is tidegate.cells.gru, cells/__init__.py is tidegate.cells."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_module(name: str, modules: Container[str]) -> str:
    """Return the module that an import of a dotted name reads: its longest start that is one of these, or ""."""
    parts = name.split(".")
    starts = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((start for start in starts if start in modules), "")


def graph_cycles(graph: dict[str, list[str]]) -> Iterator[list[str]]:
    """Find cycles, taking the last import of each out of the graph, until none is left."""
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1][:0:-1]
            first = cycle.index(min(cycle))
            yield (cycle := [*cycle[first:], *cycle[: first + 1]])
            graph[cycle[-2]].remove(cycle[-1])
        else:
            return
