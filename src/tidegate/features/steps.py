"""Arithmetic over the steps of a series; the bits of a row do not depend on those beside it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


def forward_fill(values: Floats, holes: Flags | None, last: Floats) -> tuple[Floats, Floats]:
    """What is missing of values [T, C] as it was last seen, and what is then seen last [C].

    >>> nan = np.nan
    >>> x = np.array([[nan], [2.0], [nan]])
    >>> filled(x, np.isnan(x), np.array([1.0]))[0].ravel().tolist()
    [1.0, 2.0, 2.0]
    """
    if holes is None:
        return values, (values[-1] if len(values) else last).copy()
    longer = np.concatenate([last[None], values])
    seen = np.where(holes, 0, np.arange(1, len(longer))[:, None])
    newest = np.maximum.accumulate(seen, 0)
    whole = np.take_along_axis(longer, newest, 0)
    return whole, (whole[-1] if len(whole) else last).copy()


def as_slice(columns: list[int]) -> slice | list[int]:
    """Neighbouring columns as a slice, which is the faster index."""
    first = columns[0] if columns else 0
    return slice(first, first + len(columns)) if columns == list(range(first, first + len(columns))) else columns


def take_latest(steps: Floats, ends: Indices, length: int, before: int) -> Floats:
    """The `length` steps up to and with the one `before` steps before each of `ends` [B]: [B, length, width]; the first
    step stands for those before it.
    """
    if len(ends) == 1 and (first := int(ends[0]) + 1 - before - length) >= 0:
        return steps[None, first : first + length]
    return np.asarray(steps[np.maximum(ends[:, None] - before + np.arange(1 - length, 1), 0)])


def zero_missing(x: Floats, there: Flags | None) -> Floats:
    """Numbers where they are there, else 0. there: None for all."""
    return x if there is None else np.where(there, x, 0.0)


def sum_steps(x: Floats) -> Floats:
    """The sum over axis 1, one after the other, so that its bits do not depend on how many rows are summed at once."""
    return np.asarray(np.add.accumulate(x, 1)[:, -1])
