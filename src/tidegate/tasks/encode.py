"""Encode messages or series: a vector for each, to compare or to search.

The vectors are learnt from labels, from pairs of texts, or without either, from what follows in each message or series.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from . import _nearest, _pairs, _unlabelled, _vector_scores, classify
from ._label_predictions import LabelPredictions
from ._options import apply_preset, option, restore_options
from ._vector_predictions import PlainVectors, stack_vectors
from .base import Flag, Fold, Problem, Question, Scored

KIND = "encode"
VERB = "gives vectors"
EXAMPLES = """\
  tidegate fit encode messages.csv --text message --out encoder.safetensors
  tidegate fit encode pairs.csv --text question --pairs answer \\
      --out encoder.safetensors
  tidegate fit encode train.csv --text message --label intent \\
      --out encoder.safetensors
  tidegate fit encode beats.csv --id beat --label kind --size 16 \\
      --out encoder.safetensors"""
INPUTS, FILES, SCORE_FLAGS = classify.INPUTS, classify.FILES, classify.SCORE_FLAGS
PREDICTED = (
    *classify.PREDICTED,
    *((noun, name) for noun in classify.INPUTS for name in ("vector_1", "vector")),
)
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
report = classify.report


@dataclass(frozen=True)
class Options(classify.Options):
    """The options of an encoder: those of a classifier, whose last but one layer gives the vector."""

    linear: ClassVar[str] = "off"  # type: ignore[misc]  # not options of an encoder, all of which is a vector
    subwords: ClassVar[int] = 0  # type: ignore[misc]

    label: str | None = option(  # type: ignore[assignment]  # a classifier has to have labels
        None,
        "column of labels, which the vectors then tell apart; default: none, and vectors predict what follows",
        metavar="COLUMN",
    )
    pairs: str | None = option(
        None, "column of partners: each text and its partner get vectors near each other", metavar="COLUMN"
    )
    own_words: float | None = option(
        None,
        "without labels, weight of the loss by which the vector at the end of a text also gives back words of it; "
        "default: 1",
        least=0.0,
        most=100.0,
    )
    size: int | None = option(
        None,
        "how many numbers a vector has",
        least=1,
        most=4096,
        earlier="default",
        presets={"tiny": 32, "small": 64, "base": 64},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label is not None and self.pairs is not None:
            raise OptionError(
                f"label is {self.label!r} and pairs is {self.pairs!r}; vectors are learnt from labels or from pairs, "
                "so leave one of them out"
            )
        for name in ("label", "pairs", "conversation"):
            if self.own_words is not None and getattr(self, name) is not None:
                raise OptionError(
                    f"own_words is for single texts without labels or pairs, and {name} is given; leave one of them out"
                )


def read(source: Any, options: Options, columns: list[str] | None = None) -> Any:
    """Read the messages or series of a source. columns: of series, those of a model. Raises DataError, OptionError."""
    if options.label is not None:
        return classify.read(source, options, columns)
    _unlabelled.check_options(options)
    if options.pairs is not None:
        _pairs.check_options(source, options)
    return _unlabelled.read(source, options, columns)


def split_folds(source: Any, options: Options, count: int) -> list[Fold]:
    """Split a source into folds, by labels where there are some. Raises DataError."""
    if options.label is not None:
        return classify.split_folds(source, options, count)
    folds: list[Fold] = (_unlabelled if options.pairs is None else _pairs).split_folds(source, options, count)
    return folds


def prepare(source: Any, valid: Any, options: Options) -> Problem:
    """Make the `Problem` of a source. With labels, it is a classifier with a vector. Raises DataError, OptionError."""
    options = apply_preset(options)
    if options.label is not None:
        return classify.prepare(source, valid, options, options.size or 0)
    made: Problem = (_unlabelled if options.pairs is None else _pairs).prepare(source, valid, options)
    return made


def score(predictor: Any, file: str, flags: Mapping[str, Any]) -> Scored:
    """Evaluate the labels that the vectors give, or what else they were trained for. Raises DataError, OptionError."""
    options = restore_options(Options, predictor.model.document["task"]["options"])
    if options.label is None:
        return _vector_scores.score(predictor, options, file, flags)
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
        return stack_vectors(self.answers, self.width)


def predict(predictor: Any, question: Question, flags: Mapping[str, Any]) -> Any:
    """Give the vectors of messages or series, and their labels if the model gives some; with --nearest, also their
    nearest rows of a corpus.

    Raises DataError, OptionError.
    """
    return _nearest.predict(give_vectors, Options, predictor, question, flags)


def give_vectors(predictor: Any, question: Question, flags: Mapping[str, Any]) -> VectorPredictions | PlainVectors:
    """Give the vectors of messages or series, and their labels if they have any. Raises DataError, OptionError."""
    if not predictor.model.labels:
        return predict_vectors(predictor, question, flags)
    found, answers = classify.ask(predictor, question, flags)
    vectors = tuple(answer["vector"] for answer in answers)
    fields = {name: getattr(found, name) for name in LabelPredictions.__dataclass_fields__}
    width = predictor.model.outputs["vector"].width
    return VectorPredictions(**{**fields, "notes": make_notes(vectors, flags)}, answers=vectors, width=width)


def predict_vectors(predictor: Any, question: Question, flags: Mapping[str, Any]) -> PlainVectors:
    """Give the vectors of messages or series, by an encoder that gives no labels. Raises DataError, OptionError."""
    if flags.get("top") is not None:
        raise OptionError("--top is for labels, and this encoder was trained without; leave it out")
    options = restore_options(Options, predictor.model.document["task"]["options"])
    kind = classify.reader_of(predictor.model)
    names, answers = kind.answer(predictor, question, options)
    width = predictor.model.outputs["vector"].width
    return PlainVectors(kind.KIND, names, answers, width, make_notes(answers, flags))


def make_notes(answers: Sequence[Any], flags: Mapping[str, Any]) -> list[str]:
    """Say how many of the vectors that are written are missing."""
    without = sum(one.values is None for one in answers)
    note = f"{without:,} of {len(answers):,} inputs have no vector; their rows are NaN"
    return [note] if without and flags.get("vectors") else []
