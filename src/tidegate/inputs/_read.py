"""Read arrays of numbers and ids from what users have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..features.steps import LARGEST
from .base import Port


def to_token_ids(x: Any, size: int, each: int = 1) -> npt.NDArray[np.int32]:
    """Return ids of 0 to size - 1 as int32 [n], or [n, each] if a step has several.

    Raises DataError for anything else.
    """
    ids, expected = np.asarray(x), [] if each == 1 else [each]
    if ids.ndim < 1 or list(ids.shape[1:]) != expected or (ids.dtype.kind not in "iu" and ids.size):
        shape = f"[n{''.join(f', {k}' for k in expected)}]"
        raise DataError(f"token ids are integers of shape {shape}; {ids.dtype} of shape {list(ids.shape)} was given")
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < size:
        bad = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
        raise DataError(f"there is no token {bad}; the vocabulary has ids 0 to {size - 1}")
    return ids.astype(np.int32)


def to_bags(x: Any, size: int, most: int) -> npt.NDArray[np.int32]:
    """Return n lists of up to `most` ids of 0 to size - 1 as int32 [n, most], filled up with -1.

    Raises DataError for anything else.
    """
    if isinstance(x, str | bytes | dict) or not hasattr(x, "__len__"):
        raise DataError(f"expected a list of token ids for each step; {type(x).__name__} was given")
    bags = np.full((len(x), most), -1, np.int32)
    for row, ids in zip(bags, x, strict=True):
        bag = to_token_ids(ids, size)
        if len(bag) > most:
            raise DataError(f"a step has {len(bag)} token ids; this model takes at most {most}")
        row[: len(bag)] = bag
    return bags


def to_port_ids(x: Any, ports: Mapping[str, Port]) -> npt.NDArray[np.int32]:
    """Return the ids of all ports side by side as int32 [n, ids]; a negative one stands for none where ids may lack.

    Raises DataError for anything else.
    """
    ids, each = np.asarray(x), sum(port.ids for port in ports.values())
    if ids.shape[1:] != (each,) or (ids.dtype.kind not in "iu" and ids.size):
        raise DataError(
            f"token ids are integers of shape [n, {each}]; {ids.dtype} of shape {list(ids.shape)} was given"
        )
    for name, port in ports.items():
        own = ids[:, port.first : port.first + port.ids]
        if own.size and (int(own.max()) >= port.size or (int(own.min()) < 0 and not port.may_lack)):
            bad = int(own.max()) if int(own.max()) >= port.size else int(own.min())
            raise DataError(f"there is no token {bad}{f' of {name}' * bool(name)}; it has ids 0 to {port.size - 1}")
    return ids.astype(np.int32)


def to_float32(x: Any) -> npt.NDArray[np.float32]:
    """Return real numbers as a C-contiguous float32 array. Raises DataError for anything else."""
    try:
        values = np.asarray(x)
    except ValueError as error:
        raise DataError(f"the numbers are not an array: {error}") from error
    if values.dtype.kind not in "fiub":
        raise DataError(f"this model takes numbers; {type(x).__name__} of {values.dtype} was given")
    if values.ndim == 1 and np.vdot(values, values) <= LARGEST:  # so float32 has each; sooner than to silence NumPy
        return np.ascontiguousarray(values, np.float32)
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
    if values.dtype == np.float64:
        return values
    if values.dtype.kind not in "fiu":
        return np.asarray(to_float32(x), np.float64)
    return np.asarray(values, np.float64)
