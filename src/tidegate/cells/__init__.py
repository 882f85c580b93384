"""Finding and loading cells: those of this folder by name, a user's own by path."""

from __future__ import annotations

import difflib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

from ..errors import CellError, located
from ..tape import Names, Shape, Tape, trace

__all__ = ["Cell", "Names", "load", "names"]

FOLDER = os.path.dirname(__file__)


@dataclass(frozen=True)
class Cell:
    """One recurrence: its declarations and its step; `tape` is the step recorded."""

    name: str
    gates: tuple[str, ...]
    recurrent: tuple[str, ...]
    state: dict[str, Shape]
    params: dict[str, Shape]
    dialect: dict[str, str]
    init: dict[str, float]
    linear: bool
    step: Callable[..., Any]

    @cached_property
    def tape(self) -> Tape:
        with located(f"cell {self.name}"):
            return trace(self.step, self.gates, self.recurrent, self.state, self.params)


def names() -> list[str]:
    """The cells that come with tidegate.

    >>> "gru" in names()
    True
    """
    return sorted(f[:-3] for f in os.listdir(FOLDER) if f.endswith(".py") and not f.startswith("_"))


def load(name: str) -> Cell:
    """The cell of a name, or of a path to a Python file of the user's.

    Raises CellError: unknown name, file that cannot be read or run, declaration missing or wrong.

    >>> load("gru").gates
    ('r', 'z', 'n')
    """
    if name.endswith(".py") or os.sep in name:
        return from_file(name)
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise CellError(
            f"unknown cell {name!r}; {hint}choose one of {', '.join(names())}, or give a path to a .py file"
        )
    return from_file(os.path.join(FOLDER, name + ".py"))


def from_file(path: str) -> Cell:
    name = os.path.basename(path).removesuffix(".py")
    with located(path if not path.startswith(FOLDER) else f"cell {name}"):
        cell = declared(name, execute(name, path))
        _ = cell.tape
        return cell


def execute(name: str, path: str) -> ModuleType:
    if not os.path.isfile(path):
        raise CellError("no such file; a cell is a Python file with GATES, RECURRENT, STATE and step")
    spec = importlib.util.spec_from_file_location(f"tidegate_cell_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise CellError(f"the file does not run: {type(error).__name__}: {error}") from error
    return module


def declared(name: str, module: ModuleType) -> Cell:
    for needed in ("GATES", "RECURRENT", "STATE", "step"):
        if not hasattr(module, needed):
            raise CellError(f"{needed} is missing; a cell declares GATES, RECURRENT, STATE and step")
    init = {k: float(v) for k, v in getattr(module, "INIT", {}).items()}
    params = shapes("PARAMS", getattr(module, "PARAMS", {}))
    if unknown := set(init) - set(params):
        raise CellError(f"INIT names {', '.join(sorted(unknown))}, which PARAMS does not declare")
    return Cell(
        name, tuple(module.GATES), tuple(module.RECURRENT), shapes("STATE", module.STATE), params,
        dict(getattr(module, "DIALECT", {})), init, bool(getattr(module, "LINEAR", False)), module.step,
    )  # fmt: skip


def shapes(what: str, value: Any) -> dict[str, Shape]:
    if not isinstance(value, dict) or not all(isinstance(v, tuple | list) for v in value.values()):
        raise CellError(f"{what} is {value!r}; expected name -> shape, such as {{'h': ('H',)}}")
    return {k: tuple(v) for k, v in value.items()}
