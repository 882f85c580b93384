"""Tag each word, such as the slots of a request, and classify the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np

from ..data.columns import MissingColumn
from ..data.table import Table, read_table
from ..data.tokens import split_tags
from ..errors import DataError, OptionError, error_context
from ..features.text import Tokenizer, encode
from ..features.word_features import NAMES
from ..layers import Builder
from ..outputs.base import Answer, Answers
from ..outputs.tags import BIO
from ..text_tables import format_count
from . import _classified_texts, _crf, _labels, _messages, _sizing
from ._graph_builder import RecurrenceOptions, TrainingOptions, add_recurrences
from ._holdout import HoldOutOptions, hold_out, number_keys
from ._label_report import report_fit, warn_of_training_data
from ._options import apply_preset, check_options, option, restore_options
from ._spans import follows_scheme
from ._tag_predictions import TagPrediction, TagPredictions
from ._tag_report import TagScores, score_tags
from ._tagging import (
    LABEL,
    NO_TARGET,
    TAGS,
    Sentences,
    Tagging,
    describe_unseen,
    find_scheme,
    first_steps,
    make_outputs,
    spread_tag,
)
from .base import Flag, Indices, Question

KIND: Final = "tag"
VERB: Final = "tags words"
EXAMPLES: Final = """\
  tidegate fit tag train.csv --tokens words --tags slots --label intent \\
      --out slots.safetensors
  tidegate fit tag train.conll --valid valid.conll --out names.safetensors"""
INPUTS: Final[dict[str, Any]] = {"text": _messages}
FILES: Final = ".csv, .tsv or .jsonl (also .gz), .parquet, or .conll (.bio, .iob)"
PREDICTED: Final = (("text", "tokens", "tags"),)
SCORE_FLAGS = (
    Flag("tokens", "column of tokens (default: as in training)", "taggers", "COLUMN"),
    Flag("tags", "column of tags (default: as in training)", "taggers", "COLUMN"),
    Flag("label", "column of labels (default: as in training)", "labels", "COLUMN"),
)
PREDICT_FLAGS: tuple[Flag, ...] = ()
POOLS: Final = ["last", "mean", "max"]
LOOKAHEAD: Final = 2  # words
BEFORE: Final = 1  # how many words before its own the layer that looks ahead reads; the recurrence has read them all
MANY_ROWS: Final = 8000  # from here on a wider recurrence pays
CRF: Final = "crf"
NO_TAG: Final = ""  # of a word that has no answer
report = report_fit


@dataclass(frozen=True)
class Options(HoldOutOptions, TrainingOptions, RecurrenceOptions, _messages.TextOptions):
    """The options of a tagger. None: the default depends on the data; what is decided is recorded."""

    text: ClassVar[str] = TAGS  # type: ignore[misc]  # not options of a tagger, whose words are given
    unit: ClassVar[str] = "space"  # type: ignore[misc]
    skip_bad: ClassVar[bool] = False  # type: ignore[misc]

    tokens: str = option("tokens", "column of tokens, separated by spaces", metavar="COLUMN")
    tags: str = option("tags", "column of tags, one for each token, separated by spaces", metavar="COLUMN")
    label: str | None = option(
        None, "column of labels, which the model then predicts too, one for each row", metavar="COLUMN"
    )  # type: ignore[assignment]
    characters: bool = option(
        True, "also read the first and last characters of each word, and its shape", earlier="default"
    )
    affixes: int | None = option(
        None,
        "with --characters, how many of the most frequent beginnings, endings and shapes of words have vectors; "
        "default: all that occur twice",
        least=1,
        most=1_000_000,
        presets={"tiny": 500},
    )
    digits: str = option(
        "shape", "keep digits, or replace each by 0 (shape)", choices=("keep", "shape"), earlier="kept"
    )
    drop_words: float = option(0.02, "share of words replaced by unknown in training", least=0.0, most=0.95)
    direction: str = option(
        "causal",
        "causal: the recurrent layers read words in their order, and a stream answers as they come; both: in both "
        "directions, so that a stream answers at the end of a text",
        choices=("causal", "both"),
        earlier="default",
    )
    lookahead: int | None = option(
        None,
        "how many later words a tag may depend on, so that it comes as many words late in a stream; 0: none; default: "
        f"{LOOKAHEAD}, or 0 with --direction both",
        least=0,
        most=64,
        earlier="default",
    )
    decoder: str | None = option(
        None,
        "crf: learn how well tags follow each other, and give those of the best path, each at most "
        f"{_crf.LOOK_AHEAD} words later; none: give each word its likeliest tag that may follow",
        choices=("none", CRF),
        presets={"tiny": "none", "small": "none", "base": CRF},
    )
    hidden: int | None = option(
        None,
        f"width of the recurrent layers; default: 128, or 256 from {MANY_ROWS:,} rows on",
        least=1,
        most=4096,
        earlier="kept",
        presets={"tiny": 32},
    )
    embed: int | None = option(
        None,
        "width of the embedding, if not that of --vectors",
        least=1,
        most=4096,
        earlier="kept",
        presets={"tiny": 12, "small": 128, "base": 128},
    )
    smoothing: float = option(0.1, "label smoothing, not of tags", least=0.0, most=0.9)
    label_weight: float = option(1.0, "weight of the loss of labels; that of tags has 1", least=0.0, most=100.0)
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
    prefix: float = option(
        0.3, "weight of the loss of the label after a random prefix of each row", least=0.0, most=10.0
    )

    def __post_init__(self) -> None:
        check_options(self)
        self.load_cell()

    def features(self) -> tuple[str, ...]:
        """Return the names of the features that are read beside each word."""
        return NAMES if self.characters else ()

    def splitter(self) -> Tokenizer:
        """Return what splits a text into the tokens that the vocabulary is made of."""
        return self.tokenizer().plain() if self.characters else self.tokenizer()

    def decide(self, rows: int, has_valid: bool) -> Options:
        """Return the options with every default that depends on the data decided. rows: their number.

        Small files get smaller batches, and at least 600 training steps.
        """
        share = self.hold_out or _sizing.default_hold_out(rows)
        batch = self.batch or int(np.clip(2 ** round(float(np.log2(max(1, rows / 80)))), 8, 32))
        least = -(-600 // _sizing.steps_per_epoch(replace(self, hold_out=share), rows, batch))
        epochs = self.epochs or max(least, int(np.clip(round(20 * (4500 / rows) ** 0.5), 6, 24)))
        refit = 0 if has_valid else max(2, round(epochs / 4))
        return replace(
            self,
            hold_out=share,
            batch=batch,
            epochs=epochs,
            lookahead=(LOOKAHEAD if self.direction == "causal" else 0) if self.lookahead is None else self.lookahead,
            hidden=self.hidden or (256 if rows >= MANY_ROWS else 128),
            refit_epochs=refit if self.refit_epochs is None else self.refit_epochs,
            patience=self.patience or max(8, epochs // 2),
        )


@dataclass(frozen=True)
class Sample:
    """The rows of a source: the words of each, the pieces that the model reads of each word, tags, and label cells."""

    words: list[list[str]]
    pieces: list[list[list[bytes]]]
    tags: list[list[str]]
    labels: _labels.Cells | None

    def steps(self) -> list[list[bytes]]:
        """Return the pieces of each row."""
        return [[piece for word in row for piece in word] for row in self.pieces]

    def targets(self, index: Mapping[str, int]) -> list[Indices]:
        """Return the index of each step's tag in each row, int64 [T]; NO_TARGET for an unknown tag."""
        known = set(index)
        found = []
        for pieces, tags in zip(self.pieces, self.tags, strict=True):
            spread = [t for word, tag in zip(pieces, tags, strict=True) for t in spread_tag(tag, len(word), known)]
            found.append(np.array([index.get(tag, NO_TARGET) for tag in spread], np.int64))
        return found


