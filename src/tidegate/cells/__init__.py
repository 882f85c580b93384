"""Find and load cells: those of this folder by name, a user's own by path."""

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
from ..tape import Namespace, Shape, Tape, solvable_states, trace
from . import _norm

__all__ = ["Cell", "Namespace", "list_dialects", "load", "names", "parse_dialect"]

FOLDER = os.path.dirname(__file__)


COMMON: dict[str, tuple[str, ...]] = {"norm": ("none", "layer"), "bias": ("yes", "no")}  # dialects of every cell


@dataclass(frozen=True)
class Cell:
    """One recurrence in one dialect: its declarations and its step.

    dialects: key -> choices, of which the first is the default. dialect: key -> the choice of this cell.
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
        """Record the step as a tape. Raises CellError if the step cannot be recorded."""
        with error_context(f"cell {self.name}"):
            return trace(self.step, self.gates, self.recurrent, self.state, self.params)


def names() -> list[str]:
    """List the names of the cells that come with tidegate, sorted.

    >>> "gru" in names()
    True
    """
    return sorted(f[:-3] for f in os.listdir(FOLDER) if f.endswith(".py") and not f.startswith("_"))


def load(name: str, dialect: Mapping[str, str] | None = None) -> Cell:
    """Load a cell in a dialect, by its name or by the path of a user's own Python file.

    dialect: choices for some keys of the cell's dialects; the other keys take their defaults. Every cell has the keys
    `norm` (none or layer) and `bias` (yes or no; without biases, zeros are stored).

    Raises CellError for an unknown name or dialect, a file that cannot be read or run, and a declaration that is
    missing or wrong.

    >>> load("gru", {"reset": "before"}).dialect
    {'reset': 'before', 'update': 'keep', 'norm': 'none', 'bias': 'yes'}
    """
    if name.endswith(".py") or os.sep in name:
        return load_file(name, dialect or {})
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise CellError(
            f"unknown cell {name!r}; {hint}choose one of {', '.join(names())}, or give a path to a .py file"
        )
    return load_file(os.path.join(FOLDER, name + ".py"), dialect or {})


def parse_dialect(text: str) -> dict[str, str]:
    """Parse the text of a dialect. Raises CellError unless it is key=value pairs, separated by commas.

    >>> parse_dialect("reset=before, norm=layer")
    {'reset': 'before', 'norm': 'layer'}
    """
    pairs = [part.strip() for part in text.split(",")] if text.strip() else []
    dialect: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or not value:
            raise CellError(
                f"dialect {pair!r} is not of the form key=value; write, for example, reset=before,norm=layer"
            )
        if key in dialect:
            raise CellError(f"dialect {pair!r} sets {key} a second time; set each key once")
        dialect[key] = value
    return dialect


def list_dialects(name: str) -> list[dict[str, str]]:
    """List every dialect of a cell that has its own tape, with all keys (dialects without bias share their tapes).

    >>> len(list_dialects("gru"))
    8
    """
    choices = {**load(name).dialects, "bias": ("yes",)}
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def load_file(path: str, dialect: Mapping[str, str]) -> Cell:
    """Load the cell of a Python file."""
    name = os.path.basename(path).removesuffix(".py")
    module = files.run(path, CellError)
    with error_context(path if not path.startswith(FOLDER) else f"cell {name}"):
        cell = build_cell(name, module, dialect)
        check_linear(cell)
        return cell


def check_linear(cell: Cell) -> None:
    """Raise CellError for a step that cannot be recorded, and for a cell that declares LINEAR and is not linear."""
    unsolved = [state for state in cell.state if state not in solvable_states(cell.tape)]
    if cell.linear and unsolved:
        state = unsolved[0]
        raise CellError(
            f"it declares LINEAR but is not linear: state {state!r} must become a * {state} + b by add, sub, neg, mul "
            "and div alone, where a and b depend on no state that is still unsolved; correct the step or remove LINEAR"
        )


def build_cell(name: str, module: ModuleType, dialect: Mapping[str, str]) -> Cell:
    """Build a cell from the declarations in its module. Raises CellError if one is missing or wrong."""
    for needed in ("GATES", "RECURRENT", "STATE", "step"):
        if not hasattr(module, needed):
            raise CellError(f"{needed} is missing; a cell declares GATES, RECURRENT, STATE and step")
    own = parse_dialects(getattr(module, "DIALECTS", {}))
    dialects = {**own, **COMMON}
    dialect = complete_dialect(dialects, dialect)
    values = {key: dialect[key] for key in own}
    gates, recurrent = parse_names("GATES", module.GATES), parse_names("RECURRENT", module.RECURRENT)
    params = parse_shapes("PARAMS", getattr(module, "PARAMS", {}), values)
    init = parse_init(getattr(module, "INIT", {}))
    if unknown := set(init) - set(params):
        raise CellError(f"INIT names {', '.join(sorted(unknown))}, which PARAMS does not declare")
    step: Callable[..., Any] = module.step
    if dialect["norm"] == "layer":
        gains = _norm.norm_params(gates, recurrent)
        step, params = _norm.add_layer_norm(step), {**params, **gains}
        init |= {gain: 1.0 for gain in gains if gain.startswith("gain_")}
    return Cell(
        name,
        gates,
        recurrent,
        parse_shapes("STATE", module.STATE, values),
        params,
        dialect,
        dialects,
        init,
        bool(getattr(module, "LINEAR", False)),
        partial(step, **values),
    )


def parse_names(what: str, value: Any) -> tuple[str, ...]:
    """Return declared names as a tuple. Raises CellError unless they are a tuple or list of strings."""
    if not isinstance(value, tuple | list) or not all(isinstance(name, str) for name in value):
        raise CellError(f"{what} is {value!r}; expected a tuple of names, such as ('z', 'n') or ('n',)")
    return tuple(value)


def parse_dialects(value: Any) -> dict[str, tuple[str, ...]]:
    """Parse a cell's own DIALECTS. Raises CellError unless every key has choices and is not a key of every cell."""
    if not isinstance(value, dict) or not all(value.values()):
        raise CellError(f"DIALECTS is {value!r}; expected key -> choices, such as {{'leak': ('no', 'yes')}}")
    if reserved := [key for key in value if key in COMMON]:
        raise CellError(f"DIALECTS has the key {reserved[0]!r}, which every cell already has; choose another")
    return {key: parse_names(f"DIALECTS[{key!r}]", choices) for key, choices in value.items()}


