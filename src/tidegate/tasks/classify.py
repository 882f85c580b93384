"""Classify: one label or several for each message or series, at every step."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import cells
from ..data import lookalikes
from ..data.series import Collection, Series, read_series
from ..data.series_arrays import ONE_CHANNEL
from ..data.table import Table, read
from ..errors import OptionError
from ..features.series import SeriesTransform, Window
from ..layers.pool import OVER
from . import _effort, _labels, _messages, _metrics, _series
from ._classes import MultiLabel, SingleLabel
from ._graph_builder import GraphBuilder, RecurrenceOptions, TrainingOptions
from ._graph_builder import init_weights as first_weights
from ._holdout import Source, hold_out, numbered
from ._labels import Targets
from ._options import check, option
from ._problem import Array, Evaluator, Problem

if TYPE_CHECKING:
    import torch

KIND = "classify"
score = _metrics.score


@dataclass(frozen=True)
class Options(TrainingOptions, RecurrenceOptions, _series.SeriesSource, _messages.TextSource):
    """The options of a classifier. None: decided from the data, and recorded as decided."""

    input: str | None = option(
        None,
        "texts, or series of numbers; if not given, series where --values, --id, --time or --layout is, and of "
        "arrays and folders",
        choices=("text", "series"),
    )
    label_separator: str | None = option(
        None, "what stands between the labels of a row, where a row may have several, one, or none (an empty cell)"
    )
    window: int = option(
        0,
        "series are classified by their latest N steps, less their mean and over their deviation; 0: by all steps",
        least=0,
        most=1_000_000,
    )
    direction: str = option(
        "causal",
        "both: reads each message from its end too, so that the model does not stream",
        choices=("causal", "both"),
    )
    conv: int | None = option(
        None,
        "width of a causal convolution before the recurrence, 0: none; if not given 5 for series of over 32 "
        "steps, else 0",
        least=0,
        most=64,
    )
    hidden: int | None = option(
        None, "width of the recurrence in each direction; by message length if not given", least=1, most=4096
    )
    embed: int | None = option(None, "width of the embedding; that of the recurrence if not given", least=1, most=4096)
    pool: str | None = option(
        None, f"what the label is read from: any of {', '.join(OVER)}, by comma; by the kind of input if not given"
    )
    smoothing: float | None = option(
        None, "label smoothing; if not given 0.1, and 0 where rows may have several labels", least=0.0, most=0.9
    )
    noise: float = option(
        0.3, "noise on series in training, as a share of each column's deviation", least=0.0, most=10.0
    )
    shift: float = option(
        0.3, "offset of each series and column in training, as a share of its deviation", least=0.0, most=10.0
    )
    gain: float = option(
        0.1,
        "how far each series and column is stretched in training: deviation of a factor about 1",
        least=0.0,
        most=10.0,
    )
    drop_embed: float = option(0.5, "dropout after the embedding", least=0.0, most=0.95)
    drop_pool: float = option(0.5, "dropout before the last layer", least=0.0, most=0.95)
    prefix: float | None = option(
        None,
        "weight of the loss of a random beginning of each message; 0.3 if not given, 0 with --direction both",
        least=0.0,
        most=10.0,
    )
    class_weights: str = option("none", "weigh classes alike whatever their size", choices=("none", "balanced"))
    hold_out: float | None = option(
        None,
        "share of rows held out to choose the best weights; at most 0.1 and 1,500 rows if not given",
        least=0.0001,
        most=0.9,
    )
    refit_epochs: int | None = option(
        None,
        "passes at the end that learn from held-out rows too; if not given, a quarter more, none with --valid",
        least=0,
    )

    def __post_init__(self) -> None:
        check(self)
        self.over()
        cells.spoken(self.dialect)
        self.columns()
        if self.label_separator == "":
            raise OptionError("label_separator is empty; give what stands between labels, or leave it out")
        self.periods()

    def over(self) -> list[str]:
        """The pools as a list, empty where still to be decided. Raises OptionError for one that there is not."""
        if self.pool is None:
            return []
        kinds = self.pool.split(",")
        if unknown := [k for k in kinds if k not in OVER]:
            raise OptionError(f"unknown pool {unknown[0]!r}; choose one or more of {', '.join(OVER)}, by comma")
        if len(set(kinds)) != len(kinds):
            raise OptionError(f"pool is {self.pool!r}; an entry stands twice")
        return kinds

        # ---- sources


def kind_of(source: Any, options: Options) -> str:
    """Whether a source holds texts or series."""
    if options.input is not None:
        return options.input
    if isinstance(source, Table):
        return "text"
    said = options.values, options.time, options.id, options.layout, options.calendar
    arrays = isinstance(source, Collection | np.ndarray | list | tuple)
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    return "series" if any(said) or arrays or path.lower().endswith(".npz") or os.path.isdir(path) else "text"


def rows(source: Any, options: Options, columns: list[str] | None = None) -> Source:
    """The table of messages, or the series, of a file or frame. columns: of series, those of a model.

    Raises DataError.
    """
    if kind_of(source, options) == "series":
        if columns is not None and isinstance(source, str | os.PathLike) and os.path.isdir(source):
            options = replace(options, id=None)  # each file is a series there, whatever the model was fitted on
        return _series.rows(source, options, options.label, columns, options.label_separator is not None, options.group)
    return source if isinstance(source, Table) else _messages.rows(source, options)


def read_unlabelled(source: Any, options: Options, columns: list[str]) -> Source:
    """What a model of series is asked about: as `rows`, without labels. columns: those of the model.

    Raises DataError.
    """
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    archive = path.lower().endswith(".npz")
    steps = not archive and (options.id or options.time or columns != [ONE_CHANNEL])
    layout: str | None = options.layout or ("steps" if steps else "rows")  # as labels would have it
    values, id = columns, options.id
    if os.path.isdir(path):
        layout, id = options.layout, None  # each file is a series there
    elif layout == "rows" and not archive:
        others = (options.id, options.label, options.group)
        values = options.columns() or [n for n in read(source, gaps=True).columns if n not in others]
    found = read_series(source, values=values, time=options.time, id=id, layout=layout)
    return _series.rows(found, options, None, columns)


def predictor_inputs(source: Source, options: Options) -> dict[str, Any]:
    """What a predictor's `predict` takes of a source, as its arguments. Raises DataError for what it would refuse."""
    if isinstance(source, Table):
        return {"rows": source.column(options.text)}
    bare = SeriesTransform(tuple(source.columns), ("past",) * len(source.columns), missing=options.missing)
    for i, (steps, _) in enumerate(_series.treated(source, bare)):
        if options.window:
            _series.ends(len(steps), Window(options.window), source, i)
    timed = {"times": [s.times for s in source.series]} if options.calendar else {}
    return {"rows": [s.values for s in source.series], **timed}


