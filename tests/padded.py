"""Batches as padded arrays, which a test can index by step and row."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidegate.tasks.base import Indices, Rows

Array = np.ndarray[Any, Any]


def pad_batch(rows: Rows, which: Indices, random: np.random.Generator | None = None) -> tuple[Array, Indices, Array]:
    """Make a batch; return its steps [T, B, ...] padded with 0, the lengths [B], and the targets of its only output.

    Targets are as in the batch; those of steps are [T, B, ...], and what a mask leaves out is NaN.
    """
    batch = rows.batch(which, random)
    ((name, targets),) = batch.targets.items()
    if (mask := batch.mask.get(name)) is not None:
        targets = np.where(mask[:, None], targets, np.nan)
    if len(targets) != len(batch.lengths):
        targets = pad_steps(targets, batch.lengths, np.nan)
    return pad_steps(batch.inputs["x"], batch.lengths), batch.lengths, targets


def pad_steps(x: Array, lengths: Indices, fill: float = 0.0) -> Array:
    """Return steps [N, ...] of rows one after another as [T, B, ...]."""
    padded = np.full((int(lengths.max()), len(lengths), *x.shape[1:]), fill, x.dtype)
    for b, (end, length) in enumerate(zip(np.cumsum(lengths), lengths, strict=True)):
        padded[:length, b] = x[end - length : end]
    return padded
