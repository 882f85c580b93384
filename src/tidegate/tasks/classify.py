"""Classify messages or series: one label or several for each, after every step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Final

import numpy as np

from .. import cells
from ..data import lookalikes
from ..data.series import Collection
from ..data.table import Table
from ..document.graph import GRAPH
from ..document.levels import GraphPlan
from ..errors import OptionError
from ..layers import INPUT, Layer
from ..layers.pool import OVER
from ..model import Model
from ..outputs import make_entry
from . import _classified_conversations, _classified_series, _classified_texts, _labels, _messages, _series
from ._classes import (
    OUTPUT,
    Classification,
    MultiLabel,
    MultiLabelInConversations,
    Prepared,
    SingleLabel,
    SingleLabelInConversations,
)
from ._conversations import ConversationOptions
from ._graph_builder import RecurrenceOptions, TrainingOptions, add_recurrences, declare_depth
from ._holdout import HoldOutOptions, Source
from ._label_predictions import SEPARATOR, LabelPrediction, LabelPredictions
from ._label_report import LabelScores, report_fit
from ._label_scores import SCORE_FLAGS as SCORE_FLAGS
from ._label_scores import evaluate as evaluate
from ._label_scores import label_of, score_file
from ._labels import Targets
from ._linear_text import NGramOptions
from ._options import apply_preset, check_options, option, restore_options
from ._out_of_scope import ScopeOptions, check_rows, weigh_exposure
from .base import Flag, Question

KIND = "classify"
VERB = "predicts labels"
EXAMPLES = """\
  tidegate fit classify train.csv --text message --label intent \\
      --out intent.safetensors
  tidegate fit classify train.jsonl --out m.safetensors --cell ./mycell.py
  tidegate fit classify talks.csv --conversation talk --turn turn \\
      --speaker who --out act.safetensors
  tidegate fit classify beats.csv --id beat --label kind --out m.safetensors
  tidegate fit classify train.csv --out m.safetensors --out-of-scope other
  tidegate fit classify train.csv --out m.safetensors --resume"""
INPUTS: Final[dict[str, ModuleType]] = {module.KIND: module for module in (_classified_texts, _classified_series)}
FILES = ".csv, .tsv or .jsonl (also .gz), .parquet, .npz or a folder"
PREDICTED = (("text", "label", "score"), ("series", "label", "score"))
PREDICT_FLAGS = (Flag("top", "number of labels to print (default 1)", "labels", "K", int),)
report = report_fit


@dataclass(frozen=True)
class Options(
    ScopeOptions,
    HoldOutOptions,
    TrainingOptions,
    RecurrenceOptions,
    _series.SeriesOptions,
    ConversationOptions,
    NGramOptions,
    _messages.TextOptions,
):
    """The options of a classifier. None: the default depends on the data; what is decided is recorded."""

    input: str | None = option(
        None,
        "what the data holds: texts, or series of numbers; default: series if --values, --id, --time, --layout or "
        "--calendar is given, or for arrays and folders",
        choices=tuple(INPUTS),
    )
    label_separator: str | None = option(
        None, "separator of labels, for rows that may have several labels, one, or none (an empty cell)", metavar="TEXT"
    )
    window: int = option(
        0,
        "classify each series by its last N steps, standardised by their own mean and deviation; 0: by all steps",
        least=0,
        most=1_000_000,
        earlier="default",
    )
    direction: str = option(
        "causal",
        "both: also read each message or series from its end, so that a stream answers only then",
        choices=("causal", "both"),
        earlier="default",
    )
    conv: int | None = option(
        None,
        "width of a causal convolution before the recurrent layers, 0: none; default: 5 for series of over 32 steps on "
        "average, else 0",
        least=0,
        most=64,
        earlier="default",
    )
    depth: int | None = declare_depth(base=2)
    hidden: int | None = option(
        None,
        "width of the recurrent layers in each direction; default: by the length of rows",
        least=1,
        most=4096,
        earlier="kept",
        presets={"tiny": 32, "base": 256},
    )
    embed: int | None = option(
        None,
        "width of the embedding; default: that of --hidden, or of --vectors",
        least=1,
        most=4096,
        earlier="kept",
        presets={"tiny": 12},
    )
    pool: str | None = option(
        None,
        f"how to pool steps for the label: any of {', '.join(OVER)}, separated by commas; default: "
        "last,mean,max,attention",
        metavar="LIST",
        earlier="default",
        presets={"tiny": "max,attention"},
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
    drop_embed: float | None = option(
        None,
        "dropout after the embedding",
        least=0.0,
        most=0.95,
        presets={"tiny": 0.2, "small": 0.5, "base": 0.5},
    )
    drop_pool: float | None = option(
        None,
        "dropout before the last layer",
        least=0.0,
        most=0.95,
        presets={"tiny": 0.2, "small": 0.5, "base": 0.5},
    )
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

    def __post_init__(self) -> None:
        check_options(self)
        self.pools()
        cells.parse_dialect(self.dialect)
        self.columns()
        self.check_conversation()
        if self.conversation is not None and self.prefix:
            raise OptionError("prefix trains early answers, which messages in conversations do without; leave it out")
        if self.conversation is not None and self.input not in (None, _classified_conversations.KIND):
            raise OptionError(f"--conversation is for messages, and input is {self.input!r}; leave one of them out")
        if self.label_separator == "":
            raise OptionError("label_separator is empty; give the text that separates labels, or leave it out")
        self.check_scope(self.label_separator)
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


def find_input(source: Any, options: Options) -> ModuleType:
    """Return the module of what a source holds: texts, alone or in conversations, or series."""
    if options.conversation is not None:
        return _classified_conversations
    if options.input is not None:
        return INPUTS[options.input]
    if isinstance(source, Table):
        return _classified_texts
    of_series = options.values, options.time, options.id, options.layout, options.calendar
    arrays = isinstance(source, Collection | np.ndarray | list | tuple)
    path = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
    series = any(of_series) or arrays or path.lower().endswith(".npz") or os.path.isdir(path)
    return _classified_series if series else _classified_texts


def reader_of(model: Model) -> ModuleType:
    """Return the module that reads what a model classifies."""
    return _classified_conversations if model.levels else INPUTS[model.inputs[INPUT].kind]


def find_output(options: Options) -> type[Classification]:
    """Return the problem's class: that of one label a row, or of any number."""
    if options.conversation is not None:
        return SingleLabelInConversations if options.label_separator is None else MultiLabelInConversations
    return SingleLabel if options.label_separator is None else MultiLabel


