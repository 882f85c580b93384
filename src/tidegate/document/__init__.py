"""Make and validate the JSON document of a model file: its keys and values, and its agreement with the tensors.

docs/format.md defines the document. All checks raise ModelFileError with the place, the value found and the value
expected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from .. import inputs as input_room
from .. import outputs as output_room
from ..decode.base import Decoder
from ..errors import CellError, ModelFileError, OptionError, error_context
from ..expect import check_integer, check_keys, check_list, check_object, check_tensor, check_text
from ..inputs.base import Input
from ..layers import INPUT, Layer, Source, name_states, output_delays, parse, whole_window
from ..limits import (
    MAX_CHECK_BYTES,
    MAX_CHECK_STEPS,
    MAX_LAYERS,
    MAX_LOOK_AHEAD,
    MAX_OUTPUTS,
    MAX_STATE_BYTES,
    MAX_STEP_NUMBERS,
    MAX_TAPES,
    MAX_WINDOW_NUMBERS,
)
from ..outputs.base import Output
from ..strictjson import canonical, show
from ..tape import MAX_OPERATIONS, Tape
from ..tensors import Array
from . import baselines
from .decoders import attach_decoders, check_decoder_names, parse_decoders, resolve_outputs
from .graph import (
    GRAPH,
    check_ids,
    check_names,
    describe_sources,
    input_width,
    join_outputs,
    make_nodes,
    read_layers,
    read_output_nodes,
    read_sources,
    with_sources,
)
from .streams import check_streams
from .streams import streams_entry as streams_entry
from .upgrade import read_format

FORMAT: Final = 2
KEYS: Final = (
    "format",
    "task",
    "inputs",
    "graphs",
    "outputs",
    "decoders",
    "tapes",
    "state",
    "streams",
    "provenance",
    "check",
)
UNHASHED: Final = ("check.", baselines.PREFIX)  # names of tensors that decide no output begin with one of these

Document = dict[str, Any]
Tapes = dict[str, Tape]


class Parts(NamedTuple):
    """What a valid document describes: its tapes, its layers in order, and its inputs, outputs and decoders by name."""

    tapes: Tapes
    layers: tuple[Layer, ...]
    inputs: dict[str, Input]
    outputs: dict[str, Output]
    decoders: dict[str, Decoder]


def validate(document: Any, tensors: Mapping[str, Array]) -> Parts:
    """Check a whole document against the names, dtypes and shapes of its tensors, and return what it describes.

    Of the tensors' values, only the statistics of a series' columns are read. Raises: ModelFileError.

    >>> from tidegate.verify.samples import sample
    >>> model = sample(size=4)
    >>> parts = validate(model.document, model.tensors)
    >>> list(parts.tapes), parts.inputs["x"].kind, [layer.width for layer in parts.layers], list(parts.outputs)
    (['gru'], 'text', [4, 4, 4, 5, 5], ['label'])
    """
    read_format(document, FORMAT)
    check_keys("the document", document, *KEYS)
    tapes = _check_tapes(document["tapes"])
    _check_task(document["task"])
    check_names(document)
    check_decoder_names(document["decoders"])
    source = input_room.parse(INPUT, document["inputs"][INPUT], tensors)
    used = source.tensor_names()
    layers = _parse_layers(read_layers(document), read_sources(document), tapes, source, tensors)
    used |= {name for layer in layers for name in layer.tensors.values()}
    _refuse_unused_tapes(layers, tapes)
    decoders = parse_decoders(document, layers, {INPUT: source}, tensors)
    used |= {name for decoder in decoders.values() for name in decoder.tensors.values()}
    outputs, layers = _parse_outputs(
        resolve_outputs(document["outputs"], document["decoders"]), layers, {INPUT: source}
    )
    attach_decoders(outputs, document["outputs"], decoders)
    width = layers[-1].width
    source = source.serve(outputs.values())
    _check_look_ahead(layers, source, outputs)
    feeds_back = any(output.feeds_back for output in outputs.values())
    check_streams(document["streams"], layers, source.rows is not None, feeds_back)
    _check_state(document["state"], state_schema(layers))
    check_object("provenance", document["provenance"])
    if misnamed := sorted(name for name in used if name.startswith(UNHASHED)):
        raise ModelFileError(
            f"tensor {show(misnamed[0])}: names that start with 'check.' are reserved for the check, and with "
            "'baseline.' for baselines, as no output depends on them; rename it"
        )
    used |= baselines.check(document["provenance"], tensors)
    counts = {"output": width, "state": _count_floats(document["state"]["arrays"])}
    _refuse_unused_tensors(tensors, used | _check_self_check(document["check"], counts, tensors))
    return Parts(tapes, layers, {INPUT: source}, outputs, decoders)


def assemble(
    kind: str,
    options: dict[str, Any],
    inputs: Mapping[str, Any],
    layers: Sequence[Layer],
    outputs: Mapping[str, Any],
    provenance: dict[str, Any],
    decoders: Mapping[str, Any] = MappingProxyType({}),
) -> Document:
    """Make the document of a model, with its state, and without a check.

    kind, options: of the task. inputs, outputs, decoders: entries by name; an output without `from` and a decoder
    without `reads` are of the last node. layers: the nodes of the model's graph, in order.

    >>> entry = output_room.make_entry(None, "")
    >>> layers = [parse("softmax", {"size": 2, "tensors": {}}, 2, {})]
    >>> document = assemble("encode", {}, {"x": {"kind": "array", "features": 2}}, layers, {"values": entry}, {})
    >>> document["graphs"]["layers"]["nodes"]
    [{'layer': 'softmax', 'from': ['x'], 'size': 2, 'tensors': {}}]
    >>> document["outputs"]["values"]["from"]
    'layers.0'
    """
    last = f"{GRAPH}.{len(layers) - 1}"
    entries = {name: {"from": last, **entry} for name, entry in outputs.items()}
    decoders = {name: {"reads": last, **entry} for name, entry in decoders.items()}
    joined, _ = join_outputs(layers, read_output_nodes(resolve_outputs(entries, decoders), layers).values())
    return {
        "format": FORMAT,
        "task": {"kind": kind, "options": options},
        "inputs": dict(inputs),
        "graphs": {GRAPH: {"clock": INPUT, "nodes": make_nodes(layers)}},
        "outputs": entries,
        "decoders": decoders,
        "tapes": {name: tape.to_json() for layer in layers for name, tape in layer.tapes.items()},
        "state": state_schema(joined),
        "streams": streams_entry(
            joined, input_room.starts_anew(inputs[INPUT]), any(map(output_room.feeds_back, outputs.values()))
        ),
        "provenance": provenance,
        "check": None,
    }


def state_schema(layers: Sequence[Layer]) -> dict[str, Any]:
    """Lay out the state of layers, as in the key `state`: {"bytes": size of the block, "arrays": [...]}.

    The arrays are sorted by offset. Layers of which one needs whole rows have no state but `steps`. Raises:
    ModelFileError if the layers together carry over 16 MiB from step to step.

    >>> state_schema([parse("pool", {"size": 2, "over": ["max"]}, 2, {})])["arrays"][1]
    {'name': 'layers.0.max', 'dtype': 'float32', 'shape': [2], 'offset': 8, 'fill': '-inf'}
    """
    arrays: list[dict[str, Any]] = [{"name": "steps", "dtype": "int64", "shape": [1], "offset": 0}]
    offset = 8
    for i, layer in enumerate(layers):
        for name, (shape, fill) in name_states(i, layer.carried()).items():
            arrays.append(
                {
                    "name": name,
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
    if whole_window(layers):
        arrays, offset = arrays[:1], 8
    return {"bytes": -(-offset // 8) * 8, "arrays": arrays}


@contextmanager
def _file_errors(place: str, more: str = "") -> Iterator[None]:
    """Raise errors of tapes and layers as ModelFileError, with their place and of bounded length.

    more: what follows an error of a layer.
    """
    try:
        yield
    except (CellError, OptionError) as error:
        text = str(error)
        text = text + more if len(text + more) <= 400 else text[:300] + "..."
        raise ModelFileError(f"{place}: {text}") from error


# --- the keys, in the order of docs/format.md


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


def _parse_layers(
    value: Any, sources: list[tuple[Source, ...]], tapes: Tapes, source: Input, tensors: Mapping[str, Array]
) -> tuple[Layer, ...]:
    """Check all layers and return them. sources: what each of them reads."""
    check_list("layers", value, 1, MAX_LAYERS)
    rows = source.rows
    layers: list[Layer] = []
    numbers = operations = 0
    for i, node in enumerate(value):
        place = f"layers[{i}]"
        width = input_width(place, sources[i], layers, source)
        with _file_errors(place, describe_sources(sources[i], layers, source)):
            layer = parse(node.get("kind"), {key: v for key, v in node.items() if key != "kind"}, width, tapes)
        layer = with_sources(layer, i, sources[i])
        check_ids(place, layer, sources[i], source)
        if "add" in node:
            _check_add(f"{place}.add", node["add"], layers, layer.width)
        if (numbers := numbers + layer.width + layer.registers) > MAX_STEP_NUMBERS:
            most = f"at most {MAX_STEP_NUMBERS} are allowed"
            raise ModelFileError(f"{place}: the layers up to here compute {numbers} numbers per step; {most}")
        if (operations := operations + layer.operations) > MAX_OPERATIONS:
            most = f"at most {MAX_OPERATIONS} are allowed"
            raise ModelFileError(f"{place}: the programs up to here have {operations} operations; {most}")
        if (rows or 1) * numbers > MAX_WINDOW_NUMBERS:
            cost = f"the layers up to here compute {rows} x {numbers} numbers per window"
            raise ModelFileError(f"{place}: {cost}; at most {MAX_WINDOW_NUMBERS} are allowed")
        _check_layer_tensors(f"{place}.tensors", node.get("tensors"), layer.shapes(), tensors)
        layers.append(layer)
    return tuple(layers)


def _check_look_ahead(layers: Sequence[Layer], source: Input, outputs: Mapping[str, Output]) -> None:
    """Check how far layers look ahead. Where rows are run anew, all of their steps are known."""
    steps = max(output_delays(layers))
    if steps > MAX_LOOK_AHEAD:
        raise ModelFileError(f"layers: look {steps} steps ahead in all; at most {MAX_LOOK_AHEAD} are allowed")
    for name, output in outputs.items():
        if steps and output.scales and source.rows is None:
            raise ModelFileError(
                f"outputs.{name}: is a forecast from the latest step, but the layers look {steps} steps ahead; "
                "give the input a window, or leave the look-ahead out"
            )


def _check_add(place: str, index: Any, layers: list[Layer], width: int) -> None:
    if type(index) is not int or not 0 <= index < len(layers):
        raise ModelFileError(f"{place}: is {show(index)}; expected the index of an earlier layer")
    if (other := layers[index].width) != width:
        raise ModelFileError(f"{place}: layer {index} is {other} wide and this one {width}; they must be equal")


def _check_layer_tensors(
    place: str, names: Any, needed: Mapping[str, tuple[int, ...]], tensors: Mapping[str, Array]
) -> None:
    check_keys(place, names, *needed)
    for role, shape in needed.items():
        check_tensor(f"{place}.{role}", names[role], tensors, "F32", tuple(shape))


def _parse_outputs(
    value: Any, layers: tuple[Layer, ...], inputs: Mapping[str, Input]
) -> tuple[dict[str, Output], tuple[Layer, ...]]:
    """Check all outputs; return them by name, and the layers, the last of which gives the numbers of all outputs."""
    check_object("outputs", value)
    if not 1 <= len(value) <= MAX_OUTPUTS:
        raise ModelFileError(f"outputs: has {len(value)} entries; expected 1 to {MAX_OUTPUTS}")
    nodes = read_output_nodes(value, layers)
    joined, starts = join_outputs(layers, nodes.values())
    outputs = {}
    for name, entry in value.items():
        width = layers[nodes[name]].width
        outputs[name] = output_room.parse(name, entry, width, inputs)
        if len(joined) > len(layers):
            outputs[name].place(starts[nodes[name]], width)
    return outputs, joined


def _refuse_unused_tapes(layers: Sequence[Layer], tapes: Tapes) -> None:
    if unused := sorted(set(tapes).difference(*(layer.tapes for layer in layers))):
        raise ModelFileError(f"tapes.{show(unused[0])}: no layer uses it; remove it")


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
