"""What products multiply: float32, or bfloat16, which is a float32's upper half."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError, OptionError
from ..model import Model

FLOAT32: Final = "float32"
BF16: Final = "bf16"
WEIGHTS_BF16: Final = "weights=bf16"
COMPUTE_BF16: Final = "compute=bf16"
PRECISIONS: Final = (FLOAT32, WEIGHTS_BF16, COMPUTE_BF16)


def precision_of(weights: str | None = None, compute: str | None = None) -> str:
    """One of PRECISIONS. weights: "float32", the default, or "bf16": weights that multiply are rounded to the nearest
    bfloat16 and take half the bytes; sums stay float32. compute: "float32", the default, or "bf16": what they multiply
    is rounded as well.

    Raises OptionError for another, or for float32 weights beside compute="bf16", which rounds both.

    >>> precision_of(), precision_of(weights="bf16"), precision_of(compute="bf16")
    ('float32', 'weights=bf16', 'compute=bf16')
    """
    for what, given in (("weights", weights), ("compute", compute)):
        if given is not None and given not in (FLOAT32, BF16):
            raise OptionError(f"{what} is {given!r}; choose one of {FLOAT32}, {BF16}")
    if compute == BF16:
        if weights == FLOAT32:
            raise OptionError("compute=bf16 rounds the weights as well; leave weights=float32 out")
        return COMPUTE_BF16
    return WEIGHTS_BF16 if weights == BF16 else FLOAT32


def arguments(precision: str) -> dict[str, str]:
    """The arguments that ask for one of PRECISIONS.

    >>> arguments("weights=bf16")
    {'weights': 'bf16'}
    """
    return dict([precision.split("=")]) if precision != FLOAT32 else {}


def rounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Each finite number as the nearest bfloat16, the even one of two; in float32.

    >>> rounded(np.array([1 + 2**-8, 1 + 3 * 2**-8, 3.0], np.float32)).tolist()
    [1.0, 1.015625, 3.0]
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


MULTIPLY: Final = ("weight", "W", "R", "Q")  # roles of tensors that multiply, or are looked up


def multiplies(role: str) -> bool:
    """Whether a tensor of this role is kept as bfloat16; a cell's own parameter is not.

    >>> multiplies("backward.W"), multiplies("b"), multiplies("forward.p.W")
    (True, False, False)
    """
    *places, name = role.split(".")
    return name in MULTIPLY and "p" not in places


def with_rounded_weights(model: Model) -> Model:
    """The model that an engine with bfloat16 weights works out: those that multiply rounded, the others as they are.

    Raises ModelFileError for a weight that would become infinite, as the engine does.
    """
    roles = [item for layer in model.layers for item in layer["tensors"].items()]
    names = {name for role, name in roles if multiplies(role)}
    halves = {name: rounded(model.tensors[name]) for name in sorted(names)}
    for name, half in halves.items():
        if (lost := ~np.isfinite(half)).any():
            large = f"a weight of {model.tensors[name][lost][0]:g} is too large for bfloat16"
            raise ModelFileError(f"tensor {name!r}: {large}; keep the weights as float32")
    return Model(model.document, {**model.tensors, **halves})