def label_cells(source: Source, options: Options) -> _labels.Cells:
    """The place and the cell of the label of every row."""
    if isinstance(source, Table):
        return [(source.place(i), cell) for i, cell in enumerate(source.labels(options.label))]
    return [(source.place(i, 0), s.label or "") for i, s in enumerate(source.series)]


def targets(
    source: Source,
    options: Options,
    labels: list[str] | None = None,
    unseen: str = "error",
    remedy: str = _labels.REMEDY,
) -> tuple[Targets, list[str]]:
    """The index of every row's label, int64 [n], or which labels each has, float32 [n, labels]; and the labels.

    labels: those of a model (None: those that the source has, sorted). unseen: what a label that is not among them is:
    an 'error', or 'wrong' (target -1, or a further column). remedy: what the error tells to do. Raises DataError with
    file and line.
    """
    found, separator = label_cells(source, options), options.label_separator
    if separator is None:
        return _labels.one_each(found, options.label, labels, unseen, remedy)
    return _labels.several(found, options.label, separator, labels, unseen, remedy)


def summary(source: Source, options: Options, y: Targets) -> str:
    """What a source and its columns were taken for, in words. y: its targets."""
    labels = _labels.described(y, label_cells(source, options), options.label_separator)
    if isinstance(source, Collection):
        return f"{source.described()}; {_series.summary(source, options)}; {labels}"
    kind = source.kind(options.label)
    how = "" if kind == "text" else f"{kind} taken as text, "
    return f"{source.described()}; text: column {options.text!r}, label: column {options.label!r} ({how}{labels})"

    # ---- what is learnt from


