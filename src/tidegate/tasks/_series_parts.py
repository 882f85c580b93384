"""Long series cut into parts, which are trained on as series of their own where what is learnt needs no label."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from ..data.series import Collection, Series
from ..text_tables import format_count

LONGEST: Final = 1024  # steps that are trained on together; a part begins without what was before it
FEWEST: Final = 10  # series or parts, so that some can be held out
SHORTEST: Final = 16  # steps of a part


def cut_series(source: Collection, window: int) -> tuple[Collection, list[str]]:
    """Cut series into parts of at most `LONGEST` steps, and few series into more parts; return them, and notes.

    window: the steps of a row, of which each part has room for two; 0: rows are whole parts.

    >>> from ..data.series import from_arrays
    >>> cut, notes = cut_series(from_arrays([np.zeros(100)]), 0)
    >>> [len(one) for one in cut.series], notes
    ([17, 17, 17, 17, 16, 16], ['1 series is cut into 6 parts, which are trained on as series of their own'])
    """
    least, wanted = max(SHORTEST, 2 * window), -(-FEWEST // len(source))
    counts = [max(1, min(max(-(-len(one) // max(LONGEST, least)), wanted), len(one) // least)) for one in source.series]
    if not (cut := sum(count > 1 for count in counts)):
        return source, []
    series = [part for one, count in zip(source.series, counts, strict=True) for part in cut_one(one, count)]
    files = [file for file, count in zip(source.files, counts, strict=False) for _ in range(count)]
    parts = format_count(sum(count for count in counts if count > 1), "part")
    note = f"{cut:,} series {'is' if cut == 1 else 'are'} cut into {parts}, which are trained on as series of their own"
    return replace(source, series=series, files=files), [note]


def cut_one(series: Series, count: int) -> list[Series]:
    """Cut a series into so many parts of similar length."""
    bounds = np.cumsum([0, *(len(part) for part in np.array_split(np.arange(len(series)), count))]).tolist()
    return [take_steps(series, slice(start, stop)) for start, stop in pairwise(bounds)]


def take_steps(series: Series, part: slice) -> Series:
    """Return some steps of a series that follow each other."""
    return replace(
        series,
        values=series.values[part],
        lines=series.lines[part],
        times=None if series.times is None else series.times[part],
        local=None if series.local is None else series.local[part],
        counts=None if series.counts is None else series.counts[part],
    )
