"""Classify messages or series: one label or several for each, after every step."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import cells
from ..data import lookalikes
from ..data.series import Collection, read_series
from ..data.series_arrays import ONE_CHANNEL
from ..data.table import Table, read_table
from ..errors import OptionError
from ..features.series import SeriesTransform, Window
from ..layers import Builder, Layer
from ..layers.pool import OVER
from . import _labels, _messages, _metrics, _series, _sizing
from ._classes import MultiLabel, SingleLabel
from ._graph_builder import RecurrenceOptions, TrainingOptions, add_recurrences, first_weights
from ._holdout import Source, hold_out, number_keys
from ._labels import Targets
from ._options import check_options, option
from ._problem import Evaluator, Problem
from ._sequences import Sequences, make_augmentation, make_rows, make_transform, row_lengths, window_ends

if TYPE_CHECKING:
    import torch

KIND = "classify"
score = _metrics.score


@dataclass(frozen=True)
class Options(TrainingOptions, RecurrenceOptions, _series.SeriesOptions, _messages.TextOptions):
    """The options of a classifier. None: the default depends on the data; what is decided is recorded."""

    input: str | None = option(
        None,
        "what the data holds: texts, or series of numbers; default: series if --values, --id, --time, --layout or "
        "--calendar is given, or for arrays and folders",
        choices=("text", "series"),
    )
    label_separator: str | None = option(
        None, "separator of labels, for rows that may have several labels, one, or none (an empty cell)"
    )
    window: int = option(
        0,
        "classify each series by its last N steps, standardised by their own mean and deviation; 0: by all steps",
        least=0,
        most=1_000_000,
    )
    direction: str = option(
        "causal",
        "both: also read each message or series from its end, so that the model cannot stream",
        choices=("causal", "both"),
    )
    conv: int | None = option(
        None,
        "width of a causal convolution before the recurrent layers, 0: none; default: 5 for series of over 32 steps on "
        "average, else 0",
        least=0,
        most=64,
    )
    hidden: int | None = option(
        None, "width of the recurrent layers in each direction; default: by the length of rows", least=1, most=4096
    )
    embed: int | None = option(None, "width of the embedding; default: that of --hidden", least=1, most=4096)
    pool: str | None = option(
        None,
        f"how to pool steps for the label: any of {', '.join(OVER)}, separated by commas; default: "
        "last,mean,max,attention",
    )
    smoothing: float | None = option(
        None, "label smoothing; default: 0.1, or 0 with --label-separator", least=0.0, most=0.9
    )
    noise: float = option(
        0.3, "add noise to series in training: a share of each column's standard deviation", least=0.0, most=10.0
    )
    shift: float = option(
        0.3,
        "shift each series and column in training by a random share of its standard deviation",
        least=0.0,
        most=10.0,
    )
    gain: float = option(
        0.1,
        "scale each series and column in training by a random factor about 1 with this standard deviation",
        least=0.0,
        most=10.0,
    )
    drop_embed: float = option(0.5, "dropout after the embedding", least=0.0, most=0.95)
    drop_pool: float = option(0.5, "dropout before the last layer", least=0.0, most=0.95)
    prefix: float | None = option(
        None,
        "weight of the loss of a random prefix of each row, which trains early answers; default: 0.3, or 0 with "
        "--direction both",
        least=0.0,
        most=10.0,
    )
    class_weights: str = option(
        "none", "balanced: give all classes the same weight whatever their size", choices=("none", "balanced")
    )
    hold_out: float | None = option(
        None,
        "share of rows held out to select the best weights; default: 0.1, at most 1,500 rows",
        least=0.0001,
        most=0.9,
    )
    refit_epochs: int | None = option(
        None,
        "further epochs at the end that also train on the held-out rows; default: a quarter of the epochs, or 0 with "
        "--valid",
        least=0,
    )

    def __post_init__(self) -> None:
        check_options(self)
        self.pools()
        cells.parse_dialect(self.dialect)
        self.columns()
        if self.label_separator == "":
            raise OptionError("label_separator is empty; give the text that separates labels, or leave it out")
        self.periods()

    def pools(self) -> list[str]:
        """List the pools; empty where not decided yet. Raises OptionError for an unknown or repeated one."""
        if self.pool is None:
            return []
        kinds = self.pool.split(",")
        if unknown := [k for k in kinds if k not in OVER]:
            raise OptionError(
                f"unknown pool {unknown[0]!r}; choose one or more of {', '.join(OVER)}, separated by commas"
            )
        if len(set(kinds)) != len(kinds):
            raise OptionError(f"pool is {self.pool!r}; an entry appears twice")
        return kinds


# ---- sources


def input_kind(source: Any, options: Options) -> str:
    """Return what a source holds: "text" or "series"."""
    if options.input is not None:
        return options.input
    if isinstance(source, Table):
        return "text"
    of_series = options.values, options.time, options.id, options.layout, options.calendar
    arrays = isinstance(source, Collection | np.ndarray | list | tuple)
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    return "series" if any(of_series) or arrays or path.lower().endswith(".npz") or os.path.isdir(path) else "text"


def rows(source: Any, options: Options, columns: list[str] | None = None) -> Source:
    """Read the messages or series of a file or frame. columns: of series, those of a model.

    Raises DataError.
    """
    if input_kind(source, options) == "series":
        if columns is not None and isinstance(source, str | os.PathLike) and os.path.isdir(source):
            options = replace(options, id=None)  # each file is a series there, whatever the model was fitted on
        return _series.read_collection(
            source, options, options.label, columns, options.label_separator is not None, options.group
        )
    return source if isinstance(source, Table) else _messages.read_messages(source, options)


def read_unlabelled(source: Any, options: Options, columns: list[str]) -> Source:
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


def predictor_inputs(source: Source, options: Options) -> dict[str, Any]:
    """Return a source as the arguments of a predictor's `predict`. Raises DataError for what `predict` would refuse."""
    if isinstance(source, Table):
        return {"rows": source.column(options.text)}
    bare = SeriesTransform(tuple(source.columns), ("past",) * len(source.columns), missing=options.missing)
    for i, (steps, _) in enumerate(_series.impute_series(source, bare)):
        if options.window:
            window_ends(len(steps), Window(options.window), source, i)
    timed = {"times": [s.times for s in source.series]} if options.calendar else {}
    return {"rows": [s.values for s in source.series], **timed}


