"""The rows of each training step: a function of seed, epoch and position, without state."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
SORTED_BATCHES = (
    50  # batches that are sorted by length together: wide enough to save padding, narrow enough to stay random
)


def plan(rows: Rows, lengths: Rows, batch: int, seed: int, epoch: int, rows_per_epoch: int | None = None) -> list[Rows]:
    """Plan the batches of one epoch: every row once, rows of similar length together, in random order.

    rows: indices into the data. lengths: the number of steps of every row of the data. rows_per_epoch: how many rows to
    draw at random; None: all. Returns arrays of at most `batch` indices.

    >>> [len(b) for b in plan(np.arange(5), np.ones(5, int), 2, 0, 0)]
    [2, 2, 1]
    """
    rng = np.random.default_rng([seed, 1, epoch])
    order = rng.permutation(rows)[:rows_per_epoch]
    batches = []
    for k in range(0, len(order), batch * SORTED_BATCHES):
        window = order[k : k + batch * SORTED_BATCHES]
        window = window[np.argsort(lengths[window], kind="stable")]
        batches += [window[i : i + batch] for i in range(0, len(window), batch)]
    short = [b for b in batches if len(b) < batch]
    full = [b for b in batches if len(b) == batch]
    return [full[i] for i in rng.permutation(len(full))] + short
