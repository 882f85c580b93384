"""Encode messages or series: a vector for each, to compare or to search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _nearest, classify
from ._classes import Classification
from ._label_predictions import LabelPredictions
from ._label_report import LabelScores
from ._options import option
from .base import Flag, Question

KIND = "encode"
VERB = "gives vectors"
EXAMPLES = """\
  tidegate fit encode train.csv --text message --label intent \\
      --out encoder.safetensors
  tidegate fit encode beats.csv --id beat --label kind --size 16 \\
      --out encoder.safetensors"""
INPUTS, FILES, PREDICTED, SCORE_FLAGS = classify.INPUTS, classify.FILES, classify.PREDICTED, classify.SCORE_FLAGS
PREDICT_FLAGS = (
    *classify.PREDICT_FLAGS,
    Flag(
        "vectors",
        "write the vectors to a .npy file, float32, a row for each input",
        "vectors",
        file=True,
        remedy=_nearest.FLAG.remedy,
    ),
    _nearest.FLAG,
)
report, read = classify.report, classify.read


@dataclass(frozen=True)
class Options(classify.Options):
    """The options of an encoder: those of a classifier, whose last but one layer gives the vector."""

    size: int = option(64, "how many numbers a vector has", least=1, most=4096)


def prepare(source: Any, valid: Any, options: Options) -> Classification:
    """Make the `Problem` of a source, as a classifier with a vector. Raises DataError."""
    return classify.prepare(source, valid, options, options.size)


def score(predictor: Any, file: str, flags: Mapping[str, Any]) -> LabelScores:
    """Evaluate the labels that the vectors give. Raises DataError, OptionError."""
    return classify.score(predictor, file, flags)


@dataclass(frozen=True)
class VectorPredictions(LabelPredictions):
    """The labels of all inputs, and their vectors, which `--json` shows and `--vectors` writes.

    answers: of the output `vector`, in the same order. width: of a vector.
    """

    answers: tuple[Any, ...] = ()
    width: int = 0

    def records(self) -> Iterator[dict[str, Any]]:
        return ({**one, **vector.as_dict()} for one, vector in zip(super().records(), self.answers, strict=True))

    def vectors(self) -> npt.NDArray[np.float32]:
        """Return the vectors, float32 [n, width]; one of NaN for an input without an answer."""
        nothing = np.full(self.width, np.nan, np.float32)
        return np.stack([nothing if one.values is None else one.values for one in self.answers])


def predict(predictor: Any, question: Question, flags: Mapping[str, Any]) -> Any:
    """Give the vectors of messages or series, and their labels; with --nearest, also their nearest rows of a corpus.

    Raises DataError, OptionError.
    """
    return _nearest.predict(give_vectors, Options, predictor, question, flags)


def give_vectors(predictor: Any, question: Question, flags: Mapping[str, Any]) -> VectorPredictions:
    """Give the vectors of messages or series, and their labels. Raises DataError, OptionError."""
    found, answers = classify.ask(predictor, question, flags)
    vectors = tuple(answer["vector"] for answer in answers)
    without = sum(one.values is None for one in vectors)
    note = f"{without:,} of {len(vectors):,} inputs have no vector; their rows are NaN"
    fields = {name: getattr(found, name) for name in LabelPredictions.__dataclass_fields__}
    width = predictor.model.outputs["vector"].width
    made = VectorPredictions(**fields, answers=vectors, width=width)
    return replace(made, notes=[note]) if without and flags.get("vectors") else made
