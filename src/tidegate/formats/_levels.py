"""Exports of a model with several graphs: a file for each, and how they connect."""

from __future__ import annotations

import os

from ..layers import state_names
from ..model import Model


def graph_path(out: str, graph: str) -> str:
    """Return the path of a graph's file.

    >>> graph_path("models/chat.c", "talk")
    'models/chat_talk.c'
    """
    stem, suffix = os.path.splitext(out)
    return f"{stem}_{graph}{suffix}"


def describe_connections(model: Model) -> dict[str, list[str]]:
    """Say of each graph of a model when it makes a step, what it reads and gives, and when it begins anew."""
    graphs, found = list(model.levels.items()), dict[str, list[str]]()
    for k, (name, one) in enumerate(graphs):
        above = graphs[k + 1] if k + 1 < len(graphs) else None
        notes = [
            f"This is graph {k + 1} of {len(graphs)} of the model, {name}; each is exported alone, with its own hashes."
        ]
        if k:
            below, level = graphs[k - 1][0], graphs[k - 1][1]
            notes.append(
                f"When a {level.level} that had a step ends, {name} makes one step, and {below} then begins anew. Its "
                f"input is, end to end: {'; '.join(describe_reads(model, k))}."
            )
        numbers = [f"{describe_range(output.part, output.width)}: {key}" for key, output in one.model.outputs.items()]
        notes.append(f"Its outputs are {'; '.join(numbers)}.")
        if above is None:
            notes.append(f"At the end of a {one.level}, {name} begins anew.")
        else:
            notes.append(f"What {above[0]} reads are the outputs after the last step of a {one.level}.")
        found[name] = notes
    for name in model.driven:
        found[name] = describe_driven(model, name)
    return found


def describe_driven(model: Model, name: str) -> list[str]:
    """Say of a graph that a decoder drives what has to be put into its state, what it reads and what it gives."""
    graph = model.driven[name]
    places = {array["name"]: array for array in graph.model.state_schema}
    notes = [f"This is the graph {name} of the model; a decoder drives it. It is exported alone, with its own hashes."]
    for i, node in zip(graph.readers, graph.reads, strict=True):
        layer = graph.model.layers[i]
        states = [places[one] for one in state_names(i, dict.fromkeys(layer.held)).values()]
        where = ", ".join(f"{one['name']} {one['shape']} at byte {one['offset']}" for one in states)
        most = layer.outside.most if layer.outside else 0
        what = f"the outputs after each step, at most {most}" if most else "the outputs after the last step"
        notes.append(f"Before its first step, put {what} of {node} into its state: {where}.")
    notes.append(f"Each step takes what the decoder {graph.decoder} feeds back. The decoder is not exported.")
    return notes


def describe_reads(model: Model, k: int) -> list[str]:
    """Describe each part of the input of the k-th graph."""
    (below, level), (_, one) = list(model.levels.items())[k - 1 : k + 1]
    parts, at = list[str](), 0
    for name in one.reads:
        if (output := level.model.outputs.get(name)) is not None:
            width, what = output.width, f"outputs {describe_range(output.part, output.width)} of {below}"
        else:
            side = model.inputs[name]
            width, rows = side.features or 0, side.describe_rows()
            what = f"{name}, {rows}" if rows else name
        parts.append(f"{describe_range(slice(at, at + width), width)}: {what}")
        at += width
    return parts


def describe_range(part: slice | None, width: int) -> str:
    """Say which numbers these are.

    >>> describe_range(None, 4), describe_range(slice(2, 3), 1)
    ('0 to 3', '2')
    """
    start = part.start if part else 0
    return f"{start} to {start + width - 1}" if width > 1 else str(start)
