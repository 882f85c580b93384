"""Finding and loading cells: those of this folder by name, a user's own by path."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from types import ModuleType
from typing import Any

from .. import files
from ..errors import CellError, error_context
from ..tape import Names, Shape, Tape, order, trace
from . import _norm

__all__ = ["Cell", "Names", "dialects_of", "load", "names", "spoken"]

FOLDER = os.path.dirname(__file__)


COMMON: dict[str, tuple[str, ...]] = {"norm": ("none", "layer"), "bias": ("yes", "no")}  # dialects of every cell


@dataclass(frozen=True)
class Cell:
    """One recurrence in one dialect: its declarations and its step; `tape` is the step recorded.

    dialects: key -> choices, the first of which is the default. dialect: key -> the choice of this cell.
    """

    name: str
    gates: tuple[str, ...]
    recurrent: tuple[str, ...]
    state: dict[str, Shape]
    params: dict[str, Shape]
    dialect: dict[str, str]
    dialects: dict[str, tuple[str, ...]]
    init: dict[str, float]
    linear: bool
    step: Callable[..., Any]

    @cached_property
    def tape(self) -> Tape:
        with error_context(f"cell {self.name}"):
            return trace(self.step, self.gates, self.recurrent, self.state, self.params)


def names() -> list[str]:
    """The cells that come with tidegate.

    >>> "gru" in names()
    True
    """
    return sorted(f[:-3] for f in os.listdir(FOLDER) if f.endswith(".py") and not f.startswith("_"))


def load(name: str, dialect: Mapping[str, str] | None = None) -> Cell:
    """The cell of a name, or of a path to a Python file of the user's, in a dialect.

    dialect: some keys of the cell's dialects; the others take their defaults. `norm` (none or layer) and `bias` (yes or
    no; without, zeros are stored) are keys of every cell.

    Raises CellError: unknown name, file that cannot be read or run, declaration missing or wrong, unknown dialect.

    >>> load("gru", {"reset": "before"}).dialect
    {'reset': 'before', 'update': 'keep', 'norm': 'none', 'bias': 'yes'}
    """
    if name.endswith(".py") or os.sep in name:
        return from_file(name, dialect or {})
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise CellError(
            f"unknown cell {name!r}; {hint}choose one of {', '.join(names())}, or give a path to a .py file"
        )
    return from_file(os.path.join(FOLDER, name + ".py"), dialect or {})


def spoken(text: str) -> dict[str, str]:
    """A dialect from its text. Raises CellError.

    >>> spoken("reset=before, norm=layer")
    {'reset': 'before', 'norm': 'layer'}
    """
    pairs = [part.strip() for part in text.split(",")] if text.strip() else []
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or not value or key in found:
            raise CellError(f"dialect {pair!r} is no key=value that stands once; write such as reset=before,norm=layer")
        found[key] = value
    return found


def dialects_of(name: str) -> list[dict[str, str]]:
    """Every dialect of a cell that has a tape of its own, in full (all but those without bias).

    >>> len(dialects_of("gru"))
    8
    """
    choices = {**load(name).dialects, "bias": ("yes",)}
    return [dict(zip(choices, chosen, strict=True)) for chosen in product(*choices.values())]


def from_file(path: str, dialect: Mapping[str, str]) -> Cell:
    name = os.path.basename(path).removesuffix(".py")
    source = files.read(path, CellError)
    with error_context(path if not path.startswith(FOLDER) else f"cell {name}"):
        cell = declared(name, execute(name, path, source), dialect)
        check_linear(cell)
        return cell


def check_linear(cell: Cell) -> None:
    """Raises CellError for a tape that cannot be, and for a cell that declares LINEAR and is not."""
    unsolved = [state for state in cell.state if state not in order(cell.tape)]
    if cell.linear and unsolved:
        state = unsolved[0]
        raise CellError(
            f"it says LINEAR but is not: state {state!r} does not become a * {state} + b, with a and b free of the "
            "states that are still unsolved, by add, sub, neg, mul and div alone; correct the step or remove LINEAR"
        )


def execute(name: str, path: str, source: bytes) -> ModuleType:
    module = ModuleType(f"tidegate_cell_{name}")
    module.__file__ = path
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except Exception as error:
        raise CellError(f"the file does not run: {type(error).__name__}: {error}") from error
    return module


def declared(name: str, module: ModuleType, asked: Mapping[str, str]) -> Cell:
    for needed in ("GATES", "RECURRENT", "STATE", "step"):
        if not hasattr(module, needed):
            raise CellError(f"{needed} is missing; a cell declares GATES, RECURRENT, STATE and step")
    own = own_dialects(getattr(module, "DIALECTS", {}))
    dialects = {**own, **COMMON}
    dialect = chosen(dialects, asked)
    values = {key: dialect[key] for key in own}
    gates, recurrent = names_in("GATES", module.GATES), names_in("RECURRENT", module.RECURRENT)
    params = shapes("PARAMS", getattr(module, "PARAMS", {}), values)
    init = first_values(getattr(module, "INIT", {}))
    if unknown := set(init) - set(params):
        raise CellError(f"INIT names {', '.join(sorted(unknown))}, which PARAMS does not declare")
    step: Callable[..., Any] = module.step
    if dialect["norm"] == "layer":
        gains = _norm.params(gates, recurrent)
        step, params = _norm.normed(step), {**params, **gains}
        init |= {gain: 1.0 for gain in gains if gain.startswith("gain_")}
    return Cell(
        name,
        gates,
        recurrent,
        shapes("STATE", module.STATE, values),
        params,
        dialect,
        dialects,
        init,
        bool(getattr(module, "LINEAR", False)),
        partial(step, **values),
    )


def names_in(what: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, tuple | list) or not all(isinstance(name, str) for name in value):
        raise CellError(f"{what} is {value!r}; expected a tuple of names, such as ('z', 'n') or ('n',)")
    return tuple(value)


def own_dialects(value: Any) -> dict[str, tuple[str, ...]]:
    """A cell's own DIALECTS. Raises CellError unless each key has choices, and none is a key of every cell."""
    if not isinstance(value, dict) or not all(value.values()):
        raise CellError(f"DIALECTS is {value!r}; expected key -> choices, such as {{'leak': ('no', 'yes')}}")
    if taken := [key for key in value if key in COMMON]:
        raise CellError(f"DIALECTS has the key {taken[0]!r}, which every cell has already; choose another")
    return {key: names_in(f"DIALECTS[{key!r}]", choices) for key, choices in value.items()}


