"""Build the layers of a model, for all that make models: tasks, conversions and samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..tape import Tape
from ._layer import Layer
from ._load import load

if TYPE_CHECKING:
    from ..cells import Cell


class Builder:
    """Builds layers, each on the output of the one before, with the names of their tensors.

    width: of the output of the last layer; before the first layer, that of its input, or None for token ids. tapes:
    those that the layers run, by name.

    >>> builder = Builder(3)
    >>> builder.add("pool", over=["mean", "max"]).width
    6
    >>> dict(builder.add("dense", size=2, activation="none").tensors)
    {'weight': 'layers.1.weight', 'bias': 'layers.1.bias'}
    """

    def __init__(self, width: int | None) -> None:
        self.layers: list[Layer] = []
        self.tapes: dict[str, Tape] = {}
        self.width = width

    def add(self, kind: str, **options: Any) -> Layer:
        """Append a layer and return it.

        options: as in a model file, `add` included; the width of the input may be left out. Raises OptionError for
        options that do not fit.
        """
        cls = load(kind)
        if cls.input_option and self.width is not None:
            options = {cls.input_option: self.width, **options}
        layer = cls.parse(options, self.width, self.tapes)
        names = {role: f"layers.{len(self.layers)}.{role}" for role in layer.shapes()}
        layer = replace(layer, tensors=names)
        self.layers.append(layer)
        self.width = layer.width
        return layer

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
