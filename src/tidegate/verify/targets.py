"""Replay the check of a model on every target that this machine has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import numpy as np

from ..model import Model, as_model
from ..runtime.precision import FLOAT32, precision_of
from .c_target import verify_c
from .native_target import verify_native
from .onnx_target import verify_onnx
from .replay import Array, Replay, Result
from .torch_target import TORCH_ERRORS, torch

if TYPE_CHECKING:
    from ..runtime import Predictor

REFERENCE_REL: Final = 1e-11  # float64's own roundings, which differ between machines and versions of NumPy
FLOAT64_SHARE: Final = 2.0**-28  # of float32's roundings those of two runs in float64, whose unit is 2^-29 of it


def verify(
    model: Model | Predictor | str | os.PathLike[str], weights: str | None = None, compute: str | None = None
) -> list[Result]:
    """The check replayed on the oracle, torch, the ONNX graphs, the C and each target of this build, whole and, of a
    model that streams, in pieces. model: a model, a predictor, or the path of a model file. weights, compute: as
    `tidegate.load` has them; "bf16" replays the oracle and the native targets in that precision. Without either it is a
    predictor's own.

    Raises ModelFileError when the model has no check, or the file is none; OptionError for what is no model or no
    precision. What this machine lacks is listed, with `ran` false.
    """
    replay, precision = Replay(as_model(model)), precision_of(weights, compute)
    if weights is compute is None:
        precision = getattr(model, "precision", FLOAT32)
    if precision != FLOAT32:
        return [verify_reference(replay), *verify_native(Replay(replay.model, precision))]
    return [verify_reference(replay), torch(replay), *verify_onnx(replay), verify_c(replay), *verify_native(replay)]


def verify_reference(replay: Replay) -> Result:
    """The oracle made anew against what the file stores, to the last few digits of float64; of a model that amplifies
    roundings, to its share of float32's bound."""
    near = [(REFERENCE_REL * (1 + abs(y)), REFERENCE_REL * (1 + abs(s))) for y, s in replay.stored]
    found = replay.compare("oracle", "float64", replay.reference_answers, near)
    if found.ok:
        return found
    far = replay.bounds(TORCH_ERRORS)
    wide = [(widen(y, Y), widen(s, S)) for (y, s), (Y, S) in zip(near, far, strict=True)]
    return replay.compare("oracle", "float64", replay.reference_answers, wide)


def widen(near: Array, far: Array) -> Array:
    """The bounds of float64: at least `near`, and its share of float32's, of the worst where a number has none."""
    most = np.max(far, initial=0.0, where=~np.isnan(far))
    return np.maximum(near, FLOAT64_SHARE * np.where(np.isnan(far), most, far))