def first_values(value: Any) -> dict[str, float]:
    """A cell's INIT. Raises CellError unless it is param -> finite number."""
    if not isinstance(value, dict) or not all(type(v) in (int, float) and math.isfinite(v) for v in value.values()):
        raise CellError(f"INIT is {value!r}; expected param -> finite number, such as {{'decay': 0.9}}")
    return {name: float(v) for name, v in value.items()}


def chosen(dialects: dict[str, tuple[str, ...]], asked: Mapping[str, str]) -> dict[str, str]:
    """The dialect in full. Raises CellError for a key or a choice that there is not."""
    for key, value in asked.items():
        if key not in dialects:
            raise CellError(f"unknown dialect {key!r}; choose from {', '.join(dialects)}")
        if value not in dialects[key]:
            raise CellError(f"{key} is {value!r}; choose one of {', '.join(dialects[key])}")
    return {key: asked.get(key, choices[0]) for key, choices in dialects.items()}


def shapes(what: str, value: Any, dialect: dict[str, str]) -> dict[str, Shape]:
    """Declared shapes; a declaration may be a function of the dialect."""
    if callable(value):
        try:
            value = value(**dialect)
        except Exception as error:
            raise CellError(f"{what} does not run: {type(error).__name__}: {error}") from error
    if not isinstance(value, dict) or not all(isinstance(v, tuple | list) for v in value.values()):
        raise CellError(f"{what} is {value!r}; expected name -> shape, such as {{'h': ('H',)}}")
    return {k: tuple(v) for k, v in value.items()}
