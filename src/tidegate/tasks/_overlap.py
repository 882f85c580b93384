"""Steps that judge a forecaster, and are learnt from in another series or another file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..data.series import Collection
from ..errors import DataError
from ..features.series import Intake
from ._windows import BETWEEN, HELD, Floats, Places, Track, lead_of

Times = npt.NDArray[np.datetime64]


def set_apart(places: Places, cuts: list[int], intake: Intake, sources: list[Collection]) -> tuple[Places, list[str]]:
    """Take the forecasts of steps that are learnt from out of those that judge.

    A series may stand twice, or in a file to judge by too: as a whole, or its beginning, or with more steps at its end;
    between files also by its times.

    Args:
        places: all origins, of the series that are learnt from and then of those of the file to judge by, if any.
        cuts: for each of the former, how many of its steps are learnt from.
        intake: that of the model.
        sources: both.

    Returns the places, and for the last source a sentence about what was taken out, or none. Raises DataError where
    nothing is left.
    """
    H, part, tracks = lead_of(intake), places.part.copy(), places.tracks
    if len(sources) > 1:
        cuts = [len(track.truth) for track in tracks[: len(cuts)]]
    stamps = [stamped(source, i, track) for source, i, track in numbered(sources, tracks)]
    begins = defaultdict(list)
    for j, track in enumerate(tracks[: len(cuts)]):
        begins[begin(track, places.least)].append(j)
    for found in begins.values():
        found.sort(key=lambda j: -cuts[j])
    names = {track.name: j for j, track in enumerate(tracks[: len(cuts)])}
    for i, track in enumerate(tracks):
        at = slice(*np.searchsorted(places.series, (i, i + 1)))
        ends, mine = places.ends[at], part[at]
        held = ends[mine == HELD]
        if not len(held):
            continue
        candidates = [(j, 0) for j in begins.get(begin(track, places.least), ()) if cuts[j] > held[0] + 1]
        if i >= len(cuts) and track.name in names:
            namesake = names[track.name]
            candidates += [(namesake, shift) for shift in shifts(stamps[namesake], stamps[i])]
        for j, shift in candidates:
            if i != j and (shared := common(tracks[j].truth, track.truth, shift)):
                first, last = shared
                last = min(last, cuts[j] - shift)
                mine[(mine == HELD) & (ends + 1 < last) & (ends + H >= first)] = BETWEEN
    gone, before = int((part != places.part).sum()), int((places.part == HELD).sum())
    if not gone:
        return places, []
    if gone == before:
        raise DataError(
            f"{sources[-1].path}: every forecast to judge by is of steps that are learnt from too; give series or "
            "steps that are not, or leave --valid out"
        )
    said = f"{gone:,} of {before:,} forecasts to judge by are of steps that are learnt from too; they judge nothing"
    return replace(places, part=part), [said]


def numbered(sources: list[Collection], tracks: list[Track]) -> Iterator[tuple[Collection, int, Track]]:
    """Go through tracks with the source of each, and its number there."""
    owners = [(source, i) for source in sources for i in range(len(source.series))]
    yield from ((source, i, track) for (source, i), track in zip(owners, tracks, strict=True))


def stamped(source: Collection, i: int, track: Track) -> Times | None:
    """Give the times of a track's steps, [T], those of columns known ahead not counted; None where there are none."""
    times = source.series[i].times
    return None if times is None else times[track.kept]


def begin(track: Track, steps: int) -> bytes:
    """Give the first steps of a track's truth as bytes; one NaN is as another."""
    first = track.truth[:steps]
    return np.where(np.isnan(first), np.nan, first).tobytes()


def shifts(times: Times | None, others: Times | None) -> list[int]:
    """Tell by times which step of one series is the first one of another, which may be negative; none where none is."""
    if times is None or others is None:
        return []
    for one, other, sign in ((times, others, 1), (others, times, -1)):
        at = int(np.searchsorted(one, other[0]))
        if at < len(one) and one[at] == other[0]:
            return [sign * at]
    return []


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
