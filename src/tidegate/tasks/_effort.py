"""How long and how wide a classifier or forecaster learns, and how much judges it, by the amount of data."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np


def share_held(rows: int) -> float:
    """The share of rows that is held out where nothing is said."""
    return min(0.1, 1500 / rows)


def share_of_series(options: Any, steps: list[int]) -> float:
    """How much of each series is held out, where nobody says."""
    horizon = (options.horizon or 1) if options.head == "direct" else 1
    return min(0.4, max(0.15, 2 * horizon / max(steps)))


def resolved(options: Any, kind: str, lengths: list[int], classes: int) -> Any:
    """The options with everything that depends on the data decided, from the numbers of its rows, steps and labels."""
    options = replace(options, input=kind, hold_out=options.hold_out or share_held(len(lengths)))
    options = (of_series if kind == "series" else of_messages)(options, lengths, classes)
    one = 0.1 if options.label_separator is None else 0.0
    early = 0.3 if options.direction == "causal" else 0.0  # who never streams is never asked early
    epochs = options.epochs or 0
    return replace(
        options,
        refit_epochs=max(2, round(epochs / 4)) if options.refit_epochs is None else options.refit_epochs,
        embed=options.embed or options.hidden,
        prefix=early if options.prefix is None else options.prefix,
        smoothing=one if options.smoothing is None else options.smoothing,
        pool=options.pool or "last,mean,max,attention",
        patience=options.patience or max(8, epochs // 2),
    )


def of_messages(options: Any, lengths: list[int], classes: int) -> Any:
    """Short messages afford a wide recurrence; many labels need more passes; small files smaller batches and 600
    steps.
    """
    rows, steps = len(lengths), sum(lengths)
    batch = options.batch or int(np.clip(2 ** round(math.log2(rows / 80)), 8, 64))
    most = 8 + min(6, classes // 20)
    least = math.ceil(600 / batches(options, rows, batch))
    epochs = options.epochs or max(int(np.clip(round(4.6e6 / steps), 4, most)), least)
    hidden = options.hidden or (256 if steps / rows <= 32 else 128)
    return replace(options, batch=batch, epochs=epochs, hidden=hidden, conv=options.conv or 0)


def of_series(options: Any, lengths: list[int], classes: int) -> Any:
    """Long series are first read by a convolution, and afford less width; small files take 400 steps."""
    rows, short = len(lengths), sum(lengths) <= 32 * len(lengths)
    batch = options.batch or int(np.clip(2 ** round(math.log2(rows / 32)), 16, 64))
    epochs = options.epochs or max(8, math.ceil(400 / batches(options, rows, batch)))
    conv = (0 if short else 5) if options.conv is None else options.conv
    return replace(options, batch=batch, epochs=epochs, hidden=options.hidden or (128 if short else 64), conv=conv)


def of_windows(options: Any, cuts: list[int], stretch: int) -> tuple[int, int]:
    """Batch and passes, from the steps of each series that are learnt from. stretch: steps of a row without windows.

    Windows overlap, so that few of them are soon known by heart; stretches do not, and 400 steps learn them.
    """
    if options.scale == "fixed":
        rows = sum(-(-cut // stretch) for cut in cuts)
        batch = options.batch or int(np.clip(2 ** round(math.log2(max(1, rows / 12))), 4, 32))
        return batch, options.epochs or max(6, math.ceil(400 / math.ceil(rows / batch)))
    count = min(options.windows_per_epoch, sum(cuts))
    batch = options.batch or int(np.clip(2 ** round(math.log2(max(1, count / 40))), 16, 128))
    return batch, options.epochs or (10 if sum(cuts) > options.windows_per_epoch else 6)


def batches(options: Any, rows: int, batch: int) -> int:
    """How many steps an epoch has."""
    return math.ceil(rows * (1 - (options.hold_out or 0.0)) / batch)
