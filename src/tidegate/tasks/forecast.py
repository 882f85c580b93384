"""Forecast series of numbers, with quantiles, after every step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..data import lookalikes
from ..data.series import Collection
from ..errors import DataError, OptionError
from ..features.series import ForecastSpec, SeriesTransform, Window
from ..features.window import MIN_LENGTH
from ..layers import Builder, Layer
from ..limits import MAX_WIDTH
from ..model import Model
from ..outputs.forecast import make_entry
from . import _series, _sizing
from ._backtest import forecast_ahead, run_backtest
from ._baselines import fill_targets, make_baselines, scale_tracks
from ._channels import ORDER, ChannelIndependent, is_joint, match_columns, role_of, select_columns, split_channels
from ._fingerprints import track_fingerprints
from ._forecast_options import Options as Options
from ._forecast_predictions import ForecastPredictions
from ._forecast_report import ForecastScores, report_fit
from ._graph_builder import add_recurrences
from ._left_out import describe_omissions, describe_padding, find_omissions, find_short_series, list_left_out
from ._options import apply_preset, restore_options
from ._overlap import remove_overlap
from ._quantiles import Quantiles
from ._seasons import find_season
from ._time_folds import split_time
from ._windows import (
    OUTPUT,
    TRAIN,
    VALID,
    Origins,
    Segments,
    Track,
    Windows,
    check_parts,
    find_origins,
    fit_scaling,
    lead_of,
    make_tracks,
)
from .base import Flag, Fold, Question

KIND = "forecast"
VERB = "forecasts"
EXAMPLES = "  tidegate fit forecast load.csv --horizon 48 --out load.safetensors"
INPUTS = {"series": _series}
FILES = ".csv, .tsv or .jsonl (also .gz), .parquet, .npz or a folder"
SCALED = "divide the errors of each channel by its standard deviation in training, so that they can be compared"
SCORE_FLAGS = (
    Flag("start", "forecast from this step on: its number, or its time", "forecasters", "STEP", old_name="from"),
    Flag("every", "forecast from every Nth step (default 1)", "forecasters", "N", int),
    Flag("scaled", SCALED, "forecasters", kind=bool),
    Flag("plot", "plot the last forecast and the truth, as PNG", "forecasters", file=True),
)
PREDICTED = (("series", "steps", "assumed"), ("series", "step", "target"), ("series", "time", "target"))
PREDICT_FLAGS = (Flag("plot", "plot the forecast and the recent history, as PNG", "forecasters", file=True),)
report = report_fit
ORIGINS_PER_SEGMENT = 128  # in a training row of consecutive steps
SEGMENTS_PER_WINDOW = 15  # by default: few steps for the recurrent layers, each of many numbers


# ---- sources


def read(source: Any, options: Options, columns: list[str] | None = None) -> Collection:
    """Read the series of a source: targets first, then past, known and static columns.

    With channels apart each target becomes a series of its own. columns: those of a model. Raises DataError.
    """
    if options.horizon is None:
        raise OptionError("horizon is missing; give the number of steps ahead to forecast, such as --horizon 48")
    named = options.roles()
    values = options.columns()
    if values is not None:
        options = replace(options, values=",".join(dict.fromkeys([*values, *named])))
    collection = _series.read_collection(source, options, None)
    names, path = collection.columns, collection.path
    if unknown := [name for name in named if name not in names]:
        how = lookalikes.describe_lookalikes(unknown[:1], names)
        raise DataError(
            f"{path}: no column {unknown[0]!r} to use as {named[unknown[0]]}; there are {_series.format_columns(names)}"
            f"{how}"
        )
    if all(role_of(name, options) != "target" for name in names):
        raise DataError(
            f"{path}: of {_series.format_columns(names)} none is left to forecast; leave a column without another role"
        )
    ordered = sorted(range(len(names)), key=lambda c: ORDER.index(role_of(names[c], options)))
    collection = select_columns(collection, ordered)
    if not is_joint(options, collection.columns):
        own = [c for c, name in enumerate(collection.columns) if role_of(name, options) == "target"]
        collection = split_channels(collection, own, [c for c in range(len(collection.columns)) if c not in own])
    return collection if columns is None else match_columns(collection, columns)


def restore(model: Model) -> tuple[Options, SeriesTransform]:
    """Restore the options and the transform of a forecaster."""
    options = restore_options(Options, model.document["task"]["options"])
    return options, _series.transform_of(model)


def summary(source: Collection, options: Options) -> str:
    """Describe how a source and its columns are read."""
    roles = {name: role_of(name, options) for name in source.columns}
    if isinstance(source, ChannelIndependent):
        shared = {name: roles[name] for name in source.columns[1:]}
        roles = dict.fromkeys(source.targets, "targets, each a series of its own") | shared
    parts = [
        f"{role}: {_series.format_columns([name for name, other in roles.items() if other == role])}"
        for role in dict.fromkeys(roles.values())
    ]
    return f"{source.describe()}; {_series.summary(source, options, '; '.join(parts))}"


def score(predictor: Any, file: str, flags: Mapping[str, Any]) -> ForecastScores:
    """Back-test a forecaster on a file. Raises DataError, OptionError."""
    options, transform = restore(predictor.model)
    source = read(file, options, list(transform.columns))
    every, scaled = flags.get("every", 1), flags.get("scaled", False)
    return ForecastScores(run_backtest(predictor, options, transform, source, flags.get("start"), every, scaled))


def predict(predictor: Any, question: Question, flags: Mapping[str, Any]) -> ForecastPredictions:
    """Forecast what follows the last step of each series in a file. Raises DataError, OptionError."""
    if question.file is None or question.text:
        raise OptionError("this model forecasts; give a file of series: tidegate predict MODEL series.csv")
    options, transform = restore(predictor.model)
    source = read(question.file, options, list(transform.columns))
    return ForecastPredictions(forecast_ahead(predictor, transform, source), question.file)


# ---- training data


def split_folds(source: Collection, options: Options, count: int) -> list[Fold]:
    """Split a source into folds, each cut off earlier than the next one; see `_time_folds`. Raises DataError."""
    return split_time(source, options, count)


class Arranged(NamedTuple):
    """A source ready to train a forecaster on.

    options: with every default decided. transform: with the statistics of the training part. cuts: where the held-out
    end of each series begins. rows: of training, each with its targets. tracks: those of the training source.
    untrained, unevaluated: the series that are left out of either part, with the reason. summaries, notes: of each
    source.
    """

    options: Options
    transform: SeriesTransform
    origins: Origins
    cuts: list[int]
    rows: Windows | Segments
    tracks: list[Track]
    untrained: list[dict[str, str]]
    unevaluated: list[dict[str, str]]
    summaries: list[str]
    notes: list[list[str]]

    def count_rows(self) -> dict[str, int]:
        """Return how many forecasts each part has."""
        parts = (("trained", TRAIN), ("held_out", VALID))
        return {name: int((self.origins.part == part).sum()) for name, part in parts}


def arrange(source: Collection, valid: Collection | None, options: Options, keep_constant: bool = False) -> Arranged:
    """Arrange a source as rows of training. Arguments: see `prepare`.

    keep_constant: take columns that never change in training, instead of refusing them. Raises DataError.
    """
    options = apply_preset(options)
    if valid is not None:
        valid = match_columns(valid, source.columns)
        if options.refit_epochs is None:
            options = replace(options, refit_epochs=0)  # a validation file is only trained on where the user says so
    sources = [each for each in (source, valid) if each is not None]
    transform = unscaled_transform(options, source)
    tracks, *others = (make_tracks(each, transform) for each in sources)
    valid_tracks = others[0] if others else []
    share = options.hold_out or _sizing.default_hold_out_of_series(options, [len(t.steps) for t in tracks])
    cuts = [len(t.steps) - (0 if others else math.ceil(share * len(t.steps))) for t in tracks]
    options = resolve_options(replace(options, hold_out=share), source, tracks, cuts)
    fitted = one_step(replace(transform, window=make_window(options)))
    paths = [each.path for each in sources]
    origins = find_origins(tracks, valid_tracks, cuts, fitted)
    short = find_short_series(origins, len(tracks))
    if fitted.window and any(len(origins.tracks[i].steps) >= MIN_LENGTH for i in short):
        fitted = replace(fitted, window=replace(fitted.window, least=MIN_LENGTH))
        origins = find_origins(tracks, valid_tracks, cuts, fitted)
    check_parts(origins, cuts, fitted, paths)
    omissions = find_omissions(origins, len(tracks))
    warnings = lookalikes.make_warnings({s.id: len(s) for s in source.series}, "id", "step")
    origins, notes = remove_overlap(origins, cuts, fitted, sources)
    fitted, origins = fit_scaling(fitted, cuts, scale_tracks(origins, cuts, options.season), source, keep_constant)
    data = (
        Windows(fitted, origins)
        if fitted.window
        else Segments(fitted, origins, ORIGINS_PER_SEGMENT, options.lookback or 0)
    )
    untrained, unevaluated = (
        list_left_out(each, reasons) for each, reasons in zip((source, sources[-1]), omissions, strict=True)
    )
    summaries, own = [summary(each, options) for each in sources], sum(i < len(tracks) for i in short)
    summaries[0] += describe_padding(fitted, own)
    summaries[0] += describe_omissions(untrained, "trained on", fitted, valid is None)
    summaries[-1] += describe_padding(fitted, len(short) - own)
    summaries[-1] += describe_omissions(unevaluated, "evaluated on", fitted, valid is None)
    said = [[*warnings, *notes]] if valid is None else [warnings, notes]
    return Arranged(options, fitted, origins, cuts, data, tracks, untrained, unevaluated, summaries, said)


def prepare(source: Collection, valid: Collection | None, options: Options) -> Quantiles:
    """Make the problem of a source. valid: series that select the weights, instead of the end of the source's.

    Raises DataError.
    """
    found = arrange(source, valid, options)
    options, fitted, rows = found.options, found.transform, found.rows
    section, arrays = fitted.to_json()
    train_rows, valid_rows = (rows.rows_of(part) for part in (TRAIN, VALID))
    truth = rows.read_truth(valid_rows)
    baselines, arrays_of = make_baselines(options, fitted, found.origins, truth, found.cuts, source)
    return Quantiles(
        options=options,
        rows=rows,
        train_rows=train_rows,
        valid_rows=valid_rows,
        inputs={"x": section},
        arrays=arrays | arrays_of,
        features=fitted.features,
        layers=make_layers(options, fitted),
        outputs={OUTPUT: make_entry(unscaled_transform(options, source), "x")},
        metric="pinball",
        lower=True,
        summaries=found.summaries,
        notes=found.notes,
        rows_per_epoch=options.windows_per_epoch if fitted.window else None,
        provenance={
            "rows": found.count_rows(),
            "steps_ahead": lead_of(fitted),
            "fitted_on": track_fingerprints(found.tracks),
            "not_learnt_from": found.untrained,
            "not_judged_by": found.unevaluated,
            **baselines,
        },
    )


def unscaled_transform(options: Options, source: Collection) -> SeriesTransform:
    """Make the transform of a source's columns as `read` gives them, without statistics to scale by."""
    assert options.horizon, "checked by read"
    roles = tuple(role_of(name, options) for name in source.columns)
    if isinstance(source, ChannelIndependent):
        roles = ("target", *roles[1:])
    forecast, timing = ForecastSpec(options.horizon, options.levels(), options.head), _series.timing(source)
    return SeriesTransform(
        tuple(source.columns), roles, options.periods(), options.missing, forecast=forecast, **timing
    )


