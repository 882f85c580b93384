"""Models whose layers are no chain: branches that meet, ports, look-ahead on one branch, several outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tidegate import cells
from tidegate.document import assemble
from tidegate.layers import Builder, Layer
from tidegate.model import Model
from tidegate.outputs import make_entry
from tidegate.verify.samples import random_tensor

IDS = {"kind": "ids", "size": 30}
PORTS = {"kind": "ids", "ports": {"words": {"size": 30}, "grams": {"size": 50, "most": 6}, "kinds": {"size": 4}}}


def build(layers: list[Layer], entry: dict[str, Any], outputs: dict[str, Any] | None = None, seed: int = 0) -> Model:
    """Return a model with random weights. entry: of its input. outputs: theirs; by default plain numbers."""
    random = np.random.default_rng(seed)
    tensors = {
        layer.tensors[role]: random_tensor(random, layer, role, shape)
        for layer in layers
        for role, shape in layer.shapes().items()
    }
    outputs = {"values": make_entry(None, "")} if outputs is None else outputs
    return Model(assemble("encode", {}, {"x": entry}, layers, outputs, {}), tensors)


def numbers(features: int) -> dict[str, Any]:
    return {"kind": "array", "features": features}


def skip_model() -> Model:
    """The input goes around a recurrence, and two branches of one node meet again."""
    builder = Builder(5)
    builder.recurrence(cells.load("gru"), 8)
    builder.add("dense", size=7, activation="tanh", sources=(0, "x"))
    builder.add("dense", size=7, activation="none", sources=("x", 0))
    builder.add("toy_blend", sources=(2, 1))
    builder.add("dense", size=7, activation="sigmoid", sources=(3, 0, 3), add=1)
    return build(builder.layers, numbers(5))


def pools_model() -> Model:
    """Two branches of one embedding, each with a pool of its own."""
    builder = Builder(None)
    builder.add("embed", rows=30, size=8)
    builder.recurrence(cells.load("lstm"), 8)
    builder.add("pool", over=["last", "attention"])
    builder.add("conv", size=6, width=3, centred=False, activation="relu", sources=(0,))
    builder.add("pool", over=["mean", "max"])
    builder.add("dense", size=4, activation="none", sources=(2, 4))
    builder.add("softmax")
    return build(builder.layers, IDS, {"label": make_entry(list("abcd"), "softmax")})


def late_model() -> Model:
    """One branch looks two steps ahead, one three and one none; the builder delays what comes earlier."""
    builder = Builder(None)
    builder.add("embed", rows=30, size=6)
    builder.add("conv", size=5, width=4, ahead=2, activation="tanh")
    builder.recurrence(cells.load("gru"), 6)
    builder.add("conv", size=6, width=4, ahead=3, activation="none", sources=(0,))
    builder.add("dense", size=6, activation="tanh", sources=(2, 0, 3))
    builder.add("conv", size=6, width=2, ahead=1, activation="none", add=0)
    builder.add("softmax")
    return build(builder.layers, IDS)


def ports_model() -> Model:
    """Words, a bag of n-grams and a third port, embedded apart."""
    builder = Builder(None)
    builder.add("embed", rows=30, size=6, sources=("x.words",))
    builder.add("bag", rows=50, size=5, most=6, sources=("x.grams",))
    builder.add("embed", rows=4, size=3, sources=("x.kinds",))
    builder.recurrence(cells.load("gru"), 8, sources=(0, 1))
    builder.add("dense", size=4, activation="none", sources=(3, 1, 2))
    return build(builder.layers, PORTS)


def linear_text_model() -> Model:
    """A recurrence over words with parts, and beside it the running sums of a linear model, before the last layer."""
    builder = Builder(None)
    builder.add("embed", rows=30, size=8, sources=("x.words",))
    builder.add("bag", rows=50, size=4, most=6, sources=("x.grams",))
    builder.add("dense", size=8, activation="none", add=0)
    builder.add("embed", rows=4, size=3, sources=("x.kinds",))
    builder.recurrence(cells.load("gru"), 8, sources=(2, 3))
    builder.add("pool", over=["last", "max"])
    builder.add("running_bag", rows=50, size=3, most=6, sources=("x.grams",))
    builder.add("dense", size=3, activation="none", sources=(5, 6))
    builder.add("softmax")
    return build(builder.layers, PORTS, {"label": make_entry(list("abc"), "softmax")})


def bag_model() -> Model:
    """A bag alone, summed over the steps and divided by their number."""
    builder = Builder(None)
    builder.add("bag", rows=50, size=12, most=6, sources=("x.grams",))
    builder.add("pool", over=["mean"])
    builder.add("dense", size=3, activation="none")
    builder.add("softmax")
    ports = {"kind": "ids", "ports": {"grams": {"size": 50, "most": 6}}}
    return build(builder.layers, ports, {"label": make_entry(list("abc"), "softmax")})


def two_outputs_model(ahead: int = 0) -> Model:
    """A label from a pool, and plain numbers of each step from an earlier node that may look ahead."""
    builder = Builder(None)
    builder.add("embed", rows=30, size=8)
    builder.recurrence(cells.load("gru"), 8)
    builder.add("pool", over=["last", "mean"])
    builder.add("dense", size=3, activation="none")
    builder.add("softmax")
    way = {"ahead": ahead} if ahead else {"centred": False}
    builder.add("conv", size=4, width=3, **way, activation="none", sources=(1,))
    outputs = {
        "topic": {**make_entry(list("abc"), "softmax"), "from": "layers.4"},
        "values": {**make_entry(None, ""), "from": "layers.5"},
        "half": {**make_entry(None, ""), "from": "layers.5", "part": [2, 4]},
        "state": {**make_entry(None, ""), "from": "layers.1"},
    }
    return build(builder.layers, IDS, outputs)


def linear_model(columns: int = 2) -> Model:
    """A recurrence over segments of three steps, beside a linear map of the latest ones, as forecasters have it."""
    builder = Builder(9)
    builder.recurrence(cells.load("gru"), 8)
    builder.add("pool", over=["last"])
    builder.add("lags", parts=3, columns=columns, steps=4, sources=("x",))
    builder.add("pool", over=["last"])
    builder.add("grouped", groups=columns, size=5, times=3)
    builder.add("dense", size=15 * columns, activation="none", sources=(1,), add=4)
    return build(builder.layers, numbers(9))


def detector_model(missing: bool = False) -> Model:
    """A recurrence that forecasts the next step, and the mean square of how surprising each step is."""
    builder, parts = Builder(3), 4 if missing else 3
    builder.recurrence(cells.load("gru"), 8)
    builder.add("dense", size=parts * 2, activation="sigmoid" if missing else "none", sources=(0, "x"))
    builder.add("surprise", columns=2, most=100.0)
    builder.add("dense", size=4, activation="none")
    builder.add("recent_scale", share=0.25, trusted=5.0, most=10.0, wait=3)
    builder.add("mean_square", share=0.25, wait=3)
    return build(builder.layers, numbers(3))


def whole_model() -> Model:
    """A bidirectional branch and a branch of single steps."""
    builder = Builder(None)
    builder.add("embed", rows=30, size=6)
    builder.recurrence(cells.load("gru"), 6, both=True)
    builder.add("dense", size=6, activation="tanh", sources=(0,))
    builder.add("dense", size=6, activation="none", sources=(1, 2, 0), add=2)
    builder.add("softmax")
    return build(builder.layers, IDS)


MODELS: dict[str, Callable[[], Model]] = {
    "skip": skip_model,
    "pools": pools_model,
    "late": late_model,
    "ports": ports_model,
    "bag": bag_model,
    "linear text": linear_text_model,
    "two outputs": two_outputs_model,
    "two outputs, one late": lambda: two_outputs_model(2),
    "linear": linear_model,
    "linear, one column": lambda: linear_model(1),
    "detector": detector_model,
    "detector, with flags": lambda: detector_model(True),
    "whole": whole_model,
}
