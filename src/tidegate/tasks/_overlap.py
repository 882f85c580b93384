"""Steps that judge a forecaster, and are learnt from in another series or another file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import starmap

import numpy as np
import numpy.typing as npt

from ..data.series import Collection
from ..errors import DataError
from ..features.series import SeriesTransform
from ._problem import Indices
from ._windows import GAP, VALID, Floats, Origins, Track, lead_of

Sums = npt.NDArray[np.uint64]
Times = npt.NDArray[np.datetime64]

BASE = 0x9E3779B97F4A7C15  # odd, so that its powers have inverses among 64-bit integers
TRIED = 32  # places with the same steps that are looked at, as constants have very many


def set_apart(
    places: Origins, cuts: list[int], transform: SeriesTransform, sources: list[Collection]
) -> tuple[Origins, list[str]]:
    """Take the forecasts of steps that are learnt from out of those that judge.

    Two series share steps where all that both have of them is equal, whatever they are called; and stands at the same
    times, where both have times, so that a season that repeats to the last digit is not taken for it.

    Args:
        places: all origins, of the series that are learnt from and then of those of the file to judge by, if any.
        cuts: for each of the former, how many of its steps are learnt from.
        transform: that of the model.
        sources: both.

    Returns the places, and for the last source a sentence about what was taken out, or none. Raises DataError where
    nothing is left.
    """
    H, part, tracks = lead_of(transform), places.part.copy(), places.tracks
    learnt = cuts if len(sources) == 1 else [len(track.truth) for track in tracks[: len(cuts)]]
    steps = (transform.window.needs if transform.window else 1) + H
    known = Known.of([track.truth[:n] for track, n in zip(tracks, learnt, strict=False)], steps)
    owners = ((source, i) for source in sources for i in range(len(source.series)))
    stamps = [stamped(source, i, track) for (source, i), track in zip(owners, tracks, strict=True)]
    for i, track in enumerate(tracks):
        at = slice(*np.searchsorted(places.series, (i, i + 1)))
        ends, mine = places.ends[at], part[at]
        held = ends[mine == VALID]
        if not len(held):
            continue
        for j, shift in {pair for end in (held[0], held[-1]) for pair in known.find(track.truth, int(end) + H + 1)}:
            shared = common(tracks[j].truth, track.truth, shift)
            if i != j and shared and aligned(stamps[j], stamps[i], shift):
                last = min(shared[1], learnt[j] - shift)
                mine[(mine == VALID) & (ends + 1 < last) & (ends + H >= shared[0])] = GAP
    gone, before = int((part != places.part).sum()), int((places.part == VALID).sum())
    if not gone:
        return places, []
    if gone == before:
        raise DataError(
            f"{sources[-1].path}: every forecast to judge by is of steps that are learnt from too; give series or "
            "steps that are not, or leave --valid out"
        )
    said = f"{gone:,} of {before:,} forecasts to judge by are of steps that are learnt from too; they judge nothing"
    return replace(places, part=part), [said]


@dataclass(frozen=True)
class Known:
    """Every run of `steps` steps that is learnt from: its sum, ascending, its series, and where it begins there."""

    steps: int
    sums: Sums
    series: Indices
    first: Indices

    @classmethod
    def of(cls, learnt: list[Floats], steps: int) -> Known:
        """Index the steps [T, targets] of each series."""
        found = list(starmap(sums_of, ((truth, steps) for truth in learnt)))
        sums, counts = np.concatenate(found), [len(each) for each in found]
        order = np.argsort(sums, kind="stable")
        first = np.concatenate([np.arange(n) for n in counts])
        return cls(steps, sums[order], np.repeat(np.arange(len(counts)), counts)[order], first[order])

    def find(self, truth: Floats, end: int) -> list[tuple[int, int]]:
        """List the series with the `steps` steps before `end`, and by how many steps these stand further on there."""
        begin = max(0, end - self.steps)
        run = truth[begin : begin + self.steps]
        if len(run) < self.steps:
            return []
        (wanted,) = sums_of(run, self.steps)
        low = int(np.searchsorted(self.sums, wanted))
        high = min(int(np.searchsorted(self.sums, wanted, "right")), low + TRIED)
        return [(int(self.series[k]), int(self.first[k]) - begin) for k in range(low, high)]


def sums_of(truth: Floats, steps: int) -> Sums:
    """Sum up every run of steps of a series [T, targets], uint64 [T - steps + 1]: equal runs have equal sums.

    Source: Karp and Rabin 1987, Efficient randomized pattern-matching algorithms; all sums at once from running ones.

    >>> found = sums_of(np.array([[1.0], [2.0], [0.0], [1.0], [2.0]]), 2)
    >>> bool(found[0] == found[3]), len(set(found.tolist()))
    (True, 3)
    """
    T = len(truth)
    if steps > T:
        return np.zeros(0, np.uint64)
    bits = np.ascontiguousarray(np.where(np.isnan(truth), np.nan, truth + 0)).view(np.uint64)
    columns, powers = np.cumprod(np.full(bits.shape[1], 3, np.uint64)), np.cumprod(np.full(T, BASE, np.uint64))
    inverses = np.cumprod(np.full(T, pow(BASE, -1, 1 << 64), np.uint64))
    values = (bits ^ (bits >> np.uint64(29))) @ columns
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values * powers)])
    return np.asarray((running[steps:] - running[:-steps]) * inverses[: T - steps + 1])


def stamped(source: Collection, i: int, track: Track) -> Times | None:
    """Give the times of a track's steps, [T], those of columns known ahead not counted; None where there are none."""
    times = source.series[i].times
    return None if times is None else times[track.kept]


def aligned(times: Times | None, others: Times | None, shift: int) -> bool:
    """Tell whether steps stand at the same times in two series, `shift` steps further on in the first one."""
    if times is None or others is None:
        return True
    first, last = max(0, -shift), min(len(others), len(times) - shift)
    return np.array_equal(times[first + shift : last + shift], others[first:last])


def common(known: Floats, truth: Floats, shift: int) -> tuple[int, int] | None:
    """Find the steps of `truth` that `known` has, `shift` steps further on, from the first to before the last.

    None where these differ.

    >>> common(np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [3.0], [4.0]]), 1)
    (0, 2)
    """
    first, last = max(0, -shift), min(len(truth), len(known) - shift)
    if first >= last:
        return None
    same = np.array_equal(known[first + shift : last + shift], truth[first:last], equal_nan=True)
    return (first, last) if same else None
