"""What `score` says of encoders without labels: how well their vectors predict what follows, or find partners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from ..data.series import Collection
from ..data.table import Table
from ..errors import DataError, OptionError
from ..layers import INPUT
from ..text_tables import format_count, join_items
from . import _classified_series, _next_numbers, _series, _unlabelled, _word_head, classify
from ._conversations import order_messages
from ._holdout import number_keys
from ._label_report import warn_of_training_data
from ._next_numbers import Scaling, measure_numbers
from ._next_step import OUTPUT, next_rows, spread_steps
from ._next_words import measure_words, words_of_next
from ._pairs import measure_ranks, rank_partners
from ._sequences import make_rows
from ._vector_predictions import stack_vectors
from ._word_head import NO_WORD
from .base import Array, Indices, concatenate

TITLES: Final = {
    "perplexity": "perplexity",
    "recall_at_1": "recall@1",
    "mean_reciprocal_rank": "mean reciprocal rank",
    "loss": "loss",
    "error": "error",
    "error_of_repeating": "error of repeating the last step",
}
COUNTS: Final = {"rows": "row", "steps": "step", "words": "predicted word", "candidates": "different partner"}
CHUNK: Final = 256  # rows that run together
NOTHING: Final = "nothing in it is followed by a step that the model can predict, so there is no loss"


@dataclass(frozen=True)
class VectorScores:
    """The figures of an encoder on a file, with a warning if it was trained on it."""

    metrics: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return self.metrics

    def report(self, width: int) -> str:
        """Format the figures, and what they are about."""
        m = self.metrics
        counts = [format_count(m[key], noun) for key, noun in COUNTS.items() if key in m]
        lines = [join_items([*counts, *(f"{title} {m[key]:.4f}" for key, title in TITLES.items() if key in m)], width)]
        if empty := m["empty"]:
            lines.append(
                join_items([f"{format_count(empty, 'row')} without a vector, which predicts and finds nothing"], width)
            )
        if m["warning"]:
            lines.append(join_items([f"warning: {m['warning']}"], width))
        return "\n".join(lines)


def score(predictor: Any, options: Any, file: str, flags: Mapping[str, Any]) -> VectorScores:
    """Evaluate an encoder that was trained without labels. Raises DataError, OptionError."""
    for name in ("label", "unseen", "by", "plot"):
        if name in flags:
            raise OptionError(f"--{name} is for encoders trained with labels, which this one was not; leave it out")
    model = predictor.model
    kind = classify.reader_of(model)
    kind.check_flags(flags)
    options = replace(options, text=flags.get("text", options.text), group=None)  # scoring needs no groups
    if kind is _classified_series:
        source = kind.read_unlabelled(file, options, kind.columns_of(model))
        kind.check_source(source, model)
        figures = score_series(predictor, source, options)
    else:
        source = _unlabelled.read(file, options)
        assert isinstance(source, Table)
        ways = {True: score_pairs, False: score_conversations if model.levels else score_texts}
        figures = ways[options.pairs is not None](predictor, source, options)
    return VectorScores({**figures, "warning": warn_of_training_data(model.document["provenance"], source.sha256)})


def score_texts(predictor: Any, source: Table, options: Any) -> dict[str, Any]:
    """Measure how well the vector after each word predicts the next one, at up to `MOST_MEASURED` words of a text."""
    rows = read_ids(predictor.model, source, options)
    full = [row for row in rows if len(row)]
    vectors, words = [], []
    for start in range(0, len(full), CHUNK):
        part = full[start : start + CHUNK]
        ids, lengths = concatenate(part)
        following = next_rows(ids.astype(np.int64), lengths, NO_WORD)[:, None]
        kept = spread_steps(lengths) & (following[:, 0] != NO_WORD)
        vectors.append(np.concatenate(predictor.run_layers(part))[kept])
        words.append(following[kept])
    return measure(predictor.model, source, vectors, words, len(rows) - len(full))


def score_conversations(predictor: Any, source: Table, options: Any) -> dict[str, Any]:
    """Measure how well the vector after each message predicts the first words of the next one."""
    rows, answers = read_ids(predictor.model, source, options), answer_rows(predictor, source, options)
    vectors, words = [], []
    for each in order_messages(source, options):
        for i, following in zip(each.tolist(), words_of_next([rows[i] for i in each]), strict=True):
            if answers[i].values is not None and following.any():
                vectors.append(answers[i].values[None])
                words.append(following[None])
    return measure(predictor.model, source, vectors, words, sum(one.values is None for one in answers))


def measure(model: Any, source: Table, vectors: list[Array], words: list[Indices], empty: int) -> dict[str, Any]:
    """Compute the figures of vectors [n, size] and the words [n, K] that follow them. Raises DataError without any."""
    if not sum(map(len, words)):
        raise DataError(f"{source.path}: {NOTHING}; give longer rows, or others")
    table = model.tensors[model.first.layers[0].tensors["weight"]]
    (size,) = {array.shape[1] for array in vectors}
    tensors = _word_head.load_tensors(model.document["provenance"], model.tensors, size, table.shape)
    every = np.concatenate(words)
    figures = measure_words(np.concatenate(vectors), every, table, tensors)
    return {"rows": len(source), "words": int((every != NO_WORD).sum()), **figures, "empty": empty}


def score_series(predictor: Any, source: Collection, options: Any) -> dict[str, Any]:
    """Measure how well the vector after each step predicts the next one."""
    model, columns = predictor.model, len(source.columns)
    scaling = Scaling.of(model.tensors, columns, options.missing == "mask")
    _classified_series.predictor_inputs(source, options)  # raises for what the model would refuse
    rows, parts = make_rows(source, _series.transform_of(model)).steps, []
    for start in range(0, len(rows), CHUNK):
        x, lengths = concatenate(part := rows[start : start + CHUNK])
        following = scaling.targets(x, lengths)
        kept = np.isfinite(following).any(1)
        parts.append((np.concatenate(predictor.run_layers(part))[kept], following[kept], scaling.scale(x)[kept]))
    vectors, following, last = (np.concatenate(each) for each in zip(*parts, strict=True))
    if not len(vectors):
        raise DataError(f"{source.path}: {NOTHING}; give longer series, or others")
    tensors = _next_numbers.load_tensors(model.document["provenance"], model.tensors, vectors.shape[1], columns)
    return {"rows": len(rows), "steps": len(vectors), **measure_numbers(vectors, following, last, tensors), "empty": 0}


def score_pairs(predictor: Any, source: Table, options: Any) -> dict[str, Any]:
    """Measure how often the partner of a text is the nearest one by cosine, among the partners of all rows."""
    sides = [replace(options, text=column) for column in (options.text, options.pairs)]
    answers = [answer_rows(predictor, source, side) for side in sides]
    width = predictor.model.outputs[OUTPUT].width
    vectors = [stack_vectors(side, width) for side in answers]
    texts = number_keys([*source.column(options.text), *source.column(options.pairs)]).reshape(2, -1)
    empty = sum(any(one.values is None for one in pair) for pair in zip(*answers, strict=True))
    figures = measure_ranks(rank_partners(vectors[0], vectors[1], texts[0], texts[1]))
    return {"rows": len(source), "candidates": len(np.unique(texts[1])), **figures, "empty": empty}


def answer_rows(predictor: Any, source: Table, options: Any) -> list[Any]:
    """Return the answer about each row of a table."""
    answers: list[Any] = classify.reader_of(predictor.model).answer_rows(predictor.answers, source, options)
    return answers


def read_ids(model: Any, source: Table, options: Any) -> list[Array]:
    """Return the ids of each row's words as the model reads them, int32 [T]; empty for a text without any."""
    text = model.inputs[INPUT]
    return [text.read_whole(row, None, None)[0].rows for row in source.column(options.text)]
