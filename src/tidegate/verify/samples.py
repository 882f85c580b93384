"""Models with random weights, for parity tests, mutants and benches. Both biases are nonzero and asymmetric."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import cells, layers
from ..document import assemble
from ..document.upgrade import upgrade_input, upgrade_outputs
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
    """Return a model with random weights.

    features: width of the input; None: text with a small vocabulary, embedded `size` wide. size: H. cell: its name;
    None: no recurrent layer. dialect: some keys of the cell's dialect. project: P of a cell whose dialect projects
    (default: half of H). direction: "both" for bidirectional layers. conv: width of a convolution before the
    recurrence, centred or not; 0: none. depth: number of recurrent layers; from the second on, the output of the layer
    before is added to each. over: pools; empty: no pool layer. norm: whether a norm comes before the pool. dense:
    activation of a dense layer before the last one. outputs: width of the last dense layer; None: none. softmax:
    whether the model ends with one. check: whether to attach its check. scale: whether numbers are scaled first. final:
    whether the final states of both directions are selected, before a norm.
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
    """Return a model with random weights behind a transform of series.

    It forecasts if the transform says what to forecast, and classifies into `labels` classes otherwise.
    """
    stack = Stack(np.random.default_rng(seed), cells.load(cell))
    width = stack.add_recurrence(transform.features, size, None, direction, residual=False)
    stack.add({"kind": "pool", "size": width, "over": ["last"]})
    forecast = transform.forecast
    outputs = labels if forecast is None else forecast.output_horizon * transform.targets * len(forecast.quantiles)
    stack.add({"kind": "dense", "inputs": width, "size": outputs, "activation": "none"})
    if forecast is None:
        stack.add({"kind": "softmax", "size": outputs})
    model = stack.build_model(transform.features, None if forecast else labels, transform)
    if check:
        from .check import attach

        return attach(model)
    return model


class Stack:
    """A stack of layers under construction, with random tensors."""

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
        """Add a layer of the stack's cell; return its output width. residual: whether to add the output before it."""
        assert self.cell is not None
        name, both = self.cell.name, direction == "both"
        layer: Layer = {"inputs": inputs, "size": size, "tape": name, "cell": name, "dialect": self.cell.dialect}
        if self.cell.tape.has_projection:
            layer["project"] = project or max(1, size // 2)
        if residual:
            layer["add"] = len(self.layers) - 1
        self.add({"kind": "bidirectional" if both else "recurrent", **layer})
        width: int = layer.get("project", size)
        return 2 * width if both else width

    def random_tensor(self, role: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Return a random tensor: matrices scaled by their width, gains around 1, biases off centre so that each of
        them matters."""
        values = self.random.standard_normal(shape)
        if role.rsplit(".", 1)[-1].startswith("gain"):
            values = 1 + 0.3 * values
        elif role == "deviation":
            values = 0.5 + abs(values)
        elif len(shape) > 1:
            is_table = role == "weight" and shape[0] == len(WORDS) + 1
            values = values if is_table else values / np.sqrt(max(1, shape[-1]))
        else:
            values = 0.15 + 0.4 * values
        return np.asarray(values, np.float32)

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
        label_names = [f"label {i}" for i in range(labels)] if labels else None
        document = assemble(
            "classify" if labels else "encode",
            {},
            {"x": upgrade_input(entry)},
            self.layers,
            upgrade_outputs(entry, self.layers, label_names),
            self.tapes,
            {},
        )
        return Model(document, self.tensors)