# ---- sources


def read(source: Any, options: Options, columns: list[str] | None = None) -> Table:
    """Read the tagged rows of a file or frame. Raises DataError."""
    if isinstance(source, Table):
        return source
    wanted = [options.tokens, options.tags, options.label, options.group]
    return read_table(source, [name for name in wanted if name is not None])


def read_sample(source: Table, options: Options) -> Sample:
    """Return the words, tags and labels of a table. Raises DataError with file and line."""
    words, tags = split_tags(source, options.tokens, options.tags)
    pieces = []
    for i, row in enumerate(words):
        with error_context(source.locate(i)):
            pieces.append(split_words(options, row))
    labels = None
    if options.label is not None:
        labels = [(source.locate(i), cell) for i, cell in enumerate(source.labels(options.label))]
    return Sample(words, pieces, tags, labels)


def split_words(options: Options, words: Sequence[str]) -> list[list[bytes]]:
    """Return the pieces that a model reads of each word: one, or several of a very long word."""
    tokenizer = options.splitter()
    return [tokenizer.tokens(encode(word)) for word in words]


def summarise(source: Table, options: Options, sample: Sample) -> str:
    """Describe how a source and its columns are read. sample: its rows."""
    tags, labels = ({tag for row in sample.tags for tag in row}, {name for _, name in sample.labels or []})
    what = f"tokens: column {options.tokens!r}, tags: column {options.tags!r} ({format_count(len(tags), 'tag')})"
    of = f", label: column {options.label!r} ({format_count(len(labels), 'label')})" if labels else ""
    return f"{source.describe()}; {what}{of}"


