"""Which rows a step sees: a function of the seed, the epoch and the position, with nothing to remember."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
SORTED_BATCHES = (
    50  # batches that are sorted by length together: wide enough to save padding, narrow enough to stay random
)


def plan(rows: Rows, lengths: Rows, batch: int, seed: int, epoch: int, rows_per_epoch: int | None = None) -> list[Rows]:
    """The batches of one epoch: every row once, rows of like length together, in random order.

    rows: indices into the data. lengths: of every row of the data. most: how many rows, drawn at random; None: all.
    Returns arrays of at most `batch` indices.

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
