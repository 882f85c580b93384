"""Arithmetic over the steps of a series. The bits of a row never depend on the rows next to it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]
LARGEST: Final = float(np.finfo(np.float32).max)  # float64 can sum its square over a window


def forward_fill(values: Floats, holes: Flags | None, last: Floats) -> tuple[Floats, Floats]:
    """Fill missing values [T, C] with the last value of their column; return the last values [C] too.

    last: the values before the first step.

    >>> nan = np.nan
    >>> x = np.array([[nan], [2.0], [nan]])
    >>> forward_fill(x, np.isnan(x), np.array([1.0]))[0].ravel().tolist()
    [1.0, 2.0, 2.0]
    """
    if holes is None:
        return values, (values[-1] if len(values) else last).copy()
    extended = np.concatenate([last[None], values])
    present = np.where(holes, 0, np.arange(1, len(extended))[:, None])
    newest = np.maximum.accumulate(present, 0)
    filled = np.take_along_axis(extended, newest, 0)
    return filled, (filled[-1] if len(filled) else last).copy()


def as_slice(columns: list[int]) -> slice | list[int]:
    """Return adjacent columns as a slice, which is a faster index."""
    first = columns[0] if columns else 0
    return slice(first, first + len(columns)) if columns == list(range(first, first + len(columns))) else columns


def take_latest(steps: Floats, ends: Indices, length: int, before: int) -> Floats:
    """Return the `length` steps that end `before` steps before each of `ends` [B]: [B, length, width].

    The first step stands for the steps before it.
    """
    if len(ends) == 1 and (first := int(ends[0]) + 1 - before - length) >= 0:
        return steps[None, first : first + length]
    return np.asarray(steps[np.maximum(ends[:, None] - before + np.arange(1 - length, 1), 0)])


def zero_missing(x: Floats, present: Flags | None) -> Floats:
    """Return the numbers that are present, and 0 for the others. present: None for all."""
    return x if present is None else np.where(present, x, 0.0)


def sum_steps(x: Floats) -> Floats:
    """Sum over axis 1, one after the other, so that the bits do not depend on how many rows are summed at once."""
    return np.asarray(np.add.accumulate(x, 1)[:, -1])
