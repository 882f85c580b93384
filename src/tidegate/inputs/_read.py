"""Read arrays of numbers and ids from what users have."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError


def to_token_ids(x: Any, size: int) -> npt.NDArray[np.int32]:
    """Return ids of 0 to size - 1 as int32 [n]. Raises DataError for anything else."""
    ids = np.asarray(x)
    if ids.ndim != 1 or (ids.dtype.kind not in "iu" and ids.size):
        raise DataError(f"token ids are integers of shape [n]; {ids.dtype} of shape {list(ids.shape)} was given")
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < size:
        bad = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
        raise DataError(f"there is no token {bad}; the vocabulary has ids 0 to {size - 1}")
    return ids.astype(np.int32)


def to_float32(x: Any) -> npt.NDArray[np.float32]:
    """Return real numbers as a C-contiguous float32 array. Raises DataError for anything else."""
    try:
        values = np.asarray(x)
    except ValueError as error:
        raise DataError(f"the numbers are not an array: {error}") from error
    if values.dtype.kind not in "fiub":
        raise DataError(f"this model takes numbers; {type(x).__name__} of {values.dtype} was given")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32) if values.ndim else np.asarray(values, np.float32)


def to_float64(x: Any) -> npt.NDArray[np.float64]:
    """Return numbers as float64, None as NaN. Raises DataError for anything else."""
    try:
        values = np.asarray(x)
        if values.dtype == object and all(v is None or isinstance(v, int | float) for v in values.flat):
            values = values.astype(np.float64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"the numbers are not an array: {error}") from error
    if values.dtype.kind not in "fiu":
        return np.asarray(to_float32(x), np.float64)
    return np.asarray(values, np.float64)
