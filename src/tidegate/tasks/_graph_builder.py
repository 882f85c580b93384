"""The layers of a model and their initial weights, for any task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import cells
from ..errors import OptionError
from ..layers.bidirectional import DIRECTIONS
from ._options import option

Layer = dict[str, Any]


class GraphBuilder:
    """Builds a list of layers with the names of their tensors. width: that of the last layer's output."""

    def __init__(self, width: int | None) -> None:
        self.layers: list[Layer] = []
        self.width = width

    def add(self, kind: str, roles: tuple[str, ...], out_width: int, add_from: int | None = None, **rest: Any) -> None:
        """Append a layer. out_width: that of its output; add_from: the layer whose output is added to its own."""
        names = {role: f"layers.{len(self.layers)}.{role}" for role in roles}
        self.layers.append({"kind": kind, **rest, "tensors": names, **({} if add_from is None else {"add": add_from})})
        self.width = out_width

    def dense(self, size: int, activation: str = "none") -> None:
        self.add("dense", ("weight", "bias"), size, inputs=self.width, size=size, activation=activation)

    def conv(self, size: int, width: int) -> None:
        self.add(
            "conv",
            ("weight", "bias"),
            size,
            inputs=self.width,
            size=size,
            width=width,
            centred=False,
            activation="relu",
        )

    def recurrent(self, cell: cells.Cell, H: int, project: int | None, direction: str, depth: int) -> None:
        """Append `depth` recurrent layers; each one after the first is residual, with a layer norm before it."""
        own = tuple(f"p.{name}" for name in cell.params)
        projected = {"project": project or max(1, H // 2)} if cell.tape.has_projection else {}
        roles = ("W", "b", "R", "c", *(("Q",) if projected else ()), *own)
        kind, ways = "recurrent", 1
        if direction == "both":
            kind, ways, roles = "bidirectional", 2, tuple(f"{way}.{role}" for way in DIRECTIONS for role in roles)
        for k in range(depth):
            below, width = len(self.layers) - 1, self.width
            if k:
                self.add("norm", ("gain", "bias"), int(width or 0), size=width, eps=1e-5)
            self.add(
                kind,
                roles,
                ways * projected.get("project", H),
                add_from=below if k else None,
                inputs=width,
                size=H,
                tape=cell.name,
                cell=cell.name,
                dialect=cell.dialect,
                **projected,
            )

    def pool(self, over: list[str]) -> None:
        roles = ("score", "score_bias") if "attention" in over else ()
        size = int(self.width or 0)
        self.add("pool", roles, size * len(over), size=size, over=over)


@dataclass(frozen=True)
class RecurrenceOptions:
    """Options of the recurrent layers of any task."""

    cell: str = option("gru", "recurrent cell: a name, or the path of your own cell's .py file")
    dialect: str = option("", "dialect of the cell, separated by commas, such as reset=before,norm=layer")
    project: int | None = option(
        None,
        "width of the projection of a cell that has one (--cell lstm --dialect projection=yes); default: half of "
        "--hidden",
        least=1,
        most=4096,
    )
    depth: int = option(
        1, "number of recurrent layers; each after the first is residual, with a layer norm", least=1, most=8
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
class TrainingOptions:
    """Options of the training of any task."""

    epochs: int | None = option(None, "number of epochs; default: by the amount of data", least=1)
    batch: int | None = option(None, "rows per training step; default: by the amount of data", least=1, most=65536)
    rate: float = option(0.003, "peak learning rate", least=1e-7, most=1.0)
    decay: float = option(0.01, "weight decay, on matrices only", least=0.0, most=1.0)
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
    seed: int = option(0, "seed of every random choice", least=0, most=2**31 - 1)


def init_weights(
    seed: int, cell: cells.Cell, layers: list[Layer], shapes: dict[str, tuple[int, ...]]
) -> dict[str, npt.NDArray[Any]]:
    """Initialise weights by tensor name from the seed: R orthogonal and W Xavier, gate by gate, and zero biases.

    The statistics of a `scale` layer start as 1; the task sets them.
    """
    rng = np.random.default_rng([seed, 0x57A7])
    weights: dict[str, npt.NDArray[Any]] = {}
    for layer in layers:
        for place, name in layer["tensors"].items():
            shape, role = shapes[name], place.removeprefix("forward.").removeprefix("backward.")
            value = cell.init.get(role.removeprefix("p."), 0.0) if role.startswith("p.") else None
            weights[name] = init_tensor(rng, layer["kind"], role, shape, layer.get("size", 1), value)
    return weights


def init_tensor(
    rng: np.random.Generator, kind: str, role: str, shape: tuple[int, ...], H: int, value: float | None
) -> npt.NDArray[Any]:
    """Initialise one tensor, float32."""
    if value is not None:
        return np.full(shape, value, np.float32)
    if role == "gain" or kind == "scale":
        return np.ones(shape, np.float32)
    if kind == "embed":
        return (rng.standard_normal(shape) * 0.1).astype(np.float32)
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    if role == "R":
        blocks = [np.zeros((0, shape[1])), *(orthogonal(rng, H, shape[1]) for _ in range(shape[0] // H))]
        return np.concatenate(blocks).astype(np.float32)
    limit = math.sqrt(6 / ((H if role == "W" else shape[0]) + shape[1]))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def orthogonal(rng: np.random.Generator, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Draw a random matrix whose rows or columns, whichever are fewer, are orthonormal.

    Source: Saxe et al. 2014 (arXiv:1312.6120).
    """
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return np.asarray(q if rows >= columns else q.T)
