"""Training rows of a forecaster: a window before each origin, or segments of steps that are all origins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..data.series import Collection
from ..errors import DataError, error_context
from ..features.series import Scaling, SeriesTransform, shift_columns
from . import _series
from ._constant_columns import spread_constant
from ._forecast_metrics import stack_scales
from .base import Array, Batch, Indices, concatenate

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """One series ready to forecast.

    steps: float64 [T, width], imputed. truth: float64 [T, targets], or [T + horizon, targets] where columns are known
    ahead; NaN where it is missing. kept: the indices of the steps in the source. fault: why there is no step to
    forecast from, or "". scale: what errors are divided by in MASE, [targets]; None where it is not needed.
    """

    name: str
    steps: Floats
    truth: Floats
    kept: Indices
    fault: str = ""
    scale: Floats | None = None


def make_tracks(source: Collection, transform: SeriesTransform) -> list[Track]:
    """Make a track of every series of a source: its imputed steps and its targets.

    Where the transform has no means yet, values before the first known one stay NaN. With columns known ahead the last
    `lead_of` rows are the future: their known columns are read, and their targets may be missing. Raises DataError with
    the place of what cannot be used, and where no series has a step.
    """
    known, lead = transform.find_columns("known"), lead_of(transform)
    _series.check_zone(source, transform)
    tracks = []
    for i, series in enumerate(source.series):
        values = series.values
        x = shift_known(values, transform)
        T = len(x)
        _series.check_missing(source, i, x, transform.missing, known, lead)
        check_static(source, i, transform)
        times = None if series.times is None else series.times[:T]
        with error_context(source.locate(i, 0)):
            unseen = transform.fill_values(transform.find_series(series.id if transform.names else None))
            steps, kept, _ = transform.impute(x, times, unseen)
        truth, fault = np.concatenate([values[kept], values[T:]])[:, transform.find_columns("target")], ""
        if not T:
            fault = f"has {format_steps(len(values))}, and with columns known ahead the last {lead} are the future"
        elif not len(steps):
            fault = "has missing numbers at every step"
        tracks.append(Track(series.id, steps, truth, kept, fault))
    if tracks and all(track.fault for track in tracks):
        raise DataError(f"{source.locate(0, 0)}: the series {tracks[0].fault}; give more steps")
    return tracks


def format_steps(count: int) -> str:
    return f"{count} step{'s'[: count != 1]}"


def lead_of(transform: SeriesTransform) -> int:
    """Return how many steps ahead known columns are read: the horizon, or one for autoregressive forecasts."""
    assert transform.forecast, "a forecaster"
    return transform.forecast.horizon if transform.forecast.head == "direct" else 1


def shift_known(values: Floats, transform: SeriesTransform) -> Floats:
    """Shift known columns back by `lead_of` steps, as a forecaster reads them, and drop the last rows: [T, columns]."""
    known, lead = transform.find_columns("known"), lead_of(transform)
    return shift_columns(values, known, lead)[: max(0, len(values) - lead)] if known else values


def check_static(source: Collection, i: int, transform: SeriesTransform) -> None:
    """Raises DataError for a static column that changes within series i."""
    for c in transform.find_columns("static"):
        values = source.series[i].values[:, c]
        known = np.flatnonzero(~np.isnan(values))
        if len(other := known[values[known] != values[known[:1]]]):
            raise DataError(
                f"{source.locate(i, int(other[0]))}: column {source.columns[c]!r} is static, but changes from "
                f"{values[known[0]]:.15g} to {values[other[0]]:.15g} within its series; leave it out of --static"
            )


FULL_WINDOWS = 16  # for each shorter one, in series that have full windows: most forecasts are made from full ones
TRAIN, VALID, GAP = 0, 1, 2
OUTPUT = "forecast"  # the name of a forecaster's output
MAX_SCALED = 1e30  # units between the truth and its window: sums of larger numbers overflow float32


@dataclass(frozen=True)
class Origins:
    """All forecast origins: the track and the last known step of each, and its part.

    part: TRAIN, VALID (held out), or GAP where the steps ahead lie in both.
    """

    tracks: list[Track]
    series: Indices
    ends: Indices
    part: Indices

    def ends_of(self, i: int, part: int) -> Indices:
        """Return the last known steps of track i's origins in a part."""
        at = slice(*np.searchsorted(self.series, (i, i + 1)))
        return np.asarray(self.ends[at][self.part[at] == part])


