"""torch modules read into a model: layers, tapes and weights, or a refusal that names the module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.modules.lazy import LazyModuleMixin

from .. import cells
from ..document import FORMAT, state_schema
from ..errors import ModuleError, OptionError
from ..layers import load, whole_window
from ..model import Model
from ..tape import Tape
from . import torch_rnn
from .final import FinalStates
from .scale import Scale
from .sequential import Sequential
from .torch_rnn import bias_or_zeros, to_float32

Array = npt.NDArray[np.float32]
Module = torch.nn.Module
IDENTITIES = (torch.nn.Identity, torch.nn.modules.dropout._DropoutNd)
CONTAINERS = (Sequential, torch.nn.Sequential)
OUTPUT_METHODS = (
    "forward",
    "__call__",
    "permute_hidden",
    "run",
    "step",
    "prepare_states",
    "weights",
    "cell",
)  # make the answers


def from_torch(modules: Sequence[Module], labels: Sequence[str] | None = None, initial: Any = None) -> Model:
    """The model, without its check, that modules applied one after the other to every step are.

    modules, labels, initial: see `tidegate.from_torch`.

    Raises: ModuleError naming the module that cannot be brought; ModelFileError when the labels do not fit.
    """
    if isinstance(labels, str):
        raise ModuleError(f"labels is one string, {labels!r}; give a list of strings, one for each output")
    refuse_global_hooks()
    reader = ModelBuilder(initial)
    with eval_mode(modules):
        for i, module in enumerate(modules):
            name = type(module).__name__ if len(modules) == 1 else f"[{i}]"
            for path, part in iterate_modules(name, module, ""):
                reader.add_module(path, part)
    if not reader.layers:
        raise ModuleError("there is no layer in it; give a recurrence, or a model of one")
    reader.check_initial()
    return reader.build(labels)


@contextmanager
def eval_mode(modules: Sequence[Any]) -> Iterator[None]:
    """Modules in eval mode, then as they were: a parametrisation may give other weights while it is trained."""
    before = {part: part.training for module in modules if isinstance(module, Module) for part in module.modules()}
    for part in before:
        part.training = False
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training


def iterate_modules(name: str, module: Any, prefix: str) -> Iterator[tuple[str, Module]]:
    """The modules that do something, in order, with their path; containers are opened."""
    if not isinstance(module, Module):
        found = module.__name__ if isinstance(module, type) else type(module).__name__
        many = "; give several one after the other, from_torch(*modules)" if isinstance(module, list | tuple) else ""
        if callable(module) and not isinstance(module, type):
            found, many = (
                f"the function {getattr(module, '__name__', found)}",
                "; for an activation, such as torch.nn.ReLU()",
            )
        what = "the argument" if name == type(module).__name__ else name
        raise ModuleError(f"{what} is {found}; expected a torch.nn.Module{many}")
    path = prefix or name
    if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
        raise ModuleError(f"{path} has no shapes yet; run the module once, so that it gets them")
    refuse_hooks(path, module)
    if not isinstance(module, CONTAINERS):
        yield path, module
        return
    refuse_own_forward(path, module, CONTAINERS)
    for key, child in module._modules.items():  # named_children() would leave out a module that stands twice
        yield from iterate_modules(key, child, f"{path}.{key}")


def refuse_hooks(path: str, module: Module) -> None:
    """A forward hook may change what the module gives, and a model file holds no code."""
    for kind, hooks in (("forward hook", module._forward_hooks), ("forward pre-hook", module._forward_pre_hooks)):
        if hooks:
            raise ModuleError(f"{path} has a {kind}, which may change what it gives; remove it first")


def refuse_global_hooks() -> None:
    room = torch.nn.modules.module
    if room._global_forward_hooks or room._global_forward_pre_hooks:
        raise ModuleError("torch has a forward hook for all modules, which may change what they give; remove it first")


def refuse_own_forward(path: str, module: Module, known: tuple[type[Module], ...]) -> None:
    """Raises ModuleError unless a module's answers come from the code of one of the `known` torch_rnn."""
    own, kind = type(module), next((kind for kind in known if isinstance(module, kind)), Module)
    changed = [
        name
        for name in OUTPUT_METHODS
        if hasattr(kind, name) and (name in vars(module) or getattr(own, name) is not getattr(kind, name))
    ]
    if kind is not Module and not changed:
        return
    how = suggest_parts(module) or "bring the plain module"
    what = changed[0] if changed else "forward"
    raise ModuleError(f"{path} ({own.__name__}) has a {what} of its own, which cannot be read; {how}")