def parse_init(value: Any) -> dict[str, float]:
    """Parse a cell's INIT. Raises CellError unless it maps parameters to finite numbers."""
    if not isinstance(value, dict) or not all(type(v) in (int, float) and math.isfinite(v) for v in value.values()):
        raise CellError(f"INIT is {value!r}; expected param -> finite number, such as {{'decay': 0.9}}")
    return {name: float(v) for name, v in value.items()}


def complete_dialect(dialects: dict[str, tuple[str, ...]], dialect: Mapping[str, str]) -> dict[str, str]:
    """Fill a dialect up with defaults. Raises CellError for an unknown key or choice."""
    for key, value in dialect.items():
        if key not in dialects:
            raise CellError(f"unknown dialect {key!r}; choose from {', '.join(dialects)}")
        if value not in dialects[key]:
            raise CellError(f"{key} is {value!r}; choose one of {', '.join(dialects[key])}")
    return {key: dialect.get(key, choices[0]) for key, choices in dialects.items()}


def parse_shapes(what: str, value: Any, dialect: dict[str, str]) -> dict[str, Shape]:
    """Parse declared shapes, STATE or PARAMS, which may be a function of the dialect."""
    if callable(value):
        try:
            value = value(**dialect)
        except Exception as error:
            raise CellError(f"{what} does not run: {type(error).__name__}: {error}") from error
    if not isinstance(value, dict) or not all(isinstance(v, tuple | list) for v in value.values()):
        raise CellError(f"{what} is {value!r}; expected name -> shape, such as {{'h': ('H',)}}")
    return {k: tuple(v) for k, v in value.items()}
