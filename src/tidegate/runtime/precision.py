"""The precision of matrix products: float32, or bfloat16, the upper half of a float32."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError, OptionError
from ..model import Model

FLOAT32: Final = "float32"
BF16: Final = "bf16"
WEIGHTS_BF16: Final = "weights=bf16"
COMPUTE_BF16: Final = "compute=bf16"
PRECISIONS: Final = (FLOAT32, WEIGHTS_BF16, COMPUTE_BF16)


def resolve_precision(weights: str | None = None, compute: str | None = None) -> str:
    """Return the one of PRECISIONS that these options ask for.

    weights: "float32", the default, or "bf16": round weights that multiply to the nearest bfloat16, which takes half
    the bytes; sums stay float32. compute: "float32", the default, or "bf16": round what they multiply as well.

    Raises OptionError for another value, and for float32 weights with compute="bf16", which rounds both.

    >>> resolve_precision(), resolve_precision(weights="bf16"), resolve_precision(compute="bf16")
    ('float32', 'weights=bf16', 'compute=bf16')
    """
    for name, value in (("weights", weights), ("compute", compute)):
        if value is not None and value not in (FLOAT32, BF16):
            raise OptionError(f"{name} is {value!r}; choose one of {FLOAT32}, {BF16}")
    if compute == BF16:
        if weights == FLOAT32:
            raise OptionError("compute=bf16 rounds the weights as well; leave weights=float32 out")
        return COMPUTE_BF16
    return WEIGHTS_BF16 if weights == BF16 else FLOAT32


def to_arguments(precision: str) -> dict[str, Any]:
    """Return the arguments of `load` or `Predictor` that ask for one of PRECISIONS.

    >>> to_arguments("weights=bf16")
    {'weights': 'bf16'}
    """
    return dict([precision.split("=")]) if precision != FLOAT32 else {}


def round_to_bf16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round each finite number to the nearest bfloat16, ties to even; the result is float32.

    >>> round_to_bf16(np.array([1 + 2**-8, 1 + 3 * 2**-8, 3.0], np.float32)).tolist()
    [1.0, 1.015625, 3.0]
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def round_weights(model: Model) -> Model:
    """Round the weights that multiply to bfloat16, as an engine with bfloat16 weights does; leave the others.

    Raises ModelFileError for a weight that would become infinite, as the engine does.
    """
    used = [(layer, role, name) for layer in model.layers for role, name in layer.tensors.items()]
    names = {name for layer, role, name in used if layer.use(role) in ("matrix", "table") or role in layer.looked_up}
    halves = {name: round_to_bf16(model.tensors[name]) for name in sorted(names)}
    for name, half in halves.items():
        if (infinite := ~np.isfinite(half)).any():
            reason = f"a weight of {model.tensors[name][infinite][0]:g} is too large for bfloat16"
            raise ModelFileError(f"tensor {name!r}: {reason}; keep the weights as float32")
    return Model(model.document, {**model.tensors, **halves})