def suggest_parts(module: Module) -> str:
    """How to bring a module's parts instead of it; "" where it has none."""
    names, last = [], None
    for name, part in module.named_children():
        names.append(f"m[{name}]" if name.isdigit() else f"m.{name}" if name.isidentifier() else f"m[{name!r}]")
        if isinstance(part, torch_rnn.ALL):
            last = len(names) if getattr(part, "bidirectional", False) else None
    if last:  # only behind the last recurrence: those before it give it their steps
        names.insert(last, "tidegate.nn.FinalStates()")
    if not names:
        return ""
    whole = "" if isinstance(module, torch.nn.ModuleList | torch.nn.ModuleDict) else ", like=m, example=x"
    how = f"give its parts in order, such as from_torch({', '.join(names)}{whole})"
    how += ", which compares the answers" if whole else ""
    if "tidegate.nn.FinalStates()" in names:
        how += (
            "; FinalStates() is torch.cat([h_n[-2], h_n[-1]], -1), so leave it out where the forward reads outputs[-1]"
        )
    return how


class ModelBuilder:
    """What has been read so far. width: of the last layer's output; None before the first layer, and for ids. initial:
    what recurrences start from; one value for the only one, or path -> value."""

    def __init__(self, initial: Any = None) -> None:
        self.initial, self.recurrence_paths = initial, list[str]()
        self.layers: list[dict[str, Any]] = []
        self.tapes: dict[str, Tape] = {}
        self.tensors: dict[str, Array] = {}
        self.input: dict[str, Any] = {}
        self.sources: list[str] = []
        self.layouts: dict[str, tuple[str, bool]] = {}
        self.width: int | None = None

    def add_module(self, path: str, module: Module) -> None:
        if "quantized" in type(module).__module__:
            raise ModuleError(f"{path} ({type(module).__name__}) is quantised; bring the float module it was made of")
        if isinstance(module, IDENTITIES):
            return
        if isinstance(module, torch_rnn.ALL):
            refuse_own_forward(path, module, torch_rnn.ALL)
            self.add_recurrence(path, module)
        elif (found := next((kind for kind in ADDERS if isinstance(module, kind)), None)) is not None:
            refuse_own_forward(path, module, (found,))
            ADDERS[found](self, path, module)
        else:
            self.refuse(path, module)
        self.sources.append(f"{path}: {type(module).__name__}")

    def refuse(self, path: str, module: Module) -> None:
        if list(module.children()):
            refuse_own_forward(path, module, ())
        if isinstance(module, torch.nn.LogSoftmax):
            raise ModuleError(
                f"{path} is a LogSoftmax, which no layer computes; give torch.nn.Softmax(-1), or leave it out"
            )
        known = ", ".join(
            sorted({kind.__name__ for kind in (*torch_rnn.TORCH_STACKS, *torch_rnn.TORCH_CELLS, *ADDERS)})
        )
        raise ModuleError(f"{path} is a {type(module).__name__}, which no layer computes; there are layers for {known}")

    def add_layer(
        self, path: str, inputs: int | None, outputs: int, layer: dict[str, Any], weights: dict[str, Any]
    ) -> None:
        """One more layer. inputs: the width that it takes; None for ids."""
        if not self.layers:
            self.input = (
                {"kind": "ids", "size": layer["rows"]} if inputs is None else {"kind": "array", "features": inputs}
            )
        elif inputs is None:
            raise ModuleError(f"{path} takes token ids; it must be the first layer")
        elif inputs != self.width:
            raise ModuleError(f"{path} takes {inputs} numbers a step; what comes before it gives {self.width}")
        self.check_layer(path, inputs, layer, weights)
        names = {role: f"layers.{len(self.layers)}.{role}" for role in weights}
        self.tensors |= {names[role]: weight for role, weight in weights.items()}
        self.layers.append({**layer, "tensors": names})
        self.width = outputs

    def check_layer(self, path: str, inputs: int | None, layer: dict[str, Any], weights: dict[str, Any]) -> None:
        """Raises ModuleError, with the module's path, for what the file would refuse by the number of a layer."""
        room = load(layer["kind"])
        try:
            room.check(layer, inputs, self.tapes)
        except OptionError as error:
            raise ModuleError(f"{path}: {error}") from None
        for role, shape in room.tensors(layer, self.tapes).items():
            if (found := weights[role].shape) != shape:
                raise ModuleError(f"{path}: the weights {role} have shape {list(found)}; expected {list(shape)}")

    def add_recurrence(self, path: str, module: Module) -> None:
        if any(layer["kind"] == "final" for layer in self.layers):
            raise ModuleError(f"{path} stands behind a FinalStates, which leaves it no steps to go over")
        self.check_layout(path, module)
        self.recurrence_paths.append(path)
        given = self.initial.get(path) if isinstance(self.initial, Mapping) else self.initial
        first = torch_rnn.read_initial(path, module, given)
        for k, found in enumerate(torch_rnn.read_layers(path, module)):
            tape, cell, width = self.add_tape(found.cell), found.cell, found.outputs
            layer: dict[str, Any] = {
                "kind": "bidirectional" if found.bidirectional else "recurrent",
                "inputs": found.inputs,
                "size": found.size,
                "tape": tape,
                "cell": cell.name,
                "dialect": cell.dialect,
            }
            if cell.tape.projected:
                layer["project"] = width
            if first:
                layer["initial"] = first[k]
            if found.residual:
                layer["add"] = len(self.layers) - 1
            self.add_layer(path, found.inputs, 2 * width if found.bidirectional else width, layer, found.weights)

    def check_layout(self, path: str, module: Module) -> None:
        """Raises ModuleError for a container whose recurrences take each other's steps for rows."""
        if not hasattr(module, "batch_first"):  # a cell, which takes one step
            return
        container, first = path.rpartition(".")[0], bool(module.batch_first)
        other, found = self.layouts.setdefault(container.partition(".")[0] or path, (path, first))
        if found != first:
            raise ModuleError(
                f"{path} has batch_first={first} and {other} batch_first={found}; one of them takes steps for rows, so "
                "make them the same, or give the modules one by one"
            )

    def add_final_states(self, path: str, module: FinalStates) -> None:
        if not self.layers or self.layers[-1]["kind"] != "bidirectional" or self.width is None:
            raise ModuleError(f"{path} (FinalStates) must come right after a recurrence with bidirectional=True")
        self.add_layer(path, self.width, self.width, {"kind": "final", "size": self.width}, {})

    def check_initial(self) -> None:
        """Raises ModuleError unless it is clear which recurrence each first state is for."""
        paths = ", ".join(self.recurrence_paths) or "none"
        if isinstance(self.initial, Mapping):
            if unknown := [path for path in self.initial if path not in self.recurrence_paths]:
                raise ModuleError(f"initial names {unknown[0]!r}, which is no recurrence; there are {paths}")
        elif self.initial is not None and len(self.recurrence_paths) != 1:
            raise ModuleError(f"initial is one state and the recurrences are {paths}; give a mapping from these names")

    def add_tape(self, cell: cells.Cell) -> str:
        """The name of the cell's tape in the document; cells of another dialect get a number."""
        name, n = cell.name, 2
        while self.tapes.setdefault(name, cell.tape) != cell.tape:
            name, n = f"{cell.name}-{n}", n + 1
        return name

    def add_embedding(self, path: str, module: torch.nn.Embedding) -> None:
        if module.max_norm is not None:
            raise ModuleError(f"{path} has max_norm, which changes the table as it is read; bring one without")
        rows, size = module.num_embeddings, module.embedding_dim
        layer = {"kind": "embed", "rows": rows, "size": size}
        self.add_layer(path, None, size, layer, {"weight": to_float32(f"{path}.weight", module.weight)})

    def add_linear(self, path: str, module: torch.nn.Linear) -> None:
        inputs, size = module.in_features, module.out_features
        weights = {
            "weight": to_float32(f"{path}.weight", module.weight),
            "bias": bias_or_zeros(f"{path}.bias", module.bias, size),
        }
        self.add_layer(
            path, inputs, size, {"kind": "dense", "inputs": inputs, "size": size, "activation": "none"}, weights
        )

    def add_norm(self, path: str, module: torch.nn.LayerNorm) -> None:
        if len(module.normalized_shape) != 1:
            raise ModuleError(f"{path} normalises over {list(module.normalized_shape)}; only the last axis can be")
        size = module.normalized_shape[0]
        gain = np.ones(size, np.float32) if module.weight is None else to_float32(f"{path}.weight", module.weight)
        layer = {"kind": "norm", "size": size, "eps": float(module.eps)}
        self.add_layer(
            path, size, size, layer, {"gain": gain, "bias": bias_or_zeros(f"{path}.bias", module.bias, size)}
        )

    def add_scale(self, path: str, module: Scale) -> None:
        mean, deviation = to_float32(f"{path}.mean", module.mean), to_float32(f"{path}.deviation", module.deviation)
        if mean.ndim != 1 or mean.shape != deviation.shape:
            raise ModuleError(
                f"{path}: mean has shape {list(mean.shape)} and deviation {list(deviation.shape)}; expected [features]"
            )
        if bad := int((deviation <= 0).sum()):
            raise ModuleError(f"{path}.deviation: {bad} of {deviation.size} values are not above 0")
        weights = {"mean": mean, "deviation": deviation}
        self.add_layer(path, mean.size, mean.size, {"kind": "scale", "size": mean.size}, weights)

    def add_activation(self, path: str, module: Module) -> None:
        last = self.layers[-1] if self.layers else {}
        if last.get("kind") != "dense" or last.get("activation") != "none":
            raise ModuleError(f"{path} ({type(module).__name__}) must come right after a Linear")
        last["activation"] = type(module).__name__.lower()

    def add_softmax(self, path: str, module: torch.nn.Softmax) -> None:
        if module.dim not in (-1, 2):
            raise ModuleError(f"{path} is a Softmax over dim {module.dim}; only over the last, Softmax(-1), can be")
        if self.width is None:
            raise ModuleError(f"{path} is the first layer; a model needs one before it")
        self.add_layer(path, self.width, self.width, {"kind": "softmax", "size": self.width}, {})

    def build(self, labels: Sequence[str] | None) -> Model:
        reason = whole_window(self.layers)
        document = {
            "format": FORMAT,
            "task": {"kind": "encode" if labels is None else "classify", "options": {}},
            "input": self.input,
            "layers": self.layers,
            "tapes": {name: tape.to_json() for name, tape in self.tapes.items()},
            "state": state_schema(self.layers, self.tapes),
            "streams": {"yes": False, "because": reason} if reason else {"yes": True},
            "labels": None if labels is None else list(labels),
            "check": None,
            "provenance": {"from": "torch modules", "torch": str(torch.__version__), "modules": self.sources},
        }
        return Model(document, self.tensors)


ADDERS: dict[type[Module], Callable[[ModelBuilder, str, Any], None]] = {
    torch.nn.Embedding: ModelBuilder.add_embedding,
    torch.nn.Linear: ModelBuilder.add_linear,
    torch.nn.LayerNorm: ModelBuilder.add_norm,
    torch.nn.ReLU: ModelBuilder.add_activation,
    torch.nn.Tanh: ModelBuilder.add_activation,
    torch.nn.Sigmoid: ModelBuilder.add_activation,
    torch.nn.Softmax: ModelBuilder.add_softmax,
    Scale: ModelBuilder.add_scale,
    FinalStates: ModelBuilder.add_final_states,
}
