"""Convert a model to torch modules with its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch

from .. import cells
from ..errors import CellError, ModuleError
from ..layers import Layer
from ..layers.bidirectional import select_direction
from ..layers.dense import Dense
from ..layers.embed import Embed
from ..layers.final import Final
from ..layers.norm import Norm
from ..layers.recurrent import Recurrent
from ..layers.scale import Scale as ScaleLayer
from ..layers.softmax import Softmax
from ..model import Model
from . import torch_rnn
from .final import FinalStates
from .recurrent import find_kernel
from .scale import Scale
from .sequential import Sequential

Arrays = dict[str, Any]
Module = torch.nn.Module
SHARED = ("kind", "cell", "dialect", "tape", "size", "project")  # equal in all layers of one module
NETWORK_HINT = "tidegate.nn.Network runs any model in torch"


def to_torch(model: Model) -> Module:
    """Return the modules of a model, in eval mode. Raises ModuleError for a layer without a torch module."""
    modules: list[Module] = []
    for group in group_layers(model.layers):
        i, layer = group[0]
        if isinstance(layer, Recurrent):
            modules.append(make_recurrence(model, cast("list[tuple[int, Recurrent]]", group)))
        elif type(layer) not in MAKERS or layer.add is not None or layer.sources is not None:
            what = f"a {layer.kind}" if type(layer) not in MAKERS else f"a {layer.kind} that is not in one chain"
            raise ModuleError(f"layers[{i}] is {what}, which has no torch module; {NETWORK_HINT}")
        else:
            modules += MAKERS[type(layer)](layer, layer.select(model.tensors))
    module = modules[0] if len(modules) == 1 else Sequential(*modules)
    return module.eval()


def group_layers(layers: Sequence[Layer]) -> list[list[tuple[int, Layer]]]:
    """Group layers, with their indices, so that the layers of one recurrent module are together."""
    groups: list[list[tuple[int, Layer]]] = []
    for i, layer in enumerate(layers):
        last = groups[-1] if groups else []
        if last and continues_module(layer, i, last):
            last.append((i, layer))
        elif layer.add is not None and len(last) > 1 and continues_module(layer, i, last[-1:]):
            groups.append([last.pop(), (i, layer)])  # a residual module begins with the layer before its first residual
        else:
            groups.append([(i, layer)])
    return groups


def continues_module(layer: Layer, i: int, group: list[tuple[int, Layer]]) -> bool:
    """Return whether a layer belongs to a module's group: of the same kind, and residual as the others are."""
    first = group[0][1]
    if not isinstance(layer, Recurrent) or layer.sources is not None:
        return False
    if any(getattr(layer, k) != getattr(first, k, None) for k in SHARED):
        return False
    residual = layer.add == i - 1
    if layer.add is not None and not residual:
        return False
    return len(group) == 1 or residual == (group[1][1].add is not None)


def make_recurrence(model: Model, group: list[tuple[int, Recurrent]]) -> Module:
    """Make the recurrent module of a group of layers."""
    i, first = group[0]
    if any(layer.initial for _, layer in group):
        raise ModuleError(
            f"layers[{i}] has an initial state, but a torch module takes its initial state at each call; {NETWORK_HINT}"
        )
    if first.add is not None:
        raise ModuleError(f"layers[{i}] adds the output of an earlier layer, which no module does; {NETWORK_HINT}")
    module = make_empty(i, first, len(group), residual=len(group) > 1 and group[1][1].add is not None)
    for k, (j, layer) in enumerate(group):
        t = layer.select(model.tensors)
        ends = {"": t}
        if layer.both_directions:
            ends = {"": select_direction("forward", t), "_reverse": select_direction("backward", t)}
        for end, own in ends.items():
            copy_weights(f"layers[{j}]", module, own, f"_l{k}{end}")
    return module


def make_empty(i: int, layer: Recurrent, count: int, residual: bool) -> Module:
    """Make a module without its weights: of torch.nn if that computes exactly the tape, else of tidegate.nn."""
    bias = layer.dialect.get("bias") != "no"
    options: dict[str, Any] = {"bias": bias, "bidirectional": layer.both_directions}
    if layer.project is not None:
        options["proj_size"] = layer.project
    kernel = None if residual else find_kernel(layer.tape)
    if kernel is not None:
        name, _, nonlinearity = kernel.partition("_")
        if nonlinearity:
            options["nonlinearity"] = nonlinearity
        kind: Callable[..., Module] = getattr(torch.nn, name.upper())
        return kind(layer.inputs, layer.size, count, **options)
    return torch_rnn.make_module(layer, load_layer_cell(i, layer), count, options, residual)


def load_layer_cell(i: int, layer: Recurrent) -> cells.Cell:
    """Return the cell of this layer's tape. Raises ModuleError for a custom cell."""
    try:
        cell = cells.load(layer.cell, layer.dialect) if layer.cell in cells.names() else None
    except CellError:
        cell = None
    if cell is None or cell.tape != layer.tape:
        raise ModuleError(f"layers[{i}] has the custom cell {layer.cell!r}, which no module computes; {NETWORK_HINT}")
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


def make_embedding(layer: Embed, t: Arrays) -> list[Module]:
    if layer.ids > 1:
        raise ModuleError(
            f"layers[0] adds the rows of {layer.ids} ids at each step, which no torch module computes; {NETWORK_HINT}"
        )
    return [load_tensors(torch.nn.Embedding(layer.rows, layer.size), {"weight": t["weight"]})]


def make_linear(layer: Dense, t: Arrays) -> list[Module]:
    linear = load_tensors(torch.nn.Linear(layer.inputs, layer.size), t)
    activations = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid}
    return [linear] if layer.activation == "none" else [linear, activations[layer.activation]()]


def make_norm(layer: Norm, t: Arrays) -> list[Module]:
    return [load_tensors(torch.nn.LayerNorm(layer.size, eps=layer.eps), {"weight": t["gain"], "bias": t["bias"]})]


def load_tensors(module: Module, arrays: Arrays) -> Module:
    module.load_state_dict({key: torch.from_numpy(np.array(v)) for key, v in arrays.items()})
    return module


MAKERS: dict[type[Layer], Callable[[Any, Arrays], list[Module]]] = {
    Embed: make_embedding,
    Dense: make_linear,
    Norm: make_norm,
    ScaleLayer: lambda layer, t: [Scale(np.array(t["mean"]), np.array(t["deviation"]))],
    Softmax: lambda layer, t: [torch.nn.Softmax(-1)],
    Final: lambda layer, t: [FinalStates()],
}
