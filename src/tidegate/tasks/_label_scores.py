"""Scores of a classifier on a file of labelled rows, for the command `score`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, Final

import numpy as np

from ..data.columns import MissingColumn
from ..model import Model
from ..outputs import Answers
from . import _labels
from ._answered_rows import AnsweredRows
from ._classes import OUTPUT, Classification
from ._holdout import Source
from ._intervals import Units, bootstrap
from ._label_report import LabelScores, warn_of_training_data
from ._labels import Targets
from ._out_of_scope import FLAG, check_scored, score_answers, select_in_scope
from ._reliability import measure_reliability
from ._series import split_names
from ._slices import check_values, measure_slices
from .base import Flag

UNSEEN: Final = "for labels that training did not have: stop with an error (default), or count the row as wrong"
SCORE_FLAGS: Final = (
    Flag("text", "column of messages (default: as in training)", "labels", "COLUMN"),
    Flag("label", "column of labels (default: as in training)", "labels", "COLUMN"),
    FLAG,
    Flag("unseen", UNSEEN, "labels", choices=("error", "wrong")),
    Flag("by", "columns, separated by commas: score also the rows with each of their values", "labels", "COLUMNS"),
    Flag("plot", "plot the confusions and the calibration, as PNG", "labels", file=True),
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
    options = replace(options, **{name: flags[name] for name in ("text", "label", "out_of_scope") if name in flags})
    source, columns = read_source(file, flags, options, kind, model)
    kind.check_source(source, model)
    check_values(source.path, columns)
    cells, unseen = kind.label_cells(source, options), flags.get("unseen", "error")
    truth, labels = output.read_targets(cells, options, model.labels, unseen, "")
    check_scored(truth, source.path, options, flags, labels)
    units = kind.find_units(source, options) or Units(np.arange(len(source)))
    answers = [label_of(answer) for answer in kind.answer_rows(predictor.answers, source, options)]
    if truth.ndim == 1:
        labelled = np.flatnonzero(truth != _labels.NO_LABEL)
        truth, answers, units = truth[labelled], [answers[i] for i in labelled], units.select(labelled)
        columns = {name: [values[i] for i in labelled] for name, values in columns.items()}
    known, doubt = select_in_scope(truth, source.path), score_answers(answers, truth)
    rows, units = make_rows([answers[i] for i in known], truth[known], labels), units.select(known)
    columns = {name: [values[i] for i in known] for name, values in columns.items()}
    slices = {"by": measure_slices(rows, units, columns)} if columns else {}
    warning = warn_of_training_data(model.document["provenance"], source.sha256)
    return LabelScores({**measure_rows(rows, units), **slices, **doubt, "warning": warning})


def read_source(
    file: str, flags: Mapping[str, Any], options: Any, kind: ModuleType, model: Model
) -> tuple[Source, dict[str, list[str]]]:
    """Read the rows of a file, and the values of the columns of --by by name. Raises DataError, OptionError."""
    names, columns = split_names("--by", flags["by"]) if "by" in flags else [], kind.columns_of(model)

    def read(options: Any) -> tuple[Source, dict[str, list[str]]]:
        return (
            kind.read_with_columns(file, options, columns, names) if names else (kind.read(file, options, columns), {})
        )

    try:
        return read(options)
    except MissingColumn as error:
        if options.group is None or error.wanted != options.group or options.group in names:
            raise
        return read(replace(options, group=None))  # scoring needs no groups


def label_of(answer: Any) -> Any:
    """Return the part of an answer that is about labels."""
    return answer[OUTPUT] if isinstance(answer, Answers) else answer


def make_rows(answers: Sequence[Any], truth: Targets, labels: list[str]) -> AnsweredRows:
    """Put answers (`Scores`) about rows beside their labels. truth: as the task's `read_targets` gives it."""
    blank = np.zeros(len(labels), np.float32)
    scores = np.stack([blank if answer.values is None else answer.values for answer in answers])
    empty = np.array([answer.values is None for answer in answers])
    rejected = np.array([answer.values is not None and answer.label is None for answer in answers])
    return AnsweredRows(scores, truth, labels, empty, answers[0].threshold, rejected)


def measure_rows(rows: AnsweredRows, units: Units) -> dict[str, Any]:
    """Compute the metrics of rows, their calibration, and the intervals of the figures. units: what resamples draw."""
    decisions = rows.decide()
    calibration = measure_reliability(decisions.probability, decisions.right)
    intervals = {"intervals": bootstrap(rows, units), "resampling": units.as_dict()}
    return {**rows.measure(), "empty": int(rows.empty.sum()), **calibration, **intervals}


def evaluate(answers: Sequence[Any], truth: Mapping[str, Targets], labels: list[str]) -> dict[str, dict[str, Any]]:
    """Compute the metrics of answers (`Scores`) about rows, by output name. truth: as `read_targets` gives it."""
    rows = make_rows(answers, truth[OUTPUT], labels)
    return {OUTPUT: measure_rows(rows, Units(np.arange(len(rows))))}
