"""Validate the JSON document of a model file: its keys and values, and its agreement with the file's tensors.

docs/format.md defines the document. All checks raise ModelFileError with the place, the value found and the value
expected.
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
from . import baselines, inputs
from .expect import check_integer, check_keys, check_list, check_object, check_tensor, check_text
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
UNHASHED: Final = ("check.", baselines.PREFIX)  # names of tensors that decide no output begin with one of these
KEYS: Final = ("format", "task", "input", "layers", "tapes", "state", "labels", "streams", "provenance", "check")

Document = dict[str, Any]
Tapes = dict[str, Tape]


def validate(document: Any, tensors: Mapping[str, Array]) -> Tapes:
    """Check a whole document against the names, dtypes and shapes of its tensors, and return its tapes.

    Of the tensors' values, only the deviations of a series' columns are read. Raises: ModelFileError.

    >>> from tidegate.verify.samples import sample
    >>> model = sample(size=4)
    >>> list(validate(model.document, model.tensors))
    ['gru']
    """
    _check_format(document)
    tapes = _check_tapes(document["tapes"])
    _check_task(document["task"])
    width = inputs.check(document["input"], tensors)
    used = inputs.tensor_names(document["input"])
    outputs = _check_layers(document["layers"], tapes, width, inputs.window_rows(document["input"]), tensors)
    used |= {name for layer in document["layers"] for name in layer["tensors"].values()}
    _check_vocabulary_rows(document)
    _refuse_unused_tapes(document["layers"], tapes)
    _check_outputs(document, outputs)
    _check_labels(document["labels"], document["task"]["kind"], outputs)
    _check_streams(document["streams"], streams_entry(document["layers"], document["input"]))
    _check_state(document["state"], state_schema(document["layers"], tapes))
    check_object("provenance", document["provenance"])
    if misnamed := sorted(name for name in used if name.startswith(UNHASHED)):
        raise ModelFileError(
            f"tensor {show(misnamed[0])}: names that start with 'check.' are reserved for the check, and with "
            "'baseline.' for baselines, as no output depends on them; rename it"
        )
    used |= baselines.check(document["provenance"], tensors)
    counts = {"output": outputs, "state": _count_floats(document["state"]["arrays"])}
    _refuse_unused_tensors(tensors, used | _check_self_check(document["check"], counts, tensors))
    return tapes


def state_schema(layers: list[dict[str, Any]], tapes: Tapes) -> dict[str, Any]:
    """Lay out the state of valid layers, as in the key `state`: {"bytes": size of the block, "arrays": [...]}.

    The arrays are sorted by offset. Layers of which one needs whole rows have no state but `steps`. Raises:
    ModelFileError if the layers together carry over 16 MiB from step to step.

    >>> state_schema([{"kind": "pool", "size": 2, "over": ["max"]}], {})["arrays"][1]
    {'name': 'layers.0.max', 'dtype': 'float32', 'shape': [2], 'offset': 8, 'fill': '-inf'}
    """
    arrays: list[dict[str, Any]] = [{"name": "steps", "dtype": "int64", "shape": [1], "offset": 0}]
    offset = 8
    for i, layer in enumerate(layers):
        module = layer_modules.load(layer["kind"])
        for name, (shape, fill) in getattr(module, "run_state", module.state)(layer, tapes).items():
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


def streams_entry(layers: list[dict[str, Any]], input_section: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Say whether valid layers can stream, as in the key `streams`. input_section: a valid `input`; None: no window.

    Layers that read whole rows can stream if the input has a window, as all of its rows are run again at each push.

    >>> streams_entry([{"kind": "softmax", "size": 2}])
    {'yes': True}
    """
    reason = layer_modules.whole_window(layers)
    windowed = input_section is not None and inputs.window_rows(dict(input_section)) is not None
    return {"yes": False, "because": reason} if reason and not windowed else {"yes": True}


@contextmanager
def _file_errors(place: str) -> Iterator[None]:
    """Raise errors of tapes and layers as ModelFileError, with their place and of bounded length."""
    try:
        yield
    except (CellError, OptionError) as error:
        text = str(error)
        text = text if len(text) <= 300 else text[:300] + "..."
        raise ModelFileError(f"{place}: {text}") from error


# --- the keys, in the order of docs/format.md


