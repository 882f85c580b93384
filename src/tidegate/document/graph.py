"""Check the names of a document's parts, read the edges of its graph, and join the outputs of several nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ..errors import ModelFileError
from ..expect import check_keys, check_list, check_object, check_text
from ..inputs.base import Input, Port
from ..layers import INPUT, Layer, Source, output_delays, sources_of, unread, whole_window
from ..layers.delay import Delay
from ..layers.join import Join
from ..limits import MAX_LAYERS, MAX_SOURCES
from ..strictjson import show

Document = dict[str, Any]

GRAPH: Final = "layers"


def check_names(document: Document) -> None:
    """Check that there is one input `x`, and one graph `layers` that it drives.

    The format has room for more of them, which this version does not read. Raises ModelFileError.
    """
    check_keys("inputs", document["inputs"], INPUT)
    check_keys("graphs", document["graphs"], GRAPH)
    graph = document["graphs"][GRAPH]
    check_keys(f"graphs.{GRAPH}", graph, "clock", "nodes")
    if graph["clock"] != INPUT:
        raise ModelFileError(f"graphs.{GRAPH}.clock: is {show(graph['clock'])}; expected {INPUT!r}, the input")
    check_list(f"graphs.{GRAPH}.nodes", graph["nodes"], 1, MAX_LAYERS)
    for i, node in enumerate(graph["nodes"]):
        check_node(i, node, f"{GRAPH}[{i}]")


def check_node(i: int, node: Any, place: str) -> None:
    """Check the kind and the sources of a node: earlier nodes, or the input."""
    check_object(place, node)
    for key in ("layer", "from"):
        if key not in node:
            raise ModelFileError(f"{place}: the key {key!r} is missing")
    check_text(f"{place}.layer", node["layer"])
    for key in ("kind", "sources"):
        if key in node:
            raise ModelFileError(f"{place}: unknown key {key!r}")
    check_list(f"{place}.from", node["from"], 1, MAX_SOURCES)
    for k, source in enumerate(node["from"]):
        if type(source) is int and i <= source:
            cycle = "itself, which would be a cycle" if source == i else "a node that is not before it"
            raise ModelFileError(f"{place}.from[{k}]: is {source}, {cycle}; expected an earlier node{_known(i)}")
        if type(source) is not str and not (type(source) is int and source >= 0):
            raise ModelFileError(f"{place}.from[{k}]: is {show(source)}; expected an earlier node{_known(i)}")


def _known(i: int) -> str:
    return f", 0 to {i - 1}, or {INPUT!r}" if i else f"; the first node has none, so {INPUT!r}"


def make_nodes(layers: Sequence[Layer]) -> list[Document]:
    """Return layers as the nodes of a graph.

    >>> from ..layers import Builder
    >>> builder = Builder(2)
    >>> _ = builder.add("norm", eps=1e-5), builder.add("join", size=4, sources=(0, "x"))
    >>> make_nodes(builder.layers)[1]
    {'layer': 'join', 'from': [0, 'x'], 'size': 4, 'tensors': {}}
    """
    return [
        {"layer": layer.kind, "from": list(sources_of(i, layer)), **layer.to_json()} for i, layer in enumerate(layers)
    ]


def read_layers(document: Document) -> list[Document]:
    """Return the nodes of a document's graph, in order, as layers: `kind` for `layer`, and without `from`.

    >>> nodes = [{"layer": "softmax", "from": ["x"], "size": 2, "tensors": {}}]
    >>> read_layers({"graphs": {"layers": {"clock": "x", "nodes": nodes}}})
    [{'kind': 'softmax', 'size': 2, 'tensors': {}}]
    """
    nodes = document["graphs"][GRAPH]["nodes"]
    return [{"kind": node["layer"], **{k: v for k, v in node.items() if k not in ("layer", "from")}} for node in nodes]


def read_sources(document: Document) -> list[tuple[Source, ...]]:
    """Return the sources of each node of a valid graph."""
    return [tuple(node["from"]) for node in document["graphs"][GRAPH]["nodes"]]


# --- what a node reads


def find_ports(source: Input) -> dict[str, Port]:
    """Return the ports of an input by their names in `from`: "x", or "x.NAME" where it has several.

    >>> from ..inputs import parse
    >>> find_ports(parse("x", {"kind": "ids", "size": 9}, {}))
    {'x': Port(first=0, ids=1, size=9, may_lack=False, typical=0)}
    """
    return {f"{INPUT}.{name}" if name else INPUT: port for name, port in source.ports.items()}


def find_columns(source: Input) -> dict[str, Any]:
    """Return where the columns of each port stand in a row of ids [..., columns]: an index of arrays.

    A port of one id has no axis of its own. `...` stands for the whole row, as for numbers.
    """
    if source.features is not None:
        return {INPUT: ...}
    columns: dict[str, Any] = {}
    for name, port in find_ports(source).items():
        own = port.first if port.ids == 1 else slice(port.first, port.first + port.ids)
        columns[name] = ... if port.ids == source.ids else (..., own)
    return columns


def input_width(place: str, sources: tuple[Source, ...], layers: Sequence[Layer], source: Input) -> int | None:
    """Return the width of what a node's sources give together; None for token ids. Raises ModelFileError."""
    names = list(find_ports(source)) if source.features is None else [INPUT]
    for k, one in enumerate(sources):
        if isinstance(one, str) and one not in names:
            raise ModelFileError(f"{place}.from[{k}]: is {show(one)}; the input has {', '.join(names)}")
    if source.features is None and any(isinstance(one, str) for one in sources):
        if len(sources) > 1:
            raise ModelFileError(f"{place}.from: joins token ids with {len(sources) - 1} more; a node reads them alone")
        return None
    return sum(source.features or 0 if isinstance(one, str) else layers[one].width for one in sources)


