"""Graphs that a decoder drives: what a translation writes, word by word.

Such a graph reads what its decoder feeds back, an input of its own, and what other graphs have given: the last numbers
of a node, or those after each step, a memory. It is split off as a document with a single graph, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from ..decode.base import Decoder
from ..errors import ModelFileError
from ..expect import check_keys, check_list, check_object
from ..inputs.base import Input
from ..layers import INPUT, Layer, Outside
from ..limits import MAX_LAYERS, MAX_LEVELS, MAX_STATE_BYTES
from ..strictjson import show
from .graph import GRAPH, check_node

Document = dict[str, Any]
CLOCK: Final = "decoder."
MOST_READ: Final = 2  # of the graphs that tick on each other: those above them have not ticked at a message's end


class DrivenEntry(NamedTuple):
    """A graph that a decoder drives, as it stands in a document.

    decoder: its name. feeds: the input that has what it feeds back. reads: nodes of other graphs, by the index of the
    node that reads each.
    """

    decoder: str
    feeds: str
    reads: dict[int, str]


def is_driven(graph: Any) -> bool:
    """Return whether a decoder is the clock of a graph's entry."""
    return isinstance(graph, dict) and isinstance(graph.get("clock"), str) and graph["clock"].startswith(CLOCK)


def chain_of(document: Document) -> dict[str, Any]:
    """Return the graphs of a document that tick on steps of the input or on each other, in order."""
    return {name: graph for name, graph in document["graphs"].items() if not is_driven(graph)}


def read_driven(document: Document) -> dict[str, DrivenEntry]:
    """Check the graphs that decoders drive, and return them by name. Raises ModelFileError."""
    graphs, decoders, inputs = document["graphs"], document["decoders"], document["inputs"]
    found: dict[str, DrivenEntry] = {}
    for name, graph in graphs.items():
        if not is_driven(graph):
            continue
        place = f"graphs.{name}"
        if len(found) == MAX_LEVELS:
            raise ModelFileError(f"{place}: is one more that a decoder drives; at most {MAX_LEVELS} are allowed")
        if not name.isidentifier() or name in inputs:
            raise ModelFileError(f"{place}: expected a name of letters, digits and _ that no input has")
        check_keys(place, graph, "clock", "nodes")
        check_list(f"{place}.nodes", graph["nodes"], 1, MAX_LAYERS)
        decoder = graph["clock"].removeprefix(CLOCK)
        if decoder not in decoders:
            raise ModelFileError(f"{place}.clock: is {show(graph['clock'])}; no decoder has this name")
        entry = decoders[decoder]
        if entry.get("drives") != name:
            raise ModelFileError(f"decoders.{decoder}.drives: is {show(entry.get('drives'))}; expected {name!r}")
        feeds = entry.get("feeds")
        if not isinstance(feeds, str) or feeds not in inputs or feeds == INPUT:
            raise ModelFileError(
                f"decoders.{decoder}.feeds: is {show(feeds)}; expected the name of an input whose clock is {name!r}"
            )
        found[name] = DrivenEntry(decoder, feeds, read_nodes(document, name, feeds))
    for decoder, entry in decoders.items():
        if isinstance(entry, dict) and "drives" in entry and decoder not in [one.decoder for one in found.values()]:
            raise ModelFileError(
                f"decoders.{decoder}.drives: is {show(entry['drives'])}; expected a graph whose clock is "
                f"'{CLOCK}{decoder}'"
            )
    return found


def read_nodes(document: Document, name: str, feeds: str) -> dict[int, str]:
    """Return the nodes of other graphs that a graph reads, by the index of the node that reads each."""
    below = list(chain_of(document).items())[:MOST_READ]
    known = [f"{one}.{i}" for one, graph in below for i in range(len(graph["nodes"]))]
    found: dict[int, str] = {}
    for i, node in enumerate(document["graphs"][name]["nodes"]):
        place = f"{name}[{i}]"
        check_node(i, node, place)
        outside = [one for one in node["from"] if isinstance(one, str) and one != feeds]
        if unknown := [one for one in outside if one not in known]:
            raise ModelFileError(
                f"{place}.from: reads {show(unknown[0])}; expected {feeds!r}, earlier nodes, or one of {known[0]!r} to "
                f"{known[-1]!r}"
            )
        if len(outside) > 1:
            raise ModelFileError(f"{place}.from: reads {', '.join(outside)}; expected one node of another graph")
        if outside:
            found[i] = outside[0]
            if node["from"][-1] != outside[0] or len(node["from"]) < 2:
                raise ModelFileError(
                    f"{place}.from: is {show(node['from'])}; expected {outside[0]!r} behind what the node reads of its "
                    "own graph"
                )
    return found


