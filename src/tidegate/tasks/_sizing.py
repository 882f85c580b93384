"""Defaults that depend on the amount of data: width, batch, epochs, and the share of rows that is held out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt


def default_hold_out(rows: int) -> float:
    """Return the share of rows that is held out unless the user gives one."""
    return min(0.1, 1500 / rows)


def default_hold_out_of_series(options: Any, steps: list[int]) -> float:
    """Return the share of each series, its end, that is held out unless the user gives one."""
    horizon = (options.horizon or 1) if options.head == "direct" else 1
    return min(0.4, max(0.15, 2 * horizon / max(steps)))


def default_hold_out_of_talk(messages: int) -> float:
    """Return the share of messages in conversations that is held out unless the user gives one.

    Messages of one conversation are alike, so more of them are needed than of messages alone.
    """
    return min(0.1, 5000 / messages)


def resolve_classifier(
    options: Any, resolve: Callable[[Any, list[int], int], Any], lengths: list[int], classes: int
) -> Any:
    """Decide a classifier's options that depend on the data: its numbers of rows, steps and labels.

    resolve: decides those that depend on the kind of data, such as `resolve_for_text`.
    """
    options = resolve(replace(options, hold_out=options.hold_out or default_hold_out(len(lengths))), lengths, classes)
    smoothing = 0.1 if options.label_separator is None else 0.0
    prefix = 0.3 if options.direction == "causal" else 0.0  # a model that reads whole rows gives no early answers
    epochs = options.epochs or 0
    return replace(
        options,
        refit_epochs=max(2, round(epochs / 4)) if options.refit_epochs is None else options.refit_epochs,
        embed=options.embed or options.hidden,
        prefix=prefix if options.prefix is None else options.prefix,
        smoothing=smoothing if options.smoothing is None else options.smoothing,
        pool=options.pool or "last,mean,max,attention",
        patience=options.patience or max(8, epochs // 2),
    )


def resolve_for_text(options: Any, lengths: list[int], classes: int) -> Any:
    """Decide batch, epochs and width for texts.

    Short messages can afford a wide recurrence. Small files get smaller batches and at least 600 training steps.
    """
    rows, steps = len(lengths), sum(lengths)
    batch = options.batch or int(np.clip(2 ** round(math.log2(rows / 80)), 8, 64))
    least = math.ceil(600 / steps_per_epoch(options, rows, batch))
    epochs = options.epochs or max(int(np.clip(round(4.6e6 / steps), 4, 8)), least)
    hidden = options.hidden or (192 if steps / rows <= 32 else 128)
    return replace(options, batch=batch, epochs=epochs, hidden=hidden, conv=options.conv or 0)


def resolve_for_conversations(options: Any, lengths: list[int], classes: int, conversations: int) -> Any:
    """Decide batch, epochs and width for messages in conversations. lengths: of messages.

    A batch is conversations of twice as many messages as for messages alone, and at least 2 of them.
    """
    texts = resolve_for_text(replace(options, batch=None), lengths, classes)
    batch = options.batch or int(np.clip(round(2 * texts.batch * conversations / len(lengths)), 2, 64))
    least = math.ceil(600 / steps_per_epoch(options, conversations, batch))
    epochs = options.epochs or max(6, least)
    return replace(texts, batch=batch, epochs=epochs, hidden=options.hidden or 128)


def resolve_for_series(options: Any, lengths: list[int], classes: int, rare: bool = False) -> Any:
    """Decide batch, epochs, width and convolution for series.

    Long series are read by a convolution first and afford less width. Small files get at least 400 training steps, and
    1,200 where a label is rare: after 400, those of heartbeats were never predicted yet.

    rare: whether a label is, see `has_rare_label`.
    """
    rows, short = len(lengths), sum(lengths) <= 32 * len(lengths)
    batch = options.batch or int(np.clip(2 ** round(math.log2(rows / 32)), 16, 64))
    least = math.ceil((1200 if rare else 400) / steps_per_epoch(options, rows, batch))
    conv = (0 if short else 5) if options.conv is None else options.conv
    hidden = options.hidden or (128 if short else 64)
    return replace(options, batch=batch, epochs=options.epochs or max(8, least), hidden=hidden, conv=conv)


def has_rare_label(y: npt.NDArray[Any], labels: int) -> bool:
    """Check whether a label has less than a quarter of the rows that it would have if all had as many.

    y: targets of one label a row, int64 [n] (negative: none), or of any number, [n, labels] of 0 and 1.

    >>> has_rare_label(np.array([0, 0, 0, 1, 1]), 2), has_rare_label(np.array([0] * 9 + [1]), 2)
    (False, True)
    """
    counts = np.bincount(y[y >= 0], minlength=labels) if y.ndim == 1 else y.sum(0)
    return bool(4 * labels * counts.min() < counts.sum())


def choose_batch_and_epochs(options: Any, cuts: list[int], segment: int) -> tuple[int, int]:
    """Choose a forecaster's batch and epochs from the number of training steps of each series.

    segment: origins of a row where there are no windows. Windows overlap, so a few of them are soon overfitted;
    segments do not overlap, and 400 training steps suffice.
    """
    if options.scale == "fixed":
        rows = sum(-(-cut // segment) for cut in cuts)
        batch = options.batch or int(np.clip(2 ** round(math.log2(max(1, rows / 12))), 4, 32))
        return batch, options.epochs or max(6, math.ceil(400 / math.ceil(rows / batch)))
    count = min(options.windows_per_epoch, sum(cuts))
    batch = options.batch or int(np.clip(2 ** round(math.log2(max(1, count / 40))), 16, 128))
    return batch, options.epochs or (10 if sum(cuts) > options.windows_per_epoch else 6)


def steps_per_epoch(options: Any, rows: int, batch: int) -> int:
    """Return the number of training steps in an epoch."""
    return math.ceil(rows * (1 - (options.hold_out or 0.0)) / batch)


def default_batch_of_pairs(rows: int) -> int:
    """Return the batch of pairs unless the user gives one: each partner is compared with the others in its batch.

    >>> default_batch_of_pairs(400), default_batch_of_pairs(15000)
    (16, 128)
    """
    return int(np.clip(2 ** round(math.log2(max(1, rows / 40))), 16, 128))
