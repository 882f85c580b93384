"""Graphs that tick at the end of another: messages inside a conversation.

A document with several graphs is split into one document for each, with a single graph and a single input, so that
whatever knows such a model knows each of them. What a graph reads of the one below, and its side inputs, are the
numbers of that input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from .. import inputs as input_room
from ..errors import ModelFileError
from ..expect import check_keys, check_list, check_object, check_text
from ..inputs.base import Input
from ..layers import INPUT, Layer, Source
from ..limits import MAX_LAYERS, MAX_LEVELS
from ..outputs import make_entry
from ..strictjson import show
from ..tensors import Array
from .driven import CLOCK, DrivenEntry, chain_of, is_driven
from .graph import GRAPH, check_node, make_nodes

Document = dict[str, Any]
MESSAGE: Final = "message"  # the level of a single graph


class GraphPlan(NamedTuple):
    """A graph of a model under construction.

    level: what its steps belong to, such as a conversation. reads: what its input consists of, in order: nodes of the
    graph below, "words.4", and side inputs; empty for the first graph, which reads the input. layers: as of a model
    with this graph alone, whose input is "x". decoder: of a graph that one drives, its name; then the level is "", and
    layer readers[i] has reads[i], a node of any other graph.
    """

    level: str
    layers: Sequence[Layer]
    reads: tuple[str, ...] = ()
    decoder: str = ""
    readers: tuple[int, ...] = ()


class Level(NamedTuple):
    """A graph of a document: level and reads as in GraphPlan, and document and tensors of a model with it alone.

    decoder: of a graph that one drives, its name; "" for others. readers: then the index of the layer that has each of
    `reads`.
    """

    level: str
    reads: tuple[str, ...]
    document: Document
    tensors: dict[str, Array]
    decoder: str = ""
    readers: tuple[int, ...] = ()


def has_levels(document: Document) -> bool:
    """Return whether a document has more than one graph."""
    graphs = document.get("graphs")
    return isinstance(graphs, dict) and len(graphs) > 1


def graphs_entry(graphs: Mapping[str, GraphPlan], decoders: Mapping[str, Any]) -> Document:
    """Return the key `graphs` of a document. decoders: its decoders."""
    entries: Document = {}
    below = ""
    for name, plan in graphs.items():
        nodes = make_nodes(plan.layers)
        if plan.decoder:
            feeds, outside = decoders[plan.decoder]["feeds"], dict(zip(plan.readers, plan.reads, strict=True))
            for i, node in enumerate(nodes):
                own = [feeds if source == INPUT else source for source in node["from"]]
                node["from"] = [*own, outside[i]] if i in outside else own
            entries[name] = {"clock": f"{CLOCK}{plan.decoder}", "nodes": nodes}
            continue
        for node in nodes if below else ():
            node["from"] = [one for source in node["from"] for one in (plan.reads if source == INPUT else [source])]
        entries[name] = {"clock": f"{below}.end" if below else INPUT, "level": plan.level, "nodes": nodes}
        below = name
    return entries


def read_sides(document: Document, tensors: Mapping[str, Array], driven: Mapping[str, DrivenEntry]) -> dict[str, Input]:
    """Return the side inputs of a document with several graphs by name. Raises ModelFileError."""
    fed = [one.feeds for one in driven.values()]
    sides = {
        name: input_room.parse(name, {k: v for k, v in entry.items() if k != "clock"}, tensors)
        for name, entry in document["inputs"].items()
        if name != INPUT and name not in fed
    }
    if wrong := [name for name, side in sides.items() if not side.may_be_side]:
        found = document["inputs"][wrong[0]]["kind"]
        raise ModelFileError(f"inputs.{wrong[0]}.kind: is {show(found)}; a side input is one row of numbers, or a name")
    return sides


def read_all_outside(document: Document, sides: Mapping[str, Input]) -> dict[str, tuple[str, ...]]:
    """Return what each graph reads from outside, by its name."""
    names = list(chain_of(document))
    return {name: read_outside(document, name, below, sides) for below, name in zip(["", *names], names, strict=False)}


def check_outputs(outputs: Any) -> None:
    """Check that outputs are objects. Raises ModelFileError."""
    check_object("outputs", outputs)
    for name, of in outputs.items():
        check_object(f"outputs.{name}", of)


def check_names(document: Document) -> None:
    """Check the names, clocks and levels of graphs, and the clocks of side inputs."""
    check_object("inputs", document["inputs"])
    graphs = chain_of(document)
    if not 1 <= len(graphs) <= MAX_LEVELS:
        raise ModelFileError(f"graphs: has {len(graphs)} that tick on each other; expected 1 to {MAX_LEVELS}")
    clock, levels = INPUT, list[str]()
    for name, graph in graphs.items():
        place = f"graphs.{check_text('a name in graphs', name)}"
        if not name.isidentifier() or name in document["inputs"]:
            raise ModelFileError(f"{place}: expected a name of letters, digits and _ that no input has")
        check_keys(place, graph, "clock", "level", "nodes")
        if graph["clock"] != clock:
            raise ModelFileError(f"{place}.clock: is {show(graph['clock'])}; expected {clock!r}")
        if check_text(f"{place}.level", graph["level"]) in levels:
            raise ModelFileError(
                f"{place}.level: is {show(graph['level'])}, as of a graph below; expected another word"
            )
        levels.append(graph["level"])
        clock = f"{name}.end"
        check_list(f"{place}.nodes", graph["nodes"], 1, MAX_LAYERS)
    if INPUT not in document["inputs"]:
        raise ModelFileError(f"inputs: the key {INPUT!r} is missing")
    upper = [*list(graphs)[1:], *(name for name, graph in document["graphs"].items() if is_driven(graph))]
    for name, entry in document["inputs"].items():
        if name == INPUT:
            continue
        place = f"inputs.{check_text('a name in inputs', name)}"
        check_object(place, entry)
        if entry.get("clock") not in upper:
            expected = f"expected one of {', '.join(upper)}" if upper else f"expected no input but {INPUT!r}"
            raise ModelFileError(f"{place}.clock: is {show(entry.get('clock'))}; {expected}")


def read_outside(document: Document, name: str, below: str, sides: Mapping[str, Input]) -> tuple[str, ...]:
    """Return what a graph reads from outside: nodes of the graph below, and side inputs. Empty for the first graph."""
    nodes = document["graphs"][name]["nodes"]
    found: tuple[str, ...] = ()
    for i, node in enumerate(nodes):
        place = f"{name}[{i}]"
        check_node(i, node, place)
        if not below:
            continue
        own = tuple(one for one in node["from"] if isinstance(one, str))
        if own and found and own != found:
            raise ModelFileError(
                f"{place}.from: reads {', '.join(own)}; expected all that the graph reads from outside, in the order "
                f"{', '.join(found)}"
            )
        found = found or own
    known = [f"{below}.{i}" for i in range(len(document["graphs"][below]["nodes"]))] if below else []
    clocked = [side for side in sides if document["inputs"][side]["clock"] == name]
    for one in found:
        if one not in (*known, *clocked):
            expected = f"{known[0]!r} to {known[-1]!r}" + "".join(f", {side!r}" for side in clocked)
            raise ModelFileError(f"graphs.{name}: reads {show(one)}; expected {expected}")
    if below and not any(one in known for one in found):
        raise ModelFileError(f"graphs.{name}: reads no node of {below!r}, at whose end it ticks")
    if unread := [side for side in clocked if side not in found]:
        raise ModelFileError(f"inputs.{unread[0]}: no node of {name!r} reads it; remove it")
    return found


def split_graph(
    document: Document, name: str, entry: Document, reads: Mapping[str, tuple[str, ...]], more: Sequence[str] = ()
) -> Document:
    """Return the document of a model with one graph alone, without its state and what says whether it streams.

    entry: of its input. reads: as `read_all_outside` gives them; the nodes that the graph above reads are outputs, too,
    by their names there. more: nodes of any graph that others read.
    """
    graphs, is_first = document["graphs"], not reads[name]
    nodes = [replace_outside(node, reads[name]) for node in graphs[name]["nodes"]]
    exported = [one for outside in (*reads.values(), more) for one in outside if one.partition(".")[0] == name]
    decoders = {
        key: {**of, "reads": GRAPH + of["reads"][len(name) :]}
        for key, of in document["decoders"].items()
        if str(of.get("reads", "")).startswith(f"{name}.") and "drives" not in of
    }
    own = {
        key: dict(of)
        for key, of in document["outputs"].items()
        if str(of.get("from", "")).startswith(f"{name}.") or of.get("from") in decoders
    }
    own |= {one: {**make_entry(None, ""), "from": one} for one in exported}
    for of in own.values():
        of["from"] = of["from"] if of["from"] in decoders else GRAPH + of["from"][len(name) :]
    used, check = {node.get("tape") for node in nodes}, document["check"]
    return {
        "format": document["format"],
        "task": document["task"],
        "inputs": {INPUT: entry},
        "graphs": {GRAPH: {"clock": INPUT, "nodes": nodes}},
        "outputs": own,
        "decoders": decoders,
        "tapes": {key: tape for key, tape in document["tapes"].items() if key in used},
        "state": None,
        "streams": None,
        "provenance": document["provenance"] if is_first else {},
        "check": check.get(name) if isinstance(check, dict) else None,
    }


def split_tensors(levels: Mapping[str, Document], tensors: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Return the tensors of each graph, by its name; those of no other graph are the first one's.

    levels: the documents of the graphs.
    """
    named = {
        name: {
            t
            for part in (*one["graphs"][GRAPH]["nodes"], *one["decoders"].values())
            for t in (part.get("tensors") or {}).values()
        }
        | {t for case in (one["check"] or {}).get("cases", ()) for t in (case.get("output"), case.get("state"))}
        for name, one in levels.items()
    }
    first, *others = named
    left = set(tensors).difference(*(named[name] for name in others))
    return {name: {t: tensors[t] for t in (left if name == first else named[name]) if t in tensors} for name in named}


def join_states(levels: Mapping[str, Document]) -> Document:
    """Return the key `state` of a document: the blocks of its graphs, one after another.

    The arrays of a graph have its name; only the first one's `steps` has none.
    """
    arrays: list[Document] = []
    start = 0
    for name, one in levels.items():
        for array in one["state"]["arrays"]:
            own = array["name"].removeprefix(f"{GRAPH}.")
            full = own if own == "steps" and not start else f"{name}.{own}"
            arrays.append({**array, "name": full, "offset": array["offset"] + start})
        start += one["state"]["bytes"]
    return {"bytes": start, "arrays": arrays}


def replace_outside(node: Document, reads: tuple[str, ...]) -> Document:
    """Return a node that reads the input in place of what its graph reads from outside."""
    if not reads:
        return node
    sources: list[Source] = []
    for one in node["from"]:
        if not isinstance(one, str):
            sources.append(one)
        elif one == reads[0]:
            sources.append(INPUT)
    return {**node, "from": sources}
