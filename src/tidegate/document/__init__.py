"""The JSON document of a model file: what it must hold, and that it agrees with itself and with its tensors.

docs/format.md is the definition. Everything here raises ModelFileError with the place, the value found and
the value expected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Final

from .. import layers as layer_modules
from ..errors import CellError, ModelFileError, OptionError, error_context
from ..strictjson import canonical, show
from ..tape import Tape
from ..tensors import Array
from . import inputs
from .expect import keys, listed, mapping, tensor, text, whole
from .limits import (
    MAX_CHECK_BYTES,
    MAX_CHECK_STEPS,
    MAX_LAYERS,
    MAX_STATE_BYTES,
    MAX_STEP_NUMBERS,
    MAX_TAPES,
    MAX_WINDOW_NUMBERS,
)

FORMAT: Final = 1
KEYS: Final = ("format", "task", "input", "layers", "tapes", "state", "labels", "streams", "provenance", "check")

Document = dict[str, Any]
Tapes = dict[str, Tape]


def validate(document: Any, tensors: Mapping[str, Array]) -> Tapes:
    """The tapes of a document, once all of it holds for these tensors' names, dtypes and shapes.

    Of the tensors' values only deviations of a series' columns are looked at. Raises: ModelFileError.
    """
    _format(document)
    tapes = _tapes(document["tapes"])
    _task(document["task"])
    width = inputs.check(document["input"], tensors)
    used = inputs.tensors_of(document["input"])
    outputs = _layers(document["layers"], tapes, width, inputs.rows_of(document["input"]), tensors)
    used |= {name for layer in document["layers"] for name in layer["tensors"].values()}
    _vocabulary_rows(document)
    _unused_tapes(document["layers"], tapes)
    _answer(document, outputs)
    _labels(document["labels"], document["task"]["kind"], outputs)
    _streams(document["streams"], streams_of(document["layers"], document["input"]))
    _state(document["state"], state_schema(document["layers"], tapes))
    mapping("provenance", document["provenance"])
    if misnamed := sorted(name for name in used if name.startswith("check.")):
        raise ModelFileError(f"tensor {show(misnamed[0])}: names that start with check. are for the check only")
    counts = {"output": outputs, "state": _floats(document["state"]["arrays"])}
    _unreferenced(tensors, used | _check(document["check"], counts, tensors))
    return tapes


def state_schema(layers: list[dict[str, Any]], tapes: Tapes) -> dict[str, Any]:
    """The `state` key that valid layers give: {"bytes": size of the block, "arrays": [...]} by offset.

    A chain with a whole-window layer does not stream: it has `steps` alone. Raises: ModelFileError when the layers
    together carry over 16 MiB from step to step.

    >>> state_schema([{"kind": "pool", "size": 2, "over": ["max"]}], {})["arrays"][1]
    {'name': 'layers.0.max', 'dtype': 'float32', 'shape': [2], 'offset': 8, 'fill': '-inf'}
    """
    arrays: list[dict[str, Any]] = [{"name": "steps", "dtype": "int64", "shape": [1], "offset": 0}]
    offset = 8
    for i, layer in enumerate(layers):
        module = layer_modules.load(layer["kind"])
        for name, (shape, fill) in getattr(module, "carried", module.state)(layer, tapes).items():
            arrays.append(
                {
                    "name": f"layers.{i}.{name}",
                    "dtype": "float32",
                    "shape": list(shape),
                    "offset": offset,
                    "fill": fill if isinstance(fill, list) else "-inf" if fill == -math.inf else float(fill),
                }
            )
            offset += 4 * math.prod(shape)
    if offset > MAX_STATE_BYTES:
        raise ModelFileError(
            f"state: the layers carry {offset} bytes from step to step; at most {MAX_STATE_BYTES} are allowed"
        )
    if layer_modules.whole_window(layers):
        arrays, offset = arrays[:1], 8
    return {"bytes": -(-offset // 8) * 8, "arrays": arrays}


def streams_of(layers: list[dict[str, Any]], entry: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The `streams` key that valid layers give, behind a valid input (None: one without a window).

    A window is run afresh at each push, so that layers which read whole rows may stream behind one.

    >>> streams_of([{"kind": "softmax", "size": 2}])
    {'yes': True}
    """
    because = layer_modules.whole_window(layers)
    windowed = entry is not None and inputs.rows_of(dict(entry)) is not None
    return {"yes": False, "because": because} if because and not windowed else {"yes": True}


