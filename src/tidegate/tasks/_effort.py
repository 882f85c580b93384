"""How long and how wide a classifier learns, and how much judges it, by the amount of data."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np


def share_held(rows: int) -> float:
    """The share of rows that is held out where nothing is said."""
    return min(0.1, 1500 / rows)


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


def batches(options: Any, rows: int, batch: int) -> int:
    """How many steps an epoch has."""
    return math.ceil(rows * (1 - (options.hold_out or 0.0)) / batch)
