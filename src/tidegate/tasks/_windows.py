"""Rows of a forecaster: the windows before each origin, or stretches of steps each of which is an origin."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.series import Collection
from ..errors import DataError, located
from ..features.series import Frame, Intake, ahead
from . import _series
from ._lesson import Array, Indices, padded

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """One series ready to forecast.

    steps: float32 [T, width], nothing missing; truth: float64 [T, targets] or, where columns are known ahead, [T +
    horizon, targets]; NaN where it is missing. kept: which steps of the source they are.
    """

    name: str
    steps: npt.NDArray[np.float32]
    truth: Floats
    kept: Indices


def tracks(source: Collection, intake: Intake, first: int = 0) -> list[Track]:
    """Every series of a source with nothing missing. first: the number of the first series, where they are numbered.

    With columns known ahead the last `lead_of` rows are the future: their known columns are read, their targets may be
    missing. Raises DataError with the place of what cannot be used.
    """
    known, lead = intake.of("known"), lead_of(intake)
    found = []
    for i, series in enumerate(source.series):
        values = series.values
        if known and len(values) <= lead:
            raise DataError(
                f"{source.place(i, 0)}: the series has {len(values)} rows, and with columns known ahead the last "
                f"{lead} are the future; give it more"
            )
        x = moved(values, intake)
        T = len(x)
        refuse(source, i, x, intake, lead)
        times = None if series.times is None else series.times[:T]
        with located(source.place(i, 0)):
            steps, kept, _ = intake.treated(x, times)
            if not len(steps):
                raise DataError("nothing is left of the series without its missing numbers; leave it out")
        truth = np.concatenate([values[kept], values[T:]])[:, intake.of("target")]
        found.append(Track(series.id, steps, truth, kept))
    return found


def lead_of(intake: Intake) -> int:
    """How many steps ahead known columns are read: the horizon, or one where forecasts go on from forecasts."""
    assert intake.answer, "a forecaster"
    return intake.answer.horizon if intake.answer.head == "direct" else 1


def moved(values: Floats, intake: Intake) -> Floats:
    """Values [T, columns] as a forecaster reads them: known columns `lead_of` ahead; the last rows are their future."""
    known, lead = intake.of("known"), lead_of(intake)
    return ahead(values, known, lead)[: len(values) - lead] if known else values


def refuse(source: Collection, i: int, x: Floats, intake: Intake, lead: int) -> None:
    """Raises DataError for the first missing number of series i, at its own place, where none is allowed."""
    if intake.missing != "error":
        return
    holes = np.argwhere(np.isnan(x))
    if len(holes):
        t, c = (int(v) for v in holes[0])
        place = source.place(i, t + (lead if intake.roles[c] == "known" else 0))
        raise DataError(
            f"{place}: no number in column {source.columns[c]!r}; fill it, or choose --missing drop, ffill or mask"
        )


def single(source: Collection, columns: list[int], rest: list[int], name: str) -> Collection:
    """Each of `columns` as a series of its own with one column `name`, beside the columns `rest` of all.

    A series' id becomes `id/column`, or `column` where it has none.
    """
    series = [
        replace(s, id="/".join(filter(None, (s.id, source.columns[c]))), values=s.values[:, [c, *rest]])
        for s in source.series
        for c in columns
    ]
    files = [file for file in source.files for _ in columns]
    return replace(source, columns=[name, *(source.columns[c] for c in rest)], series=series, files=files)


KEPT, HELD, BETWEEN = 0, 1, 2


@dataclass(frozen=True)
class Places:
    """All origins: of each its track, its step there, and whether it is learnt from, held out, or looks into both.

    least: the steps that a series needs; short: how many have fewer.
    """

    tracks: list[Track]
    series: Indices
    ends: Indices
    part: Indices
    least: int
    short: int


def placed(found: list[Track], more: list[Track], cuts: list[int], intake: Intake, path: str) -> Places:
    """The origins of series whose steps from `cuts` on are held out, or of which other series (`more`) are.

    Raises DataError where none can be learnt from, or none is held out.
    """
    assert intake.answer
    H = lead_of(intake)
    reach = intake.window.reach if intake.window else 1
    series, ends, parts, short = [], [], [], 0
    for i, track in enumerate([*found, *more]):
        at = np.arange(reach - 1, len(track.truth) - H)
        short += not len(at)
        series.append(np.full(len(at), i))
        ends.append(at)
        if more:
            parts.append(np.full(len(at), KEPT if i < len(found) else HELD))
        else:
            parts.append(np.where(at + H < cuts[i], KEPT, np.where(at + 1 >= cuts[i], HELD, BETWEEN)))
    of, at, part = (np.concatenate(v) for v in (series, ends, parts))
    made = Places([*found, *more], of, at, part, reach + H, short)
    for which, what in ((KEPT, "to learn from"), (HELD, "held out to judge by")):
        if not (part == which).any():
            raise DataError(
                f"{path}: no forecast is left {what}: a look-back of {reach} and a horizon of {H} steps need "
                f"{reach + H}, and the longest series has {max(cuts)} to learn from and "
                f"{max(len(t.truth) for t in made.tracks)} in all; shorten --lookback, --season or --horizon"
            )
    return made


def scaled(intake: Intake, found: list[Track], cuts: list[int], places: Places, source: Collection) -> Intake:
    """The intake with the statistics of the part that is learnt from. Raises DataError for what never changes."""
    parts = [t.steps[:cut, : len(intake.columns)].astype(np.float64) for t, cut in zip(found, cuts, strict=True)]
    own, rest = intake.of("target", "past"), intake.of("known", "static")
    everything = np.concatenate(parts)
    mean, deviation = np.zeros((1, len(intake.columns))), np.ones((1, len(intake.columns)))
    if rest:
        mean[0, rest], deviation[0, rest] = _series.statistics(
            everything[:, rest], [intake.columns[c] for c in rest], source.path
        )
    if intake.window is None:
        if len(found) > 1:
            mean, deviation = (np.repeat(v, len(found), 0) for v in (mean, deviation))
            intake = replace(intake, names=tuple(t.name for t in found))
        for i, part in enumerate(parts):
            mean[i, own], deviation[i, own] = _series.statistics(
                part[:, own], [intake.columns[c] for c in own], source.place(i, 0)
            )
    elif intake.window.spread == "training":
        deviation[0, own] = units(replace(intake, mean=mean, deviation=deviation), places, own, source)
    return replace(intake, mean=mean, deviation=deviation)


def units(intake: Intake, places: Places, own: list[int], source: Collection, most: int = 2000) -> Floats:
    """The unit of each target and past column [own]: the root mean square of windows less their centre.

    Raises DataError for a column that never changes.
    """
    rows = np.flatnonzero(places.part == KEPT)
    rows = rows[:: -(-len(rows) // most)]
    data = Windows(intake, places)
    x, _, _ = data.framed(rows)
    values = x.reshape(len(rows), -1, intake.width)[..., own].astype(np.float64)
    found = np.sqrt(np.nanmean(values**2, (0, 1))).astype(np.float32).astype(np.float64)
    if (flat := ~(found > 0)).any():
        name = source.columns[own[int(flat.argmax())]]
        raise DataError(
            f"{source.path}: column {name!r} never changes, or is the same every season; there is nothing to learn; "
            "leave it out of --values"
        )
    return np.asarray(found)


class Windows:
    """One row an origin: the window that ends there."""

    def __init__(self, intake: Intake, places: Places) -> None:
        assert intake.window
        self.intake, self.part = intake, places.part
        self.steps = np.concatenate([t.steps for t in places.tracks])
        self.truth = np.concatenate([t.truth for t in places.tracks])
        first = np.cumsum([0, *(len(t.steps) for t in places.tracks)])[places.series]
        after = np.cumsum([0, *(len(t.truth) for t in places.tracks)])[places.series]
        self.ends, self.after = first + places.ends, after + places.ends + 1
        self.lengths: Indices = np.full(len(self.ends), intake.window.length // intake.window.segment, np.int64)

    def rows_of(self, part: int) -> Indices:
        return np.flatnonzero(self.part == part)

    def framed(self, rows: Indices) -> tuple[Array, Frame, Floats]:
        """Inputs [B, K, features], frames, and truth [B, horizon, targets] in the data's units."""
        assert self.intake.answer
        x, frame = self.intake.windows(self.steps, self.ends[rows])
        return x, frame, self.truth[self.after[rows][:, None] + np.arange(self.intake.answer.horizon)]

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> tuple[Array, Indices, Array]:
        """See `Rows`: x float32 [K, B, features]; targets float32 [B, 2, horizon, targets], see `Quantiles`."""
        x, frame, y = self.framed(rows)
        unit = np.broadcast_to(frame.spread[:, None].astype(np.float32), y.shape)
        return np.ascontiguousarray(x.swapaxes(0, 1)), self.lengths[rows], np.stack([frame.scaled(y), unit], 1)