@contextmanager
def _placed(place: str) -> Iterator[None]:
    """Faults of tapes and layers as faults of the file, with their place and of bounded length."""
    try:
        yield
    except (CellError, OptionError) as error:
        text = str(error)
        text = text if len(text) <= 300 else text[:300] + "..."
        raise ModelFileError(f"{place}: {text}") from error

        # --- the keys, in the order of docs/format.md


def _format(document: Any) -> None:
    mapping("the document", document)
    version = document.get("format")
    if type(version) is int and version > FORMAT:
        raise ModelFileError(
            f"made by a newer tidegate (format {version}); this one reads format {FORMAT}; upgrade tidegate"
        )
    if type(version) is not int or version != FORMAT:
        raise ModelFileError(f"format is {show(version)}; expected {FORMAT}")
    keys("the document", document, *KEYS)


def _tapes(value: Any) -> Tapes:
    mapping("tapes", value)
    if len(value) > MAX_TAPES:
        raise ModelFileError(f"tapes: has {len(value)} entries; at most {MAX_TAPES} are allowed")
    tapes = {}
    for name, tape in value.items():
        with _placed(f"tapes.{show(text('a name in tapes', name))}"):
            tapes[name] = Tape.from_json(tape)
    return tapes


def _task(value: Any) -> None:
    keys("task", value, "kind", "options")
    text("task.kind", value["kind"])
    mapping("task.options", value["options"])


def _layers(value: Any, tapes: Tapes, width: int | None, rows: int | None, tensors: Mapping[str, Array]) -> int:
    """The width of the last layer's output; each layer gets the output of the one before.

    rows: how many steps of them an answer costs; None: one.
    """
    listed("layers", value, 1, MAX_LAYERS)
    widths: list[int] = []
    numbers = 0
    for i, layer in enumerate(value):
        place = f"layers[{i}]"
        mapping(place, layer)
        with _placed(place):
            module = layer_modules.load(layer.get("kind"))
            width = int(module.check(layer, width, tapes))
        if "add" in layer:
            _add(f"{place}.add", layer["add"], widths, width)
        if (numbers := numbers + width + _registers(layer, tapes)) > MAX_STEP_NUMBERS:
            most = f"at most {MAX_STEP_NUMBERS} are allowed"
            raise ModelFileError(f"{place}: the layers up to here work out {numbers} numbers a step; {most}")
        if (rows or 1) * numbers > MAX_WINDOW_NUMBERS:
            cost = f"the layers up to here work out {rows} x {numbers} numbers a window"
            raise ModelFileError(f"{place}: {cost}; at most {MAX_WINDOW_NUMBERS} are allowed")
        _layer_tensors(f"{place}.tensors", layer.get("tensors"), module.tensors(layer, tapes), tensors)
        widths.append(width)
    return widths[-1]


def _registers(layer: dict[str, Any], tapes: Tapes) -> int:
    """How many numbers a layer's tape works out in a step: they cost time, and no byte of the file."""
    return sum(tapes[layer["tape"]].widths(layer["size"], layer.get("project"))) if "tape" in layer else 0


def _add(place: str, index: Any, widths: list[int], width: int) -> None:
    if type(index) is not int or not 0 <= index < len(widths):
        raise ModelFileError(f"{place}: is {show(index)}; expected the index of an earlier layer")
    if widths[index] != width:
        raise ModelFileError(f"{place}: layer {index} is {widths[index]} wide and this one {width}; both must be equal")


def _layer_tensors(place: str, names: Any, needed: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Array]) -> None:
    keys(place, names, *needed)
    for role, shape in needed.items():
        tensor(f"{place}.{role}", names[role], tensors, "F32", tuple(shape))


def _vocabulary_rows(document: Document) -> None:
    first, size = document["layers"][0], document["input"].get("size")
    if first["kind"] == "embed" and first["rows"] != size:
        raise ModelFileError(f"layers[0].rows: is {first['rows']}; it must be equal to input.size, {size}")


def _unused_tapes(layers: list[dict[str, Any]], tapes: Tapes) -> None:
    if unused := sorted(set(tapes) - {layer["tape"] for layer in layers if "tape" in layer}):
        raise ModelFileError(f"tapes.{show(unused[0])}: no layer uses it; remove it")


def _answer(document: Document, outputs: int) -> None:
    if (needed := inputs.outputs_of(document["input"])) is None:
        return
    if outputs != needed:
        raise ModelFileError(f"input.answer: needs {needed} outputs; the last layer has {outputs}")
    if document["labels"] is not None:
        raise ModelFileError("labels: are there, and a model with input.answer forecasts; expected null")