def label_cells(source: Source, options: Options) -> _labels.Cells:
    """Return the place and the label cell of every row."""
    if isinstance(source, Table):
        return [(source.locate(i), cell) for i, cell in enumerate(source.labels(options.label))]
    return [(source.locate(i, 0), s.label or "") for i, s in enumerate(source.series)]


def targets(
    source: Source,
    options: Options,
    labels: list[str] | None = None,
    unseen: str = "error",
    remedy: str = _labels.REMEDY,
) -> tuple[Targets, list[str]]:
    """Return the index of each row's label, int64 [n], or which labels each row has, float32 [n, labels]; and the
    labels.

    labels: those of a model (None: those of the source, sorted). unseen: how a label that is not among them is treated:
    'error', or 'wrong' (target -1, or a further column). remedy: the advice at the end of the error. Raises DataError
    with file and line.
    """
    label_column, separator = label_cells(source, options), options.label_separator
    if separator is None:
        return _labels.single_targets(label_column, options.label, labels, unseen, remedy)
    return _labels.multi_targets(label_column, options.label, separator, labels, unseen, remedy)


def summary(source: Source, options: Options, y: Targets) -> str:
    """Describe how a source and its columns are read. y: its targets."""
    labels = _labels.describe_labels(y, label_cells(source, options), options.label_separator)
    if isinstance(source, Collection):
        return f"{source.describe()}; {_series.summary(source, options)}; {labels}"
    kind = source.kind(options.label)
    how = "" if kind == "text" else f"{kind} read as text, "
    return f"{source.describe()}; text: column {options.text!r}, label: column {options.label!r} ({how}{labels})"


# ---- training data


def problem(options: Options, source: Source, valid: Source | None) -> Problem:
    """Make the `Problem` of a source. valid: rows that select the weights, instead of some of the source's.

    Raises DataError.
    """
    y, labels = targets(source, options)
    _labels.check_differ(y, labels, source.path, options.label)
    summaries = [summary(source, options, y)]
    if valid is not None:
        remedy = f"leave the row out, or add rows of that label to {source.path}"
        more, _ = targets(valid, options, labels, remedy=remedy)
        summaries.append(summary(valid, options, more))
        y = np.concatenate([y, more])
        if options.refit_epochs is None:
            options = replace(options, refit_epochs=0)  # a validation file is only trained on where the user says so
    make: Any = series_problem if isinstance(source, Collection) else text_problem
    noun = "series" if isinstance(source, Collection) else "row"
    notes = lookalikes.make_warnings(_labels.count_labels(y[: len(source)], labels), "label", noun)
    if isinstance(source, Collection):
        notes += lookalikes.make_warnings({s.id: len(s) for s in source.series}, "id", "step")
    result: Problem = make(options, source, valid, y, labels, summaries)
    return replace(result, notes=[notes + result.notes[0], *result.notes[1:]])


