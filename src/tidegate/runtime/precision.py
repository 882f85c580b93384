"""What products multiply: float32, or bfloat16, which is a float32's upper half."""

from __future__ import annotations

from typing import Final

from ..errors import OptionError

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