def read(source: Any, options: Options, columns: list[str] | None = None) -> Source:
    """Read the messages or series of a file or frame. columns: of series, those of a model.

    Raises DataError.
    """
    found: Source = find_input(source, options).read(source, options, columns)
    return found


def read_targets(
    source: Source,
    options: Options,
    labels: list[str] | None = None,
    unseen: str = "error",
    remedy: str = "",
) -> tuple[Targets, list[str]]:
    """Return the index of each row's label, int64 [n], or which labels each row has, float32 [n, labels]; and the
    labels.

    labels: those of a model (None: those of the source, sorted). unseen: how a label that is not among them is treated:
    'error', or 'wrong' (target -1, or a further column). remedy: the advice at the end of the error; "":
    what `score` can do. Raises DataError with file and line.
    """
    cells = find_input(source, options).label_cells(source, options)
    return find_output(options).read_targets(cells, options, labels, unseen, remedy)


def summary(source: Source, options: Options, y: Targets) -> str:
    """Describe how a source and its columns are read. y: its targets."""
    kind = find_input(source, options)
    labels = _labels.describe_labels(y, kind.label_cells(source, options), options.label_separator)
    return str(kind.summary(source, options, labels))


# ---- evaluation


def score(predictor: Any, file: str, flags: Mapping[str, Any]) -> LabelScores:
    """Evaluate a classifier on a file of labelled rows; see `_label_scores.score`. Raises DataError, OptionError."""
    options = restore_options(Options, predictor.model.document["task"]["options"])
    return score_file(predictor, file, flags, options, reader_of(predictor.model), find_output(options))


def predict(predictor: Any, question: Question, flags: Mapping[str, Any]) -> LabelPredictions:
    """Predict the labels of messages or series. Raises DataError, OptionError.

    An input without an answer, such as an empty text, has the reason instead.
    """
    return ask(predictor, question, flags)[0]