# ---- training data


def prepare(source: Table, valid: Table | None, options: Options) -> Tagging:
    """Make the `Problem` of a source. valid: rows that select the weights, instead of some of the source's.

    A word of over 64 bytes is read in several steps; the first has its tag. Tags and labels of `valid` that the source
    does not have count as wrong, and the notes name them. Raises DataError.
    """
    options = apply_preset(options).decide(len(source), valid is not None)
    samples = [read_sample(each, options) for each in (source, valid) if each is not None]
    names = sorted({tag for row in samples[0].tags for tag in row})
    if len(names) < 2:
        raise DataError(
            f"{source.path}: column {options.tags!r} has only one tag, {names[0]!r}; training needs two or more"
        )
    y, labels = read_labels(samples, options, source.path)
    steps = [row for sample in samples for row in sample.steps()]
    learnt, features = steps if options.refit_epochs else steps[: len(source)], options.features()
    parts, ids = _messages.build_input_and_ids(options, learnt, steps, features)
    part = hold_out(options, source, valid, y, labels or [""], number_keys(row.tobytes() for row in ids))
    if not options.refit_epochs:
        parts, ids = _messages.build_input_and_ids(options, [steps[i] for i in part.train_rows], steps, features)
    section, arrays, vocabulary, hide_rates = parts
    index = {tag: k for k, tag in enumerate(names)}
    targets = [row for sample in samples for row in sample.targets(index)]
    scheme = find_scheme(samples[0].tags)
    builder = Builder(None)
    builder.add("embed", rows=len(vocabulary), size=options.embed, ids=1 + len(features))
    add_layers(builder, options)
    builder.add("dense", size=len(names) + len(labels), activation="none")
    has_crf = options.decoder == CRF
    outputs, decoders = make_outputs(names, scheme, labels, has_crf)
    sources, notes = [each for each in (source, valid) if each is not None], part.notes
    if valid is not None:
        notes = [notes[0], [*describe_new(samples[1], names, labels), *notes[1]]]
    return Tagging(
        options=options,
        rows=Sentences(ids, targets, y if labels else None, hide_rates),
        train_rows=part.train_rows,
        valid_rows=part.valid_rows,
        inputs={"x": section},
        arrays=arrays,
        features=None,
        layers=builder.layers,
        outputs=outputs,
        decoders=decoders,
        initial=_crf.init_tensors(names, scheme == BIO) if has_crf else {},
        summaries=[summarise(each, options, one) for each, one in zip(sources, samples, strict=True)],
        notes=notes,
        groups=part.groups,
        provenance={"judged_on": part.description},
        metric=Tagging.metric if follows_scheme(names) else "tag_accuracy",
    )


