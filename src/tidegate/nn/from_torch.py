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
from .torch_rnn import array, bias

Array = npt.NDArray[np.float32]
Module = torch.nn.Module
IDENTITIES = (torch.nn.Identity, torch.nn.modules.dropout._DropoutNd)
CONTAINERS = (Sequential, torch.nn.Sequential)
DECISIVE = ("forward", "__call__", "permute_hidden", "run", "step", "first", "weights", "cell")  # make the answers


def from_torch(modules: Sequence[Module], labels: Sequence[str] | None = None, initial: Any = None) -> Model:
    """The model, without its check, that modules applied one after the other to every step are.

    modules, labels, initial: see `tidegate.from_torch`.

    Raises: ModuleError naming the module that cannot be brought; ModelFileError when the labels do not fit.
    """
    if isinstance(labels, str):
        raise ModuleError(f"labels is one string, {labels!r}; give a list of strings, one for each output")
    refuse_global_hooks()
    reader = Reader(initial)
    with answering(modules):
        for i, module in enumerate(modules):
            name = type(module).__name__ if len(modules) == 1 else f"[{i}]"
            for path, part in parts(name, module, ""):
                reader.read(path, part)
    if not reader.layers:
        raise ModuleError("there is no layer in it; give a recurrence, or a model of one")
    reader.check_initial()
    return reader.model(labels)


@contextmanager
def answering(modules: Sequence[Any]) -> Iterator[None]:
    """Modules in eval mode, then as they were: a parametrisation may give other weights while it is trained."""
    before = {part: part.training for module in modules if isinstance(module, Module) for part in module.modules()}
    for part in before:
        part.training = False
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training


def parts(name: str, module: Any, prefix: str) -> Iterator[tuple[str, Module]]:
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
        yield from parts(key, child, f"{path}.{key}")


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
        for name in DECISIVE
        if hasattr(kind, name) and (name in vars(module) or getattr(own, name) is not getattr(kind, name))
    ]
    if kind is not Module and not changed:
        return
    how = suggested(module) or "bring the plain module"
    what = changed[0] if changed else "forward"
    raise ModuleError(f"{path} ({own.__name__}) has a {what} of its own, which cannot be read; {how}")


def suggested(module: Module) -> str:
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