def text_problem(
    options: Options, source: Table, valid: Table | None, y: Targets, labels: list[str], summaries: list[str]
) -> Problem:
    """Make the problem of a table of messages."""
    tokens = _messages.tokenize_rows(source, options)
    options = _sizing.resolve_classifier(options, "text", [len(t) for t in tokens], len(labels))
    tokens += [] if valid is None else _messages.tokenize_rows(valid, options)
    parts, ids = _messages.build_input_and_ids(
        options, tokens if options.refit_epochs else tokens[: len(source)], tokens
    )
    part = hold_out(options, source, valid, y, labels, number_keys(row.tobytes() for row in ids))
    if not options.refit_epochs:
        parts, ids = _messages.build_input_and_ids(options, [tokens[i] for i in part.train_rows], tokens)
    section, arrays, vocabulary, hide_rates = parts
    builder = Builder(None)
    builder.add("embed", rows=len(vocabulary), size=options.embed)
    data = _messages.Messages(ids, y, hide_rates)
    weights = class_weights(options, y[part.train_rows], len(labels))
    return Problem(
        options,
        data,
        part.train_rows,
        part.valid_rows,
        make_evaluator(options),
        section,
        arrays,
        None,
        *add_head(builder, options, len(labels)),
        labels,
        summaries,
        weights,
        provenance={"judged_on": part.description},
        groups=part.groups,
        notes=part.notes,
    )


def series_problem(
    options: Options, source: Collection, valid: Collection | None, y: Targets, labels: list[str], summaries: list[str]
) -> Problem:
    """Make the problem of a collection of series."""
    options = replace(options, hold_out=options.hold_out or _sizing.default_hold_out(len(source)))
    options = _sizing.resolve_classifier(options, "series", row_lengths(source, options.window), len(labels))
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
    data = Sequences(steps, y[series], make_augmentation(options, mean, deviation, len(source.columns)))
    section, arrays = transform.to_json()
    initial = {"layers.0.mean": mean, "layers.0.deviation": deviation} if layer else {}
    train_rows, valid_rows = (np.flatnonzero(np.isin(series, which)) for which in (part.train_rows, part.valid_rows))
    provenance: dict[str, Any] = {"judged_on": part.description}
    if transform.window:
        provenance = {
            "rows": {"trained": len(train_rows), "held_out": len(valid_rows), "of": "windows"},
            "judged_on": f"{len(valid_rows):,} windows of {part.description}",
        }
    weights = class_weights(options, y[series][train_rows], len(labels))
    return Problem(
        options,
        data,
        train_rows,
        valid_rows,
        make_evaluator(options),
        section,
        arrays,
        transform.features,
        *add_head(builder, options, len(labels)),
        labels,
        summaries,
        weights,
        initial=initial,
        provenance=provenance,
        groups=part.groups[series],
        notes=part.notes,
    )


# ---- the model


def add_head(builder: Builder, options: Options, classes: int) -> tuple[list[Layer], dict[str, Any]]:
    """Add a classifier's layers after those of its input; return all layers, and their tapes as JSON."""
    cell = options.load_cell()
    assert options.hidden, "options are resolved first"
    assert builder.width
    if options.conv:
        size = builder.width if options.input == "text" else options.hidden
        builder.add("conv", size=size, width=options.conv, centred=False, activation="relu")
    add_recurrences(builder, cell, options.hidden, options.project, options.direction, options.depth)
    builder.add("pool", over=options.pools())
    builder.add("dense", size=classes, activation="none" if options.label_separator is None else "sigmoid")
    if options.label_separator is None:
        builder.add("softmax")
    return builder.layers, {cell.name: cell.tape.to_json()}


def init_weights(problem: Problem) -> dict[str, npt.NDArray[Any]]:
    """Initialise the weights by tensor name, from the seed."""
    options: Options = problem.options
    return {**first_weights(options.seed, options.load_cell(), problem.layers), **problem.initial}


def make_evaluator(options: Options) -> Evaluator:
    """Make the evaluator of the held-out rows."""
    return SingleLabel() if options.label_separator is None else MultiLabel()


def class_weights(options: Options, targets: Targets, classes: int) -> npt.NDArray[np.float32]:
    """Return the weight of each class in the loss, float32 [classes]; see `_labels.class_weights`."""
    return _labels.class_weights(targets, classes, options.class_weights == "balanced")


def loss(options: Options, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Compute the cross-entropy of a batch with label smoothing, a scalar; with several labels the mean over labels."""
    from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

    assert options.smoothing is not None, "options are resolved first"
    if targets.ndim == 1:
        return cross_entropy(logits, targets, weights, label_smoothing=options.smoothing)
    smooth = targets * (1 - options.smoothing) + options.smoothing / 2
    return binary_cross_entropy_with_logits(logits, smooth, pos_weight=weights)
