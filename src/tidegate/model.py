"""The model file: an immutable document with its tensors, and the hashes that states and caches refer to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, final

import numpy as np
import numpy.typing as npt

from . import tensors as safetensors
from .decode.base import Decoder
from .document import FORMAT, UNHASHED, validate
from .document.graph import find_columns
from .document.upgrade import read_format, upgrade
from .errors import ModelFileError, OptionError, error_context
from .files import sha256
from .inputs.base import Input
from .layers import INPUT, Layer, Outside, look_ahead, whole_window
from .outputs.base import Output
from .strictjson import canonical, parse, show
from .tape import Tape
from .tensors import Array, hash_parts

KEY: Final = "tidegate"
KIND: Final = safetensors.kind_from_key(KEY, "a tidegate model file")
HASHED_KEYS: Final = ("tapes", "inputs", "graphs", "outputs", "decoders")
HASHED_KEYS_1: Final = ("tapes", "layers", "input", "labels")  # of format 1


class ModelLevel(NamedTuple):
    """A graph of a model that has several.

    level: what its rows are: a message, a conversation. reads: what its input consists of, in order: nodes of the graph
    below, at whose end it ticks, which are outputs there by these names; and side inputs. model: the graph alone, with
    its own outputs. decoder: of a graph that one drives, its name, else ""; then level is "", and layer readers[i]
    reads reads[i], a node of any other graph, which is an output there.
    """

    level: str
    reads: tuple[str, ...]
    model: Model
    decoder: str = ""
    readers: tuple[int, ...] = ()


@final
class Model:
    """A model: a document (docs/format.md) and the tensors that it names, validated and immutable.

    document: the JSON object; `check` may be None until the model is saved. tensors: name -> array; writable arrays are
    copied.

    Raises: ModelFileError with the key or tensor, what was found and what was expected.

    >>> from tidegate.verify.samples import sample
    >>> model = sample(features=3, size=4)
    >>> Model(model.document, model.tensors).weights_hash == model.weights_hash
    True
    """

    __slots__ = (
        "_decoders",
        "_document",
        "_driven",
        "_former",
        "_hashes",
        "_inputs",
        "_layers",
        "_levels",
        "_outputs",
        "_sha256",
        "_tapes",
        "_tensors",
        "_text",
    )

    def __init__(self, document: Mapping[str, Any], tensors: Mapping[str, npt.ArrayLike]) -> None:
        try:
            text = to_json(dict(document))
            text.encode()
        except UnicodeEncodeError as error:
            near = error.object[max(0, error.start - 20) : error.end + 20]
            raise ModelFileError(
                f"the document has text that cannot be written as UTF-8, near {near!r}: a name or label has half of a "
                "surrogate pair, or bytes that are not characters; change it"
            ) from error
        except (TypeError, ValueError, RecursionError) as error:
            raise ModelFileError(f"the document cannot be written as JSON: {error}") from error
        self._fill(text, {name: _freeze(np.asarray(value)) for name, value in tensors.items()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Load a model file.

        Raises: ModelFileError for a file that is not a model, or is damaged, inconsistent or from a newer version.

        >>> import tempfile
        >>> from tidegate.verify.samples import sample
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sample(features=3, size=4, check=True).save(folder + "/m.safetensors")
        ...     model = Model.load(folder + "/m.safetensors")
        >>> model.streams
        (True, '')
        """
        tensors, text, checksum = safetensors.load(path, KEY)
        with error_context(os.fspath(path)):
            model = cls.__new__(cls)
            model._fill(text, tensors, checksum)
            if model._document["check"] is None:
                raise ModelFileError("check: is null; a file needs one, so save the model with its check")
            return model

    def save(self, path: str | os.PathLike[str], force: bool = False) -> None:
        """Write the file, whole or not at all; the same model always gives the same bytes.

        An existing model file is replaced; any other existing file only with force=True.

        Raises: ModelFileError for a model without a check; OptionError for an existing file that is not a model file;
        TidegateError if the file cannot be written.
        """
        if self._document["check"] is None:
            raise ModelFileError("the model has no check, which a file needs; add it before saving")
        safetensors.save(path, self._tensors, KEY, self._text, KIND, force)

    @property
    def file_bytes(self) -> int:
        """Size in bytes of the file that `save` writes. Raises ModelFileError for a header that is too large."""
        return safetensors.size(self._tensors, KEY, self._text)

    def _fill(self, text: str, tensors: Mapping[str, Array], checksum: str | None = None) -> None:
        found = parse(text)
        is_older = read_format(found, FORMAT) < FORMAT
        self._former: dict[str, Any] | None = found if is_older else None
        self._document: dict[str, Any] = upgrade(found)
        self._text, self._sha256 = to_json(self._document) if is_older else text, checksum
        self._tensors = MappingProxyType(dict(tensors))
        self._tapes, self._layers, inputs, outputs, decoders, levels = validate(self._document, tensors)
        graphs = {
            name: ModelLevel(one.level, one.reads, Model(one.document, one.tensors), one.decoder, one.readers)
            for name, one in levels.items()
        }
        self._levels = {name: graph for name, graph in graphs.items() if not graph.decoder}
        self._driven = {name: graph for name, graph in graphs.items() if graph.decoder}
        self._inputs, self._outputs = MappingProxyType(inputs), MappingProxyType(outputs)
        self._decoders = MappingProxyType(decoders)
        self._hashes: dict[str, str] = {}
        for name, array in tensors.items():
            _refuse_not_finite(name, array)

    @classmethod
    def _rebuild(cls, text: str, tensors: Mapping[str, Array], checksum: str | None) -> Model:
        model = cls.__new__(cls)
        model._fill(text, {name: _freeze(array) for name, array in tensors.items()}, checksum)
        return model

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: Any) -> Model:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        text = self._text if self._former is None else to_json(self._former)
        return Model._rebuild, (text, dict(self._tensors), self._sha256)

    @property
    def document(self) -> dict[str, Any]:
        """A copy of the document; changing it does not change the model."""
        copy: dict[str, Any] = json.loads(self._text)
        return copy

    @property
    def tensors(self) -> Mapping[str, Array]:
        """Name -> read-only array."""
        return self._tensors

    @property
    def tapes(self) -> dict[str, Tape]:
        """Name -> tape."""
        return dict(self._tapes)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order; those of all graphs, one after another, if there are several."""
        return self._layers

    @property
    def first(self) -> Model:
        """The first graph alone, as a model of its own; a model of one graph is its own first."""
        return next((level.model for level in self._levels.values()), self)

    @property
    def levels(self) -> Mapping[str, ModelLevel]:
        """The graphs that tick on each other, by name, each as a model of its own; empty for a model of one graph."""
        return MappingProxyType(self._levels)

    @property
    def driven(self) -> Mapping[str, ModelLevel]:
        """The graphs that decoders drive, by name, each as a model of its own."""
        return MappingProxyType(self._driven)

    @property
    def graphs(self) -> Mapping[str, ModelLevel]:
        """All graphs by name, those that decoders drive last; empty for a model of one graph."""
        return MappingProxyType({**self._levels, **self._driven})

    @property
    def memories(self) -> dict[str, Outside]:
        """The nodes whose steps a stream keeps, as graphs that decoders drive attend to them, and how many it keeps."""
        found: dict[str, Outside] = {}
        for graph in self._driven.values():
            for i, node in zip(graph.readers, graph.reads, strict=True):
                outside = graph.model.layers[i].outside
                if outside is not None and outside.most:
                    found[node] = outside
        return found

    @property
    def ports(self) -> dict[str, Any]:
        """The name of each input or port that a layer can read -> where its columns stand in a step's row.

        >>> from tidegate.verify.samples import sample
        >>> sample(size=4).ports
        {'x': Ellipsis}
        """
        return find_columns(self._inputs[INPUT])

    @property
    def inputs(self) -> Mapping[str, Input]:
        """The inputs, by name."""
        return self._inputs

    @property
    def outputs(self) -> Mapping[str, Output]:
        """The outputs, by name."""
        return self._outputs

    @property
    def decoders(self) -> Mapping[str, Decoder]:
        """The decoders that the document has, by name; an output has its own in `decoder`."""
        return self._decoders

    @property
    def labels(self) -> list[str] | None:
        """The labels in the order of the outputs; None for a model without labels."""
        found = next((output for output in self._outputs.values() if output.classifies), None)
        return None if found is None or found.labels is None else list(found.labels)

    @property
    def multi_label(self) -> bool:
        """Whether several labels may apply at once."""
        return any(output.gives_several for output in self._outputs.values())

    @property
    def state_schema(self) -> list[dict[str, Any]]:
        """The arrays of a stream's state in order, each with name, dtype, shape, offset and (except for steps) fill."""
        arrays: list[dict[str, Any]] = self.document["state"]["arrays"]
        return arrays

    @property
    def state_bytes(self) -> int:
        """Size in bytes of a stream's state block."""
        return int(self._document["state"]["bytes"])

    @property
    def streams(self) -> tuple[bool, str]:
        """Whether the model can stream, and if not, why ("" if it can)."""
        streams = self._document["streams"]
        return streams["yes"], streams.get("because", "")

    @property
    def keeps(self) -> int:
        """How many steps of a message a stream keeps until its end, as layers read whole rows; else 0."""
        return int(self._document["streams"].get("keeps", 0))

    @property
    def whole_window(self) -> str:
        """Why the layers cannot run step by step; "" if they can."""
        return self.first.whole_window if self._levels else whole_window(self._layers)

    @property
    def look_ahead(self) -> int:
        """How many later steps an answer of the layers reads, so that it is as many steps late in a stream.

        0 for layers that read whole rows. With a window, which the layers read as a whole at each push, no answer is
        late.
        """
        return self.first.look_ahead if self._levels else look_ahead(self._layers)

    @property
    def sha256(self) -> str | None:
        """The SHA-256 in the file, in hexadecimal, compared with the contents when the file was loaded.

        None for an older file without one, and for a model that was made in memory.
        """
        return self._sha256

    @property
    def weights_hash(self) -> str:
        """SHA-256, in hexadecimal, of all that decides an answer: inputs, graphs, outputs, decoders, tapes, tensors."""
        return self._hash("weights", lambda: self._weights(self._document, HASHED_KEYS))

    @property
    def former_weights_hash(self) -> str | None:
        """The `weights_hash` that a file of format 1 had, and that its states carry; None for newer files."""
        former = self._former
        return None if former is None else self._hash("former", lambda: self._weights(former, HASHED_KEYS_1))

    @property
    def schema_hash(self) -> str:
        """SHA-256, in hexadecimal, of the layout of a state."""
        return self._hash("schema", self._schema)

    def _weights(self, document: dict[str, Any], keys: tuple[str, ...]) -> Iterator[Any]:
        yield canonical({key: document[key] for key in keys}) + b"\n"
        yield from hash_parts({name: v for name, v in self._tensors.items() if not name.startswith(UNHASHED)})

    def _schema(self) -> Iterator[Any]:
        state = {name: tape["state"] for name, tape in self._document["tapes"].items()}
        more: dict[str, Any] = {"keeps": self.keeps} if self.keeps else {}
        if self._decoders:
            more["decoders"] = {
                name: {key: [field.dtype, list(field.shape)] for key, field in decoder.fields.items()}
                for name, decoder in self._decoders.items()
            }
        if self._driven:
            more["memories"] = {node: [outside.most, outside.width] for node, outside in self.memories.items()}
        yield canonical({"arrays": self._document["state"]["arrays"], "tapes": state, **more}) + b"\n"

    def _hash(self, which: str, parts: Callable[[], Iterator[Any]]) -> str:
        if which not in self._hashes:
            self._hashes[which] = sha256(parts(), sum(array.nbytes for array in self._tensors.values()))
        return self._hashes[which]

    def __repr__(self) -> str:
        kinds = ", ".join(layer.kind for layer in self._layers)
        return f"Model({self._document['task']['kind']}: {kinds})"