def find_origins(
    tracks: list[Track], valid_tracks: list[Track], cuts: list[int], transform: SeriesTransform
) -> Origins:
    """Find the origins of series whose steps from `cuts` on are held out, or of training and validation tracks."""
    H, needs, reach = (
        lead_of(transform),
        *((transform.window.steps_needed, transform.window.reach) if transform.window else (1, 1)),
    )
    series, ends, parts = [], [], []
    for i, track in enumerate([*tracks, *valid_tracks]):
        at = np.arange(needs - 1, len(track.truth) - H)
        if 0 < (early := min(len(at), reach - needs)) < len(at):
            stride = -(-early * FULL_WINDOWS // (len(at) - early))
            at = np.concatenate([at[:early:stride], at[early:]])
        series.append(np.full(len(at), i))
        ends.append(at)
        if valid_tracks:
            parts.append(np.full(len(at), TRAIN if i < len(tracks) else VALID))
        else:
            parts.append(np.where(at + H < cuts[i], TRAIN, np.where(at + 1 >= cuts[i], VALID, GAP)))
    of, at, part = (np.concatenate(v) for v in (series, ends, parts))
    return Origins([*tracks, *valid_tracks], of, at, part)


def check_parts(origins: Origins, cuts: list[int], transform: SeriesTransform, paths: list[str]) -> None:
    """Raises DataError where there is no training origin or no held-out one, or where their targets are all missing.

    cuts: where the held-out end of each training series begins. paths: of the training source, and of the validation
    source. The scale is taken from full windows, so training needs one; shorter windows suffice for evaluation.
    """
    H, needs, reach = (
        lead_of(transform),
        *((transform.window.steps_needed, transform.window.reach) if transform.window else (1, 1)),
    )
    train_tracks, valid_tracks = origins.tracks[: len(cuts)], origins.tracks[len(cuts) :]
    held_out = 0 if valid_tracks else max(len(t.truth) - cut for t, cut in zip(train_tracks, cuts, strict=True))
    advice = "hold out less (--hold-out), " if held_out else ""
    check_part(origins, TRAIN, H, reach, f"{paths[0]}: no forecast is left to train on", max(cuts), advice)
    what = f"{paths[-1]}: no forecast is left to evaluate on"
    if not valid_tracks and held_out < H:
        raise DataError(
            f"{what}: {format_steps(held_out)} {'is' if held_out == 1 else 'are'} held out, and the horizon takes {H}; "
            "shorten --horizon, hold out more (--hold-out), or give a file with --valid"
        )
    check_part(origins, VALID, H, needs, what, max(len(t.truth) for t in valid_tracks or train_tracks))


def check_part(origins: Origins, part: int, H: int, needs: int, what: str, steps: int, advice: str = "") -> None:
    """Raises DataError where a part has no origin with `needs` known steps, or none of its targets is known."""
    if not ((origins.part == part) & (origins.ends + 1 >= needs)).any():
        raise DataError(
            f"{what}: the look-back with its season and the horizon take {needs + H} steps, and the longest series "
            f"has {steps}; shorten --lookback, --season or --horizon, {advice}or give longer series"
        )
    for i, track in enumerate(origins.tracks):
        ends = origins.ends_of(i, part)
        if len(ends) and not np.isnan(track.truth[ends[0] + 1 : ends[-1] + H + 1]).all():
            return
    raise DataError(f"{what}: all targets are missing there; give rows that have them")


def fit_scaling(
    transform: SeriesTransform, cuts: list[int], origins: Origins, source: Collection, keep_constant: bool = False
) -> tuple[SeriesTransform, Origins]:
    """Fit the transform's statistics to the training part, and fill what is still missing in the origins' tracks.

    keep_constant: give a column that never changes a deviation (`spread_constant`), with fixed scaling; else raises
    DataError for it.
    """
    own, rest, masked = (
        transform.find_columns("target", "past"),
        transform.find_columns("known", "static"),
        transform.missing == "mask",
    )
    parts = [observed_values(t.steps[:cut], transform) for t, cut in zip(origins.tracks, cuts, strict=False)]
    mean, deviation = np.zeros((1, len(transform.columns))), np.ones((1, len(transform.columns)))
    if rest:
        mean[0, rest], deviation[0, rest] = statistics_of(parts, rest, source, source.path)
    if transform.window is None:
        if len(parts) > 1 and not all(t.name for t in origins.tracks[: len(parts)]):
            raise DataError(
                f"{source.path}: has {len(parts)} series without names, and --scale fixed tells series apart by name; "
                "give the column of names with --id, or choose --scale window"
            )
        if origins.tracks[0].name:
            mean, deviation = (np.repeat(v, len(parts), 0) for v in (mean, deviation))
            transform = replace(transform, names=tuple(t.name for t in origins.tracks[: len(parts)]))
        for i, part in enumerate(parts):
            if not len(part):
                raise DataError(
                    f"{source.locate(i, 0)}: the series has {format_steps(len(origins.tracks[i].steps))}, all held "
                    "out, and --scale fixed takes each series' own statistics; leave the series out, or choose --scale "
                    "window"
                )
            place = source.locate(i, 0)
            mean[i, own], deviation[i, own] = statistics_of([part], own, source, place, not keep_constant)
        deviation = spread_constant(mean, deviation) if keep_constant else deviation
    elif masked:
        mean[0, own] = statistics_of(parts, own, source, source.path, varied=False)[0]
    fitted = replace(transform, mean=mean, deviation=deviation)
    if masked:
        origins = replace(origins, tracks=[fill_unseen(t, fitted) for t in origins.tracks])
    if fitted.window and fitted.window.spread == "training":
        deviation[0, own] = column_units(fitted, origins, own, source)
    return fitted, origins


def observed_values(steps: Floats, transform: SeriesTransform) -> Floats:
    """Return the values [T, columns] of steps, NaN where they were missing."""
    C = len(transform.columns)
    values = steps[:, :C]
    return np.where(steps[:, C : 2 * C] > 0, np.nan, values) if transform.missing == "mask" else values


def fill_unseen(track: Track, transform: SeriesTransform) -> Track:
    """Fill values of a track before the first known one with the mean, as a stream does."""
    C, unseen = (
        len(transform.columns),
        transform.fill_values(transform.find_series(track.name if transform.names else None)),
    )
    steps = track.steps.copy()
    steps[:, :C] = np.where(np.isnan(steps[:, :C]), unseen, steps[:, :C])
    return replace(track, steps=steps)


def statistics_of(
    parts: list[Floats], columns: list[int], source: Collection, place: str, varied: bool = True
) -> tuple[Array, Array]:
    """Compute mean and deviation of these columns. varied: refuse a column that never changes."""
    names = [source.columns[c] for c in columns]
    return _series.statistics(np.concatenate([part[:, columns] for part in parts]), names, place, varied)


def column_units(transform: SeriesTransform, origins: Origins, own: list[int], source: Collection) -> Floats:
    """Compute the unit of each target and past column, [own]: the root mean square of centred windows.

    Raises DataError for a column that never changes.
    """
    assert transform.window
    rows = np.flatnonzero((origins.part == TRAIN) & (origins.ends + 1 >= transform.window.reach))
    most = min(2000, windows_per_chunk(transform.window.length * transform.width))
    rows = rows[:: -(-len(rows) // most)]
    data = Windows(transform, origins)
    x, _, _ = data.read_windows(rows)
    values = x.reshape(len(rows), -1, transform.width)[..., own].astype(np.float64)
    column_unit = np.sqrt(np.mean(values**2, (0, 1)))
    if (flat := ~(column_unit > 0)).any():
        name = source.columns[own[int(flat.argmax())]]
        raise DataError(
            f"{source.path}: column {name!r} never changes, or is the same every season, so there is nothing to learn; "
            "leave it out of --values"
        )
    return np.asarray(column_unit)


def windows_per_chunk(numbers: int) -> int:
    """Return how many windows of so many numbers are computed at once."""
    return max(1, (1 << 24) // numbers)


class Windows:
    """One row per origin: the window that ends there, shorter where fewer steps are known."""

    def __init__(self, transform: SeriesTransform, origins: Origins) -> None:
        assert transform.window
        self.transform, self.part = transform, origins.part
        self.steps = np.concatenate([t.steps for t in origins.tracks])
        self.truth = np.concatenate([t.truth for t in origins.tracks])
        self.series = origins.series
        self.scale = stack_scales([t.scale for t in origins.tracks], transform.targets)
        self.first = first = np.cumsum([0, *(len(t.steps) for t in origins.tracks)])[origins.series]
        after = np.cumsum([0, *(len(t.truth) for t in origins.tracks)])[origins.series]
        self.ends, self.after, self.behind = first + origins.ends, after + origins.ends + 1, origins.ends + 1
        self.lengths: Indices = transform.window.count_rows(self.behind)

    def rows_of(self, part: int) -> Indices:
        return np.flatnonzero(self.part == part)

    def read_truth(self, rows: Indices) -> Floats:
        """Return the truth [n, horizon, targets] in the data's units, NaN where the window is constant."""
        assert self.transform.window
        most = windows_per_chunk(self.transform.window.length * self.transform.width)
        parts = [self.read_windows(rows[k : k + most]) for k in range(0, len(rows), most)]
        return np.concatenate([np.where(scaling.spread[:, None] > 0, y, np.nan) for _, scaling, y in parts])

    def read_windows(self, rows: Indices) -> tuple[Array, Scaling, Floats]:
        """Return inputs [B, K, features], scalings, and truth [B, horizon, targets] in the data's units."""
        assert self.transform.forecast
        x, scaling = self.transform.make_windows(self.steps, self.ends[rows], self.behind[rows])
        return x, scaling, self.truth[self.after[rows][:, None] + np.arange(self.transform.forecast.horizon)]

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """See `Rows`: x float32 [N, features]; targets as `pack_targets` gives them."""
        x, scaling, y = self.read_windows(rows)
        unit = np.broadcast_to(scaling.spread[:, None].astype(np.float32), y.shape)
        scale = np.broadcast_to(self.scale[self.series[rows]][:, None].astype(np.float32), y.shape)
        with np.errstate(over="ignore"):
            scaled = scaling.apply(y)
        if (wild := np.abs(scaled) > MAX_SCALED).any():
            b = int(np.argwhere(wild)[0][0])
            raise DataError(
                f"after step {self.ends[rows[b]] - self.first[rows[b]] + 1} of series {self.series[rows[b]] + 1} comes "
                f"{np.nanmax(np.abs(y[b])):.3g}, and its window varies by {scaling.spread[b].min():.3g}, which is too "
                "small a scale to learn from; correct the value, or choose --spread training"
            )
        lengths = self.lengths[rows]
        steps = x[np.arange(x.shape[1]) < lengths[:, None]]
        return pack_targets(steps, lengths, scaled, unit, scale)


def pack_targets(x: Array, lengths: Indices, y: Array, unit: Array, scale: Array) -> Batch:
    """Return the batch of packed steps x [N, features], with its targets as `Quantiles` takes them.

    y: the truth [n, horizon, targets] in the model's units, NaN where it is unknown. unit, scale: of the same
    shape, see `Quantiles`.
    """
    known = ~np.isnan(y)
    targets = np.stack([np.where(known, y, 0), unit, scale], 1).astype(np.float32)
    return Batch({"x": x}, lengths, {OUTPUT: targets}, mask={OUTPUT: known})


class Segments:
    """Rows of `length` consecutive origins, each after up to `warmup` earlier steps that have no targets.

    Every step is scaled by the statistics of its series.
    """

    def __init__(self, transform: SeriesTransform, origins: Origins, length: int, warmup: int) -> None:
        self.transform, self.tracks = transform, origins.tracks
        self.scale = stack_scales([t.scale for t in origins.tracks], transform.targets)
        self.index = [transform.find_series(t.name if transform.names else None) for t in origins.tracks]
        rows = []
        for i in range(len(origins.tracks)):
            for part in (TRAIN, VALID, GAP):
                of = origins.ends_of(i, part)
                rows += [(i, part, int(of[k]), int(of[k : k + length][-1]) + 1) for k in range(0, len(of), length)]
        self.series, self.part, self.first, self.end = np.array(rows, np.int64).T
        self.begin = np.maximum(0, self.first - warmup)
        self.lengths: Indices = self.end - self.begin

    def rows_of(self, part: int) -> Indices:
        return np.flatnonzero(self.part == part)

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """See `Rows`: x float32 [N, features]; targets as `pack_targets` gives them, unknown in the warm-up."""
        assert self.transform.forecast
        H = self.transform.forecast.horizon
        x, lengths = concatenate([self.row(int(i)) for i in rows])
        y = np.full((len(x), H, self.transform.targets), np.nan, np.float32)
        unit, scale = np.ones_like(y), np.full_like(y, np.nan)
        for i, end, length in zip(rows, np.cumsum(lengths), lengths, strict=True):
            of, index = self.tracks[self.series[i]], self.index[self.series[i]]
            truth = of.truth[np.arange(self.first[i], self.end[i])[:, None] + np.arange(1, H + 1)]
            scaling = self.transform.fixed_scaling(index, len(truth))
            counted = slice(end - length + self.first[i] - self.begin[i], end)
            y[counted], unit[counted] = scaling.apply(truth), scaling.spread[:, None]
            scale[counted] = self.scale[self.series[i]]
        return pack_targets(x, lengths, y, unit, scale)

    def read_truth(self, rows: Indices) -> Floats:
        """Return the truth [n, horizon, targets] of all origins of these rows in the data's units."""
        assert self.transform.forecast
        ahead = np.arange(1, self.transform.forecast.horizon + 1)
        return np.concatenate(
            [self.tracks[self.series[i]].truth[np.arange(self.first[i], self.end[i])[:, None] + ahead] for i in rows]
        )

    def row(self, i: int) -> Array:
        of = self.series[i]
        return self.transform.scale_fixed(self.tracks[of].steps[self.begin[i] : self.end[i]], self.index[of])
