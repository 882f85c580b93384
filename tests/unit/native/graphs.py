"""Graphs of layers: their engines, and the same layers run one by one, each in an engine of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate import _native, cells
from tidegate.document import state_schema
from tidegate.layers import Builder, Layer
from tidegate.layers.conv import Conv
from tidegate.layers.dense import Dense
from tidegate.runtime.engine import BoundLayer, EngineOptions, build_engine
from tidegate.runtime.state import make_initial

Array = npt.NDArray[Any]
CELLS = ("gru", "lstm", "rnn", "mingru")


@dataclass
class Node:
    """A layer in a graph. sources: earlier nodes, or "x" or "x.NAME" for the engine's input; empty: the node before."""

    layer: Layer
    tensors: dict[str, Array]
    sources: tuple[int | str, ...] = ()
    late: int = 0  # how many steps its output is late


@dataclass
class Graph:
    """Nodes, and the first columns of the input's ports."""

    nodes: list[Node] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)

    def bound(self) -> list[BoundLayer]:
        for node in self.nodes:
            object.__setattr__(node.layer, "sources", node.sources)
        return [BoundLayer(node.layer, node.tensors) for node in self.nodes]

    def engine(self, target: str = "base", fused: bool = True, precision: str = "float32") -> _native.Engine:
        return build_engine(self.bound(), EngineOptions(target, fused, precision), columns=self.columns)

    def initial_states(self, rows: int) -> Array:
        schema = state_schema([node.layer for node in self.nodes])
        return np.tile(make_initial(schema["arrays"], schema["bytes"]), (rows, 1))

    def one_by_one(self, x: Array, lengths: Array, *options: Any) -> Array:
        """Return the outputs [T, B, O] of whole rows, zero behind their ends, each layer run in its own engine."""
        outputs: list[Array] = []
        for i, node in enumerate(self.nodes):
            layer = replace(node.layer, add=None)
            sources = node.sources or ((i - 1,) if i else ("x",))
            first = self.columns.get(str(sources[0]), 0)
            given = x[..., first : first + layer.ids] if layer.ids else None
            parts = [x if isinstance(source, str) else outputs[source] for source in sources]
            joined = np.concatenate(parts, -1) if given is None else given if layer.ids > 1 else given[..., 0]
            one = Graph([Node(layer, node.tensors)])
            y = run(one.engine(*options), joined, lengths, one.initial_states(x.shape[1]))[layer.look_ahead :]
            added = node.layer.add
            outputs.append(y if added is None else y + outputs[added])
        return outputs[-1]


def run(engine: _native.Engine, x: Array, lengths: Array, states: Array, threads: int = 1) -> Array:
    """Return the outputs with and after each step of rows that end, zeros where there is none."""
    out = np.zeros((len(x) + engine.look_ahead, x.shape[1], engine.outputs), np.float32)
    engine.run(np.ascontiguousarray(x), lengths, states, np.empty_like(states), out, True, threads, True)
    return out


def draw_tensors(layer: Layer, rng: np.random.Generator) -> dict[str, Array]:
    """Draw weights that are not zero."""
    tensors = {role: layer.init(rng, role, {}) for role in layer.shapes()}
    for value in tensors.values():
        value += rng.normal(size=value.shape).astype(np.float32) * np.float32(0.3)
    return tensors


def draw_layer(rng: np.random.Generator, width: int, ahead: int) -> Layer:
    """Draw a layer that takes `width` numbers and looks so many steps ahead."""
    if ahead:
        window = ahead + 1 + int(rng.integers(3))
        return Conv(inputs=width, size=int(rng.integers(1, 9)), window=window, ahead=ahead, activation="none")
    builder, kind = Builder(width), str(rng.choice(["dense", "conv", "norm", "scale", "recurrent", "pool", "softmax"]))
    if kind == "dense":
        builder.add(kind, size=int(rng.integers(1, 9)), activation="tanh")
    elif kind == "conv":
        builder.add(kind, size=int(rng.integers(1, 9)), width=3, centred=False, activation="relu")
    elif kind == "recurrent":
        builder.recurrence(cells.load(str(rng.choice(CELLS))), int(rng.integers(1, 20)))
    elif kind == "pool":
        builder.add(kind, over=[str(one) for one in rng.permutation(["last", "mean", "max", "attention"])[:2]])
    else:
        builder.add(kind, **({"eps": 1e-5} if kind == "norm" else {}))
    return builder.layers[0]


def draw_graph(seed: int, first: Sequence[Layer], columns: dict[str, int], widths: dict[str, int]) -> Graph:
    """Draw a graph. first: layers that read the input's ports, in order; otherwise nodes read "x", so wide."""
    rng, graph = np.random.default_rng(seed), Graph(columns=columns)

    def append(layer: Layer, sources: tuple[int | str, ...], late: int) -> None:
        graph.nodes.append(Node(layer, draw_tensors(layer, rng), sources, late + layer.look_ahead))

    def width_of(source: int | str) -> int:
        return widths[source] if isinstance(source, str) else graph.nodes[source].layer.width

    for port, layer in zip(columns, first, strict=True):
        append(layer, (port,), 0)
    for _ in range(int(rng.integers(2, 9))):
        # Sources must be equally late.
        choices: dict[int, list[int | str]] = {0: list(widths)}
        for i, node in enumerate(graph.nodes):
            choices.setdefault(node.late, []).append(i)
        late = int(rng.choice([key for key, found in choices.items() if found]))
        many = int(rng.integers(1, 4)) if rng.random() < 0.5 else 1
        picked = [choices[late][int(k)] for k in rng.integers(0, len(choices[late]), many)]
        ahead = int(rng.integers(1, 4)) if rng.random() < 0.3 and late < 4 else 0
        layer = draw_layer(rng, sum(map(width_of, picked)), ahead)
        same = [i for i, node in enumerate(graph.nodes) if node.layer.width == layer.width]
        added = [i for i in same if graph.nodes[i].late == late + ahead]
        if added and rng.random() < 0.5:
            layer = replace(layer, add=int(rng.choice(added)))
        append(layer, tuple(picked), late)
    # The last layer reads all that no other does, when it is as late as the latest.
    read = {source for node in graph.nodes for source in (*node.sources, node.layer.add)}
    ends, latest = [i for i in range(len(graph.nodes)) if i not in read], max(node.late for node in graph.nodes)
    for k, i in enumerate(ends):
        if missing := latest - graph.nodes[i].late:
            wide = width_of(i)
            delay = Conv(inputs=wide, size=wide, window=missing + 1, ahead=missing, activation="none")
            append(delay, (i,), graph.nodes[i].late)
            ends[k] = len(graph.nodes) - 1
    append(Dense(inputs=sum(map(width_of, ends)), size=3, activation="sigmoid"), tuple(ends), latest)
    return graph
