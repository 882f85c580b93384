"""Scores of a classifier on a file of labelled rows, for the command `score`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, Final

import numpy as np

from ..data.columns import MissingColumn
from ..outputs import Answers
from . import _labels, _metrics
from ._classes import OUTPUT, Classification
from ._label_report import LabelScores, warn_of_training_data
from ._labels import Targets
from .base import Flag

UNSEEN: Final = "for labels that training did not have: stop with an error (default), or count the row as wrong"
SCORE_FLAGS: Final = (
    Flag("text", "column of messages (default: as in training)", "labels", "COLUMN"),
    Flag("label", "column of labels (default: as in training)", "labels", "COLUMN"),
    Flag("unseen", UNSEEN, "labels", choices=("error", "wrong")),
)


def score_file(
    predictor: Any, file: str, flags: Mapping[str, Any], options: Any, kind: ModuleType, output: type[Classification]
) -> LabelScores:
    """Evaluate a classifier on a file of labelled rows. Raises DataError, OptionError.

    An empty text has no answer, and counts as wrong. flags: the values of `SCORE_FLAGS`. options: those of the model.
    kind: the module that reads what it classifies. output: the class of its problem, which reads the labels.
    """
    model = predictor.model
    kind.check_flags(flags)
    options = replace(options, text=flags.get("text", options.text), label=flags.get("label", options.label))
    columns = kind.columns_of(model)
    try:
        source = kind.read(file, options, columns)
    except MissingColumn as error:
        if options.group is None or error.wanted != options.group:
            raise
        source = kind.read(file, replace(options, group=None), columns)  # scoring needs no groups
    kind.check_source(source, model)
    cells, unseen = kind.label_cells(source, options), flags.get("unseen", "error")
    truth, labels = output.read_targets(cells, options, model.labels, unseen, _labels.REMEDY)
    answers = [label_of(answer) for answer in kind.answer_rows(predictor.answers, source, options)]
    if truth.ndim == 1:
        labelled = np.flatnonzero(truth != _labels.NO_LABEL)
        truth, answers = truth[labelled], [answers[i] for i in labelled]
    return LabelScores(
        {
            **evaluate(answers, {OUTPUT: truth}, labels)[OUTPUT],
            "warning": warn_of_training_data(model.document["provenance"], source.sha256),
        }
    )


def label_of(answer: Any) -> Any:
    """Return the part of an answer that is about labels."""
    return answer[OUTPUT] if isinstance(answer, Answers) else answer


def evaluate(answers: Sequence[Any], truth: Mapping[str, Targets], labels: list[str]) -> dict[str, dict[str, Any]]:
    """Compute the metrics of answers (`Scores`) about rows, by output name. truth: as `read_targets` gives it."""
    blank = np.zeros(len(labels), np.float32)
    scores = np.stack([blank if answer.values is None else answer.values for answer in answers])
    empty = np.array([answer.values is None for answer in answers])
    metrics = _metrics.score(scores, list(truth[OUTPUT]), labels, empty, answers[0].threshold)
    return {OUTPUT: {**metrics, "empty": int(empty.sum())}}
