"""Find and describe the series that a forecaster leaves out or that are too short for its full look-back."""

from __future__ import annotations

import numpy as np

from ..data.series import Collection
from ..features.series import SeriesTransform
from ._windows import TRAIN, VALID, Origins, format_steps, lead_of


def find_short_series(origins: Origins, count: int) -> list[int]:
    """List the series too short for a full window: those without a training origin among the first `count`, and those
    without a held-out origin after them.
    """
    return [i for i in range(len(origins.tracks)) if not len(origins.ends_of(i, TRAIN if i < count else VALID))]


def find_omissions(origins: Origins, count: int) -> tuple[dict[int, str], dict[int, str]]:
    """Return the series that are not trained on, and those that are not evaluated on, each with the reason.

    Both are keyed by a series' number in its source. count: the number of training series; those after them are of the
    validation source.
    """
    tracks = origins.tracks
    valid = range(count, len(tracks)) if len(tracks) > count else range(count)
    untrained = {i: why for i in range(count) if (why := omission_reason(origins, i, TRAIN))}
    return untrained, {i - valid.start: why for i in valid if (why := omission_reason(origins, i, VALID))}


def omission_reason(origins: Origins, i: int, part: int) -> str:
    """Return why a track has nothing in a part ("" if it has): it is too short, or its targets are missing."""
    track, ends = origins.tracks[i], origins.ends_of(i, part)
    if not len(ends):
        return track.fault or f"has {format_steps(len(track.steps))}"
    return "" if (~np.isnan(track.truth[ends[0] + 1 :])).any() else "has no known target"


def describe_padding(transform: SeriesTransform, short: int) -> str:
    """Describe how many series are too short for a full look-back, "" where there are none."""
    if transform.window is None or transform.window.least is None or not short:
        return ""
    return (
        f"; {short} series too short for a full look-back of {transform.window.reach} steps, so forecasts are trained "
        f"and made from {transform.window.least} steps on"
    )


def list_left_out(source: Collection, reasons: dict[int, str]) -> list[dict[str, str]]:
    """List the series that are left out, by name or by where they begin, with the reason of each.

    reasons: by a series' number in the source.
    """
    return [
        {"series": source.series[i].id or source.locate(i, 0).removesuffix(", step 1"), "reason": reason}
        for i, reason in reasons.items()
    ]


def describe_omissions(entries: list[dict[str, str]], use: str, transform: SeriesTransform, holds_out_end: bool) -> str:
    """Describe the series that are not used for training or evaluation (`use`), and how long they would have to be.

    holds_out_end: whether the end of each series is held out.
    """
    if not entries:
        return ""
    before, ahead = transform.window.steps_needed if transform.window else 1, lead_of(transform)
    takes = f"{before + ahead} steps"
    if holds_out_end:
        takes = f"{takes} before the held-out end" if use == "trained on" else f"{before} steps and {ahead} held out"
    return f"; {describe_left_out(entries, f'not {use} (that takes {takes})')}"


def describe_left_out(entries: list[dict[str, str]], what: str = "left out", most: int = 5) -> str:
    """Describe the series that are left out in a sentence, the first of them by name.

    >>> describe_left_out([{"series": "a", "reason": "has 1 step"}, {"series": "b", "reason": "has 1 step"}], most=1)
    "2 series left out: 'a' has 1 step, and 1 more"
    """
    shown = ", ".join(f"{each['series']!r} {each['reason']}" for each in entries[:most])
    return f"{len(entries)} series {what}: {shown}" + (f", and {len(entries) - most} more" if entries[most:] else "")