def _check_format(document: Any) -> None:
    check_object("the document", document)
    version = document.get("format")
    if type(version) is int and version > FORMAT:
        raise ModelFileError(
            f"was made by a newer tidegate (format {version}); this version reads format {FORMAT}; upgrade tidegate"
        )
    if type(version) is not int or version != FORMAT:
        raise ModelFileError(f"format is {show(version)}; expected {FORMAT}")
    check_keys("the document", document, *KEYS)


def _check_tapes(value: Any) -> Tapes:
    check_object("tapes", value)
    if len(value) > MAX_TAPES:
        raise ModelFileError(f"tapes: has {len(value)} entries; at most {MAX_TAPES} are allowed")
    tapes = {}
    for name, tape in value.items():
        with _file_errors(f"tapes.{show(check_text('a name in tapes', name))}"):
            tapes[name] = Tape.from_json(tape)
    return tapes


def _check_task(value: Any) -> None:
    check_keys("task", value, "kind", "options")
    check_text("task.kind", value["kind"])
    check_object("task.options", value["options"])


def _check_layers(value: Any, tapes: Tapes, width: int | None, rows: int | None, tensors: Mapping[str, Array]) -> int:
    """Check all layers and return the width of the last one's output. Each layer's input is the output before it.

    rows: how many steps the layers run for one output; None: one.
    """
    check_list("layers", value, 1, MAX_LAYERS)
    widths: list[int] = []
    numbers = 0
    for i, layer in enumerate(value):
        place = f"layers[{i}]"
        check_object(place, layer)
        with _file_errors(place):
            module = layer_modules.load(layer.get("kind"))
            width = int(module.check(layer, width, tapes))
        if "add" in layer:
            _check_add(f"{place}.add", layer["add"], widths, width)
        if (numbers := numbers + width + _count_registers(layer, tapes)) > MAX_STEP_NUMBERS:
            most = f"at most {MAX_STEP_NUMBERS} are allowed"
            raise ModelFileError(f"{place}: the layers up to here compute {numbers} numbers per step; {most}")
        if (rows or 1) * numbers > MAX_WINDOW_NUMBERS:
            cost = f"the layers up to here compute {rows} x {numbers} numbers per window"
            raise ModelFileError(f"{place}: {cost}; at most {MAX_WINDOW_NUMBERS} are allowed")
        _check_layer_tensors(f"{place}.tensors", layer.get("tensors"), module.tensors(layer, tapes), tensors)
        widths.append(width)
    return widths[-1]


def _count_registers(layer: dict[str, Any], tapes: Tapes) -> int:
    """Count the numbers that a layer's tape computes in a step: they take time, but no bytes of the file."""
    return sum(tapes[layer["tape"]].widths(layer["size"], layer.get("project"))) if "tape" in layer else 0


def _check_add(place: str, index: Any, widths: list[int], width: int) -> None:
    if type(index) is not int or not 0 <= index < len(widths):
        raise ModelFileError(f"{place}: is {show(index)}; expected the index of an earlier layer")
    if widths[index] != width:
        raise ModelFileError(f"{place}: layer {index} is {widths[index]} wide and this one {width}; they must be equal")


def _check_layer_tensors(
    place: str, names: Any, needed: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Array]
) -> None:
    check_keys(place, names, *needed)
    for role, shape in needed.items():
        check_tensor(f"{place}.{role}", names[role], tensors, "F32", tuple(shape))


def _check_vocabulary_rows(document: Document) -> None:
    first, size = document["layers"][0], document["input"].get("size")
    if first["kind"] == "embed" and first["rows"] != size:
        raise ModelFileError(f"layers[0].rows: is {first['rows']}; it must be equal to input.size, {size}")


def _refuse_unused_tapes(layers: list[dict[str, Any]], tapes: Tapes) -> None:
    if unused := sorted(set(tapes) - {layer["tape"] for layer in layers if "tape" in layer}):
        raise ModelFileError(f"tapes.{show(unused[0])}: no layer uses it; remove it")


def _check_outputs(document: Document, outputs: int) -> None:
    if (needed := inputs.count_outputs(document["input"])) is None:
        return
    if outputs != needed:
        raise ModelFileError(f"input.answer: needs {needed} outputs; the last layer has {outputs}")
    if document["labels"] is not None:
        raise ModelFileError("labels: must be null, as a model with input.answer forecasts")


