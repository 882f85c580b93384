"""Folds of a forecaster: the series cut off earlier and earlier, so that no fold is trained on what follows it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ..data.collection import Collection, hash_part
from ..errors import DataError
from ._series_parts import take_steps
from ._sizing import default_hold_out_of_series
from ._windows import format_steps
from .base import Fold

LEAST_WINDOW = 2  # steps that a forecast is made from, unless the user gives their number


def split_time(source: Collection, options: Any, count: int) -> list[Fold]:
    """Split series into folds, the oldest first. Each holds out its end as usual, and what it holds out is no part of
    the folds before it; so all that is held out measures once, by models of what was before it.

    Raises DataError where the oldest one has too few steps to train on or to hold out.
    """
    H = options.horizon if options.head == "direct" else 1
    ahead = H if options.known else 0  # the last rows are the future of known columns, and no steps
    needs, folds, lengths = max(LEAST_WINDOW, options.lookback or 0), list[Fold](), [len(s) for s in source.series]
    for done in range(count):
        steps = [max(0, length - ahead) for length in lengths]
        share = options.hold_out or default_hold_out_of_series(options, [1, *steps])
        cuts = [n - math.ceil(share * n) for n in steps]
        held_out = [n - cut + ahead for n, cut in zip(steps, cuts, strict=True)]
        if max(cuts) < needs + H or max(held_out) < H:
            longest = max(range(len(lengths)), key=lengths.__getitem__)
            train, held = format_steps(cuts[longest]), format_steps(held_out[longest])
            fewer = f"make at most {done} folds (--folds), " if done > 1 else "leave --folds out, "
            raise DataError(
                f"{source.path}: {count} folds, each of which ends before the held-out steps of the next one, leave "
                f"the first of them {train} to train on and {held} to hold out, and a forecast takes {needs} "
                f"and the {H} after them; {fewer}shorten --horizon, or hold out less (--hold-out)"
            )
        folds.append(Fold(cut_off(source, lengths), None, sum(max(0, n - H + 1) for n in held_out)))
        lengths = cuts
    return folds[::-1]


def cut_off(source: Collection, lengths: list[int]) -> Collection:
    """Return the first steps of each series, so many of each; series without any are left out.

    >>> import numpy as np
    >>> from ..data.series import from_arrays
    >>> part = cut_off(from_arrays([np.zeros(5), np.zeros(2)]), [3, 0])
    >>> [len(one) for one in part.series]
    [3]
    """
    kept = [i for i, length in enumerate(lengths) if length > 0]
    part = source.take(kept)
    series = [take_steps(one, slice(0, lengths[i])) for i, one in zip(kept, part.series, strict=True)]
    return replace(part, series=series, sha256=hash_part(source.sha256, lengths))
