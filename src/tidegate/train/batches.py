"""Which rows a step sees: a function of the seed, the epoch and the position, with nothing to remember."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
WINDOW = 50  # batches that are sorted by length together: wide enough to save padding, narrow enough to stay random


def plan(rows: Rows, lengths: Rows, batch: int, seed: int, epoch: int) -> list[Rows]:
    """The batches of one epoch: every row once, rows of like length together, in random order.

    rows: indices into the data. lengths: of every row of the data. Returns arrays of at most `batch` indices.

    >>> [len(b) for b in plan(np.arange(5), np.ones(5, int), 2, 0, 0)]
    [2, 2, 1]
    """
    rng = np.random.default_rng([seed, 1, epoch])
    order = rng.permutation(rows)
    batches = []
    for k in range(0, len(order), batch * WINDOW):
        window = order[k : k + batch * WINDOW]
        window = window[np.argsort(lengths[window], kind="stable")]
        batches += [window[i : i + batch] for i in range(0, len(window), batch)]
    short = [b for b in batches if len(b) < batch]
    full = [b for b in batches if len(b) == batch]
    return [full[i] for i in rng.permutation(len(full))] + short


def padded(ids: list[npt.NDArray[np.int32]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Rows side by side: ids [T, B], padded with 0 on the right, and lengths [B]."""
    lengths = np.array([len(row) for row in ids], np.int64)
    whole = np.zeros((int(lengths.max()), len(ids)), np.int32)
    for b, row in enumerate(ids):
        whole[: len(row), b] = row
    return whole, lengths


def split(targets: npt.NDArray[np.int64], share: float, seed: int) -> tuple[Rows, Rows]:
    """Rows to train on and rows held out, the latter `share` of every class; a class of one row is only trained on.

    >>> kept, held = split(np.array([0] * 10 + [1] * 10), 0.2, 0)
    >>> len(kept), len(held)
    (16, 4)
    """
    rng = np.random.default_rng([seed, 2])
    held: list[Rows] = []
    for k in np.unique(targets):
        rows = rng.permutation(np.flatnonzero(targets == k))
        held.append(rows[: min(len(rows) - 1, max(1, round(share * len(rows))))] if len(rows) > 1 else rows[:0])
    out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(targets)), out), out
