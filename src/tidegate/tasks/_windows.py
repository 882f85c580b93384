"""Rows of a forecaster: the windows before each origin, or stretches of steps each of which is an origin."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.series import Collection
from ..errors import DataError, error_context
from ..features.series import Scaling, SeriesTransform, ahead
from . import _series
from ._problem import Array, Indices, pad

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """One series ready to forecast.

    steps: float64 [T, width], nothing missing; truth: float64 [T, targets] or, where columns are known ahead, [T +
    horizon, targets]; NaN where it is missing. kept: which steps of the source they are. fault: why there is no step
    ready to forecast from, otherwise "".
    """

    name: str
    steps: Floats
    truth: Floats
    kept: Indices
    fault: str = ""


def tracks(source: Collection, transform: SeriesTransform) -> list[Track]:
    """Every series of a source with nothing missing, but what was never seen where the transform has no means yet.

    With columns known ahead the last `lead_of` rows are the future: their known columns are read, their targets may be
    missing. Raises DataError with the place of what cannot be used, and where no series has a step.
    """
    known, lead = transform.of("known"), lead_of(transform)
    _series.check_zone(source, transform)
    found = []
    for i, series in enumerate(source.series):
        values = series.values
        x = moved(values, transform)
        T = len(x)
        _series.refuse(source, i, x, transform.missing, known, lead)
        unchanging(source, i, transform)
        times = None if series.times is None else series.times[:T]
        with error_context(source.place(i, 0)):
            unseen = transform.fill_values(transform.index(series.id if transform.names else None))
            steps, kept, _ = transform.impute(x, times, unseen)
        truth, fault = np.concatenate([values[kept], values[T:]])[:, transform.of("target")], ""
        if not T:
            fault = f"has {steps_of(len(values))}, and with columns known ahead the last {lead} are the future"
        elif not len(steps):
            fault = "has no step left without its missing numbers"
        found.append(Track(series.id, steps, truth, kept, fault))
    if found and all(track.fault for track in found):
        raise DataError(f"{source.place(0, 0)}: the series {found[0].fault}; give it more")
    return found


def steps_of(count: int) -> str:
    return f"{count} step{'s'[: count != 1]}"


def lead_of(transform: SeriesTransform) -> int:
    """How many steps ahead known columns are read: the horizon, or one where forecasts go on from forecasts."""
    assert transform.forecast, "a forecaster"
    return transform.forecast.horizon if transform.forecast.head == "direct" else 1


def moved(values: Floats, transform: SeriesTransform) -> Floats:
    """Values [T, columns] as a forecaster reads them: known columns `lead_of` ahead; the last rows are their future."""
    known, lead = transform.of("known"), lead_of(transform)
    return ahead(values, known, lead)[: max(0, len(values) - lead)] if known else values


def unchanging(source: Collection, i: int, transform: SeriesTransform) -> None:
    """Raises DataError for a static column that changes within series i."""
    for c in transform.of("static"):
        values = source.series[i].values[:, c]
        known = np.flatnonzero(~np.isnan(values))
        if len(other := known[values[known] != values[known[:1]]]):
            raise DataError(
                f"{source.place(i, int(other[0]))}: column {source.columns[c]!r} is static, and changes from "
                f"{values[known[0]]:.15g} to {values[other[0]]:.15g} within its series; leave it out of --static"
            )


@dataclass(frozen=True, eq=False)
class ChannelIndependent(Collection):
    """A collection in which each target is a series of its own, in the first column. targets: how they are called."""

    targets: tuple[str, ...] = ()


def single(source: Collection, columns: list[int], rest: list[int]) -> ChannelIndependent:
    """Each of `columns` as a series of its own with one column `value`, beside the columns `rest` of all.

    A series' id becomes `id/column`, or `column` where it has none.
    """
    beside = [source.columns[c] for c in rest]
    name = next(name for name in (APART, *(f"{APART} {n}" for n in range(2, len(rest) + 3))) if name not in beside)
    series = [
        replace(s, id="/".join(filter(None, (s.id, source.columns[c]))), values=s.values[:, [c, *rest]])
        for s in source.series
        for c in columns
    ]
    files = [file for file in source.files for _ in columns]
    named = tuple(source.columns[c] for c in columns)
    return ChannelIndependent(
        **{**vars(source), "columns": [name, *beside], "series": series, "files": files}, targets=named
    )


FULL_WINDOWS = 16  # of a series that has them, to each that is not full: most of what will be asked is full
TRAIN, VALID, GAP = 0, 1, 2
MOST = 1e30  # units that a truth may be off its window: sums of more overflow float32
APART = "value"  # the column of targets that are series of their own


@dataclass(frozen=True)
class Origins:
    """All origins: of each its track, its step there, and whether it is learnt from, held out, or looks into both."""

    tracks: list[Track]
    series: Indices
    ends: Indices
    part: Indices

    def of(self, i: int, part: int) -> Indices:
        """The origins in track i that are of a part."""
        at = slice(*np.searchsorted(self.series, (i, i + 1)))
        return np.asarray(self.ends[at][self.part[at] == part])


def find_origins(found: list[Track], more: list[Track], cuts: list[int], transform: SeriesTransform) -> Origins:
    """The origins of series whose steps from `cuts` on are held out, or of which other series (`more`) are."""
    H, needs, reach = (
        lead_of(transform),
        *((transform.window.needs, transform.window.reach) if transform.window else (1, 1)),
    )
    series, ends, parts = [], [], []
    for i, track in enumerate([*found, *more]):
        at = np.arange(needs - 1, len(track.truth) - H)
        if 0 < (early := min(len(at), reach - needs)) < len(at):
            stride = -(-early * FULL_WINDOWS // (len(at) - early))
            at = np.concatenate([at[:early:stride], at[early:]])
        series.append(np.full(len(at), i))
        ends.append(at)
        if more:
            parts.append(np.full(len(at), TRAIN if i < len(found) else VALID))
        else:
            parts.append(np.where(at + H < cuts[i], TRAIN, np.where(at + 1 >= cuts[i], VALID, GAP)))
    of, at, part = (np.concatenate(v) for v in (series, ends, parts))
    return Origins([*found, *more], of, at, part)


def check_parts(places: Origins, cuts: list[int], transform: SeriesTransform, paths: list[str]) -> None:
    """Raises DataError where no origin can be learnt from, or none is held out, or their truth is missing.

    cuts: of the series that are learnt from, where their held-out end begins. paths: of those, and of other series'
    source. A unit is that of full windows, so one of those must be there; forecasts may be judged on shorter ones.
    """
    H, needs, reach = (
        lead_of(transform),
        *((transform.window.needs, transform.window.reach) if transform.window else (1, 1)),
    )
    found, more = places.tracks[: len(cuts)], places.tracks[len(cuts) :]
    held = 0 if more else max(len(t.truth) - cut for t, cut in zip(found, cuts, strict=True))
    advice = "hold out less (--hold-out), " if held else ""
    check_part(places, TRAIN, H, reach, f"{paths[0]}: no forecast is left to learn from", max(cuts), advice)
    what = f"{paths[-1]}: no forecast is left to judge by"
    if not more and held < H:
        raise DataError(
            f"{what}: {steps_of(held)} {'is' if held == 1 else 'are'} held out, and the horizon takes {H}; shorten "
            "--horizon, or choose more of --hold-out, or a file for --valid"
        )
    check_part(places, VALID, H, needs, what, max(len(t.truth) for t in more or found))


def check_part(places: Origins, part: int, H: int, needs: int, what: str, steps: int, advice: str = "") -> None:
    """Raises DataError where a part has no origin after so many steps, or none of its truth is known."""
    if not ((places.part == part) & (places.ends + 1 >= needs)).any():
        raise DataError(
            f"{what}: a look-back with its season and the horizon take {needs + H} steps, and the longest series "
            f"has {steps} for that; shorten --lookback, --season or --horizon, {advice}or give longer series"
        )
    for i, track in enumerate(places.tracks):
        ends = places.of(i, part)
        if len(ends) and not np.isnan(track.truth[ends[0] + 1 : ends[-1] + H + 1]).all():
            return
    raise DataError(f"{what}: its targets are all missing; give some that are not")


def scaled(
    transform: SeriesTransform, cuts: list[int], places: Origins, source: Collection
) -> tuple[SeriesTransform, Origins]:
    """The transform with the statistics of the part that is learnt from, and places whose tracks have nothing missing.

    Raises DataError for what never changes.
    """
    own, rest, masked = transform.of("target", "past"), transform.of("known", "static"), transform.missing == "mask"
    parts = [observed(t.steps[:cut], transform) for t, cut in zip(places.tracks, cuts, strict=False)]
    mean, deviation = np.zeros((1, len(transform.columns))), np.ones((1, len(transform.columns)))
    if rest:
        mean[0, rest], deviation[0, rest] = statistics_of(parts, rest, source, source.path)
    if transform.window is None:
        if len(parts) > 1 and not all(t.name for t in places.tracks[: len(parts)]):
            raise DataError(
                f"{source.path}: has {len(parts)} series without names, and --scale fixed knows each by its name; name "
                "their column with --id, or choose --scale window"
            )
        if places.tracks[0].name:
            mean, deviation = (np.repeat(v, len(parts), 0) for v in (mean, deviation))
            transform = replace(transform, names=tuple(t.name for t in places.tracks[: len(parts)]))
        for i, part in enumerate(parts):
            if not len(part):
                raise DataError(
                    f"{source.place(i, 0)}: the series has {steps_of(len(places.tracks[i].steps))}, all held out, and "
                    "--scale fixed takes each series' own statistics; leave the series out, or choose --scale window"
                )
            mean[i, own], deviation[i, own] = statistics_of([part], own, source, source.place(i, 0))
    elif masked:
        mean[0, own] = statistics_of(parts, own, source, source.path, varied=False)[0]
    made = replace(transform, mean=mean, deviation=deviation)
    if masked:
        places = replace(places, tracks=[seen(t, made) for t in places.tracks])
    if made.window and made.window.spread == "training":
        deviation[0, own] = units(made, places, own, source)
    return made, places


def observed(steps: Floats, transform: SeriesTransform) -> Floats:
    """Steps [T, columns], NaN where they were missing."""
    C = len(transform.columns)
    values = steps[:, :C]
    return np.where(steps[:, C : 2 * C] > 0, np.nan, values) if transform.missing == "mask" else values


def seen(track: Track, transform: SeriesTransform) -> Track:
    """A track in which the mean stands for what was never seen, as in a stream."""
    C, unseen = len(transform.columns), transform.fill_values(transform.index(track.name if transform.names else None))
    steps = track.steps.copy()
    steps[:, :C] = np.where(np.isnan(steps[:, :C]), unseen, steps[:, :C])
    return replace(track, steps=steps)


def statistics_of(
    parts: list[Floats], columns: list[int], source: Collection, place: str, varied: bool = True
) -> tuple[Array, Array]:
    """Mean and deviation of these columns. varied: one that never changes is refused."""
    names = [source.columns[c] for c in columns]
    return _series.statistics(np.concatenate([part[:, columns] for part in parts]), names, place, varied)


def units(transform: SeriesTransform, places: Origins, own: list[int], source: Collection) -> Floats:
    """The unit of each target and past column [own]: the root mean square of windows less their centre.

    Raises DataError for a column that never changes.
    """
    assert transform.window
    rows = np.flatnonzero((places.part == TRAIN) & (places.ends + 1 >= transform.window.reach))
    most = min(2000, together(transform.window.length * transform.width))
    rows = rows[:: -(-len(rows) // most)]
    data = Windows(transform, places)
    x, _, _ = data.framed(rows)
    values = x.reshape(len(rows), -1, transform.width)[..., own].astype(np.float64)
    found = np.sqrt(np.mean(values**2, (0, 1)))
    if (flat := ~(found > 0)).any():
        name = source.columns[own[int(flat.argmax())]]
        raise DataError(
            f"{source.path}: column {name!r} never changes, or is the same every season; there is nothing to learn"
            "; leave it out of --values"
        )
    return np.asarray(found)


def together(numbers: int) -> int:
    """How many windows of so many numbers are worked out at once."""
    return max(1, (1 << 24) // numbers)


class Windows:
    """One row an origin: the window that ends there, of as many steps as there are."""

    def __init__(self, transform: SeriesTransform, places: Origins) -> None:
        assert transform.window
        self.transform, self.part = transform, places.part
        self.steps = np.concatenate([t.steps for t in places.tracks])
        self.truth = np.concatenate([t.truth for t in places.tracks])
        self.series = places.series
        self.first = first = np.cumsum([0, *(len(t.steps) for t in places.tracks)])[places.series]
        after = np.cumsum([0, *(len(t.truth) for t in places.tracks)])[places.series]
        self.ends, self.after, self.behind = first + places.ends, after + places.ends + 1, places.ends + 1
        self.lengths: Indices = transform.window.rows(self.behind)

    def rows_of(self, part: int) -> Indices:
        return np.flatnonzero(self.part == part)

    def judged(self, rows: Indices) -> Floats:
        """The truth [n, horizon, targets] in the data's units, NaN where the window is constant and judges nothing."""
        assert self.transform.window
        most = together(self.transform.window.length * self.transform.width)
        parts = [self.framed(rows[k : k + most]) for k in range(0, len(rows), most)]
        return np.concatenate([np.where(scaling.spread[:, None] > 0, y, np.nan) for _, scaling, y in parts])

    def framed(self, rows: Indices) -> tuple[Array, Scaling, Floats]:
        """Inputs [B, K, features], scalings, and truth [B, horizon, targets] in the data's units."""
        assert self.transform.forecast
        x, scaling = self.transform.windows(self.steps, self.ends[rows], self.behind[rows])
        return x, scaling, self.truth[self.after[rows][:, None] + np.arange(self.transform.forecast.horizon)]

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> tuple[Array, Indices, Array]:
        """See `Rows`: x float32 [K, B, features]; targets float32 [B, 2, horizon, targets], see `Quantiles`."""
        x, scaling, y = self.framed(rows)
        unit = np.broadcast_to(scaling.spread[:, None].astype(np.float32), y.shape)
        with np.errstate(over="ignore"):
            scaled = scaling.apply(y)
        if (wild := np.abs(scaled) > MOST).any():
            b = int(np.argwhere(wild)[0][0])
            raise DataError(
                f"after step {self.ends[rows[b]] - self.first[rows[b]] + 1} of series {self.series[rows[b]] + 1} comes "
                f"{np.nanmax(np.abs(y[b])):.3g}, and its window varies by {scaling.spread[b].min():.3g}: too far apart "
                "to learn from; correct it, or choose --spread training"
            )
        lengths = self.lengths[rows]
        return np.ascontiguousarray(x.swapaxes(0, 1)[: lengths.max(initial=0)]), lengths, np.stack([scaled, unit], 1)


