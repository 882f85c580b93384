"""Build the layers of a model, for all that make models: tasks, conversions and samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..tape import Tape
from ._layer import INPUT, Layer, Source
from ._load import load
from ._walk import output_delays, sources_of

if TYPE_CHECKING:
    from ..cells import Cell


class Builder:
    """Builds the layers of a graph, with the names of their tensors.

    width: that of the input; None for token ids. tapes: those that the layers run, by name.

    >>> builder = Builder(3)
    >>> builder.add("pool", over=["mean", "max"]).width
    6
    >>> dict(builder.add("dense", size=2, activation="none").tensors)
    {'weight': 'layers.1.weight', 'bias': 'layers.1.bias'}
    >>> builder.add("dense", size=2, activation="none", sources=(0, "x")).inputs
    9
    """

    def __init__(self, width: int | None) -> None:
        self.layers: list[Layer] = []
        self.tapes: dict[str, Tape] = {}
        self.input_width = width

    @property
    def width(self) -> int | None:
        """The width of the output of the last layer; before the first one, that of the input."""
        return self.layers[-1].width if self.layers else self.input_width

    def add(self, kind: str, sources: Sequence[Source] | None = None, **options: Any) -> Layer:
        """Append a layer and return it.

        sources: what it reads, joined side by side: indices of earlier layers, and "x" or a port of the input. None:
        the layer before. Outputs that come earlier in a stream than others are delayed, by further layers. options: as
        in a model file, `add` included; the width of the input may be left out. Raises OptionError for options that do
        not fit.
        """
        i = len(self.layers)
        read = tuple(sources or ((i - 1,) if i else (INPUT,)))
        latest = max(self.delay_of(source) for source in read)
        read = tuple(self.delay(source, latest) for source in read)
        widths = [self.width_of(source) for source in read]
        width = None if None in widths else sum(w for w in widths if w is not None)
        cls = load(kind)
        if cls.input_option and width is not None:
            options = {cls.input_option: width, **options}
        layer = cls.parse(options, width, self.tapes)
        if layer.add is not None and not layer.whole_window:
            added = self.delay(layer.add, latest + layer.look_ahead)
            layer = replace(layer, add=int(added))
        return self.append(layer, read)

    def append(self, layer: Layer, sources: tuple[Source, ...]) -> Layer:
        """Append a layer that reads these sources, and name its tensors."""
        i = len(self.layers)
        names = {role: f"layers.{i}.{role}" for role in layer.shapes()}
        layer = replace(layer, tensors=names)
        self.layers.append(layer if sources == sources_of(i, layer) else replace(layer, sources=sources))
        return self.layers[i]

    def width_of(self, source: Source) -> int | None:
        """Return the width of what a source gives; None for token ids."""
        return self.layers[source].width if isinstance(source, int) else self.input_width

    def delay_of(self, source: Source) -> int:
        """Return how many steps late a source is in a stream; 0 where layers read whole rows, and nothing is late."""
        if isinstance(source, str) or any(layer.whole_window for layer in self.layers):
            return 0
        return output_delays(self.layers)[source]

    def delay(self, source: Source, late: int) -> Source:
        """Return a source that is so many steps late: the same, or a new layer `delay` behind it."""
        steps, width = late - self.delay_of(source), self.width_of(source)
        if steps < 1 or width is None:
            return source
        self.append(load("delay").parse({"size": width, "steps": steps}, width, self.tapes), (source,))
        return len(self.layers) - 1

    def recurrence(
        self, cell: Cell, size: int, project: int | None = None, both: bool = False, residual: bool = False, **more: Any
    ) -> Layer:
        """Append a recurrence of a cell and return it. Raises OptionError for options that do not fit.

        size: H. project: the width of a projection, for a cell that has one; None: half of H. both: run in both
        directions. residual: add the output of the layer before. more: further options of the layer.
        """
        if cell.tape.has_projection:
            more["project"] = project or max(1, size // 2)
        if residual:
            more["add"] = len(self.layers) - 1
        kind, tape = "bidirectional" if both else "recurrent", self.add_tape(cell)
        return self.add(kind, size=size, tape=tape, cell=cell.name, dialect=cell.dialect, **more)

    def add_tape(self, cell: Cell) -> str:
        """Add the tape of a cell and return its name in the document; a further dialect gets a number."""
        name, n = cell.name, 2
        while self.tapes.setdefault(name, cell.tape) != cell.tape:
            name, n = f"{cell.name}-{n}", n + 1
        return name


def init_weights(
    rng: np.random.Generator, layers: Iterable[Layer], params: Mapping[str, float]
) -> dict[str, npt.NDArray[np.float32]]:
    """Draw the first values of all weights, by tensor name. params: those of a cell's own parameters by name."""
    return {name: layer.init(rng, role, params) for layer in layers for role, name in layer.tensors.items()}
