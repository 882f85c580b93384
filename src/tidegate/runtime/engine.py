"""From a model to a native engine: one builder call a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import _native
from ..errors import ModelFileError, TargetError, located
from ..layers.recurrent import sizes
from ..model import Model
from ..tape import width

Layer = dict[str, Any]
Tensors = dict[str, Any]
Offsets = dict[str, int]


def target_name(target: str | None) -> str:
    """The target itself when this machine has it; without one the best, or what TIDEGATE_TARGET names.

    Raises: TargetError for one that this machine or this build does not have.
    """
    try:
        chosen = _native.default_target() if target is None else target
    except ValueError as error:
        raise TargetError(str(error)) from error
    if chosen not in _native.targets():
        known = ", ".join(_native.targets())
        built = chosen in _native.compiled()
        why = "this machine cannot run it" if built else "this build has none of that name"
        raise TargetError(f"target {chosen!r}: {why}; choose one of {known}")
    return chosen


def compile(model: Model, target: str | None = None, fused: bool = True) -> _native.Engine:
    """The native engine of a model; it copies the weights, never changes and serves any number of threads.

    target: one of `tidegate._native.targets()`, None for the default. fused: whether fused kernels may be
    chosen; the bits are the same without.

    Raises: TargetError; ModelFileError when the engine refuses a layer.
    """
    engine = _native.Engine(target_name(target), model.state_bytes, fused)
    offsets = {array["name"]: array["offset"] for array in model.state_schema}
    for i, layer in enumerate(model.layers):
        own = {name.split(".", 2)[2]: at for name, at in offsets.items() if name.startswith(f"layers.{i}.")}
        tensors = {role: model.tensors[name] for role, name in layer["tensors"].items()}
        with refusals(f"layers[{i}]"):
            BUILDERS[layer["kind"]](engine, model, layer, tensors, own)
    with refusals("layers"):
        engine.finish()
    return engine


@contextmanager
def refusals(place: str) -> Iterator[None]:
    with located(place):
        try:
            yield
        except ValueError as error:
            raise ModelFileError(f"the native engine refuses it: {error}") from error


def embed(engine: _native.Engine, model: Model, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    engine.embed(t["weight"], layer.get("add", -1))


def dense(engine: _native.Engine, model: Model, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    engine.dense(t["weight"], t["bias"], layer["activation"], layer.get("add", -1))


def norm(engine: _native.Engine, model: Model, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    engine.norm(t["gain"], t["bias"], layer["eps"], layer.get("add", -1))


def recurrent(engine: _native.Engine, model: Model, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    tape, (H, P) = model.tapes[layer["tape"]], sizes(layer)
    code = tape.encode(H, P)
    engine.recurrent(
        code.tape, code.consts, code.widths, len(tape.gates), code.output, code.next,
        np.array([offsets[name] for name in tape.state], np.int32),
        np.array([width(shape, H, P) for shape in tape.state.values()], np.int32),
        t["W"], t["b"], t["R"], t["c"], [t[f"p.{name}"].reshape(-1) for name in tape.params],
        H, layer.get("add", -1), t.get("Q"),
    )  # fmt: skip


def pool(engine: _native.Engine, model: Model, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    first = {"last": None, "mean": "mean", "max": "max", "attention": "peak"}
    places = [-1 if first[kind] is None else offsets[str(first[kind])] for kind in layer["over"]]
    bias = float(t["score_bias"][0]) if "score_bias" in t else 0.0
    engine.pool(layer["size"], layer["over"], t.get("score"), bias, places, layer.get("add", -1))


def softmax(engine: _native.Engine, model: Model, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    engine.softmax(layer["size"], layer.get("add", -1))


BUILDERS: dict[str, Callable[..., None]] = {
    "embed": embed, "dense": dense, "norm": norm, "recurrent": recurrent, "pool": pool, "softmax": softmax,
}  # fmt: skip
