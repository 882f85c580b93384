"""A model as torch modules with its weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .. import cells
from ..errors import CellError, ModuleError
from ..model import Model
from . import torch_rnn
from .final import FinalStates
from .recurrent import kernel_of
from .scale import Scale
from .sequential import Sequential

Layer = dict[str, Any]
Module = torch.nn.Module
SAME = ("kind", "cell", "dialect", "tape", "size", "project")  # what layers of one module have in common


def to_torch(model: Model) -> Module:
    """The modules of a model, in eval mode. Raises ModuleError for a layer that has none."""
    made: list[Module] = []
    for group in groups(model.layers):
        i, layer = group[0]
        if layer["kind"] in ("recurrent", "bidirectional"):
            made.append(recurrence(model, group))
        elif layer["kind"] not in MAKERS or layer.get("add") is not None:
            what = f"a {layer['kind']}" if layer["kind"] not in MAKERS else f"a residual {layer['kind']}"
            raise ModuleError(
                f"layers[{i}] is {what}, which has no torch module; tidegate.nn.Network runs any model in torch"
            )
        else:
            made += MAKERS[layer["kind"]](model, layer)
    whole = made[0] if len(made) == 1 else Sequential(*made)
    return whole.eval()


def groups(layers: list[Layer]) -> list[list[tuple[int, Layer]]]:
    """Layers with their indices, those of one recurrent module together."""
    found: list[list[tuple[int, Layer]]] = []
    for i, layer in enumerate(layers):
        if found and belongs(layer, i, found[-1]):
            found[-1].append((i, layer))
        elif layer.get("add") is not None and found and len(found[-1]) > 1 and belongs(layer, i, found[-1][-1:]):
            found.append([found[-1].pop(), (i, layer)])  # the first residual one: its module begins at the layer before
        else:
            found.append([(i, layer)])
    return found


def belongs(layer: Layer, i: int, group: list[tuple[int, Layer]]) -> bool:
    """Whether a layer is one more of a recurrent module: alike, and residual throughout or not at all."""
    first = group[0][1]
    if layer["kind"] not in ("recurrent", "bidirectional") or any(layer.get(k) != first.get(k) for k in SAME):
        return False
    residual = layer.get("add") == i - 1
    if layer.get("add") is not None and not residual:
        return False
    return len(group) == 1 or residual == (group[1][1].get("add") is not None)


def recurrence(model: Model, group: list[tuple[int, Layer]]) -> Module:
    """A recurrent module of as many layers as the group has."""
    i, first = group[0]
    if any("initial" in layer for _, layer in group):
        raise ModuleError(f"layers[{i}] starts from a state of its own, which a torch module is given at each call")
    if first.get("add") is not None:
        raise ModuleError(f"layers[{i}] adds an earlier layer's output, which its module cannot; bring it by hand")
    module = empty(model, i, first, len(group), residual=len(group) > 1 and group[1][1].get("add") is not None)
    ways = {"": "forward.", "_reverse": "backward."} if first["kind"] == "bidirectional" else {"": ""}
    for k, (j, layer) in enumerate(group):
        for end, way in ways.items():
            named = {role.removeprefix(way): n for role, n in layer["tensors"].items() if role.startswith(way)}
            fill(f"layers[{j}]", module, {role: model.tensors[n] for role, n in named.items()}, f"_l{k}{end}")
    return module


def empty(model: Model, i: int, layer: Layer, count: int, residual: bool) -> Module:
    """The module without its weights: of torch.nn where it computes the very tape, else of tidegate.nn."""
    tape = model.tapes[layer["tape"]]
    bias = layer["dialect"].get("bias") != "no"
    options: dict[str, Any] = {"bias": bias, "bidirectional": layer["kind"] == "bidirectional"}
    if tape.projected:
        options["proj_size"] = layer["project"]
    kernel = None if residual else kernel_of(tape)
    if kernel is not None:
        name, _, nonlinearity = kernel.partition("_")
        if nonlinearity:
            options["nonlinearity"] = nonlinearity
        kind: Callable[..., Module] = getattr(torch.nn, name.upper())
        return kind(layer["inputs"], layer["size"], count, **options)
    return torch_rnn.own(layer, known(i, layer, tape), count, options, residual)


def known(i: int, layer: Layer, tape: Any) -> cells.Cell:
    """The cell of this layer's tape. Raises ModuleError when it is a user's own."""
    try:
        cell = cells.load(layer["cell"], layer["dialect"]) if layer["cell"] in cells.names() else None
    except CellError:
        cell = None
    if cell is None or cell.tape != tape:
        raise ModuleError(f"layers[{i}] runs a cell of its own, {layer['cell']!r}, which no module of tidegate.nn is")
    return cell


@torch.no_grad()
def fill(place: str, module: Module, weights: dict[str, Any], end: str) -> None:
    """The weights of one layer and direction into a module. Raises ModuleError for one that it has no place for."""
    own = torch_rnn.tensors(module, torch_rnn.cell_of(module), end)
    for role, value in weights.items():
        if role in own:
            own[role].copy_(torch.from_numpy(np.array(value)))
        elif np.any(value):
            raise ModuleError(f"{place}: its dialect has no bias, but the tensor {role} is not zero; correct the file")


def embedding(model: Model, layer: Layer) -> list[Module]:
    weight = torch.from_numpy(np.array(model.tensors[layer["tensors"]["weight"]]))
    made = torch.nn.Embedding(layer["rows"], layer["size"])
    made.load_state_dict({"weight": weight})
    return [made]


def linear(model: Model, layer: Layer) -> list[Module]:
    made = torch.nn.Linear(layer["inputs"], layer["size"])
    loaded(made, model, layer, {"weight": "weight", "bias": "bias"})
    names = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
    return [made] if layer["activation"] == "none" else [made, names[layer["activation"]]()]


def norm(model: Model, layer: Layer) -> list[Module]:
    made = torch.nn.LayerNorm(layer["size"], eps=layer["eps"])
    loaded(made, model, layer, {"weight": "gain", "bias": "bias"})
    return [made]


def scale(model: Model, layer: Layer) -> list[Module]:
    mean, deviation = (np.array(model.tensors[layer["tensors"][role]]) for role in ("mean", "deviation"))
    return [Scale(mean, deviation)]


def softmax(model: Model, layer: Layer) -> list[Module]:
    return [torch.nn.Softmax(-1)]


def final(model: Model, layer: Layer) -> list[Module]:
    return [FinalStates()]


def loaded(module: Module, model: Model, layer: Layer, roles: dict[str, str]) -> None:
    names = {key: layer["tensors"][role] for key, role in roles.items()}
    module.load_state_dict({key: torch.from_numpy(np.array(model.tensors[name])) for key, name in names.items()})


MAKERS: dict[str, Callable[[Model, Layer], list[Module]]] = {
    "embed": embedding,
    "dense": linear,
    "norm": norm,
    "scale": scale,
    "softmax": softmax,
    "final": final,
}