def add_layers(builder: Builder, options: Options) -> None:
    """Append the layers between the embedding and the last one.

    What looks ahead comes first, so that the recurrence reads words that know what follows them. Its output is added to
    that of the recurrence.
    """
    cell, H, ahead = options.load_cell(), options.hidden or 0, options.lookahead
    if ahead:
        width = (options.project or max(1, H // 2)) if cell.tape.has_projection else H
        size = 2 * width if options.direction == "both" else width
        builder.add("conv", size=size, width=BEFORE + 1 + ahead, ahead=ahead, activation="relu")
    own, residual = options.layer, bool(ahead)
    add_recurrences(builder, cell, H, options.project, options.direction, options.depth or 1, own, residual)
    builder.add("pool", over=POOLS)


def read_labels(samples: list[Sample], options: Options, path: str) -> tuple[Indices, list[str]]:
    """Return the index of each row's label, int64 [n], and the labels; without a column of labels zeros, and none.

    A label of validation rows that training does not have is NO_TARGET.
    """
    if samples[0].labels is None or options.label is None:
        return np.zeros(sum(len(sample.words) for sample in samples), np.int64), []
    y, labels = _labels.single_targets(samples[0].labels, options.label)
    _labels.check_differ(y, labels, path, options.label)
    more = [_labels.single_targets(one.labels or [], options.label, labels, "wrong")[0] for one in samples[1:]]
    return np.concatenate([y, *more]), labels


def describe_new(sample: Sample, tags: list[str], labels: list[str]) -> list[str]:
    """Say which tags and labels of validation rows training does not have."""
    notes = describe_unseen("tag", (tag for row in sample.tags for tag in row), tags)
    return notes + describe_unseen("label", (name for _, name in sample.labels or []), labels)


# ---- evaluation


def score(predictor: Any, file: str, flags: Mapping[str, Any]) -> TagScores:
    """Evaluate a tagger on a file of tagged rows. Raises DataError, OptionError.

    A tag or label that training did not have counts as wrong. A file without labels is scored by its tags.
    """
    model = predictor.model
    options = restore_options(Options, model.document["task"]["options"])
    if "label" in flags and LABEL not in model.outputs:
        raise OptionError("--label is for models that predict labels, but this one only tags words; leave it out")
    options = replace(options, group=None, **flags)
    try:
        source = read(file, options)
    except MissingColumn as error:
        if "label" in flags or error.wanted != options.label:
            raise
        options = replace(options, label=None)
        source = read(file, options)
    sample = read_sample(source, options)
    found = tag_words(predictor, sample.words)
    labels = None
    if sample.labels is not None:
        labels = [one.label_name() for one in found], [name for _, name in sample.labels]
    predicted = [one.word_tags() or [NO_TAG] * len(one.words) for one in found]
    metrics = score_tags(predicted, sample.tags, model.outputs[TAGS].labels, labels, model.labels)
    warning = warn_of_training_data(model.document["provenance"], source.sha256)
    return TagScores({**metrics, "warning": warning})


def predict(predictor: Any, question: Question, flags: Mapping[str, Any]) -> TagPredictions:
    """Tag the words of texts, which are separated by white space. Raises DataError, OptionError.

    A text without words has the reason instead.
    """
    options = restore_options(Options, predictor.model.document["task"]["options"])
    question = replace(question, text=question.text or options.tokens)
    texts, answers = _classified_texts.answer(predictor, question, options)
    made = [make_prediction(options, *one) for one in zip(texts, answers, strict=True)]
    return TagPredictions(made, LABEL in predictor.model.outputs)


def tag_words(predictor: Any, rows: Sequence[Sequence[str]]) -> list[TagPrediction]:
    """Tag rows of words, which have no white space inside. Raises DataError."""
    options = restore_options(Options, predictor.model.document["task"]["options"])
    texts = [" ".join(row) for row in rows]
    return [make_prediction(options, *one) for one in zip(texts, predictor.answers(texts), strict=True)]


def make_prediction(options: Options, text: str, answer: Answer) -> TagPrediction:
    """Make the prediction for a text from a model's answer about it."""
    words = text.split()
    tags, label = (answer[TAGS], answer[LABEL]) if isinstance(answer, Answers) else (answer, None)
    return TagPrediction(text, words, first_steps(split_words(options, words)), tags, label)