def _check_labels(value: Any, task: str, outputs: int) -> None:
    if value is None and task != "classify":
        return
    if not isinstance(value, list) or not all(isinstance(label, str) and label for label in value):
        raise ModelFileError(f"labels: is {show(value)}; expected a list of strings that are not empty")
    if len(set(value)) != len(value):
        ordered = sorted(value)
        repeated = next(a for a, b in pairwise(ordered) if a == b)
        raise ModelFileError(f"labels: {show(repeated)} appears twice; each label must appear once")
    if len(value) != outputs:
        raise ModelFileError(f"labels: there are {len(value)}; the last layer has {outputs} outputs")


def _check_state(value: Any, computed: dict[str, Any]) -> None:
    check_keys("state", value, "bytes", "arrays")
    check_list("state.arrays", value["arrays"], 1, len(computed["arrays"]) + MAX_LAYERS)
    for i, array in enumerate(computed["arrays"]):
        if i >= len(value["arrays"]) or not _is_same_json(value["arrays"][i], array):
            found = show(value["arrays"][i], 200) if i < len(value["arrays"]) else "missing"
            raise ModelFileError(f"state.arrays[{i}]: is {found}; the layers need {show(array, 200)}")
    if len(value["arrays"]) > len(computed["arrays"]):
        raise ModelFileError(
            f"state.arrays: has {len(value['arrays'])} entries; the layers need {len(computed['arrays'])}"
        )
    if not _is_same_json(value["bytes"], computed["bytes"]):
        raise ModelFileError(f"state.bytes: is {show(value['bytes'])}; the layers need {computed['bytes']}")


def _is_same_json(a: Any, b: Any) -> bool:
    """Compare two values as JSON text: like the hashes, this tells 1 from 1.0 and from True."""
    return canonical(a) == canonical(b)


def _check_streams(value: Any, computed: dict[str, Any]) -> None:
    """Check that the file says the same as `computed`, from its layers and input; the reason may be worded freely."""
    check_object("streams", value)
    if type(value.get("yes")) is not bool:
        raise ModelFileError(f"streams.yes: is {show(value.get('yes'))}; expected true or false")
    if value["yes"]:
        check_keys("streams", value, "yes")
    else:
        check_keys("streams", value, "yes", "because")
        check_text("streams.because", value["because"])
    if value["yes"] != computed["yes"]:
        why = f"because {computed['because']}" if "because" in computed else "as all of its layers run step by step"
        raise ModelFileError(f"streams.yes: is {show(value['yes'])}; expected {show(not value['yes'])}, {why}")


def _count_floats(arrays: list[dict[str, Any]]) -> int:
    return sum(math.prod(array["shape"]) for array in arrays if array["dtype"] == "float32")


def _check_self_check(value: Any, counts: Mapping[str, int], tensors: Mapping[str, Array]) -> set[str]:
    """Check the key `check` and return the names of its tensors.

    counts: how many numbers an output and a state have, before the check's stride.
    """
    if value is None:
        return set()
    check_keys("check", value, "seed", "stride", "cases")
    check_integer("check.seed", value["seed"], 0, (1 << 63) - 1)
    check_integer("check.stride", value["stride"], 1, MAX_STATE_BYTES)
    check_list("check.cases", value["cases"], 1, 64)
    names: list[str] = []
    for i, case in enumerate(value["cases"]):
        with error_context(f"check.cases[{i}]"):
            names += _check_case(case, value["stride"], counts, tensors)
    if len(set(names)) != len(names):
        raise ModelFileError("check.cases: a tensor appears twice; each output and each state needs its own")
    if (total := sum(tensors[name].nbytes for name in names)) > MAX_CHECK_BYTES:
        raise ModelFileError(f"check: its tensors have {total} bytes; at most {MAX_CHECK_BYTES} are allowed")
    return set(names)


def _check_case(case: Any, stride: int, counts: Mapping[str, int], tensors: Mapping[str, Array]) -> list[str]:
    check_keys("a case", case, "steps", "output", "state")
    check_integer("steps", case["steps"], 1, MAX_CHECK_STEPS)
    for key, count in counts.items():
        check_tensor(key, case[key], tensors, "F64", (-(-count // stride),))
        if not case[key].startswith("check."):
            raise ModelFileError(f"{key}: the name of tensor {show(case[key])} must start with 'check.'")
    return [case["output"], case["state"]]


def _refuse_unused_tensors(tensors: Mapping[str, Array], used: set[str]) -> None:
    if unused := sorted(set(tensors) - used):
        more = f" (and {len(unused) - 1} more)" if len(unused) > 1 else ""
        raise ModelFileError(f"tensor {show(unused[0])}{more}: is not used in the document; remove it")