def problem(options: Options, source: Source, judged: Source | None) -> Problem:
    """See `Problem`. judged: rows that choose the weights, instead of some of the source's. Raises DataError."""
    y, labels = targets(source, options)
    _labels.check_differ(y, labels, source.path, options.label)
    said = [summary(source, options, y)]
    if judged is not None:
        remedy = f"leave the row out, or add rows of that label to {source.path}"
        more, _ = targets(judged, options, labels, remedy=remedy)
        said.append(summary(judged, options, more))
        y = np.concatenate([y, more])
        if options.refit_epochs is None:
            options = replace(options, refit_epochs=0)  # a file given to judge by is not learnt from unasked
    make: Any = of_series if isinstance(source, Collection) else of_texts
    noun = "series" if isinstance(source, Collection) else "row"
    notes = lookalikes.warnings(_labels.counts(y[: len(source)], labels), "label", noun)
    if isinstance(source, Collection):
        notes += lookalikes.warnings({s.id: len(s) for s in source.series}, "id", "step")
    made: Problem = make(options, source, judged, y, labels, said)
    return replace(made, notes=[notes + made.notes[0], *made.notes[1:]])


def of_texts(
    options: Options, source: Table, judged: Table | None, y: Targets, labels: list[str], said: list[str]
) -> Problem:
    tokens = _messages.tokens_of(source, options)
    options = _effort.resolved(options, "text", [len(t) for t in tokens], len(labels))
    tokens += [] if judged is None else _messages.tokens_of(judged, options)
    made, ids = _messages.read_as(options, tokens if options.refit_epochs else tokens[: len(source)], tokens)
    part = hold_out(options, source, judged, y, labels, numbered(row.tobytes() for row in ids))
    if not options.refit_epochs:
        made, ids = _messages.read_as(options, [tokens[i] for i in part.train_rows], tokens)
    section, arrays, vocabulary, hide = made
    chain = GraphBuilder(None)
    chain.add("embed", ("weight",), options.embed or 0, rows=len(vocabulary), size=options.embed)
    found = _messages.Messages(ids, y, hide)
    weights = weights_of_classes(options, y[part.train_rows], len(labels))
    return Problem(
        options,
        found,
        part.train_rows,
        part.valid_rows,
        judge(options),
        section,
        arrays,
        None,
        *add_head(chain, options, len(labels)),
        labels,
        said,
        weights,
        provenance={"judged_on": part.description},
        groups=part.groups,
        notes=part.notes,
    )