class Segments:
    """Rows of `length` origins that follow each other, and up to `before` steps ahead of them, which count for nothing.

    Every step is scaled by the statistics of its series.
    """

    def __init__(self, transform: SeriesTransform, places: Origins, length: int, before: int) -> None:
        self.transform, self.tracks = transform, places.tracks
        self.index = [transform.index(t.name if transform.names else None) for t in places.tracks]
        found = []
        for i in range(len(places.tracks)):
            for part in (TRAIN, VALID, GAP):
                of = places.of(i, part)
                found += [(i, part, int(of[k]), int(of[k : k + length][-1]) + 1) for k in range(0, len(of), length)]
        self.series, self.part, self.first, self.end = np.array(found, np.int64).T
        self.begin = np.maximum(0, self.first - before)
        self.lengths: Indices = self.end - self.begin

    def rows_of(self, part: int) -> Indices:
        return np.flatnonzero(self.part == part)

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> tuple[Array, Indices, Array]:
        """See `Rows`: x float32 [T, B, features]; targets float32 [T, B, 2, horizon, targets], NaN for none."""
        assert self.transform.forecast
        H = self.transform.forecast.horizon
        x, lengths = pad([self.row(int(i)) for i in rows])
        targets = np.full((*x.shape[:2], 2, H, self.transform.targets), np.nan, np.float32)
        for b, i in enumerate(rows):
            of, index = self.tracks[self.series[i]], self.index[self.series[i]]
            y = of.truth[np.arange(self.first[i], self.end[i])[:, None] + np.arange(1, H + 1)]
            scaling = self.transform.fixed_scaling(index, len(y))
            counted = slice(self.first[i] - self.begin[i], lengths[b])
            targets[counted, b, 0], targets[counted, b, 1] = scaling.apply(y), scaling.spread[:, None]
        return x, lengths, targets

    def judged(self, rows: Indices) -> Floats:
        """The truth [n, horizon, targets] of all origins of these rows in the data's units."""
        assert self.transform.forecast
        ahead = np.arange(1, self.transform.forecast.horizon + 1)
        return np.concatenate(
            [self.tracks[self.series[i]].truth[np.arange(self.first[i], self.end[i])[:, None] + ahead] for i in rows]
        )

    def row(self, i: int) -> Array:
        of = self.series[i]
        return self.transform.scale_fixed(self.tracks[of].steps[self.begin[i] : self.end[i]], self.index[of])


def about(found: list[Track]) -> list[dict[str, Any]]:
    """For each series its name, up to which step its targets were known, and a digest of them: what later tells that a
    file begins with the rows that were learnt from.
    """
    ends = [int(np.flatnonzero(~np.isnan(t.truth).all(1)).max(initial=-1)) + 1 for t in found]
    return [{"id": t.name, "steps": n, "digest": digest(t.truth[:n])} for t, n in zip(found, ends, strict=True)]


def digest(truth: Floats) -> str:
    """16 hexadecimal digits of targets [T, k]; one NaN is as another.

    >>> digest(np.zeros((1, 1)))
    'af5570f5a1810b7a'
    """
    return hashlib.sha256(np.where(np.isnan(truth), np.nan, truth).astype(np.float64).tobytes()).hexdigest()[:16]