def to_json(document: dict[str, Any]) -> str:
    """Return a document as the text of a model file."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def as_model(model: Any) -> Model:
    """Return the model itself, the model of a predictor, or the model of the file at a path.

    Raises: OptionError for anything else; ModelFileError for a file that is not a model.

    >>> as_model(3)
    Traceback (most recent call last):
        ...
    tidegate.errors.OptionError: model is int; expected a Model, a Predictor or the path of a model file
    """
    if isinstance(model, str | os.PathLike):
        return Model.load(model)
    inner = getattr(model, "model", model)
    if not isinstance(inner, Model):
        raise OptionError(f"model is {type(model).__name__}; expected a Model, a Predictor or the path of a model file")
    return inner


def _freeze(array: Array) -> Array:
    """Return the array itself if no code can write to it, otherwise a read-only copy."""
    base: Any = array
    while isinstance(base, np.ndarray) and not base.flags.writeable and base.base is not None:
        base = base.base
    if isinstance(base, np.ndarray) or not array.flags.c_contiguous:
        array = np.array(array, order="C")
        array = np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
    return array


def _refuse_not_finite(name: str, array: Array) -> None:
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        count = array.size - int(np.count_nonzero(finite))
        raise ModelFileError(f"tensor {show(name)}: {count} of {array.size} values are NaN or infinite")
