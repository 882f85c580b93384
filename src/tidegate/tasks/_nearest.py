"""The nearest rows of a corpus for each input: what `predict --nearest` says of a model that gives vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..data.vectors import SUFFIX, read_vectors
from ..errors import DataError
from ..nearest import Search
from ..text_tables import format_count, shorten, shortest_decimal
from . import classify
from ._label_predictions import MAX_NAME
from ._options import restore_options
from .base import Flag, Question

FLAG: Final = Flag(
    "nearest",
    "for each input, the K most similar rows of a file, or of a .npy file of --vectors",
    "vectors",
    "K",
    counted=True,
    remedy="train one that gives vectors with tidegate fit encode",
)
TERMINAL: Final = 80


def predict(
    give_vectors: Callable[..., Any], kind: type, predictor: Any, question: Question, flags: Mapping[str, Any]
) -> Any:
    """Do `give_vectors`, and if the flags ask for it, find the nearest rows of a corpus for each input.

    kind: the options of the task. The corpus is read before any input is encoded. Raises DataError, OptionError.
    """
    if FLAG.name not in flags:
        return give_vectors(predictor, question, flags)
    count, path = flags[FLAG.name]
    options: Any = restore_options(kind, predictor.model.document["task"]["options"])
    corpus = read_corpus(predictor.model, options, Question(path, None, question.text))
    predicted = give_vectors(predictor, question, flags)
    return NearestPredictions(predicted, corpus, search(corpus, predictor), count)


# ---- the corpus


@dataclass(frozen=True)
class Corpus:
    """The rows of a corpus before they are encoded.

    path: of its file. noun: what a row holds, text or series; "": only numbers. names: of each row, for people; empty
    for numbers. unit, numbers: what a row is called in the file, and its number there, from 1. encode: gives the
    vectors.
    """

    path: str
    noun: str
    names: Sequence[str]
    unit: str
    numbers: Sequence[int]
    encode: Callable[[Any], Any]


def read_corpus(model: Any, options: Any, question: Question) -> Corpus:
    """Read the corpus that a question names: rows that a model encodes, or vectors. Raises DataError, OptionError."""
    path = str(question.file)
    if path.lower().endswith(SUFFIX):
        width = next(output.width for output in model.outputs.values() if output.encodes)
        vectors = read_vectors(path, width)
        return Corpus(path, "", (), "row", range(1, len(vectors) + 1), lambda predictor: vectors)
    reader: ModuleType = classify.reader_of(model)
    source = reader.read_asked(question, options, model)
    options = replace(options, text=question.text or options.text)
    lines = getattr(source, "lines", None)
    return Corpus(
        path,
        reader.KIND,
        reader.names_of(source, options),
        "series" if lines is None else source.unit,
        range(1, len(source) + 1) if lines is None else lines,
        lambda predictor: np.asarray(reader.answer_rows(predictor.vectors, source, options)),
    )


def search(corpus: Corpus, predictor: Any) -> Search:
    """Encode a corpus, and make it ready to be searched. Raises DataError if no row has a vector."""
    found = Search(corpus.encode(predictor), corpus.path)
    if not found.count:
        raise DataError(
            f"{corpus.path}: none of its {format_count(len(found.usable), 'row')} has a vector; give others"
        )
    return found


# ---- what is said


class Neighbour(NamedTuple):
    """A row of the corpus: its number in the file, its similarity, and its name; "" for numbers."""

    number: int
    similarity: float
    name: str


@dataclass(frozen=True)
class NearestPredictions:
    """What a model predicts of some inputs, and the neighbours of each.

    They are searched when they are read, some inputs at a time. predicted: with the vectors. count: how many neighbours
    were asked for.
    """

    predicted: Any
    corpus: Corpus
    found: Search
    count: int

    @property
    def columns(self) -> dict[str, type]:
        """The columns of the table: those of the predictions, then the neighbour's."""
        named = {"nearest": str} if self.corpus.noun else {}
        return {**self.predicted.columns, "rank": int, "row": int, "similarity": float, **named}

    @property
    def warnings(self) -> list[str]:
        """Say which rows of the corpus are left out, and whether it has fewer than were asked for."""
        usable, total = self.found.count, len(self.found.usable)
        said = list(self.predicted.warnings)
        if usable < total:
            first = self.corpus.numbers[int(np.flatnonzero(~self.found.usable)[0])]
            rows, are = format_count(total - usable, "row"), "is" if total - usable == 1 else "are"
            such = f"{'such as ' if total - usable > 1 else ''}{self.corpus.unit} {first}"
            said.append(f"{self.corpus.path}: {rows} of {total:,} without a vector {are} left out, {such}")
        if usable < self.count:
            said.append(
                f"--nearest asks for {format_count(self.count, 'row')}, but {self.corpus.path} has {usable:,} with a "
                "vector; each input gets all of them"
            )
        return said

    @property
    def notes(self) -> Sequence[str]:
        """What the predictions say at the end."""
        notes: Sequence[str] = self.predicted.notes
        return notes

    def vectors(self) -> npt.NDArray[np.float32]:
        """Return the vector of each input, float32 [n, width]."""
        vectors: npt.NDArray[np.float32] = self.predicted.vectors()
        return vectors

    def neighbours(self) -> Iterator[list[Neighbour]]:
        """Yield the neighbours of each input, the most similar first; none for an input without a vector."""
        names, numbers = self.corpus.names, self.corpus.numbers
        for rows, similarities in self.found.run(self.vectors(), self.count):
            for own, near in zip(rows.tolist(), similarities, strict=True):
                yield [
                    Neighbour(numbers[i], shortest_decimal(value), names[i] if names else "")
                    for i, value in zip(own, near, strict=True)
                    if i >= 0
                ]

    def rows(self) -> Iterator[list[Any]]:
        """Yield the row of each neighbour; one without a neighbour for an input without a vector."""
        nothing: list[Any] = [None] * (len(self.columns) - len(self.predicted.columns))
        for row, near in zip(self.predicted.rows(), self.neighbours(), strict=True):
            for rank, one in enumerate(near, 1):
                named = [one.name] if self.corpus.noun else []
                yield [*row, rank, one.number, one.similarity, *named]
            if not near:
                yield [*row, *nothing]

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield an object for each input; `nearest` is null for one without a vector."""
        noun = self.corpus.noun
        for record, near in zip(self.predicted.records(), self.neighbours(), strict=True):
            found = [
                {"row": one.number, "similarity": one.similarity, **({noun: one.name} if noun else {})} for one in near
            ]
            yield {**record, "nearest": found or None}

    def format(self, width: int | None, unicode: bool) -> Iterator[str]:
        """Yield the line of each input and below it those of its neighbours."""
        for line, near in zip(self.predicted.format(width, unicode), self.neighbours(), strict=True):
            yield line
            digits = max((len(str(one.number)) for one in near), default=0)
            for one in near:
                place = f"{self.corpus.unit} {one.number:<{digits}}" if self.corpus.noun != self.corpus.unit else ""
                start = f"  {one.similarity:7.4f}  {place}  " if place else f"  {one.similarity:7.4f}  "
                room = min(MAX_NAME, (width or TERMINAL) - len(start) - 1)
                yield f"{start}{shorten(one.name, max(room, 8))}".rstrip()