def one_step(transform: SeriesTransform) -> SeriesTransform:
    """Return the transform with the horizon of the layers' own output: one step for an autoregressive head."""
    assert transform.forecast
    return (
        replace(transform, forecast=replace(transform.forecast, horizon=1))
        if transform.forecast.head != "direct"
        else transform
    )


def make_window(options: Options) -> Window | None:
    """Make the window that the options describe; None with --scale fixed."""
    if options.scale == "fixed":
        return None
    assert options.lookback
    assert options.segment
    return Window(options.lookback, options.segment, options.season or 0, options.centre, options.spread or "training")


def resolve_options(options: Options, source: Collection, tracks: list[Track], cuts: list[int]) -> Options:
    """Decide the options that depend on the data, from its training part."""
    assert options.horizon
    H, season, lookback, segment = options.horizon, options.season, options.lookback, options.segment
    longest, fixed = max(cuts), options.scale == "fixed"
    if season is None:
        times = [None if s.times is None else s.times[:cut] for s, cut in zip(source.series, cuts, strict=True)]
        transform = unscaled_transform(options, source)
        histories = [fill_targets(t, transform)[:cut] for t, cut in zip(tracks, cuts, strict=True)]
        season = find_season(histories, H, times, transform.frequency)
    if lookback is None:
        lookback = max(2, min(round(7.5 * H), sum(cuts) // 12, (longest - season) // 3))
        if options.scale == "window":
            segment = segment or max(1, lookback // SEGMENTS_PER_WINDOW)
            lookback = max(segment, lookback - lookback % segment)
    elif options.scale == "window" and segment is None:
        segment = next(w for w in range(max(1, lookback // SEGMENTS_PER_WINDOW), 0, -1) if lookback % w == 0)
    batch, epochs = _sizing.choose_batch_and_epochs(options, cuts, ORIGINS_PER_SEGMENT)
    refit = max(1, round(epochs / 4)) if options.refit_epochs is None else options.refit_epochs
    options = replace(options, lookback=lookback, segment=segment, season=season, batch=batch, epochs=epochs)
    return replace(
        options,
        refit_epochs=refit,
        spread=options.spread or (None if fixed else "training" if len(tracks) == 1 else "window"),
        channels="apart" if isinstance(source, ChannelIndependent) else "together",
        patience=options.patience or max(8, epochs // 2),
    )


# ---- the model


def make_layers(options: Options, transform: SeriesTransform) -> list[Layer]:
    """Make a forecaster's layers."""
    cell, forecast = options.load_cell(), transform.forecast
    assert forecast
    assert options.hidden
    assert options.depth
    H, k, q = forecast.horizon, transform.targets, len(forecast.quantiles)
    if H * k * q > MAX_WIDTH:
        raise OptionError(
            f"a forecast of {H:,} steps, {k} targets and {q} quantiles has {H * k * q:,} numbers; at most "
            f"{MAX_WIDTH:,} are possible; shorten --horizon, or choose --channels apart"
        )
    builder = Builder(transform.features)
    add_recurrences(builder, cell, options.hidden, options.project, "causal", options.depth, options.layer)
    if transform.window:
        builder.add("pool", over=["last"])
    builder.add("dense", size=H * k * q, activation="none")
    return builder.layers
