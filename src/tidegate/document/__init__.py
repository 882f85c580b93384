"""Make and validate the JSON document of a model file: its keys and values, and its agreement with the tensors.

docs/format.md defines the document. All checks raise ModelFileError with the place, the value found and the value
expected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from .. import inputs as input_room
from .. import outputs as output_room
from ..decode.base import Decoder
from ..errors import CellError, ModelFileError, OptionError, error_context
from ..expect import check_keys, check_list, check_object, check_tensor, check_text
from ..inputs.base import Input
from ..layers import INPUT, Layer, Outside, Source, look_ahead, output_delays, parse
from ..limits import (
    MAX_LAYERS,
    MAX_LOOK_AHEAD,
    MAX_OUTPUTS,
    MAX_STEP_NUMBERS,
    MAX_TAPES,
    MAX_WINDOW_NUMBERS,
)
from ..outputs.base import Output
from ..strictjson import show
from ..tape import MAX_OPERATIONS, Tape
from ..tensors import Array
from . import baselines, scoring
from .assembling import FORMAT as FORMAT
from .assembling import KEYS
from .assembling import assemble as assemble
from .assembling import assemble_levels as assemble_levels
from .decoders import attach_decoders, check_decoder_names, parse_decoders, resolve_outputs
from .driven import check_clocks, check_fed, check_memories, check_reads, read_driven, split_driven
from .graph import (
    check_ids,
    check_names,
    describe_sources,
    input_width,
    join_outputs,
    read_layers,
    read_output_nodes,
    read_sources,
    with_sources,
)
from .levels import (
    Level,
    check_outputs,
    has_levels,
    join_states,
    read_all_outside,
    read_sides,
    split_graph,
    split_tensors,
)
from .levels import check_names as check_level_names
from .self_check import check_self_check
from .state import check_state, count_floats, is_same_json
from .state import state_schema as state_schema
from .streams import check_streams, steps_at_once
from .streams import streams_entry as streams_entry
from .upgrade import read_format

UNHASHED: Final = (
    "check.",
    baselines.PREFIX,
    scoring.PREFIX,
)  # names of tensors that decide no output begin with one of these

Document = dict[str, Any]
Tapes = dict[str, Tape]


class Parts(NamedTuple):
    """What a valid document describes: its tapes, its layers in order, and its inputs, outputs and decoders by name.

    levels: its graphs by name, each as a model of its own, if there are several; then `layers` has those of all.
    """

    tapes: Tapes
    layers: tuple[Layer, ...]
    inputs: dict[str, Input]
    outputs: dict[str, Output]
    decoders: dict[str, Decoder]
    levels: dict[str, Level]


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
    _check_task(document["task"])
    return _validate_levels(document, tensors) if has_levels(document) else _validate_graph(document, tensors)


def _validate_levels(document: Document, tensors: Mapping[str, Array]) -> Parts:
    """Do `validate` for a document with several graphs: check each as a model of its own, and then what joins them."""
    check_decoder_names(document["decoders"], document["graphs"])
    check_outputs(document["outputs"])
    check_object("tapes", document["tapes"])
    check_level_names(document)
    driven = read_driven(document)
    check_clocks(document, driven)
    sides = read_sides(document, tensors, driven)
    reads = read_all_outside(document, sides)
    more = list(dict.fromkeys(node for one in driven.values() for node in one.reads.values()))
    singles: dict[str, Document] = {}
    parts: dict[str, Parts] = {}
    widths = {name: side.features or 0 for name, side in sides.items()}
    for name, outside in reads.items():
        entry = document["inputs"][INPUT]
        if outside:
            entry = {"kind": "array", "features": sum(widths[one] for one in outside)}
        singles[name] = split_graph(document, name, entry, reads, more)
        with error_context(f"graphs.{name}"):
            parts[name] = _validate_graph(singles[name], tensors, is_part=True)
            if outside and not steps_at_once(parts[name].layers):
                raise ModelFileError("reads whole rows or looks ahead, which a graph that ticks on another cannot")
        widths |= {one: output.width for one, output in parts[name].outputs.items()}
    for part in parts.values():
        if late := [key for key, decoder in part.decoders.items() if decoder.late]:
            raise ModelFileError(f"decoders.{late[0]}: decides later, which a model of several graphs cannot wait for")
    chain, kept = dict(singles), dict[str, Outside]()
    for name, driver in driven.items():
        singles[name] = split_driven(document, name, driver)
        with error_context(f"graphs.{name}"):
            parts[name] = _validate_graph(singles[name], tensors, is_part=True)
            if not steps_at_once(parts[name].layers):
                raise ModelFileError("reads whole rows or looks ahead, which a graph that a decoder drives cannot")
        check_fed(driver, parts[name].decoders[driver.decoder], parts[name].inputs[INPUT])
        check_reads(name, driver, parts[name].layers, widths, kept)
    innermost = next(iter(chain))
    check_memories(kept, innermost if parts[innermost].inputs[INPUT].rows is not None else "")
    if driven and (ahead := [name for name in chain if look_ahead(parts[name].layers)]):
        raise ModelFileError(f"graphs.{ahead[0]}: looks ahead, so no graph that a decoder drives can read it")
    if document["check"] is not None:
        check_keys("check", document["check"], *singles)
    split = split_tensors(singles, tensors)
    for name, one in singles.items():
        with error_context(f"graphs.{name}"):
            _validate_graph(one, split[name])
    first = next(iter(singles.values()))
    if not is_same_json(document["streams"], first["streams"]):
        raise ModelFileError(f"streams: is {show(document['streams'])}; expected {show(first['streams'])}")
    check_state(document["state"], join_states(chain))
    if unread := sorted(set(document["decoders"]).difference(*(part.decoders for part in parts.values()))):
        found = document["decoders"][unread[0]]
        raise ModelFileError(f"decoders.{unread[0]}.reads: is {show(found.get('reads'))}; expected a node of a graph")
    if unknown := sorted(set(document["outputs"]).difference(*(part.outputs for part in parts.values()))):
        found = document["outputs"][unknown[0]]
        raise ModelFileError(f"outputs.{unknown[0]}.from: is {show(found.get('from'))}; expected a node of a graph")
    graphs = document["graphs"]
    return Parts(
        {key: tape for part in parts.values() for key, tape in part.tapes.items()},
        tuple(layer for part in parts.values() for layer in part.layers),
        {**parts[next(iter(chain))].inputs, **sides},
        {key: part.outputs[key] for key in document["outputs"] for part in parts.values() if key in part.outputs},
        {key: decoder for part in parts.values() for key, decoder in part.decoders.items()},
        {
            **{name: Level(graphs[name]["level"], reads[name], singles[name], split[name]) for name in chain},
            **{
                name: Level("", tuple(of.reads.values()), singles[name], split[name], of.decoder, tuple(of.reads))
                for name, of in driven.items()
            },
        },
    )


def _validate_graph(document: Document, tensors: Mapping[str, Array], is_part: bool = False) -> Parts:
    """Do `validate` for a document with one graph.

    is_part: fill in its state and what says whether it streams; its tensors may be more than it uses.
    """
    tapes = _check_tapes(document["tapes"])
    check_names(document)
    check_decoder_names(document["decoders"], ())
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
    if is_part:
        document["state"] = state_schema(layers)
        document["streams"] = streams_entry(layers, source.rows is not None, feeds_back)
        return Parts(tapes, layers, {INPUT: source}, outputs, decoders, {})
    numbers = source.ids if source.features is None else source.features
    check_streams(document["streams"], layers, source.rows is not None, feeds_back, numbers)
    check_state(document["state"], state_schema(layers))
    check_object("provenance", document["provenance"])
    if misnamed := sorted(name for name in used if name.startswith(UNHASHED)):
        raise ModelFileError(
            f"tensor {show(misnamed[0])}: names that start with 'check.' are reserved for the check, with 'baseline.' "
            "for baselines, and with 'scoring.' for what only `score` reads, as no output depends on them; rename it"
        )
    used |= baselines.check(document["provenance"], tensors) | scoring.check(document["provenance"], tensors)
    counts = {"output": width, "state": count_floats(document["state"]["arrays"])}
    _refuse_unused_tensors(tensors, used | check_self_check(document["check"], counts, tensors))
    return Parts(tapes, layers, {INPUT: source}, outputs, decoders, {})


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


def _refuse_unused_tensors(tensors: Mapping[str, Array], used: set[str]) -> None:
    if unused := sorted(set(tensors) - used):
        more = f" (and {len(unused) - 1} more)" if len(unused) > 1 else ""
        raise ModelFileError(f"tensor {show(unused[0])}{more}: is not used in the document; remove it")
