"""Compile a model to a native engine: each layer is added by the operations of its step."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from .. import _native
from ..document import state_schema
from ..document.graph import find_ports
from ..errors import ModelFileError, OptionError, TargetError, error_context
from ..layers import Layer, state_names
from ..model import Model
from ..tape import encode_program
from .precision import COMPUTE_BF16, FLOAT32, resolve_precision

Tensors = dict[str, Any]
NO_COLUMNS: Final[Mapping[str, int]] = MappingProxyType({})


def resolve_target(target: str | None, precision: str = FLOAT32) -> str:
    """Return the target to compile for: `target`, else the one that TIDEGATE_TARGET names, else the best.

    Raises: TargetError if this machine or this build does not have it in this precision.
    """
    try:
        name = _native.default_target(precision) if target is None else target
    except ValueError as error:
        raise TargetError(str(error)) from error
    if name not in (available := _native.targets(precision)):
        built = name in _native.compiled_targets(precision)
        reason = "this machine cannot run it" if built else "this build has no target of that name"
        if name in _native.compiled_targets(COMPUTE_BF16) and not built:
            reason = "it is only for compute=bf16"
        raise TargetError(f"target {name!r}: {reason}; choose one of {', '.join(available)}")
    return name


class EngineOptions(NamedTuple):
    """How to run a model: a target of this machine, whether to use fused kernels, and one of PRECISIONS."""

    target: str
    fused: bool = True
    precision: str = FLOAT32


def resolve_fused(fused: bool | None) -> bool:
    """Return whether to use fused kernels: `fused`, else what TIDEGATE_FUSED says, else True.

    Raises OptionError if that is anything but 0 or 1.

    >>> resolve_fused(False)
    False
    """
    if fused is None:
        text = os.environ.get("TIDEGATE_FUSED", "1")
        if text not in ("0", "1"):
            raise OptionError(f"TIDEGATE_FUSED is {text[:40]!r}; expected 1 for fused kernels, or 0 for none")
        return text == "1"
    return fused


def resolve_options(
    target: str | None, fused: bool | None = None, weights: str | None = None, compute: str | None = None
) -> EngineOptions:
    """Check the arguments of `compile` and fill in the defaults. Raises TargetError, OptionError."""
    precision = resolve_precision(weights, compute)
    return EngineOptions(resolve_target(target, precision), resolve_fused(fused), precision)


class BoundLayer(NamedTuple):
    """A layer and its tensors by role."""

    layer: Layer
    tensors: Tensors


def bind_tensors(model: Model) -> list[BoundLayer]:
    """Return a model's layers with their tensors."""
    return [BoundLayer(layer, layer.select(model.tensors)) for layer in model.layers]


def compile(
    model: Model,
    target: str | None = None,
    fused: bool | None = None,
    weights: str | None = None,
    compute: str | None = None,
    spare: int = 0,
) -> _native.Engine:
    """Compile a model that streams to a native engine.

    The engine copies the weights and never changes, so any number of threads may use it.

    target: one of `tidegate._native.targets()`, None for the default. fused: whether to use fused kernels, None for
    `resolve_fused`; without them the bits are the same. weights, compute: "float32" or "bf16"; see
    `precision.resolve_precision`. spare: bytes at the end of a state block that the layers leave as they are, a
    multiple of 8.

    Raises: TargetError; ModelFileError if the engine refuses a layer; OptionError for an unknown precision, and for a
    model that does not stream, which `offline.make_runner` runs whole.
    """
    if reason := model.whole_window:
        raise OptionError(
            f"one engine cannot run this model, because {reason}; tidegate.runtime.make_runner runs whole inputs"
        )
    options = resolve_options(target, fused, weights, compute)
    return build_engine(bind_tensors(model), options, spare=spare, columns=first_columns(model))


def build_engine(
    layers: list[BoundLayer],
    options: EngineOptions,
    first: int = 0,
    spare: int = 0,
    columns: Mapping[str, int] = NO_COLUMNS,
) -> _native.Engine:
    """Build the engine of layers that run step by step.

    first: the index in the model of the first of them. spare: see `compile`. columns: the first column of the ids that
    layers read, by the name of their source; 0 for a name that is not there.
    """
    schema = state_schema([bound.layer for bound in layers])
    with engine_errors("state"):
        engine = _native.Engine(options.target, schema["bytes"] + spare, options.fused, options.precision)
    at = {array["name"]: array["offset"] for array in schema["arrays"]}
    for i, (layer, tensors) in enumerate(layers):
        offsets = {name: at[full] for name, full in state_names(i, layer.state()).items()}
        with engine_errors(f"layers[{first + i}]"):
            add_layer(engine, layer, tensors, offsets, columns)
    with engine_errors("layers"):
        engine.finish()
    return engine


def first_columns(model: Model) -> dict[str, int]:
    """Return the first column of the ids of each port of the input, by its name in `sources`."""
    (source,) = model.inputs.values()
    return {name: port.first for name, port in find_ports(source).items()}


@contextmanager
def engine_errors(place: str) -> Iterator[None]:
    """Turn the engine's ValueErrors into ModelFileErrors that name the place."""
    with error_context(place):
        try:
            yield
        except ValueError as error:
            raise ModelFileError(f"refused by the native engine: {error}") from error


def add_layer(
    engine: _native.Engine,
    layer: Layer,
    tensors: Tensors,
    offsets: Mapping[str, int],
    columns: Mapping[str, int] = NO_COLUMNS,
) -> None:
    """Add a layer to an engine, which recognises by the operations of its step whether it has a kernel for it.

    tensors: by role. offsets: where its states are in a block, in bytes, by name. columns: see `build_engine`.
    """
    program = layer.program
    code = encode_program(program)
    sources = layer.sources or ()
    engine.add(
        code.code,
        code.joined,
        code.consts,
        [tensors[role].reshape(-1) for role in program.tensors],
        program.inputs,
        program.ids,
        code.output,
        code.next,
        np.array([offsets[name] for name in program.state], np.int32),
        np.array([math.prod(shape) for shape in program.state.values()], np.int32),
        layer.look_ahead,
        [-1 if isinstance(source, str) else source for source in sources],
        columns.get(str(sources[0]), 0) if sources and layer.ids else 0,
        -1 if layer.add is None else layer.add,
    )
