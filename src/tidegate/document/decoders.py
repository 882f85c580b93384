"""The key `decoders`: its entries, the nodes that decoders read, and the outputs whose results they give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import decode
from ..decode.base import Decoder
from ..errors import ModelFileError
from ..expect import check_list, check_object
from ..inputs.base import Input
from ..layers import INPUT, Layer
from ..limits import MAX_OUTPUTS, MAX_STATE_BYTES
from ..outputs.base import Output
from ..strictjson import show
from ..tensors import Array
from .graph import GRAPH, find_node

Document = dict[str, Any]


def check_decoder_names(decoders: Any, graphs: Iterable[str]) -> None:
    """Check that decoders have names of their own, and entries that are objects. Raises ModelFileError.

    graphs: the names of graphs.
    """
    check_object("decoders", decoders)
    check_list("decoders", list(decoders), 0, MAX_OUTPUTS)
    for name, entry in decoders.items():
        if not name.isidentifier() or name in (INPUT, GRAPH, *graphs):
            raise ModelFileError(
                f"decoders: has the name {show(name)}; expected letters, digits and _, not the name of an input or a "
                "graph"
            )
        check_object(f"decoders.{name}", entry)


def resolve_outputs(outputs: Mapping[str, Any], decoders: Mapping[str, Any]) -> dict[str, Document]:
    """Return the entries of outputs with the node and the part of it that they read, if `from` names a decoder.

    Entries that are no objects stay as they are. Raises ModelFileError for an output that has a part of its own then.

    >>> decoders = {"path": {"kind": "viterbi", "reads": "layers.4", "part": [0, 3]}}
    >>> resolve_outputs({"tags": {"kind": "tags", "from": "path"}}, decoders)
    {'tags': {'kind': 'tags', 'from': 'layers.4', 'part': [0, 3]}}
    """
    check_object("outputs", outputs)
    found = dict(outputs)
    for name, entry in outputs.items():
        decoder = (
            decoders.get(named) if isinstance(entry, dict) and isinstance(named := entry.get("from"), str) else None
        )
        if decoder is None:
            continue
        if "part" in entry:
            raise ModelFileError(
                f"outputs.{name}.part: the numbers are those of decoders.{named}; give it the part instead"
            )
        part = {"part": decoder["part"]} if "part" in decoder else {}
        found[name] = {**entry, "from": decoder.get("reads"), **part}
    return found


def parse_decoders(
    document: Document, layers: Sequence[Layer], inputs: Mapping[str, Input], tensors: Mapping[str, Array]
) -> dict[str, Decoder]:
    """Check the decoders of a document and return them by name. Raises ModelFileError."""
    found = {}
    for name, entry in document["decoders"].items():
        place = f"decoders.{name}"
        if "reads" not in entry:
            raise ModelFileError(f"{place}: the key 'reads' is missing; it says which node the decoder reads")
        node = find_node(f"{place}.reads", entry["reads"], layers)
        if any(source.rows is not None for source in inputs.values()):
            raise ModelFileError(
                f"{place}: the input starts anew for each answer, so no step follows another; leave it out"
            )
        plain = {key: value for key, value in entry.items() if key not in ("drives", "feeds")}
        found[name] = decoder = decode.parse(place, plain, layers[node].width, tensors)
        if decoder.writes and (entry.get("drives"), entry.get("feeds")) != (GRAPH, INPUT):
            raise ModelFileError(
                f"{place}: a decoder of kind {decoder.kind} drives a graph, which 'drives' names, and feeds an input, "
                "which 'feeds' names"
            )
        if not decoder.writes and (extra := sorted(set(entry) - set(plain))):
            raise ModelFileError(f"{place}.{extra[0]}: a decoder of kind {decoder.kind} drives no graph; remove it")
    return found


def attach_decoders(outputs: Mapping[str, Output], entries: Mapping[str, Any], decoders: Mapping[str, Decoder]) -> None:
    """Give each output its decoder: that which its entry names, or that which it brings along. Raises ModelFileError.

    entries: the outputs as they stand in the document.
    """
    for name, output in outputs.items():
        if (decoder := decoders.get(entries[name]["from"])) is not None:
            output.check_decoder(f"outputs.{name}", decoder)
            output.decoder = decoder
        elif (entry := output.implied_decoder()) is not None:
            output.decoder = decode.parse(f"outputs.{name}", entry, output.width, {})
    readers = Counter(entry["from"] for entry in entries.values())
    for name, decoder in decoders.items():
        if readers[name] != 1:
            raise ModelFileError(f"{decoder.place}: {readers[name]} outputs read it by their key 'from'; expected one")
    late = [decoder.place for decoder in decoders.values() if decoder.late]
    if len(late) > 1:
        raise ModelFileError(
            f"{late[1]}: decides later, as {late[0]} does; an answer has one step, so expected one of them"
        )
    size = sum(sum(field.nbytes for field in decoder.fields.values()) for decoder in decoders.values())
    if size > MAX_STATE_BYTES:
        raise ModelFileError(
            f"decoders: a stream would remember {size} bytes of them; at most {MAX_STATE_BYTES} are allowed"
        )
