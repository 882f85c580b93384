"""Read and make recurrent modules, of torch.nn and of tidegate.nn: cell, dialect and weights, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .. import cells
from ..errors import ModuleError
from ..layers.recurrent import Recurrent
from . import cell_modules, dialects, modules

Array = npt.NDArray[np.float32]
Module = torch.nn.Module
TORCH_STACKS: dict[type[Module], str] = {torch.nn.GRU: "gru", torch.nn.LSTM: "lstm", torch.nn.RNN: "rnn"}
TORCH_CELLS: dict[type[Module], str] = {torch.nn.GRUCell: "gru", torch.nn.LSTMCell: "lstm", torch.nn.RNNCell: "rnn"}
OWN_STACKS: dict[str, type[Module]] = {
    "gru": modules.GRU,
    "lstm": modules.LSTM,
    "rnn": modules.RNN,
    "mingru": modules.MinGRU,
}
OWN_CELLS: tuple[type[Module], ...] = (cell_modules.GRUCell, cell_modules.LSTMCell, cell_modules.RNNCell)
ALL: tuple[type[Module], ...] = (*TORCH_STACKS, *TORCH_CELLS, *OWN_STACKS.values(), *OWN_CELLS)


@dataclass(frozen=True)
class RecurrentLayer:
    """One layer of a recurrent module.

    outputs: width of one direction's output. residual: the input is added to the output. weights: role in a model file
    -> array.
    """

    cell: cells.Cell
    inputs: int
    size: int
    outputs: int
    bidirectional: bool
    residual: bool
    weights: dict[str, Array]


def read_layers(path: str, module: Any) -> Iterator[RecurrentLayer]:
    """Yield the layers of a recurrent module, from the input up.

    Raises ModuleError for weights that a model file cannot hold.
    """
    cell = find_cell(module)
    bidirectional, H = bool(getattr(module, "bidirectional", False)), int(module.hidden_size)
    outputs, width = int(getattr(module, "proj_size", 0)) or H, int(module.input_size)
    single = isinstance(module, (*TORCH_CELLS, *OWN_CELLS))
    for k in range(1 if single else int(module.num_layers)):
        end = "" if single else f"_l{k}"
        weights = read_weights(path, module, cell, end)
        if bidirectional:
            back = read_weights(path, module, cell, f"{end}_reverse")
            weights = {f"forward.{r}": v for r, v in weights.items()} | {f"backward.{r}": v for r, v in back.items()}
        residual = k > 0 and getattr(module, "residual", False)
        yield RecurrentLayer(cell, width, H, outputs, bidirectional, residual, weights)
        width = 2 * outputs if bidirectional else outputs


def read_initial(path: str, module: Any, hx: Any) -> list[dict[str, Any]]:
    """Return the initial states of each layer, state -> numbers; an empty list for zeros.

    hx: what the module takes for one row: [layers, width] or [layers, 1, width], for a cell [width] or [1, width], for
    an LSTM a pair of these; None for zeros. Raises ModuleError for another shape, and for a bidirectional module.
    """
    if hx is None:
        return []
    if getattr(module, "bidirectional", False):
        raise ModuleError(
            f"{path} runs in both directions, and such a layer of a model file starts from zeros; remove initial"
        )
    states = tuple(find_cell(module).state)
    values = hx if isinstance(hx, tuple | list) else (hx,)
    if len(values) != len(states):
        raise ModuleError(f"initial of {path} has {len(values)} tensors; its states are {', '.join(states)}")
    initial: list[dict[str, Any]] = [{} for _ in range(int(getattr(module, "num_layers", 1)))]
    layers = len(initial)
    for state, value in zip(states, values, strict=True):
        H, P = int(module.hidden_size), int(getattr(module, "proj_size", 0)) or int(module.hidden_size)
        width = P if state == "h" else H
        array = to_float32(f"initial of {path}, {state}", to_tensor(f"initial of {path}, {state}", value))
        single = isinstance(module, (*TORCH_CELLS, *OWN_CELLS))
        shapes = [(width,), (1, width)] if single else [(layers, width), (layers, 1, width)]
        if array.shape not in shapes:
            raise ModuleError(
                f"initial of {path}, {state}: shape {list(array.shape)}; expected {list(shapes[0])}, for one row"
            )
        for layer, row in zip(initial, array.reshape(layers, width), strict=True):
            layer[state] = row.tolist()
    return initial


def to_tensor(name: str, value: Any) -> torch.Tensor:
    """Convert numbers to a tensor. Raises ModuleError for a value that is not numbers."""
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise ModuleError(f"{name} is {type(value).__name__}; expected a tensor of numbers") from None


def find_cell(module: Any) -> cells.Cell:
    """Return the cell whose tape a recurrent module computes."""
    if isinstance(module, modules.RecurrentModule | cell_modules.CellModule):
        return module.cell
    name = next(cell for kind, cell in (TORCH_STACKS | TORCH_CELLS).items() if isinstance(module, kind))
    dialect = {"bias": "yes" if module.bias else "no"}
    if name == "rnn":
        dialect["activation"] = module.nonlinearity
    if getattr(module, "proj_size", 0):
        dialect["projection"] = "yes"
    return cells.load(name, dialect)


def weights_by_role(module: Any, cell: cells.Cell, end: str) -> dict[str, torch.Tensor]:
    """Return the weights of one layer and direction by role. They are views: writing to them writes to the module."""
    return dialects.weights_by_role(cell, lambda name: getattr(module, name + end, None))


def read_weights(path: str, module: Any, cell: cells.Cell, end: str) -> dict[str, Array]:
    """Return the same as float32 arrays, with zeros for a bias that the module does not have."""

    def get(name: str) -> torch.Tensor | None:
        value = getattr(module, name + end, None)
        return None if value is None else torch.from_numpy(to_float32(f"{path}.{name}{end}", value))

    H, P = int(module.hidden_size), int(getattr(module, "proj_size", 0)) or int(module.hidden_size)
    weights = {role: v.numpy().copy() for role, v in dialects.weights_by_role(cell, get).items()}
    G, Gr = len(cell.gates), len(cell.recurrent)
    shapes = {"b": (G * H,), "R": (Gr * H, P), "c": (Gr * H,)}
    return {**{role: np.zeros(shape, np.float32) for role, shape in shapes.items()}, **weights}


def to_float32(name: str, value: Any) -> Array:
    """Copy a weight to a float32 array. Raises ModuleError for another dtype, NaN, infinity, or the meta device."""
    if value.is_meta:
        raise ModuleError(f"{name} is on the meta device and has no numbers; load the weights first")
    if value.dtype != torch.float32:
        raise ModuleError(f"{name} is {value.dtype}; a model file stores float32: convert it with module.float()")
    array: Array = value.detach().cpu().contiguous().numpy().copy()
    if not (finite := np.isfinite(array)).all():
        raise ModuleError(f"{name}: {int((~finite).sum())} of {array.size} values are NaN or infinite")
    return array


def bias_or_zeros(name: str, value: Any, size: int) -> Array:
    """Copy a bias, or return zeros for a module without one."""
    return np.zeros(size, np.float32) if value is None else to_float32(name, value)


def make_module(layer: Recurrent, cell: cells.Cell, count: int, options: dict[str, Any], residual: bool) -> Module:
    """Create the module of tidegate.nn for `count` layers of a cell. options: those that torch.nn's modules have."""
    dialect = cell.dialect
    own_options: dict[str, dict[str, Any]] = {
        "gru": {"reset": dialect.get("reset"), "update": dialect.get("update")},
        "lstm": {"peepholes": dialect.get("peepholes") == "yes"},
        "rnn": {"nonlinearity": dialect.get("activation")},
        "mingru": {},
    }
    if cell.name not in OWN_STACKS:
        raise ModuleError(f"no module has the cell {cell.name!r}; the cells with a module are {', '.join(OWN_STACKS)}")
    extra = {"norm": dialect["norm"] == "layer", "residual": residual}
    return OWN_STACKS[cell.name](layer.inputs, layer.size, count, **options, **own_options[cell.name], **extra)
