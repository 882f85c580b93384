"""Make the document of a new model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from .. import inputs as input_room
from .. import outputs as output_room
from ..layers import INPUT, Layer
from .decoders import resolve_outputs
from .graph import GRAPH, join_outputs, make_nodes, read_output_nodes
from .levels import GraphPlan, graphs_entry, join_states, split_graph
from .state import state_schema
from .streams import streams_entry

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
Document = dict[str, Any]


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

    >>> from ..layers import parse
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


def assemble_levels(
    kind: str,
    options: dict[str, Any],
    inputs: Mapping[str, Any],
    graphs: Mapping[str, GraphPlan],
    outputs: Mapping[str, Any],
    provenance: dict[str, Any],
    decoders: Mapping[str, Any] = MappingProxyType({}),
) -> Document:
    """Make the document of a model with several graphs, each of which ticks at the end of the one before.

    inputs: entries by name, side inputs with the `clock` that they have. graphs: by name, the innermost first, and
    behind them those that decoders drive. outputs, decoders: entries with `from` and `reads`. Other arguments: see
    `assemble`.
    """
    document: Document = {
        "format": FORMAT,
        "task": {"kind": kind, "options": options},
        "inputs": dict(inputs),
        "graphs": graphs_entry(graphs, decoders),
        "outputs": dict(outputs),
        "decoders": dict(decoders),
        "tapes": {
            name: tape.to_json() for plan in graphs.values() for x in plan.layers for name, tape in x.tapes.items()
        },
        "provenance": provenance,
        "check": None,
    }
    chain = {name: plan for name, plan in graphs.items() if not plan.decoder}
    reads = {name: plan.reads for name, plan in chain.items()}
    more = list(dict.fromkeys(node for plan in graphs.values() if plan.decoder for node in plan.reads))
    singles = {name: split_graph(document, name, inputs[INPUT], reads, more) for name in chain}
    for name, plan in chain.items():
        one = singles[name]
        nodes = read_output_nodes(resolve_outputs(one["outputs"], one["decoders"]), plan.layers)
        joined, _ = join_outputs(plan.layers, nodes.values())
        singles[name] |= {"state": state_schema(joined), "streams": streams_entry(joined)}
    first = next(iter(singles.values()))
    return {**document, "state": join_states(singles), "streams": first["streams"]}
