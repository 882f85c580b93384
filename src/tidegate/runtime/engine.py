"""From a model to a native engine: one builder call a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .. import _native
from ..document import state_schema
from ..errors import ModelFileError, OptionError, TargetError, error_context
from ..layers import whole_window
from ..layers.recurrent import sizes
from ..model import Model
from ..tape import Tape, width
from .precision import COMPUTE_BF16, FLOAT32, precision_of

Layer = dict[str, Any]
Tensors = dict[str, Any]
Offsets = dict[str, int]
Tapes = dict[str, Tape]


def target_name(target: str | None, precision: str = FLOAT32) -> str:
    """The target itself when this machine has it in a precision; without one the best, or what TIDEGATE_TARGET names.

    Raises: TargetError for one that this machine or this build does not have.
    """
    try:
        chosen = _native.default_target(precision) if target is None else target
    except ValueError as error:
        raise TargetError(str(error)) from error
    if chosen not in _native.targets(precision):
        known = ", ".join(_native.targets(precision))
        built = chosen in _native.compiled_targets(precision)
        why = "this machine cannot run it" if built else "this build has none of that name"
        if chosen in _native.compiled_targets(COMPUTE_BF16) and not built:
            why = "it is for compute=bf16 alone"
        raise TargetError(f"target {chosen!r}: {why}; choose one of {known}")
    return chosen


class EngineOptions(NamedTuple):
    """What runs a model: a target that this machine has, fused kernels or not, and one of PRECISIONS."""

    target: str
    fused: bool = True
    precision: str = FLOAT32


def resolve_options(
    target: str | None, fused: bool = True, weights: str | None = None, compute: str | None = None
) -> EngineOptions:
    """The means that are asked for. Raises TargetError, OptionError."""
    precision = precision_of(weights, compute)
    return EngineOptions(target_name(target, precision), fused, precision)


class BoundLayer(NamedTuple):
    """A layer of a chain, and its tensors by role."""

    layer: Layer
    tensors: Tensors


def bind_tensors(model: Model) -> list[BoundLayer]:
    """A model's layers with their tensors."""
    named = ((layer, layer["tensors"].items()) for layer in model.layers)
    return [BoundLayer(layer, {role: model.tensors[name] for role, name in roles}) for layer, roles in named]


def compile(
    model: Model, target: str | None = None, fused: bool = True, weights: str | None = None, compute: str | None = None
) -> _native.Engine:
    """The native engine of a model that streams; it copies the weights, never changes and serves any number of threads.

    target: one of `tidegate._native.targets()`, None for the default. fused: whether fused kernels may be
    chosen; the bits are the same without. weights, compute: "float32" or "bf16"; see `precision.precision_of`.

    Raises: TargetError; ModelFileError when the engine refuses a layer; OptionError for a precision that there is not,
    and for a model that does not stream, which `stages.runner` runs whole.
    """
    if reason := whole_window(model.layers):
        raise OptionError(f"the model is no single engine, because {reason}; tidegate.runtime.runner runs it whole")
    return build_engine(bind_tensors(model), model.tapes, resolve_options(target, fused, weights, compute))


def build_engine(layers: list[BoundLayer], tapes: Tapes, options: EngineOptions, first: int = 0) -> _native.Engine:
    """The engine of a chain of layers that go step by step. first: the index of its first one in the model."""
    schema = state_schema([part.layer for part in layers], tapes)
    engine = _native.Engine(options.target, schema["bytes"], options.fused, options.precision)
    for i, (layer, tensors) in enumerate(layers):
        mine = f"layers.{i}."
        own = {a["name"].removeprefix(mine): a["offset"] for a in schema["arrays"] if a["name"].startswith(mine)}
        with engine_errors(f"layers[{first + i}]"):
            BUILDERS[layer["kind"]](engine, tapes, layer, tensors, own)
    with engine_errors("layers"):
        engine.finish()
    return engine


@contextmanager
def engine_errors(place: str) -> Iterator[None]:
    with error_context(place):
        try:
            yield
        except ValueError as error:
            raise ModelFileError(f"the native engine refuses it: {error}") from error


def add_embed(engine: _native.Engine, tapes: Tapes, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    engine.embed(t["weight"], layer.get("add", -1))


def add_dense(engine: _native.Engine, tapes: Tapes, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    engine.dense(t["weight"], t["bias"], layer["activation"], layer.get("add", -1))


def add_conv(engine: _native.Engine, tapes: Tapes, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    past = offsets.get("past", -1)
    engine.conv(t["weight"], t["bias"], layer["width"], layer["activation"], past, layer.get("add", -1))


def add_norm(engine: _native.Engine, tapes: Tapes, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    engine.norm(t["gain"], t["bias"], layer["eps"], layer.get("add", -1))


def add_recurrent(engine: _native.Engine, tapes: Tapes, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    tape, (H, P) = tapes[layer["tape"]], sizes(layer)
    code = tape.encode(H, P)
    engine.recurrent(
        code.tape,
        code.consts,
        code.widths,
        len(tape.gates),
        code.output,
        code.next,
        np.array([offsets[name] for name in tape.state], np.int32),
        np.array([width(shape, H, P) for shape in tape.state.values()], np.int32),
        t["W"],
        t["b"],
        t["R"],
        t["c"],
        [t[f"p.{name}"].reshape(-1) for name in tape.params],
        H,
        layer.get("add", -1),
        t.get("Q"),
    )


def add_pool(engine: _native.Engine, tapes: Tapes, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    first = {"last": None, "mean": "mean", "max": "max", "attention": "peak"}
    places = [-1 if first[kind] is None else offsets[str(first[kind])] for kind in layer["over"]]
    bias = float(t["score_bias"][0]) if "score_bias" in t else 0.0
    engine.pool(layer["size"], layer["over"], t.get("score"), bias, places, layer.get("add", -1))


def add_scale(engine: _native.Engine, tapes: Tapes, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    engine.scale(t["mean"], t["deviation"], layer.get("add", -1))


def add_softmax(engine: _native.Engine, tapes: Tapes, layer: Layer, t: Tensors, offsets: Offsets) -> None:
    engine.softmax(layer["size"], layer.get("add", -1))


BUILDERS: dict[str, Callable[..., None]] = {
    "embed": add_embed,
    "dense": add_dense,
    "conv": add_conv,
    "norm": add_norm,
    "recurrent": add_recurrent,
    "pool": add_pool,
    "scale": add_scale,
    "softmax": add_softmax,
}
