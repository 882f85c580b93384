"""Replay the check of a model on every target that this machine has."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ..model import Model, as_model
from ..runtime.precision import FLOAT32, resolve_precision
from .held import fill_held
from .native_target import verify_native
from .replay import Array, Replay, Result
from .torch_target import TORCH_ERRORS, verify_torch

if TYPE_CHECKING:
    from ..runtime import Predictor

REFERENCE_REL: Final = 1e-11  # roundings of float64, which differ between machines and versions of NumPy
FLOAT64_SHARE: Final = 2.0**-28  # roundings of two float64 runs as a share of float32's; the unit is 2^-29 of it


def verify(
    model: Model | Predictor | str | os.PathLike[str], weights: str | None = None, compute: str | None = None
) -> list[Result]:
    """Replay a model's check on everything that can run it, and compare each result with float64.

    That is the float64 reference, torch, the ONNX graphs, the exported C and each native target of this build: whole,
    and for a model that streams in pieces and step by step. What this machine lacks is listed with `ran` false. Of a
    model with several graphs, each is verified alone.

    model: a model, a predictor, or the path of a model file. weights, compute: as in `tidegate.load`; with "bf16", the
    reference and the native targets run in that precision. Without either, the precision is the predictor's own.

    Raises ModelFileError for a model without a check or a file that is not a model; OptionError for something that is
    not a model or not a precision.
    """
    loaded, precision = as_model(model), resolve_precision(weights, compute)
    if weights is compute is None:
        precision = getattr(model, "precision", FLOAT32)
    if not loaded.graphs:
        return verify_graph(loaded, precision)
    found = []
    for name, graph in loaded.graphs.items():
        check = graph.model.document["check"]
        one = graph.model if check is None else fill_held(graph.model, check["seed"])
        found += [replace(result, graph=name) for result in verify_graph(one, precision)]
    return found


def verify_graph(model: Model, precision: str) -> list[Result]:
    """Do `verify` for a model with one graph, in one of PRECISIONS."""
    replay = Replay(model)
    if precision != FLOAT32:
        return [verify_reference(replay), *verify_native(Replay(replay.model, precision))]
    from .c_target import verify_c  # training imports this package for its check, and needs no export format
    from .onnx_target import verify_onnx

    return [
        verify_reference(replay),
        verify_torch(replay),
        *verify_onnx(replay),
        verify_c(replay),
        *verify_native(replay),
    ]


def verify_reference(replay: Replay) -> Result:
    """Compare a new run of the reference with what the file stores, to the last few digits of float64.

    A model that amplifies roundings is compared within float64's share of the float32 bound.
    """
    near = [(REFERENCE_REL * (1 + abs(y)), REFERENCE_REL * (1 + abs(s))) for y, s in replay.stored]
    result = replay.compare("oracle", "float64", replay.reference_answers, near)
    if result.ok:
        return result
    far = replay.bounds(TORCH_ERRORS)
    wide = [(widen(y, Y), widen(s, S)) for (y, s), (Y, S) in zip(near, far, strict=True)]
    return replay.compare("oracle", "float64", replay.reference_answers, wide)


def widen(near: Array, far: Array) -> Array:
    """Return the bounds of float64: at least `near`, and its share of `far`, those of float32.

    A number without a bound takes the largest of the others.
    """
    largest = np.max(far, initial=0.0, where=~np.isnan(far))
    return np.maximum(near, FLOAT64_SHARE * np.where(np.isnan(far), largest, far))
