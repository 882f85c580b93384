"""Find held-out steps of a forecaster that are also trained on, in another series or another file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import starmap

import numpy as np
import numpy.typing as npt

from ..data.series import Collection
from ..errors import DataError
from ..features.series import SeriesTransform
from ._windows import GAP, VALID, Floats, Origins, Track, lead_of
from .base import Indices

Hashes = npt.NDArray[np.uint64]
Times = npt.NDArray[np.datetime64]

BASE = 0x9E3779B97F4A7C15  # odd, so that its powers have inverses among 64-bit integers
MAX_CANDIDATES = 32  # places with the same hash that are compared; constant series have very many


def remove_overlap(
    origins: Origins, cuts: list[int], transform: SeriesTransform, sources: list[Collection]
) -> tuple[Origins, list[str]]:
    """Remove forecasts of steps that are also trained on from the held-out ones.

    Two series share steps where all steps that both have are equal, whatever the series are called. Where both have
    times, the times must be equal too, so that a season that repeats to the last digit does not count as shared.

    Args:
        origins: all origins: of the training series, then of those of the validation file, if there is one.
        cuts: the number of training steps of each training series.
        transform: that of the model.
        sources: the training source, and the validation file's.

    Returns the origins, and for the last source a list with a sentence about what was removed, or an empty one. Raises
    DataError where no held-out forecast is left.
    """
    H, part, tracks = lead_of(transform), origins.part.copy(), origins.tracks
    train_steps = cuts if len(sources) == 1 else [len(track.truth) for track in tracks[: len(cuts)]]
    steps = (transform.window.steps_needed if transform.window else 1) + H
    step_index = StepIndex.build([track.truth[:n] for track, n in zip(tracks, train_steps, strict=False)], steps)
    owners = ((source, i) for source in sources for i in range(len(source.series)))
    stamps = [track_times(source, i, track) for (source, i), track in zip(owners, tracks, strict=True)]
    for i, track in enumerate(tracks):
        at = slice(*np.searchsorted(origins.series, (i, i + 1)))
        ends, mine = origins.ends[at], part[at]
        held_out = ends[mine == VALID]
        if not len(held_out):
            continue
        for j, shift in {
            pair for end in (held_out[0], held_out[-1]) for pair in step_index.find(track.truth, int(end) + H + 1)
        }:
            shared = find_common_steps(tracks[j].truth, track.truth, shift)
            if i != j and shared and same_times(stamps[j], stamps[i], shift):
                last = min(shared[1], train_steps[j] - shift)
                mine[(mine == VALID) & (ends + 1 < last) & (ends + H >= shared[0])] = GAP
    removed, before = int((part != origins.part).sum()), int((origins.part == VALID).sum())
    if not removed:
        return origins, []
    if removed == before:
        raise DataError(
            f"{sources[-1].path}: every held-out forecast is of steps that are also trained on; give series or steps "
            "that are not, or leave --valid out"
        )
    note = f"{removed:,} of {before:,} held-out forecasts are of steps that are also trained on, and are left out"
    return replace(origins, part=part), [note]


@dataclass(frozen=True)
class StepIndex:
    """An index of every run of `steps` training steps: its hash, in ascending order, its series and its first step."""

    steps: int
    hashes: Hashes
    series: Indices
    first: Indices

    @classmethod
    def build(cls, histories: list[Floats], steps: int) -> StepIndex:
        """Index the steps [T, targets] of each series."""
        by_series = list(starmap(rolling_hashes, ((truth, steps) for truth in histories)))
        hashes, counts = np.concatenate(by_series), [len(each) for each in by_series]
        order = np.argsort(hashes, kind="stable")
        first = np.concatenate([np.arange(n) for n in counts])
        return cls(steps, hashes[order], np.repeat(np.arange(len(counts)), counts)[order], first[order])

    def find(self, truth: Floats, end: int) -> list[tuple[int, int]]:
        """List the series that have the `steps` steps before `end`, each with how many steps later they are there."""
        begin = max(0, end - self.steps)
        run = truth[begin : begin + self.steps]
        if len(run) < self.steps:
            return []
        (wanted,) = rolling_hashes(run, self.steps)
        low = int(np.searchsorted(self.hashes, wanted))
        high = min(int(np.searchsorted(self.hashes, wanted, "right")), low + MAX_CANDIDATES)
        return [(int(self.series[k]), int(self.first[k]) - begin) for k in range(low, high)]


def rolling_hashes(truth: Floats, steps: int) -> Hashes:
    """Hash every run of `steps` steps of a series [T, targets], uint64 [T - steps + 1]: equal runs have equal hashes.

    Source: Karp and Rabin 1987, Efficient randomized pattern-matching algorithms; all hashes at once from running sums.

    >>> hashes = rolling_hashes(np.array([[1.0], [2.0], [0.0], [1.0], [2.0]]), 2)
    >>> bool(hashes[0] == hashes[3]), len(set(hashes.tolist()))
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


def track_times(source: Collection, i: int, track: Track) -> Times | None:
    """Return the times of a track's steps, [T], without future rows of known columns; None where there are none."""
    times = source.series[i].times
    return None if times is None else times[track.kept]


def same_times(times: Times | None, others: Times | None, shift: int) -> bool:
    """Check that shared steps have the same times in two series; they are `shift` steps later in the first one."""
    if times is None or others is None:
        return True
    first, last = max(0, -shift), min(len(others), len(times) - shift)
    return np.array_equal(times[first + shift : last + shift], others[first:last])


def find_common_steps(history: Floats, truth: Floats, shift: int) -> tuple[int, int] | None:
    """Find the range of steps of `truth` that `history` covers `shift` steps later; None where their values differ.

    >>> find_common_steps(np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [3.0], [4.0]]), 1)
    (0, 2)
    """
    first, last = max(0, -shift), min(len(truth), len(history) - shift)
    if first >= last:
        return None
    same = np.array_equal(history[first + shift : last + shift], truth[first:last], equal_nan=True)
    return (first, last) if same else None