def ask(predictor: Any, question: Question, flags: Mapping[str, Any]) -> tuple[LabelPredictions, list[Any]]:
    """Do `predict`; return also the whole answers, of which labels may be a part. Raises DataError, OptionError."""
    top = flags.get("top")
    if top is not None and top < 1:
        raise OptionError(f"--top is {top}; it must be at least 1")
    model = predictor.model
    kind, options = reader_of(model), restore_options(Options, model.document["task"]["options"])
    names, answers = kind.answer(predictor, question, options)
    made = [LabelPrediction(kind.KIND, name, label_of(one), top) for name, one in zip(names, answers, strict=True)]
    separator = options.label_separator or SEPARATOR
    most, may_lack = min(top or 1, len(model.labels)), "reject" in model.outputs[OUTPUT].to_json()
    several = LabelPredictions(made, kind.KIND, most, model.multi_label, separator, may_lack)
    return several, answers


# ---- training data


def prepare(source: Source, valid: Source | None, options: Options, vector: int = 0) -> Classification:
    """Make the `Problem` of a source. valid: rows that select the weights, instead of some of the source's.

    vector: the width of an output `vector`, which all that labels depend on goes through; 0: there is none. Raises
    DataError.
    """
    options = apply_preset(options)
    kind, output = find_input(source, options), find_output(options)
    source, skipped = kind.skip_bad(source, options)
    valid, skipped_valid = (None, []) if valid is None else kind.skip_bad(valid, options)
    y, labels = read_targets(source, options)
    _labels.check_differ(y, labels, source.path, options.label)
    check_rows(y, source.path, options)
    summaries = [summary(source, options, y)]
    if valid is not None:
        remedy = f"leave the row out, or add rows of that label to {source.path}"
        more, _ = read_targets(valid, options, labels, remedy=remedy)
        summaries.append(summary(valid, options, more))
        y = np.concatenate([y, more])
        if options.refit_epochs is None:
            options = replace(options, refit_epochs=0)  # a validation file is only trained on where the user says so
    notes = skipped + lookalikes.make_warnings(_labels.count_labels(y[: len(source)], labels), "label", kind.NOUN)
    notes += kind.warn_of_names(source)
    made: Prepared = kind.prepare(options, source, valid, y, labels)
    layers, graphs = add_layers(made, vector, output, len(labels))
    entry, graph = make_entry(labels, layers[-1].ends_in), next(reversed(graphs), GRAPH)
    outputs = {OUTPUT: {**entry, **options.make_reject()}}
    if graphs:
        outputs[OUTPUT]["from"] = f"{graph}.{len(layers) - 1}"
    if vector:
        head = max(i for i, layer in enumerate(layers) if layer.is_affine)
        outputs["vector"] = {"kind": "vector", "at": "end", "from": f"{graph}.{head - 1}"}
    return output(
        options=made.options,
        rows=made.rows,
        train_rows=made.train_rows,
        valid_rows=made.valid_rows,
        inputs={INPUT: made.section, **(made.sides or {})},
        arrays=made.arrays,
        features=made.features,
        layers=layers,
        graphs=graphs,
        outputs=outputs,
        summaries=summaries,
        notes=[notes + made.part.notes[0], *(skipped_valid + more for more in made.part.notes[1:])],
        initial=made.initial,
        groups=made.groups,
        provenance=made.provenance,
        texts=None if vector else made.texts,
        class_weights=_labels.class_weights(made.train_targets, len(labels), options.class_weights == "balanced"),
        exposure=weigh_exposure(made.train_targets),
    )


def add_layers(
    made: Prepared, vector: int, output: type[Classification] | None = None, classes: int = 0
) -> tuple[list[Layer], dict[str, GraphPlan]]:
    """Add the layers after those of the input; return them and, if there are several, the graphs by name.

    Of several graphs, the layers are those of the last one. vector: see `prepare`. output: what the last layers give of
    so many classes; None: the vector is the last layer.
    """
    builder, options = made.builder, made.options
    if options.conv:
        builder.add("conv", size=made.conv_width, width=options.conv, centred=False, activation="relu")
    cell = options.load_cell()
    add_recurrences(builder, cell, options.hidden, options.project, options.direction, options.depth, options.layer)
    builder.add("pool", over=options.pools())
    if options.conversation is not None:
        graphs = _classified_conversations.add_graphs(made, builder, vector, output, classes)
        return list(next(reversed(graphs.values())).layers), graphs
    if vector:
        builder.add("dense", size=vector, activation="tanh")
    if output is not None:
        output.add_head(builder, classes)
    return builder.layers, {}
