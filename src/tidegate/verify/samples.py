"""Models with random weights, for parity tests, mutants and benches. Both biases are nonzero and asymmetric."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import cells
from ..document import assemble
from ..features.series import SeriesTransform
from ..features.text import Tokenizer, Vocabulary
from ..features.word_features import NAMES
from ..layers import Builder, Layer
from ..model import Model
from ..outputs import forecast, make_entry

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
    ahead: int = 0,
    depth: int = 1,
    over: tuple[str, ...] = ("last",),
    norm: bool = False,
    dense: str | None = None,
    outputs: int | None = 5,
    softmax: bool = True,
    check: bool = False,
    scale: bool = False,
    final: bool = False,
    ids: int = 1,
) -> Model:
    """Return a model with random weights.

    features: width of the input; None: text with a small vocabulary, embedded `size` wide. size: H. cell: its name;
    None: no recurrent layer. dialect: some keys of the cell's dialect. project: P of a cell whose dialect projects
    (default: half of H). direction: "both" for bidirectional layers. conv: width of a convolution before the
    recurrence, centred or not; 0: none. ahead: how many steps it looks ahead. depth: number of recurrent layers; from
    the second on, the output of the layer before is added to each. over: pools; empty: no pool layer. norm: whether a
    norm comes before the pool. dense: activation of a dense layer before the last one. outputs: width of the last dense
    layer; None: none. softmax: whether the model ends with one. check: whether to attach its check. scale: whether
    numbers are scaled first. final: whether the final states of both directions are selected, before a norm. ids: how
    many ids a step of text has, of the word and its features.
    """
    loaded = cells.load(cell, dialect) if cell else None
    builder = Builder(features)
    if scale and features is not None:
        builder.add("scale")
    if features is None:
        builder.add("embed", rows=len(WORDS) + 1, size=size, ids=ids)
    if conv:
        way = {"ahead": ahead} if ahead else {"centred": centred}
        builder.add("conv", size=size, width=conv, **way, activation="tanh")
    for i in range(depth if loaded else 0):
        assert loaded
        builder.recurrence(loaded, size, project, direction == "both", residual=i > 0)
    if final:
        builder.add("final")
    if norm:
        builder.add("norm", eps=1e-5)
    if over:
        builder.add("pool", over=list(over))
    if dense:
        builder.add("dense", size=size, activation=dense)
    if outputs:
        builder.add("dense", size=outputs, activation="none")
    if softmax:
        builder.add("softmax")
    model = build_model(builder.layers, seed, features, builder.width if softmax else None)
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
    builder = Builder(transform.features)
    builder.recurrence(cells.load(cell), size, both=direction == "both")
    builder.add("pool", over=["last"])
    forecast = transform.forecast
    outputs = labels if forecast is None else forecast.output_horizon * transform.targets * len(forecast.quantiles)
    builder.add("dense", size=outputs, activation="none")
    if forecast is None:
        builder.add("softmax")
    model = build_model(builder.layers, seed, transform.features, None if forecast else labels, transform)
    if check:
        from .check import attach

        return attach(model)
    return model


def random_tensor(
    random: np.random.Generator, layer: Layer, role: str, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Return a random tensor: matrices scaled by their width, gains around 1, biases off centre so that each of
    them matters."""
    values = random.standard_normal(shape)
    if role.rsplit(".", 1)[-1].startswith("gain"):
        values = 1 + 0.3 * values
    elif role == "deviation":
        values = 0.5 + abs(values)
    elif layer.use(role) == "table":
        pass
    elif len(shape) > 1:
        values = values / np.sqrt(max(1, shape[-1]))
    else:
        values = 0.15 + 0.4 * values
    return np.asarray(values, np.float32)


def build_model(
    layers: list[Layer], seed: int, features: int | None, labels: int | None, transform: SeriesTransform | None = None
) -> Model:
    """Return the model of these layers, with random weights."""
    random = np.random.default_rng(seed)
    tensors: dict[str, npt.NDArray[Any]] = {
        layer.tensors[role]: random_tensor(random, layer, role, shape)
        for layer in layers
        for role, shape in layer.shapes().items()
    }
    entry: dict[str, Any] = {"kind": "array", "features": features}
    if transform is not None:
        entry, arrays = transform.to_json()
        tensors |= arrays
    elif features is None:
        data, offsets = Vocabulary.learn({word.encode(): 1 for word in WORDS}).arrays()
        names = {"bytes": "vocabulary.bytes", "offsets": "vocabulary.offsets"}
        tensors |= {names["bytes"]: data, names["offsets"]: offsets}
        entry = {
            "kind": "text",
            "tokenizer": Tokenizer("word").to_json(),
            "vocabulary": names,
            "size": len(WORDS) + 1,
            **({"features": list(NAMES[: layers[0].ids - 1])} if layers[0].ids > 1 else {}),
        }
    label_names = [f"label {i}" for i in range(labels)] if labels else None
    outputs = {"label" if labels else "values": make_entry(label_names, layers[-1].ends_in)}
    if transform is not None and transform.forecast is not None:
        outputs = {"forecast": forecast.make_entry(transform, "x")}
    return Model(assemble("classify" if labels else "encode", {}, {"x": entry}, layers, outputs, {}), tensors)
