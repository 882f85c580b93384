"""Recurrent modules, of torch.nn and of tidegate.nn, layer by layer: the cell in its dialect, the weights by role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .. import cells
from ..errors import ModuleError
from . import cell_modules, dialects, modules

Array = npt.NDArray[np.float32]
Module = torch.nn.Module
STACKS: dict[type[Module], str] = {torch.nn.GRU: "gru", torch.nn.LSTM: "lstm", torch.nn.RNN: "rnn"}
SINGLES: dict[type[Module], str] = {torch.nn.GRUCell: "gru", torch.nn.LSTMCell: "lstm", torch.nn.RNNCell: "rnn"}
OWN: dict[str, type[Module]] = {"gru": modules.GRU, "lstm": modules.LSTM, "rnn": modules.RNN, "mingru": modules.MinGRU}
OWN_SINGLES: tuple[type[Module], ...] = (cell_modules.GRUCell, cell_modules.LSTMCell, cell_modules.RNNCell)
ALL: tuple[type[Module], ...] = (*STACKS, *SINGLES, *OWN.values(), *OWN_SINGLES)


@dataclass(frozen=True)
class Recurrence:
    """One layer of a recurrent module. outputs: of one direction. both: whether it runs in both. residual: whether its
    input is added. weights: the file's role -> array."""

    cell: cells.Cell
    inputs: int
    size: int
    outputs: int
    both: bool
    residual: bool
    weights: dict[str, Array]


def recurrences(path: str, module: Any) -> Iterator[Recurrence]:
    """Each layer of a recurrent module, from the input up. Raises ModuleError for weights that no file can hold."""
    cell = cell_of(module)
    both, H = bool(getattr(module, "bidirectional", False)), int(module.hidden_size)
    outputs, width = int(getattr(module, "proj_size", 0)) or H, int(module.input_size)
    single = isinstance(module, (*SINGLES, *OWN_SINGLES))
    for k in range(1 if single else int(module.num_layers)):
        end = "" if single else f"_l{k}"
        weights = arrays(path, module, cell, end)
        if both:
            back = arrays(path, module, cell, f"{end}_reverse")
            weights = {f"forward.{r}": v for r, v in weights.items()} | {f"backward.{r}": v for r, v in back.items()}
        yield Recurrence(cell, width, H, outputs, both, k > 0 and getattr(module, "residual", False), weights)
        width = 2 * outputs if both else outputs


def first(path: str, module: Any, hx: Any) -> list[dict[str, Any]]:
    """For each layer, state -> the numbers that it starts from; empty for zeros.

    hx: as the module takes it for one row: [layers, width] or [layers, 1, width], of a cell [width] or [1, width]; a
    pair of these for an LSTM. Raises ModuleError for another shape, and for a module that runs in both directions.
    """
    if hx is None:
        return []
    if getattr(module, "bidirectional", False):
        raise ModuleError(f"{path} runs in both directions, and such a layer of a model file starts from zeros")
    states = tuple(cell_of(module).state)
    given = hx if isinstance(hx, tuple | list) else (hx,)
    if len(given) != len(states):
        raise ModuleError(f"initial of {path} has {len(given)} tensors; its states are {', '.join(states)}")
    layers, found = int(getattr(module, "num_layers", 1)), list[dict[str, Any]]()
    for state, value in zip(states, given, strict=True):
        H, P = int(module.hidden_size), int(getattr(module, "proj_size", 0)) or int(module.hidden_size)
        width = P if state == "h" else H
        values = array(f"initial of {path}, {state}", tensor(f"initial of {path}, {state}", value))
        single = isinstance(module, (*SINGLES, *OWN_SINGLES))
        shapes = [(width,), (1, width)] if single else [(layers, width), (layers, 1, width)]
        if values.shape not in shapes:
            raise ModuleError(
                f"initial of {path}, {state}: shape {list(values.shape)}; expected {list(shapes[0])}, for one row"
            )
        found = found or [{} for _ in range(layers)]
        for layer, row in zip(found, values.reshape(layers, width), strict=True):
            layer[state] = row.tolist()
    return found


def tensor(name: str, value: Any) -> torch.Tensor:
    """Numbers as a tensor. Raises ModuleError for what are none."""
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise ModuleError(f"{name} is {type(value).__name__}; expected a tensor of numbers") from None


def cell_of(module: Any) -> cells.Cell:
    """The cell whose tape a recurrent module computes."""
    if isinstance(module, modules.Recurrent | cell_modules.CellModule):
        return module.cell
    name = next(cell for kind, cell in (STACKS | SINGLES).items() if isinstance(module, kind))
    dialect = {"bias": "yes" if module.bias else "no"}
    if name == "rnn":
        dialect["activation"] = module.nonlinearity
    if getattr(module, "proj_size", 0):
        dialect["projection"] = "yes"
    return cells.load(name, dialect)


def tensors(module: Any, cell: cells.Cell, end: str) -> dict[str, torch.Tensor]:
    """The weights of one layer and direction by role; views, so that writing to them writes to the module."""
    return dialects.tensors(cell, lambda name: getattr(module, name + end, None))


def arrays(path: str, module: Any, cell: cells.Cell, end: str) -> dict[str, Array]:
    """The same as float32 arrays, complete: a bias that the module does not have is zeros."""

    def get(name: str) -> torch.Tensor | None:
        value = getattr(module, name + end, None)
        return None if value is None else torch.from_numpy(array(f"{path}.{name}{end}", value))

    H, P = int(module.hidden_size), int(getattr(module, "proj_size", 0)) or int(module.hidden_size)
    found = {role: v.numpy().copy() for role, v in dialects.tensors(cell, get).items()}
    G, Gr = len(cell.gates), len(cell.recurrent)
    absent = {"b": (G * H,), "R": (Gr * H, P), "c": (Gr * H,)}
    return {**{role: np.zeros(shape, np.float32) for role, shape in absent.items()}, **found}


def array(name: str, value: Any) -> Array:
    """A weight as float32. Raises ModuleError when that would change it, or when it is not finite or not there."""
    if value.is_meta:
        raise ModuleError(f"{name} is on the meta device and holds no numbers; load the weights first")
    if value.dtype != torch.float32:
        raise ModuleError(f"{name} is {value.dtype}; a model file holds float32: convert it with module.float()")
    found: Array = value.detach().cpu().contiguous().numpy().copy()
    if not (finite := np.isfinite(found)).all():
        raise ModuleError(f"{name}: {int((~finite).sum())} of {found.size} values are NaN or infinite")
    return found


def bias(name: str, value: Any, size: int) -> Array:
    """A bias, or zeros where the module has none."""
    return np.zeros(size, np.float32) if value is None else array(name, value)


def own(layer: dict[str, Any], cell: cells.Cell, count: int, options: dict[str, Any], residual: bool) -> Module:
    """The module of tidegate.nn for `count` layers of a cell. options: what torch.nn's modules have too."""
    said = cell.dialect
    mine: dict[str, dict[str, Any]] = {
        "gru": {"reset": said.get("reset"), "update": said.get("update")},
        "lstm": {"peepholes": said.get("peepholes") == "yes"},
        "rnn": {"nonlinearity": said.get("activation")},
        "mingru": {},
    }
    if cell.name not in OWN:
        raise ModuleError(f"there is no module of the cell {cell.name!r}; there are those of {', '.join(OWN)}")
    extra = {"norm": said["norm"] == "layer", "residual": residual}
    return OWN[cell.name](layer["inputs"], layer["size"], count, **options, **mine[cell.name], **extra)
