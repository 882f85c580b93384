"""Series that a forecaster leaves out, or reads less of than its look-back: which, why, and in words."""

from __future__ import annotations

import numpy as np

from ..data.series import Collection
from ..features.series import SeriesTransform
from ._windows import TRAIN, VALID, Origins, lead_of, steps_of


def unfilled(places: Origins, count: int) -> list[int]:
    """The series too short for a full window: without an origin to learn from, of the first `count`, or to judge by."""
    return [i for i in range(len(places.tracks)) if not len(places.of(i, TRAIN if i < count else VALID))]


def omitted(places: Origins, count: int) -> tuple[dict[int, str], dict[int, str]]:
    """Of which series, by their number in their source, nothing is learnt, and by which none is judged, and why. count:
    how many are learnt from; those after them are another source, which judges alone.
    """
    tracks = places.tracks
    judging = range(count, len(tracks)) if len(tracks) > count else range(count)
    unlearnt = {i: why for i in range(count) if (why := omission(places, i, TRAIN))}
    return unlearnt, {i - judging.start: why for i in judging if (why := omission(places, i, VALID))}


def omission(places: Origins, i: int, part: int) -> str:
    """Why nothing of a track is of a part, or "": it is too short, or its targets are missing."""
    track, ends = places.tracks[i], places.of(i, part)
    if not len(ends):
        return track.fault or f"has {steps_of(len(track.steps))}"
    return "" if (~np.isnan(track.truth[ends[0] + 1 :])).any() else "has no known target"


def padding(transform: SeriesTransform, short: int) -> str:
    """What is said about so many series that are too short for a full look-back, "" where there are none."""
    if transform.window is None or transform.window.least is None or not short:
        return ""
    return (
        f"; {short} series too short for a full look-back of {transform.window.reach} steps, so that forecasts are "
        f"learnt and made from {transform.window.least} steps on"
    )


def named(source: Collection, reasons: dict[int, str]) -> list[dict[str, str]]:
    """Series that are left out, by their names or where they begin, and why. reasons: of each by its number."""
    return [
        {"series": source.series[i].id or source.place(i, 0).removesuffix(", step 1"), "reason": reason}
        for i, reason in reasons.items()
    ]


def absent(entries: list[dict[str, str]], use: str, transform: SeriesTransform, held: bool) -> str:
    """What is said about series that are not learnt from or judged by (`use`), and how long they would have to be.

    held: whether the end of each series is held out.
    """
    if not entries:
        return ""
    before, ahead = transform.window.needs if transform.window else 1, lead_of(transform)
    takes = f"{before + ahead} steps"
    if held:
        takes = f"{takes} before the held-out end" if use == "learnt from" else f"{before} steps and {ahead} held out"
    return f"; {left_out(entries, f'not {use} (that takes {takes})')}"


def left_out(entries: list[dict[str, str]], what: str = "left out", most: int = 5) -> str:
    """A sentence about series that are left out, the first of them by name.

    >>> left_out([{"series": "a", "reason": "has 1 step"}, {"series": "b", "reason": "has 1 step"}], most=1)
    "2 series left out: 'a' has 1 step, and 1 more"
    """
    shown = ", ".join(f"{each['series']!r} {each['reason']}" for each in entries[:most])
    return f"{len(entries)} series {what}: {shown}" + (f", and {len(entries) - most} more" if entries[most:] else "")
