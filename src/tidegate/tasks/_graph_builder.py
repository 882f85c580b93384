"""The layers of a model and their initial weights, for any task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import cells
from ..errors import OptionError
from ..layers import Builder, Layer, init_weights, program
from ._options import PRESETS, USUAL_PRESET, option
from ._search_space import Choices, Numbers


def add_recurrences(
    builder: Builder,
    cell: cells.Cell,
    H: int,
    project: int | None,
    direction: str,
    depth: int,
    layer: str | None = None,
    residual: bool = False,
) -> None:
    """Append `depth` recurrent layers; each one after the first is residual, with a layer norm before it.

    layer: the path of a user's own layer, which follows them. residual: whether the first one is residual too, without
    a norm. Raises CellError for a file that is no layer.
    """
    both = direction == "both"
    for k in range(depth):
        if k:
            builder.add("norm", eps=1e-5)
            builder.recurrence(cell, H, project, both, add=len(builder.layers) - 2)
        else:
            builder.recurrence(cell, H, project, both, residual)
    if layer is not None:
        builder.add("program", **program.load_file(layer, builder.width or 0))


def name_tensors(layers: list[Layer], graph: str) -> list[Layer]:
    """Return the layers of a further graph, with its name in front of those of their tensors.

    >>> builder = Builder(2)
    >>> _ = builder.add("dense", size=1, activation="none")
    >>> dict(name_tensors(builder.layers, "talk")[0].tensors)
    {'weight': 'talk.0.weight', 'bias': 'talk.0.bias'}
    """
    names = [
        {role: f"{graph}.{name.removeprefix('layers.')}" for role, name in layer.tensors.items()} for layer in layers
    ]
    return [replace(layer, tensors=own) for layer, own in zip(layers, names, strict=True)]


def declare_depth(base: int) -> Any:
    """Declare the option `depth`. base: its value with --preset base, as a second layer does not help every task."""
    return option(
        None,
        "number of recurrent layers; each after the first is residual, with a layer norm",
        least=1,
        most=8,
        earlier="default",
        search=Choices((1, 2)),
        presets={"tiny": 1, "small": 1, "base": base},
    )


@dataclass(frozen=True)
class RecurrenceOptions:
    """Options of the recurrent layers of any task, and the size of the model as a whole."""

    preset: str = option(
        USUAL_PRESET,
        "size of the model, which decides the options that are not given: tiny, for microcontrollers and web pages; "
        "small; base, for the best predictions on a server",
        choices=PRESETS,
        earlier="kept",
        absent=USUAL_PRESET,
    )
    cell: str = option("gru", "recurrent cell: a name, or the path of your own cell's .py file", earlier="kept")
    dialect: str = option(
        "", "dialect of the cell, separated by commas, such as reset=before,norm=layer", metavar="LIST", earlier="kept"
    )
    project: int | None = option(
        None,
        "width of the projection of a cell that has one (--cell lstm --dialect projection=yes); default: half of "
        "--hidden",
        least=1,
        most=4096,
        earlier="kept",
    )
    depth: int | None = declare_depth(base=1)

    layer: str | None = option(
        None, "your own layer, which follows the recurrent layers: the path of its .py file", metavar="FILE"
    )

    def load_cell(self) -> cells.Cell:
        """Load the cell in its dialect. Raises CellError; OptionError for a projection that the cell does not have."""
        cell = cells.load(self.cell, cells.parse_dialect(self.dialect))
        if self.project is not None and not cell.tape.has_projection:
            raise OptionError(
                f"project is {self.project}, and the cell {cell.name} has no projection; choose a cell that has one, "
                "such as --cell lstm --dialect projection=yes, or leave it out"
            )
        return cell


@dataclass(frozen=True)
class DropoutOptions:
    """Options of the dropout of a network that reads texts, and ends with pools and a last layer."""

    drop_embed: float | None = option(
        None,
        "dropout after the embedding",
        least=0.0,
        most=0.95,
        search=Numbers(0.1, 0.7, reads="text"),
        presets={"tiny": 0.2, "small": 0.5, "base": 0.5},
    )
    drop_pool: float | None = option(
        None,
        "dropout before the last layer",
        least=0.0,
        most=0.95,
        search=Numbers(0.1, 0.7),
        presets={"tiny": 0.2, "small": 0.5, "base": 0.5},
    )


@dataclass(frozen=True)
class TrainingOptions:
    """Options of the training of any task."""

    epochs: int | None = option(None, "number of epochs; default: by the amount of data", least=1)
    batch: int | None = option(None, "rows per training step; default: by the amount of data", least=1, most=65536)
    rate: float | None = option(
        None,
        "peak learning rate",
        least=1e-7,
        most=1.0,
        search=Numbers(0.001, 0.01, log=True),
        presets={"tiny": 0.006, "small": 0.003, "base": 0.003},
    )
    decay: float = option(
        0.01, "weight decay, on matrices only", least=0.0, most=1.0, search=Numbers(0.001, 0.1, log=True)
    )
    average: float = option(
        0.0,
        "decay of a running average of the weights, which is evaluated in their place; 0: none",
        least=0.0,
        most=0.9999,
    )
    refit_rate: float = option(0.5, "peak learning rate of the refit epochs, as a share of --rate", least=0.0, most=1.0)
    patience: int | None = option(
        None, "stop after this many epochs without improvement; default: half of the epochs, at least 8", least=1
    )
    from_model: str | None = option(
        None,
        "start from the weights of this model file, of the same or of another task",
        metavar="MODEL",
        flag="--from",
    )
    seed: int = option(0, "seed of every random choice", least=0, most=2**31 - 1)


def first_weights(seed: int, cell: cells.Cell, layers: list[Layer]) -> dict[str, npt.NDArray[Any]]:
    """Initialise weights by tensor name from the seed, each as its layer declares.

    The statistics of a `scale` layer start as 1; the task sets them.
    """
    return {**init_weights(np.random.default_rng([seed, 0x57A7]), layers, cell.init)}
