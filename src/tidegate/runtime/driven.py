"""Graphs that decoders drive: what they read of other graphs when a message ends, and what they write then.

All hypotheses of a stream share what their graph reads of others, which stands in the held part of a state block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..document.state import find_held
from ..layers import Layer, state_names
from ..model import Model
from ..outputs.base import Output
from .growing import GrowingArray, Words

Compiled = Any  # a CompiledModel, whose module imports this one
WRITES_AT_END: Final = "this model writes at the end of a message"
STREAMS_AT_ONCE: Final = 64  # that are written for together, so that their hypotheses fit in the cache

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class Memory(NamedTuple):
    """The numbers after each step of a node, which a stream keeps for graphs that attend to them.

    node: its name. graph: the number of its graph, counted from 0. part: its numbers among those of the graph. array:
    where they stand in a block.
    """

    node: str
    graph: int
    part: slice
    array: GrowingArray


class Reader(NamedTuple):
    """A layer that reads another graph.

    place: its index among the layers. graph, part: where the node is; see Memory. node: its name.
    """

    place: int
    layer: Layer
    node: str
    graph: int
    part: slice


class Given(NamedTuple):
    """What other graphs give when a message ends: for each, its numbers after its last step, and those of each step.

    last: [width] of each graph. steps: of each node that is kept, [steps, width].
    """

    last: Sequence[Floats]
    steps: Mapping[str, Floats]


class DrivenGraph:
    """A graph that a decoder drives, compiled. It never changes.

    name: of its output. own_bytes: of the part of a state block that steps change; the rest is held.
    """

    def __init__(self, name: str, output: Output, compiled: Compiled, readers: Sequence[Reader]) -> None:
        self.name, self.output, self.compiled, self.readers = name, output, compiled, tuple(readers)
        self.own_bytes, places = find_held(compiled.model.layers)
        self.places = {key: at - self.own_bytes for key, at in places.items()}

    def hold(self, given: Given) -> Bytes:
        """Return what the hypotheses of a stream share, uint8 [held bytes]."""
        held: Bytes = self.compiled.initial[self.own_bytes :].copy()
        for i, layer, node, graph, part in self.readers:
            rows = given.steps[node] if layer_keeps(layer) else given.last[graph][None, part]
            for key, values in layer.hold(rows).items():
                at = self.places[state_names(i, {key: None})[key]]
                held[at : at + values.nbytes] = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint8)
        return held

    def write(self, helds: Bytes) -> list[Indices]:
        """Return the ids that are written for each of n streams. helds: what each one's hypotheses share [n, bytes].

        Each stream gets what it gets alone. The states of hypotheses that go on are taken from those that they continue
        by the native call that runs their next step.
        """
        compiled, decoder, n = self.compiled, self.output.decoder, len(helds)
        assert decoder is not None
        update = decoder.begin(decoder.start(n))
        states, owners = np.tile(compiled.initial[: self.own_bytes], (n, 1)), np.arange(n)
        while update.next is not None and len(update.next):
            assert update.parents is not None, "of a decoder that searches"
            after = np.empty((len(update.next), self.own_bytes), np.uint8)
            out = np.empty((len(update.next), compiled.width), np.float32)
            parents, owners = update.parents, owners[update.parents]
            compiled.engine.step_from(update.next, parents, states, owners, helds, after, out, compiled.threads)
            states, update = after, decoder.update(update.memory, self.output.select(out))
        decided = decoder.finish(update.memory).decided
        return [ids[ids >= 0] for ids in decided]


class Writing:
    """What a graph writes for several streams, once one of them is asked for.

    Until then it has a copy of the rows that there are, not the states with room for the most of them.
    """

    def __init__(self, graph: DrivenGraph) -> None:
        self.graph, self.given = graph, list[Given]()
        self._written: dict[int, Indices] = {}

    def add(self, given: Given) -> Callable[[], Indices]:
        """Add a stream, and return what gives its ids."""
        i = len(self.given)
        kept = {node for _, layer, node, _, _ in self.graph.readers if layer_keeps(layer)}
        steps = {node: rows.copy() for node, rows in given.steps.items() if node in kept}
        self.given.append(Given([values.copy() for values in given.last], steps))
        return lambda: self.read(i)

    def read(self, i: int) -> Indices:
        """Return the ids of a stream; those of its neighbours are written in the same calls."""
        if i not in self._written:
            first = i - i % STREAMS_AT_ONCE
            given = self.given[first : first + STREAMS_AT_ONCE]
            found = self.graph.write(np.stack([self.graph.hold(one) for one in given]))
            self._written.update(enumerate(found, first))
        return self._written[i].copy()


def layer_keeps(layer: Layer) -> bool:
    """Return whether a layer reads all steps of another graph, not the last one alone."""
    return layer.outside is not None and layer.outside.most > 0


def place_memories(model: Model, counts_at: Sequence[int], at: int, levels: Sequence[str]) -> list[Memory]:
    """Return what a stream keeps of steps, one array after another from byte `at` of its block on.

    counts_at: where each graph counts its steps. levels: the words for their rows. The steps of a first graph that
    reads whole rows are not kept, as all of them are there at the end.
    """
    found: list[Memory] = []
    graphs = list(model.levels)
    for node, outside in model.memories.items():
        k = graphs.index(node.partition(".")[0])
        if k == 0 and model.whole_window:
            continue
        row = "step" if k == 0 else levels[k - 1]
        words = Words(levels[k], row, "keeps", " until its end", f"end the {levels[k]} before")
        array = GrowingArray(f"memory.{node}", outside.most, (outside.width,), "float32", at, words, counts_at[k])
        found.append(Memory(node, k, find_part(model, k, node), array))
        at = array.end
    return found


def find_most(model: Model) -> int | None:
    """Return how many steps of the first graph others can attend to; None: any number, as none does."""
    first = next(iter(model.levels), "")
    return min((of.most for node, of in model.memories.items() if node.partition(".")[0] == first), default=None)


def find_part(model: Model, k: int, node: str) -> slice:
    """Return which of the numbers of the k-th graph are those of a node that another one reads."""
    output = list(model.levels.values())[k].model.outputs[node]
    return output.part or slice(0, output.width)


def compile_driven(model: Model, compile_one: Callable[[Model], Compiled]) -> Iterator[DrivenGraph]:
    """Compile the graphs of a model that decoders drive."""
    graphs = list(model.levels)
    for graph in model.driven.values():
        readers = []
        for index, node in zip(graph.readers, graph.reads, strict=True):
            k = graphs.index(node.partition(".")[0])
            readers.append(Reader(index, graph.model.layers[index], node, k, find_part(model, k, node)))
        for name, output in graph.model.outputs.items():
            yield DrivenGraph(name, output, compile_one(graph.model), readers)
