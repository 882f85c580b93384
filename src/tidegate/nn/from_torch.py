"""Convert torch modules to a model: layers, tapes and weights. Errors name the module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.modules.lazy import LazyModuleMixin

from ..document import assemble
from ..errors import ModuleError, OptionError
from ..layers import Builder, Layer
from ..layers.dense import Dense
from ..model import Model
from ..outputs import make_entry
from . import torch_rnn
from .final import FinalStates
from .scale import Scale
from .sequential import Sequential
from .torch_rnn import bias_or_zeros, to_float32

Array = npt.NDArray[np.float32]
Module = torch.nn.Module
IDENTITIES = (torch.nn.Identity, torch.nn.modules.dropout._DropoutNd)
CONTAINERS = (Sequential, torch.nn.Sequential)
# An override of one of these may change the output.
OUTPUT_METHODS = ("forward", "__call__", "permute_hidden", "run", "step", "prepare_states", "weights", "cell")


def from_torch(modules: Sequence[Module], labels: Sequence[str] | None = None, initial: Any = None) -> Model:
    """Return the model that applies the modules one after the other to every step, without its check.

    modules, labels, initial: see `tidegate.from_torch`.

    Raises ModuleError for a module that cannot be converted, ModelFileError for labels that do not fit.
    """
    if isinstance(labels, str):
        raise ModuleError(f"labels is one string, {labels!r}; pass a list of strings, one for each output")
    refuse_global_hooks()
    builder = ModelBuilder(initial)
    with eval_mode(modules):
        for i, module in enumerate(modules):
            name = type(module).__name__ if len(modules) == 1 else f"[{i}]"
            for path, part in iterate_modules(name, module, ""):
                builder.add_module(path, part)
    if not builder.chain.layers:
        raise ModuleError("there is no layer in the modules; pass at least one recurrence")
    builder.check_initial()
    return builder.build(labels)


@contextmanager
def eval_mode(modules: Sequence[Any]) -> Iterator[None]:
    """Set modules to eval mode, then back: a parametrisation may return other weights in training mode."""
    before = {part: part.training for module in modules if isinstance(module, Module) for part in module.modules()}
    for part in before:
        part.training = False
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training


def iterate_modules(name: str, module: Any, prefix: str) -> Iterator[tuple[str, Module]]:
    """Yield the modules in order, with their paths; containers are replaced by their modules."""
    if not isinstance(module, Module):
        what = "the argument" if name == type(module).__name__ else name
        raise ModuleError(f"{what} is {describe_non_module(module)}")
    path = prefix or name
    if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
        raise ModuleError(f"{path} has no shapes yet; run the module once to initialise it")
    refuse_hooks(path, module)
    if not isinstance(module, CONTAINERS):
        yield path, module
        return
    refuse_own_forward(path, module, CONTAINERS)
    for key, child in module._modules.items():  # named_children() skips a module that occurs a second time
        yield from iterate_modules(key, child, f"{path}.{key}")


def describe_non_module(value: Any) -> str:
    """Return the end of an error message about an argument that is not a module."""
    if callable(value) and not isinstance(value, type):
        name = getattr(value, "__name__", type(value).__name__)
        return f"the function {name}; expected a torch.nn.Module, for an activation such as torch.nn.ReLU()"
    name = value.__name__ if isinstance(value, type) else type(value).__name__
    hint = "; pass several as from_torch(*modules)" if isinstance(value, list | tuple) else ""
    return f"{name}; expected a torch.nn.Module{hint}"


def refuse_hooks(path: str, module: Module) -> None:
    """Raise ModuleError for a module with forward hooks: they may change its output, and a model file has no code."""
    for kind, hooks in (("forward hook", module._forward_hooks), ("forward pre-hook", module._forward_pre_hooks)):
        if hooks:
            raise ModuleError(f"{path} has a {kind}, which may change its output; remove it first")


def refuse_global_hooks() -> None:
    registry = torch.nn.modules.module
    if registry._global_forward_hooks or registry._global_forward_pre_hooks:
        raise ModuleError("torch has a forward hook for all modules, which may change their outputs; remove it first")


def refuse_own_forward(path: str, module: Module, known: tuple[type[Module], ...]) -> None:
    """Raise ModuleError unless the output of a module comes from the code of one of the `known` classes."""
    own, kind = type(module), next((kind for kind in known if isinstance(module, kind)), Module)
    overridden = [
        name
        for name in OUTPUT_METHODS
        if hasattr(kind, name) and (name in vars(module) or getattr(own, name) is not getattr(kind, name))
    ]
    if kind is not Module and not overridden:
        return
    how = suggest_parts(module) or "pass the plain module"
    what = overridden[0] if overridden else "forward"
    raise ModuleError(f"{path} ({own.__name__}) has a custom {what} method, which from_torch cannot read; {how}")


def suggest_parts(module: Module) -> str:
    """Suggest how to pass the parts of a module instead of it; "" for a module without parts."""
    names, last = [], None
    for name, part in module.named_children():
        names.append(f"m[{name}]" if name.isdigit() else f"m.{name}" if name.isidentifier() else f"m[{name!r}]")
        if isinstance(part, torch_rnn.ALL):
            last = len(names) if getattr(part, "bidirectional", False) else None
    if last:  # only after the last recurrence: those before it pass on their steps
        names.insert(last, "tidegate.nn.FinalStates()")
    if not names:
        return ""
    comparison = "" if isinstance(module, torch.nn.ModuleList | torch.nn.ModuleDict) else ", like=m, example=x"
    how = f"pass its parts in order, such as from_torch({', '.join(names)}{comparison})"
    how += ", which compares the outputs" if comparison else ""
    if last:
        how += "; FinalStates() is torch.cat([h_n[-2], h_n[-1]], -1), so leave it out if the forward reads outputs[-1]"
    return how


class ModelBuilder:
    """Builds a model from modules, one after the other.

    initial: the initial state of the only recurrence, or path -> state.
    """

    def __init__(self, initial: Any = None) -> None:
        self.initial, self.recurrence_paths = initial, list[str]()
        self.chain = Builder(None)
        self.tensors: dict[str, Array] = {}
        self.input: dict[str, Any] = {}
        self.sources: list[str] = []
        self.layouts: dict[str, tuple[str, bool]] = {}

    @property
    def last(self) -> Layer | None:
        """The last layer so far."""
        return self.chain.layers[-1] if self.chain.layers else None

    def add_module(self, path: str, module: Module) -> None:
        """Add the layers of a module. Raises ModuleError for one that cannot be converted."""
        if "quantized" in type(module).__module__:
            raise ModuleError(
                f"{path} ({type(module).__name__}) is quantised; pass the float module that it was made from"
            )
        if isinstance(module, IDENTITIES):
            return
        if isinstance(module, torch_rnn.ALL):
            refuse_own_forward(path, module, torch_rnn.ALL)
            self.add_recurrence(path, module)
        elif (kind := next((kind for kind in ADDERS if isinstance(module, kind)), None)) is not None:
            refuse_own_forward(path, module, (kind,))
            ADDERS[kind](self, path, module)
        else:
            self.refuse(path, module)
        self.sources.append(f"{path}: {type(module).__name__}")

    def refuse(self, path: str, module: Module) -> None:
        if list(module.children()):
            refuse_own_forward(path, module, ())
        if isinstance(module, torch.nn.LogSoftmax):
            raise ModuleError(
                f"{path} is a LogSoftmax, which cannot be converted; use torch.nn.Softmax(-1), or leave it out"
            )
        known = {kind.__name__ for kind in (*torch_rnn.TORCH_STACKS, *torch_rnn.TORCH_CELLS, *ADDERS)}
        raise ModuleError(
            f"{path} is a {type(module).__name__}, which cannot be converted; the supported modules are "
            f"{', '.join(sorted(known))}"
        )

    def add_layer(self, path: str, inputs: int | None, kind: str, weights: dict[str, Array], **options: Any) -> None:
        """Add a layer. inputs: its input width; None for ids. Errors name the path of the module."""
        if self.last is None:
            self.chain.input_width = inputs
        elif inputs is None:
            raise ModuleError(f"{path} takes token ids, so it must be the first layer")
        elif inputs != self.last.width:
            raise ModuleError(f"{path} has {inputs} inputs; the module before it has {self.last.width} outputs")
        try:
            layer = self.chain.add(kind, **options)
        except OptionError as error:
            raise ModuleError(f"{path}: {error}") from None
        if len(self.chain.layers) == 1:
            ids = {"kind": "ids", "size": layer.vocabulary_size}
            self.input = ids if inputs is None else {"kind": "array", "features": inputs}
        for role, shape in layer.shapes().items():
            if (found := weights[role].shape) != shape:
                raise ModuleError(f"{path}: the weights {role} have shape {list(found)}; expected {list(shape)}")
            self.tensors[layer.tensors[role]] = weights[role]

    def add_recurrence(self, path: str, module: Module) -> None:
        if any(layer.repeats for layer in self.chain.layers):
            raise ModuleError(
                f"{path} comes after a FinalStates, which leaves no steps to run over; remove one of them"
            )
        self.check_layout(path, module)
        self.recurrence_paths.append(path)
        hx = self.initial.get(path) if isinstance(self.initial, Mapping) else self.initial
        initial = torch_rnn.read_initial(path, module, hx)
        for k, part in enumerate(torch_rnn.read_layers(path, module)):
            options: dict[str, Any] = {"project": part.outputs} if part.cell.tape.has_projection else {}
            options |= {"initial": initial[k]} if initial else {}
            options |= {"add": len(self.chain.layers) - 1} if part.residual else {}
            kind, tape = "bidirectional" if part.bidirectional else "recurrent", self.chain.add_tape(part.cell)
            cell = {"size": part.size, "tape": tape, "cell": part.cell.name, "dialect": part.cell.dialect}
            self.add_layer(path, part.inputs, kind, part.weights, **cell, **options)

    def check_layout(self, path: str, module: Module) -> None:
        """Raise ModuleError for a container of recurrences that differ in batch_first."""
        if not hasattr(module, "batch_first"):  # a cell, which takes one step
            return
        container, batch_first = path.rpartition(".")[0], bool(module.batch_first)
        other, found = self.layouts.setdefault(container.partition(".")[0] or path, (path, batch_first))
        if found != batch_first:
            raise ModuleError(
                f"{path} has batch_first={batch_first} and {other} has batch_first={found}, so one of them reads rows "
                "as steps; make them equal, or pass the modules one by one"
            )

    def add_final_states(self, path: str, module: FinalStates) -> None:
        if self.last is None or not self.last.both_directions:
            raise ModuleError(f"{path} (FinalStates) must come right after a recurrence with bidirectional=True")
        self.add_layer(path, self.last.width, "final", {})

    def check_initial(self) -> None:
        """Raise ModuleError unless each initial state belongs to one recurrence."""
        paths = ", ".join(self.recurrence_paths) or "none"
        if isinstance(self.initial, Mapping):
            if unknown := [path for path in self.initial if path not in self.recurrence_paths]:
                raise ModuleError(
                    f"initial names {unknown[0]!r}, which is not a recurrence; the recurrences are {paths}"
                )
        elif self.initial is not None and len(self.recurrence_paths) != 1:
            raise ModuleError(
                f"initial is one state, but the recurrences are {paths}; pass a dictionary from these names to states"
            )

    def add_embedding(self, path: str, module: torch.nn.Embedding) -> None:
        if module.max_norm is not None:
            raise ModuleError(
                f"{path} has max_norm, which changes the table while it is read; pass one without max_norm"
            )
        rows, size = module.num_embeddings, module.embedding_dim
        weights = {"weight": to_float32(f"{path}.weight", module.weight)}
        self.add_layer(path, None, "embed", weights, rows=rows, size=size)

    def add_linear(self, path: str, module: torch.nn.Linear) -> None:
        inputs, size = module.in_features, module.out_features
        weights = {
            "weight": to_float32(f"{path}.weight", module.weight),
            "bias": bias_or_zeros(f"{path}.bias", module.bias, size),
        }
        self.add_layer(path, inputs, "dense", weights, size=size, activation="none")

    def add_norm(self, path: str, module: torch.nn.LayerNorm) -> None:
        if len(module.normalized_shape) != 1:
            raise ModuleError(
                f"{path} normalises over {list(module.normalized_shape)}; only a LayerNorm over the last axis can be "
                "converted"
            )
        size = module.normalized_shape[0]
        gain = np.ones(size, np.float32) if module.weight is None else to_float32(f"{path}.weight", module.weight)
        bias = bias_or_zeros(f"{path}.bias", module.bias, size)
        self.add_layer(path, size, "norm", {"gain": gain, "bias": bias}, eps=float(module.eps))

    def add_scale(self, path: str, module: Scale) -> None:
        mean, deviation = to_float32(f"{path}.mean", module.mean), to_float32(f"{path}.deviation", module.deviation)
        if mean.ndim != 1 or mean.shape != deviation.shape:
            raise ModuleError(
                f"{path}: mean has shape {list(mean.shape)} and deviation {list(deviation.shape)}; expected [features]"
            )
        if bad := int((deviation <= 0).sum()):
            raise ModuleError(f"{path}.deviation: {bad} of {deviation.size} values are not above 0")
        weights = {"mean": mean, "deviation": deviation}
        self.add_layer(path, mean.size, "scale", weights)

    def add_activation(self, path: str, module: Module) -> None:
        if not isinstance(self.last, Dense) or self.last.activation != "none":
            raise ModuleError(f"{path} ({type(module).__name__}) must come right after a Linear")
        self.chain.layers[-1] = replace(self.last, activation=type(module).__name__.lower())

    def add_softmax(self, path: str, module: torch.nn.Softmax) -> None:
        if module.dim not in (-1, 2):
            raise ModuleError(
                f"{path} is a Softmax over dim {module.dim}; only one over the last dim, Softmax(-1), can be converted"
            )
        if self.last is None:
            raise ModuleError(f"{path} is the first layer; put another layer before it")
        self.add_layer(path, self.last.width, "softmax", {})

    def build(self, labels: Sequence[str] | None) -> Model:
        layers = self.chain.layers
        document = assemble(
            "encode" if labels is None else "classify",
            {},
            {"x": self.input},
            layers,
            {"values" if labels is None else "label": make_entry(labels, layers[-1].ends_in)},
            {"from": "torch modules", "torch": str(torch.__version__), "modules": self.sources},
        )
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