def describe_sources(sources: tuple[Source, ...], layers: Sequence[Layer], source: Input) -> str:
    """Say how wide each of several sources is, for an error about their sum; "" for one."""
    if len(sources) < 2:
        return ""
    widths = (source.features if isinstance(one, str) else layers[one].width for one in sources)
    return "; its sources are " + " and ".join(
        f"{show(one)}, {width} wide," for one, width in zip(sources, widths, strict=True)
    ).rstrip(",")


def check_ids(place: str, layer: Layer, sources: tuple[Source, ...], source: Input) -> None:
    """Check that a layer of token ids takes those of the port that it reads."""
    if not layer.ids:
        return
    name = str(sources[0])
    port, where = find_ports(source)[name], f"inputs.{name}"
    if layer.vocabulary_size != port.size:
        raise ModelFileError(
            f"{place}.rows: is {layer.vocabulary_size}; it must be equal to the size of {where}, {port.size}"
        )
    if layer.ids != port.ids:
        raise ModelFileError(
            f"{place}: takes {layer.ids} ids of a step; {where} gives {port.ids} at each step, so it must be equal"
        )
    if port.may_lack and not layer.skips_absent:
        raise ModelFileError(f"{place}.from: {where} gives a step up to {port.ids} ids; {layer.kind} needs all of them")


# --- what outputs read


def read_output_nodes(outputs: Mapping[str, Any], layers: Sequence[Layer]) -> dict[str, int]:
    """Return the node of each output, by the output's name. Raises ModelFileError for one that does not exist."""
    found = {}
    for name, entry in outputs.items():
        place = f"outputs.{check_text('a name in outputs', name)}"
        check_object(place, entry)
        found[name] = find_node(f"{place}.from", entry.get("from"), layers)
    if unused := sorted(set(unread(layers)) - set(found.values())):
        raise ModelFileError(f"{GRAPH}[{unused[0]}]: no layer and no output reads it; remove it")
    return found


def find_node(place: str, name: Any, layers: Sequence[Layer]) -> int:
    """Return the index of the node that an output or a decoder reads.

    Raises ModelFileError for one that does not exist.
    """
    nodes = [f"{GRAPH}.{i}" for i in range(len(layers))]
    if name not in nodes:
        expected = repr(nodes[0]) if len(nodes) == 1 else f"one of {nodes[0]!r} to {nodes[-1]!r}"
        raise ModelFileError(f"{place}: is {show(name)}; expected {expected}")
    return nodes.index(name)


def join_outputs(layers: Sequence[Layer], nodes: Iterable[int]) -> tuple[tuple[Layer, ...], dict[int, int]]:
    """Append what gives the outputs of several nodes together; return all layers, and where each node's numbers begin.

    The last layer alone stays as it is. Otherwise a layer `join` follows, after delays for outputs that come earlier.

    >>> from ..layers import Builder
    >>> builder = Builder(2)
    >>> _ = builder.add("norm", eps=1e-5), builder.add("dense", size=3, activation="none")
    >>> layers, starts = join_outputs(builder.layers, [1, 0])
    >>> layers[2].sources, starts
    ((0, 1), {0: 0, 1: 2})
    """
    wanted = sorted(set(nodes))
    if wanted == [len(layers) - 1]:
        return tuple(layers), {wanted[0]: 0}
    joined, delays, starts, sources = list(layers), output_delays(layers), {}, []
    latest, width = max(delays[i] for i in wanted), 0
    by_steps = not whole_window(layers)
    for i in wanted:
        starts[i], width = width, width + layers[i].width
        sources.append(i)
        if by_steps and (steps := latest - delays[i]):
            sources[-1] = len(joined)
            joined.append(Delay(size=layers[i].width, steps=steps, sources=(i,)))
    return (*joined, Join(size=width, sources=tuple(sources))), starts


def with_sources(layer: Layer, i: int, sources: tuple[Source, ...]) -> Layer:
    """Return a layer that reads these sources, which a chain leaves out."""
    return layer if sources == sources_of(i, layer) else replace(layer, sources=sources)
