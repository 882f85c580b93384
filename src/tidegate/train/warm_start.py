"""A model that starts from the weights of another one: `--from`.

Layers are compared along the graph, from the input on: one takes over the weights of a layer of the earlier model that
computes the same of the same. Rows of an embedding are compared by their words, and rows of the last layer by the names
of what they give, such as labels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import zip_longest
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import cells
from ..document import scoring
from ..document.decoders import resolve_outputs
from ..errors import OptionError
from ..layers import INPUT, Layer, Source, reads_of, sources_of
from ..model import Model
from ..tasks._options import flag_of
from ..tasks.base import Problem

Array = npt.NDArray[Any]
KEPT: Final = "kept"  # the options whose value has to be that of the earlier model
Name = tuple[str, str]  # of an output and of one of its numbers, such as a label


# ---- options


def load_earlier(options: Any) -> Model | None:
    """Return the model that a run starts from; None if it starts from none. Raises ModelFileError, OptionError."""
    if options.from_model is None:
        return None
    if getattr(options, "vectors", None) is not None:
        raise OptionError("--vectors and --from both give the first values of the embedding; leave one of them out")
    return Model.load(options.from_model)


def list_given(options: Any) -> set[str]:
    """Return the names of the options that differ from their default."""
    return {f.name for f in fields(options) if getattr(options, f.name) != f.default}


def adopt_options(options: Any, given: set[str], earlier: Model) -> Any:
    """Return the options with those of the earlier model that decide its layers. given: names of what the user chose.

    Raises OptionError for a choice that no weights of the earlier model fit.
    """
    path, recorded, values = options.from_model, earlier.document["task"]["options"], dict[str, Any]()
    for f in fields(options):
        rule, own, before = (
            f.metadata.get("earlier"),
            getattr(options, f.name),
            recorded.get(f.name, f.metadata.get("absent")),
        )
        beside = f.metadata.get("beside")
        if not rule or before is None or (beside and getattr(options, beside) is None):
            continue
        if f.name not in given or own is None:
            values[f.name] = before
        elif rule == KEPT and name_file(own) != before:
            raise OptionError(
                f"{path}: was fitted with {flag_of(f)} {show(before)}, and {flag_of(f)} is {show(name_file(own))}; "
                "leave it out, or start from another model"
            )
    if values.get("cell", cells.names()[0]) not in cells.names():
        raise OptionError(f"{path}: has a cell of your own, {values['cell']!r}; give its file with --cell")
    return replace(options, **values)


def name_file(value: Any) -> Any:
    """Return the name by which a model file records the path of a Python file; any other value as it is."""
    is_file = isinstance(value, str) and value.endswith(".py")
    return os.path.basename(value).removesuffix(".py") if is_file else value


def show(value: Any) -> str:
    """Spell the value of an option in a message.

    >>> show(256), show(True), show("")
    ('256', 'yes', "''")
    """
    return ("no", "yes")[value] if isinstance(value, bool) else str(value) or repr(value)


# ---- weights


@dataclass
class Taken:
    """What a model takes over from an earlier one.

    tensors: first values by name. layers: in words, of each layer whose weights come from there, in whole or in part.
    new, left: in words, the layers with weights that take nothing over, and those of the earlier model that nothing
    takes.
    """

    tensors: dict[str, Array] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def entry(self, path: str, earlier: Model) -> dict[str, Any]:
        """Return the entry of the provenance."""
        document = earlier.document
        return {
            "file": os.path.basename(path),
            "sha256": earlier.sha256,
            "weights": earlier.weights_hash,
            "task": document["task"]["kind"],
            "taken": self.layers,
            "new": self.new,
            "left": self.left,
        }

    def note(self) -> str:
        """Say what was taken over and what was not."""
        parts = {"taken over": self.layers, "new": self.new, "not used": self.left}
        return "; ".join(f"{name}: {', '.join(words)}" for name, words in parts.items() if words)


def take_over(path: str, model: Model, earlier: Model) -> Taken:
    """Return what a model takes over from an earlier one. model: with its own first values.

    Raises OptionError, which names what does not fit, where that is nothing.
    """
    if fault := model.inputs[INPUT].differs_from(earlier.inputs[INPUT]):
        raise OptionError(f"{path}: {fault}; start from another model")
    taken, reads_same = Taken(), True
    for own, other in zip_longest(list_graphs(model), list_graphs(earlier)):
        found = match_layers(own, other) if own and other and reads_same else {}
        for i, layer in enumerate(own.layers if own else ()):
            if i in found:
                take_layer(taken, layer, other.layers[found[i]], Place(own, i), Place(other, found[i]))
            elif has_weights(layer):
                taken.new.append(describe(layer))
        rest = [layer for j, layer in enumerate(other.layers if other else ()) if j not in found.values()]
        taken.left += [describe(layer) for layer in rest if has_weights(layer)]
        reads_same = bool(found) and found.get(last_node(own)) == last_node(other)
    if not taken.tensors:
        raise OptionError(
            f"{path}: no weights fit this model; there, the layers are {', '.join(taken.left)}, and here "
            f"{', '.join(taken.new)}; choose the same sizes and columns, or leave --from out"
        )
    taken.tensors |= take_decoders(model, earlier)
    return taken


def list_graphs(model: Model) -> list[Model]:
    """Return the graphs that tick on each other, the innermost first, each as a model of its own."""
    return [level.model for level in model.levels.values()] or [model]


def last_node(model: Model) -> int:
    """Return the index of the last layer of a graph, which the next graph reads."""
    return len(model.layers) - 1


def has_weights(layer: Layer) -> bool:
    """Return whether a layer has tensors that training changes."""
    return any(layer.use(role) != "fixed" for role in layer.tensors)


def describe(layer: Layer, what: str = "") -> str:
    """Name a layer in a sentence. what: which part of it is meant; "" for all."""
    return f"{layer.kind} ({what or layer.describe()})"


def match_layers(model: Model, earlier: Model) -> dict[int, int]:
    """Return for each layer that has a counterpart in the earlier model its index there.

    A counterpart computes the same of the same: its sources are the counterparts of the layer's own. The last layers
    have one too if they differ in what they give, such as labels.
    """
    found: dict[int, int] = {}
    names, others = name_rows(model), name_rows(earlier)
    for i, layer in enumerate(model.layers):
        reads = translate(reads_of(i, layer), found)
        for j, other in enumerate(earlier.layers):
            before, beside = without_branch(earlier, j)
            same_reads = reads == before and (layer.add is None) == (other.add is None)
            if j in found.values() or not same_reads or (i in names) != (j in others):
                continue
            if i in names:
                fits = type(layer) is type(other) and layer.input_width == other.input_width - beside
            else:
                fits = layer.resembles(other)
            if fits:
                found[i] = j
                break
    return found


def without_branch(earlier: Model, i: int) -> tuple[tuple[Source, ...], int]:
    """Return what layer i reads besides a linear branch, which is fitted anew; and the width of the branch."""
    layers, reads = earlier.layers, reads_of(i, earlier.layers[i])
    branch = [source for source in reads if isinstance(source, int) and layers[source].fitted_apart]
    return tuple(source for source in reads if source not in branch), sum(layers[int(s)].width for s in branch)


def translate(sources: Sequence[Source], found: dict[int, int]) -> tuple[Source, ...] | None:
    """Return the counterparts of what a layer reads; None if one has none."""
    if any(isinstance(source, int) and source not in found for source in sources):
        return None
    return tuple(found[source] if isinstance(source, int) else source for source in sources)


def name_rows(model: Model) -> dict[int, list[Name]]:
    """Return by its index each layer whose numbers are those of an output's names, such as labels, with these names.

    A name has the output's in front; a number of no output has that of its place.
    """
    found: dict[int, list[Name]] = {}
    document = model.document
    for name, entry in resolve_outputs(document["outputs"], document["decoders"]).items():
        if (labels := model.outputs[name].labels) is None:
            continue
        i = int(entry["from"].rpartition(".")[2])
        while not has_weights(model.layers[i]) and sources_of(i, model.layers[i]) == (i - 1,):
            i -= 1
        names = found.setdefault(i, [("", str(row)) for row in range(model.layers[i].width)])
        first = (entry.get("part") or [0])[0]
        names[first : first + len(labels)] = [(name, label) for label in labels]
    return found


# ---- the weights of a layer


class Place(NamedTuple):
    """A layer of one of the models: the model of its graph, and which of its layers it is."""

    model: Model
    at: int

    def names(self, layer: Layer, role: str) -> tuple[Sequence[Any] | None, str]:
        """Return what the rows of a tensor are about, and that in a word; None if they are just rows."""
        if (labels := name_rows(self.model).get(self.at)) is not None:
            return labels, "labels"
        (source, *others) = sources_of(self.at, layer)
        if layer.use(role) != "table" or others or not isinstance(source, str):
            return None, ""
        return self.model.inputs[INPUT].row_names(source.removeprefix(INPUT).removeprefix("."))


def take_layer(taken: Taken, layer: Layer, other: Layer, here: Place, there: Place) -> None:
    """Take over the weights of a layer, of which rows that have names are compared by them."""
    tensors: dict[str, Array] = {}
    words = ""
    for role in layer.tensors:
        if layer.use(role) == "fixed":
            continue
        own, before = here.model.tensors[layer.tensors[role]], there.model.tensors[other.tensors[role]]
        names, word = here.names(layer, role)
        if names is None:
            tensors |= {role: before} if own.shape == before.shape else {}
            continue
        known = {name: row for row, name in enumerate(there.names(other, role)[0] or ())}
        rows = [(row, known[name]) for row, name in enumerate(names) if name in known]
        tensors[role] = np.array(own)
        if rows:
            to, of = np.transpose(rows)
            tensors[role][to] = before[of][..., : own.shape[-1]] if own.ndim > 1 else before[of]  # a branch is behind
        shared, total = (sum(map(is_word, each)) for each in ([names[row] for row, _ in rows], names))
        words = f"{shared:,} of {total:,} {word}"
    if not tensors:
        if has_weights(layer):
            taken.new.append(describe(layer))
        return
    taken.tensors |= {layer.tensors[role]: array for role, array in tensors.items()}
    taken.layers.append(describe(layer, words) if words else layer.kind)


def is_word(name: Any) -> bool:
    """Return whether a row's name is counted: no unknown word, no feature of words, no number without a name."""
    return bool(name and name[0]) and not (isinstance(name, bytes) and len(name) > 1 and b" " in name)


def take_loss_tensors(problem: Problem, model: Model, earlier: Model) -> dict[str, Array]:
    """Return the tensors of the loss that an earlier file has for `score`, but for those with a row for each word."""
    names, words = earlier.document["provenance"].get(scoring.KEY, {}), model.inputs[INPUT].size
    found = {role: earlier.tensors[names[role]] for role in problem.kept if role in names}
    shapes = {role: problem.loss_tensors[role].shape for role in found}
    return {r: a for r, a in found.items() if a.shape == shapes[r] and not (words and words in a.shape)}


def take_decoders(model: Model, earlier: Model) -> dict[str, Array]:
    """Return the tensors of decoders that are the same in both models and decide between the same names."""
    found: dict[str, Array] = {}
    documents = model.document, earlier.document
    for name, decoder in model.decoders.items():
        before = earlier.decoders.get(name)
        if before is None or type(before) is not type(decoder):
            continue
        labels = [
            [entry.get("labels") for entry in one["outputs"].values() if entry.get("from") == name] for one in documents
        ]
        if labels[0] == labels[1]:
            found |= {own: earlier.tensors[before.tensors[role]] for role, own in decoder.tensors.items()}
    return found
