"""Raise alarms for what is unusual in series of numbers, after every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.series import Collection
from ..errors import DataError, OptionError
from ..features.series import SeriesTransform
from ..layers import Builder, Layer
from ..model import Model
from ..outputs.forecast import make_entry
from . import _series, forecast
from ._alarm_metrics import Flags, Floats
from ._alarm_score import whiten
from ._alarm_threshold import check_rate
from ._channels import select_columns
from ._constant_columns import describe_constant
from ._detect_options import PER_1000, QUANTILES
from ._detect_options import Options as Options
from ._detect_predictions import EventPredictions
from ._detect_report import DetectorScores, report_fit
from ._detect_rivals import fit_rivals, scale_values, store_rivals
from ._detect_scores import find_alarms, find_steps, score_detector
from ._detection import Detection, clip
from ._fingerprints import track_fingerprints
from ._graph_builder import add_recurrences
from ._options import apply_preset, restore_options
from ._time_folds import split_time
from ._windows import OUTPUT, TRAIN, VALID, Segments, observed_values
from .base import Array, Flag, Fold, Question

KIND = "detect"
VERB = "raises alarms"
EXAMPLES = "  tidegate fit detect normal.csv --time t --values a,b --out d.safetensors"
INPUTS = {"series": _series}
FILES = ".csv, .tsv or .jsonl (also .gz), .parquet, .npz or a folder"
LABELS = ("anomaly", "anomalies", "is_anomaly", "label", "labels", "changepoint", "outlier", "fault")
SCORE_FLAGS = (
    Flag("label", "column that is 1 where a step is an anomaly, else 0", "detectors", "COLUMN"),
    Flag("normal", "the rows of training, to fit an isolation forest to beside it", "detectors", file=True),
)
PREDICT_FLAGS: tuple[Flag, ...] = ()
PREDICTED = (("series", "event", "start"),)
report = report_fit
FIRST_SPREAD = 0.5  # of the outer quantiles, in deviations


# ---- sources


def read(source: Any, options: Options, columns: list[str] | None = None) -> Collection:
    """Read the series of a source. columns: those of a model. Raises DataError."""
    if columns is not None and not isinstance(source, Collection):
        return _series.read_collection(source, options, None, columns, values=columns)
    collection = _series.read_collection(source, options, None, columns)
    if columns is None and options.values is None:
        check_labels(collection)
    return collection


def check_labels(source: Collection) -> None:
    """Raises DataError for a column that looks like labels: it is named so, and has only 0 and 1."""
    for c, name in enumerate(source.columns):
        if name.lower() in LABELS and all(np.isin(s.values[:, c], (0, 1)).all() for s in source.series):
            others = ",".join(source.columns[:c] + source.columns[c + 1 :][:3]) or "a,b"
            raise DataError(
                f"{source.path}: column {name!r} has only 0 and 1, so it looks like labels, which a detector does not "
                f"learn from; name the columns to watch, such as --values {others}"
            )


def restore(model: Model) -> tuple[Options, SeriesTransform]:
    """Restore the options and the transform of a detector."""
    return restore_options(Options, model.document["task"]["options"]), _series.transform_of(model)


def score(predictor: Any, file: str, flags: Mapping[str, Any]) -> DetectorScores:
    """Score a detector on a file, with or without labels. Raises DataError, OptionError."""
    options, transform = restore(predictor.model)
    columns, label = list(transform.columns), flags.get("label")
    source, truth = read_labelled(file, options, columns, label)
    normal = read(flags["normal"], options, columns) if flags.get("normal") else None
    return DetectorScores(score_detector(predictor, options, source, truth, normal))


def read_labelled(
    file: str, options: Options, columns: list[str], label: str | None
) -> tuple[Collection, list[Flags] | None]:
    """Read the columns of a model and, beside them, which steps are anomalies, bool [T] for each series."""
    if label is None:
        return read(file, options, columns), None
    if label in columns:
        raise OptionError(f"label is {label!r}, which the model reads as a value; name the column of labels")
    source = _series.read_collection(file, options, None, values=[*columns, label])
    at = source.columns.index(label)
    for i, series in enumerate(source.series):
        wrong = np.flatnonzero(~np.isin(series.values[:, at], (0, 1)))
        if len(wrong):
            found = series.values[wrong[0], at]
            shown = "nothing" if np.isnan(found) else f"{found:g}"
            raise DataError(
                f"{source.locate(i, int(wrong[0]))}: column {label!r} has {shown}; expected 1 for an anomaly, else 0"
            )
    truth = [series.values[:, at] == 1 for series in source.series]
    return select_columns(source, [source.columns.index(name) for name in columns]), truth


def predict(predictor: Any, question: Question, flags: Mapping[str, Any]) -> EventPredictions:
    """Find the events in the series of a file. Raises DataError, OptionError."""
    if question.file is None or question.text:
        raise OptionError("this model raises alarms; give a file of series: tidegate predict MODEL series.csv")
    options, transform = restore(predictor.model)
    source = read(question.file, options, list(transform.columns))
    steps = [find_steps(predictor, source, i) for i in range(len(source))]
    return EventPredictions(source, find_alarms(predictor, source), steps, question.file)


# ---- training data


def split_folds(source: Collection, options: Options, count: int) -> list[Fold]:
    """Split a source into folds, each cut off earlier than the next one; see `_time_folds`. Raises DataError."""
    return split_time(source, apply_preset(options).to_forecast(), count)


def prepare(source: Collection, valid: Collection | None, options: Options) -> Detection:
    """Make the problem of a source. valid: normal series that select the weights and the threshold, instead of the end
    of the source's.

    Raises DataError.
    """
    options = apply_preset(options)
    own = options.to_forecast()
    if own.lookback is None:
        own = replace(own, lookback=max(1, min(32, max(map(len, source.series)) // 8)))
    found = forecast.arrange(source, valid, own, keep_constant=True)
    decided, fitted, rows = found.options, found.transform, found.rows
    assert isinstance(rows, Segments)
    options = replace(
        options,
        warmup=decided.lookback,
        hold_out=decided.hold_out,
        epochs=decided.epochs,
        batch=decided.batch,
        patience=decided.patience,
    )
    counts = found.count_rows()
    rate, words = choose_rate(source, options)
    place, share = (source.path, decided.hold_out or 0.0) if valid is None else (valid.path, 0.0)
    check_rate(counts["held_out"], rate, place, share, words)
    section, arrays = fitted.to_json()
    layers = make_layers(options, fitted)
    parts, held_out = scale_parts(found)
    notes = [[*found.notes[0], *describe_constant(fitted, parts)], *found.notes[1:]]
    rivals, impossible = fit_rivals(parts, held_out, rate, 1 / options.mean_over)
    return Detection(
        options=options,
        rows=rows,
        train_rows=rows.rows_of(TRAIN),
        valid_rows=rows.rows_of(VALID),
        inputs={"x": section},
        arrays=dict(arrays),
        features=fitted.features,
        layers=layers,
        initial=first_head(layers[-1], fitted, options.seed),
        outputs={OUTPUT: make_entry(fitted, "x")},
        metric="pinball",
        lower=True,
        summaries=found.summaries,
        notes=notes,
        rate=rate,
        level_whitening=whiten(clip(np.concatenate(parts))),
        rivals=store_rivals(rivals),
        provenance={
            "rows": counts,
            "targets": list(fitted.columns),
            "fitted_on": track_fingerprints(found.tracks),
            "not_learnt_from": found.untrained,
            "not_judged_by": found.unevaluated,
            "rate": {"words": words, "steps_per_day": steps_per_day(source)},
            "impossible": impossible,
        },
    )


def scale_parts(found: forecast.Arranged) -> tuple[list[Floats], list[tuple[Floats, int]]]:
    """Return the values in the model's units, NaN where they are missing: of the training part of each series, and of
    each series with held-out steps, with the first of these.
    """
    rows, transform, count = found.rows, found.transform, len(found.cuts)
    assert isinstance(rows, Segments)
    scaled = [
        scale_values(transform, observed_values(track.steps, transform)[:, : transform.targets], index)
        for track, index in zip(found.origins.tracks, rows.index, strict=True)
    ]
    parts = [values[:cut] for values, cut in zip(scaled, found.cuts, strict=False) if cut]
    return parts, [(values, 0) for values in scaled[count:]] or list(zip(scaled, found.cuts, strict=True))


def steps_per_day(source: Collection) -> float | None:
    """Return how many steps a source has in a day, by the median of the times between them; None without times."""
    gaps = [np.diff(s.times.astype(np.int64)) for s in source.series if s.times is not None and len(s) > 1]
    return 86_400e6 / float(np.median(np.concatenate(gaps))) if gaps else None


def choose_rate(source: Collection, options: Options) -> tuple[float, str]:
    """Return how many alarms a step are expected, and the rate in words. Raises OptionError if it needs times."""
    if options.alarms_per_day is None:
        rate = PER_1000 if options.alarms_per_1000 is None else options.alarms_per_1000
        return rate / 1000, f"{rate:g} alarm{'s'[: rate != 1]} in 1,000 steps"
    if (per_day := steps_per_day(source)) is None:
        raise OptionError(
            f"{source.path}: alarms_per_day is given, and there are no times to count days by; name their column with "
            "--time, or give --alarms-per-1000 steps"
        )
    rate = options.alarms_per_day
    return rate / per_day, f"{rate:g} alarm{'s'[: rate != 1]} a day"


# ---- the model


def make_layers(options: Options, transform: SeriesTransform) -> list[Layer]:
    """Make the layers of the forecaster of the next step: its last one reads the present step too."""
    builder = Builder(transform.features)
    assert options.hidden, "decided by the preset"
    depth = options.depth or 1
    add_recurrences(builder, options.load_cell(), options.hidden, options.project, "causal", depth, options.layer)
    last = len(builder.layers) - 1
    builder.add("dense", (last, "x"), size=transform.targets * len(QUANTILES), activation="none")
    return builder.layers


def first_head(layer: Layer, transform: SeriesTransform, seed: int) -> dict[str, Array]:
    """Return first weights of the last layer by which all quantiles are near the present value."""
    random = np.random.default_rng([seed, 0xDE7EC7])
    C, q = transform.targets, len(QUANTILES)
    weight = layer.init(random, "weight", {})
    weight[:, -transform.features :] = 0
    weight[np.arange(C * q), weight.shape[1] - transform.features + np.arange(C * q) // q] = 1
    bias = np.tile([-FIRST_SPREAD, 0.0, FIRST_SPREAD], C).astype(np.float32)
    return {layer.tensors["weight"]: weight, layer.tensors["bias"]: bias}