def _labels(value: Any, task: str, outputs: int) -> None:
    if value is None and task != "classify":
        return
    if not isinstance(value, list) or not all(isinstance(label, str) and label for label in value):
        raise ModelFileError(f"labels: is {show(value)}; expected a list of strings that are not empty")
    if len(set(value)) != len(value):
        ordered = sorted(value)
        twice = next(a for a, b in pairwise(ordered) if a == b)
        raise ModelFileError(f"labels: {show(twice)} stands twice; each must be there once")
    if len(value) != outputs:
        raise ModelFileError(f"labels: there are {len(value)}; the last layer has {outputs} outputs")


def _state(value: Any, computed: dict[str, Any]) -> None:
    keys("state", value, "bytes", "arrays")
    listed("state.arrays", value["arrays"], 1, len(computed["arrays"]) + MAX_LAYERS)
    for i, array in enumerate(computed["arrays"]):
        if i >= len(value["arrays"]) or not _same(value["arrays"][i], array):
            found = show(value["arrays"][i], 200) if i < len(value["arrays"]) else "missing"
            raise ModelFileError(f"state.arrays[{i}]: is {found}; the layers need {show(array, 200)}")
    if len(value["arrays"]) > len(computed["arrays"]):
        raise ModelFileError(
            f"state.arrays: has {len(value['arrays'])} entries; the layers need {len(computed['arrays'])}"
        )
    if not _same(value["bytes"], computed["bytes"]):
        raise ModelFileError(f"state.bytes: is {show(value['bytes'])}; the layers need {computed['bytes']}")


def _same(a: Any, b: Any) -> bool:
    """Equality that tells 1 from 1.0 and True, as the hashes do."""
    return canonical(a) == canonical(b)


def _streams(value: Any, computed: dict[str, Any]) -> None:
    """computed: what the layers and the input give; the file must say the same, in words of its own."""
    mapping("streams", value)
    if type(value.get("yes")) is not bool:
        raise ModelFileError(f"streams.yes: is {show(value.get('yes'))}; expected true or false")
    if value["yes"]:
        keys("streams", value, "yes")
    else:
        keys("streams", value, "yes", "because")
        text("streams.because", value["because"])
    if value["yes"] != computed["yes"]:
        why = f"because {computed['because']}" if "because" in computed else "as each of its layers goes step by step"
        raise ModelFileError(f"streams.yes: is {show(value['yes'])}; expected {show(not value['yes'])}, {why}")


def _floats(arrays: list[dict[str, Any]]) -> int:
    return sum(math.prod(array["shape"]) for array in arrays if array["dtype"] == "float32")


def _check(value: Any, counts: Mapping[str, int], tensors: Mapping[str, Array]) -> set[str]:
    """The names of the check's tensors. counts: how many numbers an output and a state have unstrided."""
    if value is None:
        return set()
    keys("check", value, "seed", "stride", "cases")
    whole("check.seed", value["seed"], 0, (1 << 63) - 1)
    whole("check.stride", value["stride"], 1, MAX_STATE_BYTES)
    listed("check.cases", value["cases"], 1, 64)
    names: list[str] = []
    for i, case in enumerate(value["cases"]):
        with error_context(f"check.cases[{i}]"):
            names += _case(case, value["stride"], counts, tensors)
    if len(set(names)) != len(names):
        raise ModelFileError("check.cases: a tensor stands twice; each output and state has its own")
    if (held := sum(tensors[name].nbytes for name in names)) > MAX_CHECK_BYTES:
        raise ModelFileError(f"check: its tensors have {held} bytes; at most {MAX_CHECK_BYTES} are allowed")
    return set(names)


def _case(case: Any, stride: int, counts: Mapping[str, int], tensors: Mapping[str, Array]) -> list[str]:
    keys("a case", case, "steps", "output", "state")
    whole("steps", case["steps"], 1, MAX_CHECK_STEPS)
    for key, count in counts.items():
        tensor(key, case[key], tensors, "F64", (-(-count // stride),))
        if not case[key].startswith("check."):
            raise ModelFileError(f"{key}: tensor {show(case[key])} needs a name that starts with check.")
    return [case["output"], case["state"]]


def _unreferenced(tensors: Mapping[str, Array], used: set[str]) -> None:
    if unused := sorted(set(tensors) - used):
        more = f" (and {len(unused) - 1} more)" if len(unused) > 1 else ""
        raise ModelFileError(f"tensor {show(unused[0])}{more}: the document never names it; remove it")