def of_series(
    options: Options, source: Collection, judged: Collection | None, y: Targets, labels: list[str], said: list[str]
) -> Problem:
    options = replace(options, hold_out=options.hold_out or _effort.share_held(len(source)))
    options = _effort.resolved(options, "series", _series.lengths(source, options.window), len(labels))
    found = intake_of(options, source, source.series)  # refuses columns that tell nothing before rows are told apart
    if judged is not None:
        judged = _series.rows(judged, options, options.label, source.columns)
    alike = _series.alike([each for each in (source, judged) if each is not None], _series.bare(options, source))
    part = hold_out(options, source, judged, y, labels, alike)
    if not options.refit_epochs:
        found = intake_of(options, source, [source.series[i] for i in part.train_rows])
    transform, mean, deviation = found
    parts = _series.pieces(source, transform)
    steps, origin = parts.steps, parts.origin
    if judged is not None:
        more = _series.pieces(judged, transform)
        steps, origin = steps + more.steps, np.concatenate([origin, more.origin + len(source)])
    chain = GraphBuilder(transform.features)
    if layer := transform.window is None and transform.deviation is None:
        chain.add("scale", ("mean", "deviation"), transform.features, size=transform.features)
    data = _series.Sequences(steps, y[origin], _series.variation(options, mean, deviation, len(source.columns)))
    section, arrays = transform.to_json()
    given = {"layers.0.mean": mean, "layers.0.deviation": deviation} if layer else {}
    kept, held = (np.flatnonzero(np.isin(origin, series)) for series in (part.train_rows, part.valid_rows))
    about: dict[str, Any] = {"judged_on": part.description}
    if transform.window:
        about = {
            "rows": {"trained": len(kept), "held_out": len(held), "of": "windows"},
            "judged_on": f"{len(held):,} windows of {part.description}",
        }
    weights = weights_of_classes(options, y[origin][kept], len(labels))
    return Problem(
        options,
        data,
        kept,
        held,
        judge(options),
        section,
        arrays,
        transform.features,
        *add_head(chain, options, len(labels)),
        labels,
        said,
        weights,
        initial=given,
        provenance=about,
        groups=part.groups[origin],
        notes=part.notes,
    )


def intake_of(options: Options, source: Collection, learnt: list[Series]) -> tuple[SeriesTransform, Array, Array]:
    """The transform of a source's columns, and mean and deviation of its rows in what is learnt, [features].

    What was missing, and the calendar, stay as they are; rows that the transform scales are about 0 and 1.
    """
    window = Window(options.window, centre="mean", spread="window") if options.window else None
    transform = replace(_series.bare(options, source), window=window)
    mean, deviation = _series.statistics(_series.fixed(learnt), source.columns, source.path)
    if options.missing == "mask":
        transform = replace(transform, mean=mean[None])
    transform = transform if window else _series.centred(transform, mean, deviation)
    if window or transform.deviation is not None:
        mean, deviation = np.zeros(len(mean)), np.ones(len(mean))
    more = transform.features - len(mean)
    return transform, np.append(mean, np.zeros(more)), np.append(deviation, np.ones(more))

    # ---- the model


def add_head(chain: GraphBuilder, options: Options, classes: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The layers of a classifier behind those of its input, and their tapes as JSON."""
    cell = options.recurrence()
    assert options.hidden, "options are resolved first"
    assert chain.width
    if options.conv:
        chain.conv(chain.width if options.input == "text" else options.hidden, options.conv)
    chain.recurrent(cell, options.hidden, options.project, options.direction, options.depth)
    chain.pool(options.over())
    chain.dense(classes, "none" if options.label_separator is None else "sigmoid")
    if options.label_separator is None:
        chain.add("softmax", (), classes, size=classes)
    return chain.layers, {cell.name: cell.tape.to_json()}


def init_weights(lesson: Problem, shapes: dict[str, tuple[int, ...]]) -> dict[str, npt.NDArray[Any]]:
    """First weights by tensor name, from the seed."""
    options: Options = lesson.options
    return {**first_weights(options.seed, options.recurrence(), lesson.layers, shapes), **lesson.initial}


def judge(options: Options) -> Evaluator:
    """How held-out answers are judged."""
    return SingleLabel() if options.label_separator is None else MultiLabel()


def weights_of_classes(options: Options, targets: Targets, classes: int) -> npt.NDArray[np.float32]:
    """float32 [classes]: how much each class counts in the loss; see `_labels.weights`."""
    return _labels.weights(targets, classes, options.class_weights == "balanced")


def loss(options: Options, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of a batch, with label smoothing; a scalar. Of rows with several labels the mean over labels."""
    from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

    assert options.smoothing is not None, "options are resolved first"
    if targets.ndim == 1:
        return cross_entropy(logits, targets, weights, label_smoothing=options.smoothing)
    smooth = targets * (1 - options.smoothing) + options.smoothing / 2
    return binary_cross_entropy_with_logits(logits, smooth, pos_weight=weights)
