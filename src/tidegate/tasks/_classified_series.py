"""Series that are classified: reading them, and the rows and first layers of a classifier of series."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..data import lookalikes
from ..data.series import Collection, read_series
from ..data.series_arrays import ONE_CHANNEL
from ..data.table import read_table
from ..errors import OptionError, error_context
from ..features.series import SeriesTransform, Window
from ..layers import Builder
from ..model import Model
from . import _folds, _labels, _series, _sizing
from ._classes import OUTPUT, Prepared
from ._holdout import hold_out
from ._intervals import Units, number_units
from ._labels import Targets
from ._sequences import (
    Sequences,
    find_changes,
    make_augmentation,
    make_rows,
    make_transform,
    row_lengths,
    window_ends,
)
from .base import Indices, Question

KIND = NOUN = "series"


def read(source: Any, options: Any, columns: list[str] | None = None) -> Collection:
    """Read the labelled series of a file or frame. columns: those of a model. Raises DataError."""
    if columns is not None and isinstance(source, str | os.PathLike) and os.path.isdir(source):
        options = replace(options, id=None)  # each file is a series there, whatever the model was fitted on
    several = options.label_separator is not None
    return _series.read_collection(source, options, options.label, columns, several, options.group)


def read_with_columns(
    file: str, options: Any, columns: list[str], names: Sequence[str]
) -> tuple[Collection, dict[str, list[str]]]:
    """Read the labelled series of a file, and of further columns by name the value of each series.

    columns: those of the model. Raises DataError, also for a column that changes within a series, and OptionError for
    one that the model reads.
    """
    if read := [name for name in names if name in columns]:
        raise OptionError(
            f"--by names {read[0]!r}, a column of numbers that the model reads; name one with a value for each series"
        )
    if os.path.isdir(file):
        options = replace(options, id=None)  # each file is a series there, whatever the model was fitted on
    values, roles = options.columns(), (options.id, options.label, options.group)
    if not os.path.isdir(file) and not file.lower().endswith(".npz"):
        rows = options.layout == "rows" or (options.layout is None and not options.id and not options.time)
        cells = read_table(file, for_series=True).columns if rows and values is None else ()
        values = [name for name in cells if name not in (*roles, *names)] if cells else values or columns
    several = options.label_separator is not None

    def read_as(group: str | None) -> Collection:
        return _series.read_collection(file, options, options.label, columns, several, group, values)

    source, found = read_as(options.group), {}
    own = dict(zip(roles, ("id", "label", "group"), strict=True))
    for name in names:
        if name in own:
            found[name] = [getattr(series, own[name]) or "" for series in source.series]
        else:
            with error_context("--by"):
                found[name] = [series.group or "" for series in read_as(name).series]
    return source, found


def find_units(source: Collection, options: Any) -> Units | None:
    """Return the groups of series that depend on each other; None where the model was trained without groups."""
    if options.group is None:
        return None
    if any(series.group is None for series in source.series):
        return Units(np.arange(len(source)), missing=options.group)
    return number_units([series.group or "" for series in source.series], "group", options.group)


def columns_of(model: Model) -> list[str]:
    """Return the columns that a model of series reads."""
    return list(_series.transform_of(model).columns)


def read_unlabelled(source: Any, options: Any, columns: list[str]) -> Collection:
    """Read series without labels, for a model to classify. columns: those of the model. Raises DataError."""
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    archive = path.lower().endswith(".npz")
    steps = not archive and (options.id or options.time or columns != [ONE_CHANNEL])
    layout: str | None = options.layout or ("steps" if steps else "rows")  # as labels would have it
    values, id = columns, options.id
    if os.path.isdir(path):
        layout, id = options.layout, None  # each file is a series there
    elif layout == "rows" and not archive:
        others = (options.id, options.label, options.group)
        values = options.columns() or [n for n in read_table(source, for_series=True).columns if n not in others]
    collection = read_series(source, values=values, time=options.time, id=id, layout=layout)
    return _series.read_collection(collection, options, None, columns)


def read_asked(question: Question, options: Any, model: Model) -> Collection:
    """Read the file that a question is about, without labels. Raises DataError, OptionError."""
    check_flags({"text": question.text})
    source = read_unlabelled(question.file, options, columns_of(model))
    check_source(source, model)
    return source


def answer(predictor: Any, question: Question, options: Any) -> tuple[list[str], list[Any]]:
    """Return the names of the series that a question asks about, or their places, and the answer about each.

    Raises DataError, OptionError.
    """
    if question.file is None:
        raise OptionError("this model takes series of numbers; give a file of series, or use tidegate stream")
    source = read_asked(question, options, predictor.model)
    return names_of(source, options), answer_rows(predictor.answers, source, options)


def answer_rows(run: Callable[..., Any], source: Collection, options: Any) -> Any:
    """Return what `run`, such as a predictor's `answers` or `vectors`, makes of each series. Raises DataError."""
    return run(**predictor_inputs(source, options))


