"""The graphs above the first: compiled, and where their blocks stand in that of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..document.graph import GRAPH
from ..model import Model

Compiled = Any  # a CompiledModel, whose module imports this one


class UpperGraph(NamedTuple):
    """A graph above the first, which ticks at the end of the one below.

    reads: what its row consists of, in order: a slice of the numbers that the graph below gives, or a side input's
    name. own: the names of its outputs. at: where its block stands in that of a stream. latest: where its last values
    stand there, for the graph above; empty if there is none.
    """

    name: str
    compiled: Compiled
    reads: tuple[slice | str, ...]
    own: tuple[str, ...]
    at: slice
    latest: slice


def place_upper(model: Model, compile_one: Callable[[Model], Compiled]) -> Iterator[UpperGraph]:
    """Compile the graphs above the first, and place their blocks one after another behind that of the first."""
    levels = list(model.levels.items())
    at = model.first.state_bytes
    for k, (name, level) in enumerate(levels[1:], 1):
        below, compiled = levels[k - 1][1].model, compile_one(level.model)
        parts = {one: output.part or slice(0, output.width) for one, output in below.outputs.items()}
        end = at + len(compiled.initial)
        latest = slice(end, end + (-(-4 * compiled.width // 8) * 8 if k + 1 < len(levels) else 0))
        own = tuple(one for one in compiled.outputs if one in model.outputs)
        yield UpperGraph(name, compiled, tuple(parts.get(one, one) for one in level.reads), own, slice(at, end), latest)
        at = latest.stop


def describe_upper(graph: UpperGraph) -> Iterator[dict[str, Any]]:
    """Yield the arrays of a graph above the first as they stand in the schema of a stream's state."""
    for array in graph.compiled.schema:
        name = str(array["name"])
        if not name.startswith(("outputs.", "decoders.")):
            name = f"{graph.name}.{name.removeprefix(f'{GRAPH}.')}"
        yield {**array, "name": name, "offset": array["offset"] + graph.at.start}
    if graph.latest.stop > graph.latest.start:
        width = graph.compiled.width
        yield {"name": f"{graph.name}.latest", "dtype": "float32", "shape": [width], "offset": graph.latest.start}