class Reader:
    """What has been read so far. width: of the last layer's output; None before the first layer, and for ids. initial:
    what recurrences start from; one value for the only one, or path -> value."""

    def __init__(self, initial: Any = None) -> None:
        self.initial, self.recurrences = initial, list[str]()
        self.layers: list[dict[str, Any]] = []
        self.tapes: dict[str, Tape] = {}
        self.tensors: dict[str, Array] = {}
        self.entry: dict[str, Any] = {}
        self.sources: list[str] = []
        self.layouts: dict[str, tuple[str, bool]] = {}
        self.width: int | None = None

    def read(self, path: str, module: Module) -> None:
        if "quantized" in type(module).__module__:
            raise ModuleError(f"{path} ({type(module).__name__}) is quantised; bring the float module it was made of")
        if isinstance(module, IDENTITIES):
            return
        if isinstance(module, torch_rnn.ALL):
            refuse_own_forward(path, module, torch_rnn.ALL)
            self.recurrence(path, module)
        elif (found := next((kind for kind in READERS if isinstance(module, kind)), None)) is not None:
            refuse_own_forward(path, module, (found,))
            READERS[found](self, path, module)
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
        known = ", ".join(sorted({kind.__name__ for kind in (*torch_rnn.STACKS, *torch_rnn.SINGLES, *READERS)}))
        raise ModuleError(f"{path} is a {type(module).__name__}, which no layer computes; there are layers for {known}")

    def add(self, path: str, inputs: int | None, outputs: int, layer: dict[str, Any], weights: dict[str, Any]) -> None:
        """One more layer. inputs: the width that it takes; None for ids."""
        if not self.layers:
            self.entry = (
                {"kind": "ids", "size": layer["rows"]} if inputs is None else {"kind": "array", "features": inputs}
            )
        elif inputs is None:
            raise ModuleError(f"{path} takes token ids; it must be the first layer")
        elif inputs != self.width:
            raise ModuleError(f"{path} takes {inputs} numbers a step; what comes before it gives {self.width}")
        self.check(path, inputs, layer, weights)
        names = {role: f"layers.{len(self.layers)}.{role}" for role in weights}
        self.tensors |= {names[role]: weight for role, weight in weights.items()}
        self.layers.append({**layer, "tensors": names})
        self.width = outputs

    def check(self, path: str, inputs: int | None, layer: dict[str, Any], weights: dict[str, Any]) -> None:
        """Raises ModuleError, with the module's path, for what the file would refuse by the number of a layer."""
        room = load(layer["kind"])
        try:
            room.check(layer, inputs, self.tapes)
        except OptionError as error:
            raise ModuleError(f"{path}: {error}") from None
        for role, shape in room.tensors(layer, self.tapes).items():
            if (found := weights[role].shape) != shape:
                raise ModuleError(f"{path}: the weights {role} have shape {list(found)}; expected {list(shape)}")

    def recurrence(self, path: str, module: Module) -> None:
        if any(layer["kind"] == "final" for layer in self.layers):
            raise ModuleError(f"{path} stands behind a FinalStates, which leaves it no steps to go over")
        self.same_layout(path, module)
        self.recurrences.append(path)
        given = self.initial.get(path) if isinstance(self.initial, Mapping) else self.initial
        first = torch_rnn.first(path, module, given)
        for k, found in enumerate(torch_rnn.recurrences(path, module)):
            tape, cell, width = self.tape(found.cell), found.cell, found.outputs
            layer: dict[str, Any] = {
                "kind": "bidirectional" if found.both else "recurrent",
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
            self.add(path, found.inputs, 2 * width if found.both else width, layer, found.weights)

    def same_layout(self, path: str, module: Module) -> None:
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

    def final(self, path: str, module: FinalStates) -> None:
        if not self.layers or self.layers[-1]["kind"] != "bidirectional" or self.width is None:
            raise ModuleError(f"{path} (FinalStates) must come right after a recurrence with bidirectional=True")
        self.add(path, self.width, self.width, {"kind": "final", "size": self.width}, {})

    def check_initial(self) -> None:
        """Raises ModuleError unless it is clear which recurrence each first state is for."""
        paths = ", ".join(self.recurrences) or "none"
        if isinstance(self.initial, Mapping):
            if unknown := [path for path in self.initial if path not in self.recurrences]:
                raise ModuleError(f"initial names {unknown[0]!r}, which is no recurrence; there are {paths}")
        elif self.initial is not None and len(self.recurrences) != 1:
            raise ModuleError(f"initial is one state and the recurrences are {paths}; give a mapping from these names")

    def tape(self, cell: cells.Cell) -> str:
        """The name of the cell's tape in the document; cells of another dialect get a number."""
        name, n = cell.name, 2
        while self.tapes.setdefault(name, cell.tape) != cell.tape:
            name, n = f"{cell.name}-{n}", n + 1
        return name

    def embedding(self, path: str, module: torch.nn.Embedding) -> None:
        if module.max_norm is not None:
            raise ModuleError(f"{path} has max_norm, which changes the table as it is read; bring one without")
        rows, size = module.num_embeddings, module.embedding_dim
        layer = {"kind": "embed", "rows": rows, "size": size}
        self.add(path, None, size, layer, {"weight": array(f"{path}.weight", module.weight)})

    def linear(self, path: str, module: torch.nn.Linear) -> None:
        inputs, size = module.in_features, module.out_features
        weights = {"weight": array(f"{path}.weight", module.weight), "bias": bias(f"{path}.bias", module.bias, size)}
        self.add(path, inputs, size, {"kind": "dense", "inputs": inputs, "size": size, "activation": "none"}, weights)

    def norm(self, path: str, module: torch.nn.LayerNorm) -> None:
        if len(module.normalized_shape) != 1:
            raise ModuleError(f"{path} normalises over {list(module.normalized_shape)}; only the last axis can be")
        size = module.normalized_shape[0]
        gain = np.ones(size, np.float32) if module.weight is None else array(f"{path}.weight", module.weight)
        layer = {"kind": "norm", "size": size, "eps": float(module.eps)}
        self.add(path, size, size, layer, {"gain": gain, "bias": bias(f"{path}.bias", module.bias, size)})

    def scale(self, path: str, module: Scale) -> None:
        mean, deviation = array(f"{path}.mean", module.mean), array(f"{path}.deviation", module.deviation)
        if mean.ndim != 1 or mean.shape != deviation.shape:
            raise ModuleError(
                f"{path}: mean has shape {list(mean.shape)} and deviation {list(deviation.shape)}; expected [features]"
            )
        if bad := int((deviation <= 0).sum()):
            raise ModuleError(f"{path}.deviation: {bad} of {deviation.size} values are not above 0")
        weights = {"mean": mean, "deviation": deviation}
        self.add(path, mean.size, mean.size, {"kind": "scale", "size": mean.size}, weights)

    def activation(self, path: str, module: Module) -> None:
        last = self.layers[-1] if self.layers else {}
        if last.get("kind") != "dense" or last.get("activation") != "none":
            raise ModuleError(f"{path} ({type(module).__name__}) must come right after a Linear")
        last["activation"] = type(module).__name__.lower()

    def softmax(self, path: str, module: torch.nn.Softmax) -> None:
        if module.dim not in (-1, 2):
            raise ModuleError(f"{path} is a Softmax over dim {module.dim}; only over the last, Softmax(-1), can be")
        if self.width is None:
            raise ModuleError(f"{path} is the first layer; a model needs one before it")
        self.add(path, self.width, self.width, {"kind": "softmax", "size": self.width}, {})

    def model(self, labels: Sequence[str] | None) -> Model:
        reason = whole_window(self.layers)
        document = {
            "format": FORMAT,
            "task": {"kind": "encode" if labels is None else "classify", "options": {}},
            "input": self.entry,
            "layers": self.layers,
            "tapes": {name: tape.to_json() for name, tape in self.tapes.items()},
            "state": state_schema(self.layers, self.tapes),
            "streams": {"yes": False, "because": reason} if reason else {"yes": True},
            "labels": None if labels is None else list(labels),
            "check": None,
            "provenance": {"from": "torch modules", "torch": str(torch.__version__), "modules": self.sources},
        }
        return Model(document, self.tensors)


READERS: dict[type[Module], Callable[[Reader, str, Any], None]] = {
    torch.nn.Embedding: Reader.embedding,
    torch.nn.Linear: Reader.linear,
    torch.nn.LayerNorm: Reader.norm,
    torch.nn.ReLU: Reader.activation,
    torch.nn.Tanh: Reader.activation,
    torch.nn.Sigmoid: Reader.activation,
    torch.nn.Softmax: Reader.softmax,
    Scale: Reader.scale,
    FinalStates: Reader.final,
}