def names_of(source: Collection, options: Any) -> list[str]:
    """Return the name of each series, or the place of one without a name."""
    return [series.id or source.locate(i, 0).removesuffix(", step 1") for i, series in enumerate(source.series)]


def predictor_inputs(source: Collection, options: Any) -> dict[str, Any]:
    """Return the series as the arguments of a predictor's `predict`. Raises DataError for what it would refuse."""
    bare = SeriesTransform(tuple(source.columns), ("past",) * len(source.columns), missing=options.missing)
    for i, (steps, _) in enumerate(_series.impute_series(source, bare)):
        if options.window:
            window_ends(len(steps), Window(options.window), source, i)
    timed = {"times": [s.times for s in source.series]} if options.calendar else {}
    return {"rows": [s.values for s in source.series], **timed}


def check_flags(flags: Mapping[str, Any]) -> None:
    """Raise OptionError for a flag that series have no use for."""
    if flags.get("text"):
        raise OptionError("--text is for messages, but this model takes series; leave it out")


def check_source(source: Collection, model: Any) -> None:
    """Raise DataError if the times have a time zone but those in training had none, or the reverse."""
    _series.check_zone(source, _series.transform_of(model))


def skip_bad(source: Collection, options: Any) -> tuple[Collection, list[str]]:
    """Leave nothing out: readers refuse a series without steps."""
    return source, []


def number_together(source: Collection, options: Any) -> tuple[Indices, _folds.Kept]:
    """Number the series that folds keep together: those of a group, or equal ones. Raises DataError."""
    transform = _series.unscaled_transform(options, source)
    return _folds.number_together(
        source, options.group, lambda: _series.number_equal_series([source], transform), _folds.SERIES
    )


def label_cells(source: Collection, options: Any) -> _labels.Cells:
    """Return the place and the label cell of every series."""
    return [(source.locate(i, 0), s.label or "") for i, s in enumerate(source.series)]


def summary(source: Collection, options: Any, labels: str) -> str:
    """Describe how a source and its columns are read. labels: its labels in words."""
    return f"{source.describe()}; {_series.summary(source, options)}; {labels}"


def warn_of_names(source: Collection) -> list[str]:
    """Warn of ids of series that look alike."""
    return lookalikes.make_warnings({s.id: len(s) for s in source.series}, "id", "step")


def prepare(options: Any, source: Collection, valid: Collection | None, y: Targets, labels: list[str]) -> Prepared:
    """Make the rows, the input and, where it does not scale them, a layer that does. y: the targets of all series.

    Raises DataError.
    """
    options = options.without_ngrams("series")
    options = replace(options, input=KIND, hold_out=options.hold_out or _sizing.default_hold_out(len(source)))
    lengths = row_lengths(source, options.window)
    resolve = partial(_sizing.resolve_for_series, rare=_sizing.has_rare_label(y, len(labels)))
    options = _sizing.resolve_classifier(options, resolve, lengths, len(labels))
    statistics = make_transform(options, source, source.series)  # refuses constant columns before rows are compared
    if valid is not None:
        valid = _series.read_collection(valid, options, options.label, source.columns)
    alike = _series.number_equal_series(
        [each for each in (source, valid) if each is not None], _series.unscaled_transform(options, source)
    )
    part = hold_out(options, source, valid, y, labels, alike)
    if not options.refit_epochs:
        statistics = make_transform(options, source, [source.series[i] for i in part.train_rows])
    transform, mean, deviation = statistics
    rows = make_rows(source, transform)
    steps, series = rows.steps, rows.series
    if valid is not None:
        more = make_rows(valid, transform)
        steps, series = steps + more.steps, np.concatenate([series, more.series + len(source)])
    builder = Builder(transform.features)
    if layer := transform.window is None and transform.deviation is None:
        builder.add("scale")
    section, arrays = transform.to_json()
    train_rows, valid_rows = (np.flatnonzero(np.isin(series, which)) for which in (part.train_rows, part.valid_rows))
    provenance: dict[str, Any] = {"judged_on": part.description}
    if transform.window:
        provenance = {
            "rows": {"trained": len(train_rows), "held_out": len(valid_rows), "of": "windows"},
            "judged_on": f"{len(valid_rows):,} windows of {part.description}",
        }
    return Prepared(
        options,
        Sequences(steps, OUTPUT, y[series], make_augmentation(options, mean, deviation, find_changes(source))),
        part,
        train_rows,
        valid_rows,
        part.groups[series],
        y[series][train_rows],
        section,
        arrays,
        builder,
        conv_width=options.hidden,
        features=transform.features,
        initial={"layers.0.mean": mean, "layers.0.deviation": deviation} if layer else {},
        provenance=provenance,
    )
