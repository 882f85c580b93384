"""Models of random weights: what parity tests, mutants and benches are made of. Both biases are nonzero and
asymmetric.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import cells, layers
from ..document import state_schema, streams_of
from ..features.series import SeriesTransform
from ..features.text import Tokenizer, Vocabulary
from ..model import Model

Layer = dict[str, Any]
TEXT = (
    "i my the card a to is can you what how account money was not transfer top up have it of do cash get in "
    "balance ? ' payment why me on for with exchange rate pin new 7 0 € 日 本 größe ça где ok"
)
WORDS = TEXT.split()


def sample(
    seed: int = 0,
    features: int | None = None,
    size: int = 32,
    cell: str | None = "gru",
    dialect: dict[str, str] | None = None,
    project: int | None = None,
    direction: str = "causal",
    conv: int = 0,
    centred: bool = False,
    depth: int = 1,
    over: tuple[str, ...] = ("last",),
    norm: bool = False,
    dense: str | None = None,
    outputs: int | None = 5,
    softmax: bool = True,
    check: bool = False,
    scale: bool = False,
    final: bool = False,
) -> Model:
    """A model of random weights.

    features: width of the input; None: text over a small vocabulary, embedded `size` wide. size: H. cell: its
    name; None: no recurrent layer. dialect: of the cell, some of its keys. project: P of a cell whose dialect
    projects (half of H if not given). direction: "both" for bidirectional layers. conv: width of a convolution before
    the recurrence, centred or not; 0: none. depth: recurrent layers; from the second on each is added to the one
    before. over: pools; none: no pool layer. norm: a norm before the pool. dense: activation of a dense layer
    before the last one. outputs: width of the last dense layer; None: none. softmax: whether one ends it.
    check: whether it gets its check. scale: whether numbers are scaled first. final: whether
    the final states of both directions are taken before a norm.
    """
    loaded = cells.load(cell, dialect) if cell else None
    stack = Stack(np.random.default_rng(seed), loaded)
    width = size if features is None else features
    if scale and features is not None:
        stack.add({"kind": "scale", "size": features})
    if features is None:
        stack.add({"kind": "embed", "rows": len(WORDS) + 1, "size": size})
    if conv:
        options = {"inputs": width, "size": size, "width": conv, "centred": centred, "activation": "tanh"}
        stack.add({"kind": "conv", **options})
        width = size
    for i in range(depth if loaded else 0):
        width = stack.add_recurrence(width, size, project, direction, residual=i > 0)
    if final:
        stack.add({"kind": "final", "size": width})
    if norm:
        stack.add({"kind": "norm", "size": width, "eps": 1e-5})
    if over:
        stack.add({"kind": "pool", "size": width, "over": list(over)})
        width *= len(over)
    if dense:
        stack.add({"kind": "dense", "inputs": width, "size": size, "activation": dense})
        width = size
    if outputs:
        stack.add({"kind": "dense", "inputs": width, "size": outputs, "activation": "none"})
        width = outputs
    if softmax:
        stack.add({"kind": "softmax", "size": width})
    model = stack.build_model(features, width if softmax else None)
    if check:
        from .check import attach

        return attach(model)
    return model


def series_sample(
    transform: SeriesTransform,
    seed: int = 0,
    size: int = 8,
    cell: str = "gru",
    direction: str = "causal",
    labels: int = 3,
    check: bool = False,
) -> Model:
    """A model of random weights behind a transform: it forecasts where the transform has an answer, and classifies into
    `labels` otherwise.
    """
    stack = Stack(np.random.default_rng(seed), cells.load(cell))
    width = stack.add_recurrence(transform.features, size, None, direction, residual=False)
    stack.add({"kind": "pool", "size": width, "over": ["last"]})
    answer = transform.forecast
    outputs = labels if answer is None else answer.chain_horizon * transform.targets * len(answer.quantiles)
    stack.add({"kind": "dense", "inputs": width, "size": outputs, "activation": "none"})
    if answer is None:
        stack.add({"kind": "softmax", "size": outputs})
    model = stack.build_model(transform.features, None if answer else labels, transform)
    if check:
        from .check import attach

        return attach(model)
    return model


class Stack:
    """Layers and their random tensors, one after the other."""

    def __init__(self, random: np.random.Generator, cell: cells.Cell | None) -> None:
        self.random, self.layers, self.cell = random, list[Layer](), cell
        self.tapes = {cell.name: cell.tape} if cell else {}
        self.tensors: dict[str, npt.NDArray[Any]] = {}

    def add(self, layer: Layer) -> None:
        i, names = len(self.layers), {}
        for role, shape in layers.load(layer["kind"]).tensors(layer, self.tapes).items():
            names[role] = f"layers.{i}.{role}"
            self.tensors[names[role]] = self.random_tensor(role, shape)
        self.layers.append({**layer, "tensors": names})

    def add_recurrence(self, inputs: int, size: int, project: int | None, direction: str, residual: bool) -> int:
        """A layer of the stack's cell; its output width. residual: the output before is added to its own."""
        assert self.cell is not None
        name, both = self.cell.name, direction == "both"
        layer: Layer = {"inputs": inputs, "size": size, "tape": name, "cell": name, "dialect": self.cell.dialect}
        if self.cell.tape.projected:
            layer["project"] = project or max(1, size // 2)
        if residual:
            layer["add"] = len(self.layers) - 1
        self.add({"kind": "bidirectional" if both else "recurrent", **layer})
        width: int = layer.get("project", size)
        return 2 * width if both else width

    def random_tensor(self, role: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Matrices scaled by their width; gains about one; biases off centre, so that each of them
        matters.
        """
        drawn = self.random.standard_normal(shape)
        if role.rsplit(".", 1)[-1].startswith("gain"):
            drawn = 1 + 0.3 * drawn
        elif role == "deviation":
            drawn = 0.5 + abs(drawn)
        elif len(shape) > 1:
            drawn = drawn if role == "weight" and shape[0] == len(WORDS) + 1 else drawn / np.sqrt(max(1, shape[-1]))
        else:
            drawn = 0.15 + 0.4 * drawn
        return np.asarray(drawn, np.float32)

    def build_model(self, features: int | None, labels: int | None, transform: SeriesTransform | None = None) -> Model:
        entry: dict[str, Any] = {"kind": "array", "features": features}
        if transform is not None:
            entry, arrays = transform.to_json()
            self.tensors |= arrays
        elif features is None:
            data, offsets = Vocabulary.learn({word.encode(): 1 for word in WORDS}).arrays()
            names = {"bytes": "vocabulary.bytes", "offsets": "vocabulary.offsets"}
            self.tensors |= {names["bytes"]: data, names["offsets"]: offsets}
            entry = {
                "kind": "text",
                "tokenizer": Tokenizer("word").to_json(),
                "vocabulary": names,
                "size": len(WORDS) + 1,
            }
        document = {
            "format": 1,
            "task": {"kind": "classify" if labels else "encode", "options": {}},
            "input": entry,
            "layers": self.layers,
            "tapes": {name: tape.to_json() for name, tape in self.tapes.items()},
            "state": state_schema(self.layers, self.tapes),
            "streams": streams_of(self.layers, entry),
            "provenance": {},
            "labels": [f"label {i}" for i in range(labels)] if labels else None,
            "check": None,
        }
        return Model(document, self.tensors)