def check_clocks(document: Document, driven: Mapping[str, DrivenEntry]) -> None:
    """Check the clocks of the inputs that graphs read which decoders drive. Raises ModelFileError."""
    for name, entry in driven.items():
        clocked = [key for key, of in document["inputs"].items() if isinstance(of, dict) and of.get("clock") == name]
        if clocked != [entry.feeds]:
            raise ModelFileError(
                f"inputs: {', '.join(clocked) or 'none'} has the clock {name!r}; expected {entry.feeds!r} alone, which "
                f"decoders.{entry.decoder} feeds"
            )


def split_driven(document: Document, name: str, entry: DrivenEntry) -> Document:
    """Return the document of a model with a driven graph alone, without its state and what says whether it streams."""
    graph, check = document["graphs"][name], document["check"]
    nodes = []
    for i, node in enumerate(graph["nodes"]):
        own = [one for one in node["from"] if one != entry.reads.get(i)]
        nodes.append({**node, "from": [INPUT if one == entry.feeds else one for one in own]})
    decoder = {**document["decoders"][entry.decoder], "drives": GRAPH, "feeds": INPUT}
    if isinstance(reads := decoder.get("reads"), str) and reads.startswith(f"{name}."):
        decoder["reads"] = GRAPH + reads[len(name) :]
    used = {node.get("tape") for node in nodes}
    outputs = {key: dict(of) for key, of in document["outputs"].items() if of.get("from") == entry.decoder}
    if not outputs:
        raise ModelFileError(f"decoders.{entry.decoder}: 0 outputs read it by their key 'from'; expected one")
    fed = document["inputs"][entry.feeds]
    check_object(f"inputs.{entry.feeds}", fed)
    return {
        "format": document["format"],
        "task": document["task"],
        "inputs": {INPUT: {key: value for key, value in fed.items() if key != "clock"}},
        "graphs": {GRAPH: {"clock": INPUT, "nodes": nodes}},
        "outputs": outputs,
        "decoders": {entry.decoder: decoder},
        "tapes": {key: tape for key, tape in document["tapes"].items() if key in used},
        "state": None,
        "streams": None,
        "provenance": {},
        "check": check.get(name) if isinstance(check, dict) else None,
    }


def check_reads(
    name: str, entry: DrivenEntry, layers: Sequence[Layer], widths: Mapping[str, int], kept: dict[str, Outside]
) -> None:
    """Check what the layers of a driven graph read of others. Raises ModelFileError.

    layers: of the graph alone. widths: of nodes of other graphs, by name. kept: the nodes whose steps a stream keeps,
    to which those of this graph are added.
    """
    for i, layer in enumerate(layers):
        place, outside, node = f"{name}[{i}]", layer.outside, entry.reads.get(i)
        if outside is None and node is not None:
            raise ModelFileError(
                f"{place}.from: reads {node!r} of another graph, which {layer.kind} cannot; put a layer 'given' or "
                "'cross_attend' between them"
            )
        if outside is None:
            continue
        if node is None:
            raise ModelFileError(f"{place}.from: {layer.kind} needs a node of another graph at the end")
        if widths[node] != outside.width:
            raise ModelFileError(
                f"{place}.from: {node} is {widths[node]} wide; {layer.kind} reads {outside.width} numbers"
            )
        if outside.most and kept.setdefault(node, outside) != outside:
            raise ModelFileError(
                f"{place}.most: is {outside.most}; another layer keeps {kept[node].most} steps of {node}"
            )


def check_memories(kept: Mapping[str, Outside], anew: str) -> None:
    """Check what a stream keeps of steps, by node. Raises ModelFileError.

    anew: the first graph if its input makes all rows anew for each answer, so that no step follows another; else "".
    """
    if anew and (lost := [node for node in kept if node.partition(".")[0] == anew]):
        raise ModelFileError(
            f"graphs.{anew}: its input starts anew for each answer, so its steps cannot be kept; read {lost[0]} with a "
            "layer 'given' instead"
        )
    size = sum(4 * outside.most * outside.width for outside in kept.values())
    if size > MAX_STATE_BYTES:
        raise ModelFileError(
            f"graphs: a stream would keep {size} bytes of steps for other graphs; at most {MAX_STATE_BYTES} are allowed"
        )


def check_fed(entry: DrivenEntry, decoder: Decoder, source: Input) -> None:
    """Check that a decoder feeds what its graph reads. Raises ModelFileError."""
    if reason := decoder.check_fed(source.ids if source.features is None else 0, source.size, source.features or 0):
        raise ModelFileError(f"inputs.{entry.feeds}: {reason}")
