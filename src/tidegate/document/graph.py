"""Check the names of a document's parts and the edges of its graph, and read the graph as a list of layers."""

from __future__ import annotations

from typing import Any, Final

from ..errors import ModelFileError
from ..expect import check_keys, check_list, check_object, check_text
from ..limits import MAX_LAYERS
from ..strictjson import show

Document = dict[str, Any]

INPUT: Final = "x"
GRAPH: Final = "layers"


def check_names(document: Document) -> None:
    """Check that there is one input `x`, one graph `layers` that it drives, and no decoder.

    The format has room for more of them, which this version does not read. Raises ModelFileError.
    """
    check_keys("inputs", document["inputs"], INPUT)
    check_keys("graphs", document["graphs"], GRAPH)
    check_keys("decoders", document["decoders"])
    graph = document["graphs"][GRAPH]
    check_keys(f"graphs.{GRAPH}", graph, "clock", "nodes")
    if graph["clock"] != INPUT:
        raise ModelFileError(f"graphs.{GRAPH}.clock: is {show(graph['clock'])}; expected {INPUT!r}, the input")
    check_list(f"graphs.{GRAPH}.nodes", graph["nodes"], 1, MAX_LAYERS)
    for i, node in enumerate(graph["nodes"]):
        check_node(i, node)


def check_node(i: int, node: Any) -> None:
    """Check the kind and the source of a node: the one before it, or the input."""
    place = f"{GRAPH}[{i}]"
    check_object(place, node)
    for key in ("layer", "from"):
        if key not in node:
            raise ModelFileError(f"{place}: the key {key!r} is missing")
    check_text(f"{place}.layer", node["layer"])
    if "kind" in node:
        raise ModelFileError(f"{place}: unknown key 'kind'")
    source = [i - 1] if i else [INPUT]
    if node["from"] != source or type(node["from"][0]) is not type(source[0]):
        raise ModelFileError(f"{place}.from: is {show(node['from'])}; expected {source}, as nodes form a chain")


def chain_nodes(layers: list[Document]) -> list[Document]:
    """Return layers as the nodes of a graph, each of which reads the one before.

    >>> chain_nodes([{"kind": "embed", "rows": 9, "size": 2}, {"kind": "norm", "size": 2, "eps": 1e-5}])[1]
    {'layer': 'norm', 'from': [0], 'size': 2, 'eps': 1e-05}
    """
    return [
        {
            "layer": layer.get("kind"),
            "from": [i - 1] if i else [INPUT],
            **{k: v for k, v in layer.items() if k != "kind"},
        }
        for i, layer in enumerate(layers)
    ]


def read_layers(document: Document) -> list[Document]:
    """Return the nodes of a document's graph, in order, as layers: `kind` for `layer`, and without `from`.

    >>> nodes = [{"layer": "softmax", "from": ["x"], "size": 2, "tensors": {}}]
    >>> read_layers({"graphs": {"layers": {"clock": "x", "nodes": nodes}}})
    [{'kind': 'softmax', 'size': 2, 'tensors': {}}]
    """
    nodes = document["graphs"][GRAPH]["nodes"]
    return [{"kind": node["layer"], **{k: v for k, v in node.items() if k not in ("layer", "from")}} for node in nodes]