class Stretches:
    """Rows of `length` origins that follow each other, and up to as many steps before them, which count for nothing.

    Every step is scaled by the statistics of its series.
    """

    def __init__(self, intake: Intake, places: Places, length: int) -> None:
        self.intake, self.tracks = intake, places.tracks
        self.index = [intake.index(t.name if intake.names else None) for t in places.tracks]
        found = []
        for i in range(len(places.tracks)):
            for part in (KEPT, HELD, BETWEEN):
                of = places.ends[(places.series == i) & (places.part == part)]
                found += [(i, part, int(of[k]), int(of[k : k + length][-1]) + 1) for k in range(0, len(of), length)]
        self.series, self.part, self.first, self.end = np.array(found, np.int64).T
        self.begin = np.maximum(0, self.first - length)
        self.lengths: Indices = self.end - self.begin

    def rows_of(self, part: int) -> Indices:
        return np.flatnonzero(self.part == part)

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> tuple[Array, Indices, Array]:
        """See `Rows`: x float32 [T, B, features]; targets float32 [T, B, 2, horizon, targets], NaN for none."""
        assert self.intake.answer
        H = self.intake.answer.horizon
        x, lengths = padded([self.row(int(i)) for i in rows])
        targets = np.full((*x.shape[:2], 2, H, self.intake.targets), np.nan, np.float32)
        for b, i in enumerate(rows):
            of, index = self.tracks[self.series[i]], self.index[self.series[i]]
            y = of.truth[np.arange(self.first[i], self.end[i])[:, None] + np.arange(1, H + 1)]
            frame = self.intake.fixed_frame(index, len(y))
            counted = slice(self.first[i] - self.begin[i], lengths[b])
            targets[counted, b, 0], targets[counted, b, 1] = frame.scaled(y), frame.spread[:, None]
        return x, lengths, targets

    def row(self, i: int) -> Array:
        of = self.series[i]
        return self.intake.fixed(self.tracks[of].steps[self.begin[i] : self.end[i]], self.index[of])


def about(found: list[Track]) -> list[dict[str, Any]]:
    """For each series its name, its number of steps and a digest of its targets: what later tells that a file begins
    with the rows that were learnt from.
    """
    return [{"id": t.name, "steps": len(t.kept), "digest": digest(t.truth[: len(t.kept)])} for t in found]


def digest(truth: Floats) -> str:
    """16 hexadecimal digits of targets [T, k].

    >>> digest(np.zeros((1, 1)))
    'af5570f5a1810b7a'
    """
    return hashlib.sha256(np.ascontiguousarray(truth, np.float64).tobytes()).hexdigest()[:16]
