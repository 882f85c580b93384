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

from . import layers as rooms
from .errors import CellError, ModelFileError, OptionError, located
from .strictjson import canonical, show
from .tape import Tape
from .tensors import Array, dtype_name

FORMAT: Final = 1
KEYS: Final = (
    "format", "task", "input", "layers", "tapes", "state", "labels", "streams", "provenance", "check",
)  # fmt: skip
MAX_LAYERS: Final = 256
MAX_TAPES: Final = 64
MAX_WIDTH: Final = 1 << 20
MAX_VOCABULARY: Final = 1 << 26
MAX_STATE_BYTES: Final = 16 << 20
MAX_STEP_NUMBERS: Final = 1 << 22
MAX_CHECK_BYTES: Final = 64 << 10
MAX_CHECK_STEPS: Final = 10_000

Document = dict[str, Any]
Tapes = dict[str, Tape]


def validate(document: Any, tensors: Mapping[str, Array]) -> Tapes:
    """The tapes of a document, once all of it holds for these tensors' names, dtypes and shapes.

    The tensors' values are not looked at. Raises: ModelFileError.
    """
    _format(document)
    tapes = _tapes(document["tapes"])
    _task(document["task"])
    width = _input(document["input"], tensors)
    used = _input_tensors(document["input"])
    outputs = _layers(document["layers"], tapes, width, tensors)
    used |= {name for layer in document["layers"] for name in layer["tensors"].values()}
    _vocabulary_rows(document)
    _unused_tapes(document["layers"], tapes)
    _labels(document["labels"], document["task"]["kind"], outputs)
    _streams(document["streams"], rooms.whole_window(document["layers"]))
    _state(document["state"], state_schema(document["layers"], tapes))
    _object("provenance", document["provenance"])
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
        room = rooms.load(layer["kind"])
        for name, (shape, fill) in getattr(room, "carried", room.state)(layer, tapes).items():
            arrays.append({
                "name": f"layers.{i}.{name}", "dtype": "float32", "shape": list(shape), "offset": offset,
                "fill": fill if isinstance(fill, list) else "-inf" if fill == -math.inf else float(fill),
            })  # fmt: skip
            offset += 4 * math.prod(shape)
    if offset > MAX_STATE_BYTES:
        raise ModelFileError(
            f"state: the layers carry {offset} bytes from step to step; at most {MAX_STATE_BYTES} are allowed"
        )
    if rooms.whole_window(layers):
        arrays, offset = arrays[:1], 8
    return {"bytes": -(-offset // 8) * 8, "arrays": arrays}


def streams_of(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """The `streams` key that valid layers give.

    >>> streams_of([{"kind": "softmax", "size": 2}])
    {'yes': True}
    """
    because = rooms.whole_window(layers)
    return {"yes": False, "because": because} if because else {"yes": True}


@contextmanager
def _placed(place: str) -> Iterator[None]:
    """Faults of tapes and layers as faults of the file, with their place and of bounded length."""
    try:
        yield
    except (CellError, OptionError) as error:
        text = str(error)
        text = text if len(text) <= 300 else text[:300] + "..."
        raise ModelFileError(f"{place}: {text}") from error


# --- shapes of JSON


def _keys(place: str, value: Any, *expected: str) -> None:
    """Raises unless `value` is an object with exactly these keys."""
    _object(place, value)
    if missing := [k for k in expected if k not in value]:
        raise ModelFileError(f"{place}: the key {missing[0]!r} is missing; expected {', '.join(expected)}")
    if extra := sorted(set(value) - set(expected)):
        raise ModelFileError(f"{place}: unknown key {show(extra[0])}; expected {', '.join(expected)}")


def _object(place: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise ModelFileError(f"{place}: is {show(value)}; expected an object")


def _list(place: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, list) or not least <= len(value) <= most:
        found = f"has {len(value)} entries" if isinstance(value, list) else f"is {show(value)}"
        raise ModelFileError(f"{place}: {found}; expected a list of {least} to {most}")


def _whole(place: str, value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ModelFileError(f"{place}: is {show(value)}; expected an integer of {least} to {most}")
    return value


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ModelFileError(f"{place}: is {show(value)}; expected a string that is not empty")
    return value


def _tensor(place: str, name: Any, tensors: Mapping[str, Array], dtype: str, shape: tuple[int, ...]) -> None:
    """Raises unless there is a tensor of this name, dtype and shape, where -1 stands for any size."""
    if not isinstance(name, str) or name not in tensors:
        raise ModelFileError(f"{place}: there is no tensor {show(name)} in the file")
    array = tensors[name]
    if (found := dtype_name(array)) != dtype:
        raise ModelFileError(f"{place}: tensor {show(name)} is {found}; expected {dtype}")
    if len(shape) != array.ndim or any(n not in (-1, m) for n, m in zip(shape, array.shape, strict=True)):
        wanted = ", ".join("any" if n < 0 else str(n) for n in shape)
        raise ModelFileError(f"{place}: tensor {show(name)} has shape {list(array.shape)}; expected [{wanted}]")


# --- the keys, in the order of docs/format.md


def _format(document: Any) -> None:
    _object("the document", document)
    version = document.get("format")
    if type(version) is int and version > FORMAT:
        raise ModelFileError(
            f"made by a newer tidegate (format {version}); this one reads format {FORMAT}; upgrade tidegate"
        )
    if type(version) is not int or version != FORMAT:
        raise ModelFileError(f"format is {show(version)}; expected {FORMAT}")
    _keys("the document", document, *KEYS)


def _tapes(value: Any) -> Tapes:
    _object("tapes", value)
    if len(value) > MAX_TAPES:
        raise ModelFileError(f"tapes: has {len(value)} entries; at most {MAX_TAPES} are allowed")
    tapes = {}
    for name, tape in value.items():
        with _placed(f"tapes.{show(_text('a name in tapes', name))}"):
            tapes[name] = Tape.from_json(tape)
    return tapes


def _task(value: Any) -> None:
    _keys("task", value, "kind", "options")
    _text("task.kind", value["kind"])
    _object("task.options", value["options"])


def _input(value: Any, tensors: Mapping[str, Array]) -> int | None:
    """The width that the first layer gets: the features of a step, or None for token ids."""
    _object("input", value)
    if value.get("kind") == "array":
        _keys("input", value, "kind", "features")
        return _whole("input.features", value["features"], 1, MAX_WIDTH)
    if value.get("kind") == "ids":
        _keys("input", value, "kind", "size")
        _whole("input.size", value["size"], 1, MAX_VOCABULARY)
        return None
    if value.get("kind") != "text":
        raise ModelFileError(f"input.kind: is {show(value.get('kind'))}; expected 'text', 'ids' or 'array'")
    _keys("input", value, "kind", "tokenizer", "vocabulary", "size")
    _object("input.tokenizer", value["tokenizer"])
    _keys("input.vocabulary", value["vocabulary"], "bytes", "offsets")
    size = _whole("input.size", value["size"], 1, MAX_VOCABULARY)
    for key, dtype, shape in (("bytes", "U8", (-1,)), ("offsets", "I64", (size + 1,))):
        _tensor(f"input.vocabulary.{key}", value["vocabulary"][key], tensors, dtype, shape)
    return None


def _input_tensors(value: dict[str, Any]) -> set[str]:
    return set(value["vocabulary"].values()) if value["kind"] == "text" else set()


def _layers(value: Any, tapes: Tapes, width: int | None, tensors: Mapping[str, Array]) -> int:
    """The width of the last layer's output; each layer gets the output of the one before."""
    _list("layers", value, 1, MAX_LAYERS)
    widths: list[int] = []
    numbers = 0
    for i, layer in enumerate(value):
        place = f"layers[{i}]"
        _object(place, layer)
        with _placed(place):
            room = rooms.load(layer.get("kind"))
            width = int(room.check(layer, width, tapes))
        if "add" in layer:
            _add(f"{place}.add", layer["add"], widths, width)
        if (numbers := numbers + width + _registers(layer, tapes)) > MAX_STEP_NUMBERS:
            most = f"at most {MAX_STEP_NUMBERS} are allowed"
            raise ModelFileError(f"{place}: the layers up to here work out {numbers} numbers a step; {most}")
        _layer_tensors(f"{place}.tensors", layer.get("tensors"), room.tensors(layer, tapes), tensors)
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
    _keys(place, names, *needed)
    for role, shape in needed.items():
        _tensor(f"{place}.{role}", names[role], tensors, "F32", tuple(shape))


def _vocabulary_rows(document: Document) -> None:
    first, size = document["layers"][0], document["input"].get("size")
    if first["kind"] == "embed" and first["rows"] != size:
        raise ModelFileError(f"layers[0].rows: is {first['rows']}; it must be equal to input.size, {size}")


def _unused_tapes(layers: list[dict[str, Any]], tapes: Tapes) -> None:
    if unused := sorted(set(tapes) - {layer["tape"] for layer in layers if "tape" in layer}):
        raise ModelFileError(f"tapes.{show(unused[0])}: no layer uses it; remove it")


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
    _keys("state", value, "bytes", "arrays")
    _list("state.arrays", value["arrays"], 1, len(computed["arrays"]) + MAX_LAYERS)
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


def _streams(value: Any, whole_window: str) -> None:
    """whole_window: why the layers cannot go step by step, "" when they can; the file must say the same."""
    _object("streams", value)
    if type(value.get("yes")) is not bool:
        raise ModelFileError(f"streams.yes: is {show(value.get('yes'))}; expected true or false")
    if value["yes"]:
        _keys("streams", value, "yes")
    else:
        _keys("streams", value, "yes", "because")
        _text("streams.because", value["because"])
    if value["yes"] == bool(whole_window):
        why = f"because {whole_window}" if whole_window else "as each of its layers goes step by step"
        raise ModelFileError(f"streams.yes: is {show(value['yes'])}; expected {show(not value['yes'])}, {why}")


def _floats(arrays: list[dict[str, Any]]) -> int:
    return sum(math.prod(array["shape"]) for array in arrays if array["dtype"] == "float32")


def _check(value: Any, counts: Mapping[str, int], tensors: Mapping[str, Array]) -> set[str]:
    """The names of the check's tensors. counts: how many numbers an output and a state have unstrided."""
    if value is None:
        return set()
    _keys("check", value, "seed", "stride", "cases")
    _whole("check.seed", value["seed"], 0, (1 << 63) - 1)
    _whole("check.stride", value["stride"], 1, MAX_STATE_BYTES)
    _list("check.cases", value["cases"], 1, 64)
    names: list[str] = []
    for i, case in enumerate(value["cases"]):
        with located(f"check.cases[{i}]"):
            names += _case(case, value["stride"], counts, tensors)
    if len(set(names)) != len(names):
        raise ModelFileError("check.cases: a tensor stands twice; each output and state has its own")
    if (held := sum(tensors[name].nbytes for name in names)) > MAX_CHECK_BYTES:
        raise ModelFileError(f"check: its tensors have {held} bytes; at most {MAX_CHECK_BYTES} are allowed")
    return set(names)


def _case(case: Any, stride: int, counts: Mapping[str, int], tensors: Mapping[str, Array]) -> list[str]:
    _keys("a case", case, "steps", "output", "state")
    _whole("steps", case["steps"], 1, MAX_CHECK_STEPS)
    for key, count in counts.items():
        _tensor(key, case[key], tensors, "F64", (-(-count // stride),))
        if not case[key].startswith("check."):
            raise ModelFileError(f"{key}: tensor {show(case[key])} needs a name that starts with check.")
    return [case["output"], case["state"]]


def _unreferenced(tensors: Mapping[str, Array], used: set[str]) -> None:
    if unused := sorted(set(tensors) - used):
        more = f" (and {len(unused) - 1} more)" if len(unused) > 1 else ""
        raise ModelFileError(f"tensor {show(unused[0])}{more}: the document never names it; remove it")
