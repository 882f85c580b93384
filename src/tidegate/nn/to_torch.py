"""Convert a model to torch modules with its weights."""

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
from .recurrent import find_kernel
from .scale import Scale
from .sequential import Sequential

Layer = dict[str, Any]
Module = torch.nn.Module
SHARED_KEYS = ("kind", "cell", "dialect", "tape", "size", "project")  # equal in all layers of one module
NETWORK_HINT = "tidegate.nn.Network runs any model in torch"


def to_torch(model: Model) -> Module:
    """Return the modules of a model, in eval mode. Raises ModuleError for a layer without a torch module."""
    modules: list[Module] = []
    for group in group_layers(model.layers):
        i, layer = group[0]
        if layer["kind"] in ("recurrent", "bidirectional"):
            modules.append(make_recurrence(model, group))
        elif layer["kind"] not in MAKERS or layer.get("add") is not None:
            what = f"a {layer['kind']}" if layer["kind"] not in MAKERS else f"a residual {layer['kind']}"
            raise ModuleError(f"layers[{i}] is {what}, which has no torch module; {NETWORK_HINT}")
        else:
            modules += MAKERS[layer["kind"]](model, layer)
    module = modules[0] if len(modules) == 1 else Sequential(*modules)
    return module.eval()


def group_layers(layers: list[Layer]) -> list[list[tuple[int, Layer]]]:
    """Group layers, with their indices, so that the layers of one recurrent module are together."""
    groups: list[list[tuple[int, Layer]]] = []
    for i, layer in enumerate(layers):
        last = groups[-1] if groups else []
        if last and continues_module(layer, i, last):
            last.append((i, layer))
        elif layer.get("add") is not None and len(last) > 1 and continues_module(layer, i, last[-1:]):
            groups.append([last.pop(), (i, layer)])  # a residual module begins with the layer before its first residual
        else:
            groups.append([(i, layer)])
    return groups


def continues_module(layer: Layer, i: int, group: list[tuple[int, Layer]]) -> bool:
    """Return whether a layer belongs to a module's group: of the same kind, and residual as the others are."""
    first = group[0][1]
    if layer["kind"] not in ("recurrent", "bidirectional") or any(layer.get(k) != first.get(k) for k in SHARED_KEYS):
        return False
    residual = layer.get("add") == i - 1
    if layer.get("add") is not None and not residual:
        return False
    return len(group) == 1 or residual == (group[1][1].get("add") is not None)


def make_recurrence(model: Model, group: list[tuple[int, Layer]]) -> Module:
    """Make the recurrent module of a group of layers."""
    i, first = group[0]
    if any("initial" in layer for _, layer in group):
        raise ModuleError(
            f"layers[{i}] has an initial state, but a torch module takes its initial state at each call; {NETWORK_HINT}"
        )
    if first.get("add") is not None:
        raise ModuleError(f"layers[{i}] adds the output of an earlier layer, which no module does; {NETWORK_HINT}")
    module = make_empty(model, i, first, len(group), residual=len(group) > 1 and group[1][1].get("add") is not None)
    prefixes = {"": "forward.", "_reverse": "backward."} if first["kind"] == "bidirectional" else {"": ""}
    for k, (j, layer) in enumerate(group):
        for end, prefix in prefixes.items():
            names = {role.removeprefix(prefix): n for role, n in layer["tensors"].items() if role.startswith(prefix)}
            copy_weights(f"layers[{j}]", module, {role: model.tensors[n] for role, n in names.items()}, f"_l{k}{end}")
    return module


def make_empty(model: Model, i: int, layer: Layer, count: int, residual: bool) -> Module:
    """Make a module without its weights: of torch.nn if that computes exactly the tape, else of tidegate.nn."""
    tape = model.tapes[layer["tape"]]
    bias = layer["dialect"].get("bias") != "no"
    options: dict[str, Any] = {"bias": bias, "bidirectional": layer["kind"] == "bidirectional"}
    if tape.has_projection:
        options["proj_size"] = layer["project"]
    kernel = None if residual else find_kernel(tape)
    if kernel is not None:
        name, _, nonlinearity = kernel.partition("_")
        if nonlinearity:
            options["nonlinearity"] = nonlinearity
        kind: Callable[..., Module] = getattr(torch.nn, name.upper())
        return kind(layer["inputs"], layer["size"], count, **options)
    return torch_rnn.make_module(layer, load_layer_cell(i, layer, tape), count, options, residual)


def load_layer_cell(i: int, layer: Layer, tape: Any) -> cells.Cell:
    """Return the cell of this layer's tape. Raises ModuleError for a custom cell."""
    try:
        cell = cells.load(layer["cell"], layer["dialect"]) if layer["cell"] in cells.names() else None
    except CellError:
        cell = None
    if cell is None or cell.tape != tape:
        raise ModuleError(
            f"layers[{i}] has the custom cell {layer['cell']!r}, which no module computes; {NETWORK_HINT}"
        )
    return cell


@torch.no_grad()
def copy_weights(where: str, module: Module, weights: dict[str, Any], end: str) -> None:
    """Copy the weights of one layer and direction into a module.

    Raises ModuleError for a bias that is not zero where the module has none.
    """
    own = torch_rnn.weights_by_role(module, torch_rnn.find_cell(module), end)
    for role, value in weights.items():
        if role in own:
            own[role].copy_(torch.from_numpy(np.array(value)))
        elif np.any(value):
            raise ModuleError(
                f"{where}: the dialect has no bias, but the tensor {role} is not zero; correct the model file"
            )


def make_embedding(model: Model, layer: Layer) -> list[Module]:
    embedding = torch.nn.Embedding(layer["rows"], layer["size"])
    load_tensors(embedding, model, layer, {"weight": "weight"})
    return [embedding]


def make_linear(model: Model, layer: Layer) -> list[Module]:
    linear = torch.nn.Linear(layer["inputs"], layer["size"])
    load_tensors(linear, model, layer, {"weight": "weight", "bias": "bias"})
    activations = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
    return [linear] if layer["activation"] == "none" else [linear, activations[layer["activation"]]()]


def make_norm(model: Model, layer: Layer) -> list[Module]:
    norm = torch.nn.LayerNorm(layer["size"], eps=layer["eps"])
    load_tensors(norm, model, layer, {"weight": "gain", "bias": "bias"})
    return [norm]


def make_scale(model: Model, layer: Layer) -> list[Module]:
    mean, deviation = (np.array(model.tensors[layer["tensors"][role]]) for role in ("mean", "deviation"))
    return [Scale(mean, deviation)]


def make_softmax(model: Model, layer: Layer) -> list[Module]:
    return [torch.nn.Softmax(-1)]


def make_final_states(model: Model, layer: Layer) -> list[Module]:
    return [FinalStates()]


def load_tensors(module: Module, model: Model, layer: Layer, roles: dict[str, str]) -> None:
    names = {key: layer["tensors"][role] for key, role in roles.items()}
    module.load_state_dict({key: torch.from_numpy(np.array(model.tensors[name])) for key, name in names.items()})


MAKERS: dict[str, Callable[[Model, Layer], list[Module]]] = {
    "embed": make_embedding,
    "dense": make_linear,
    "norm": make_norm,
    "scale": make_scale,
    "softmax": make_softmax,
    "final": make_final_states,
}
