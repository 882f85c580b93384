"""Write the words of a message backwards: a toy task whose answers are written by a graph that a decoder drives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tidegate.data.table import Table
from tidegate.document.levels import GraphPlan
from tidegate.layers import Builder
from tidegate.tasks import _messages
from tidegate.tasks._folds import split_rows
from tidegate.tasks._graph_builder import RecurrenceOptions, TrainingOptions, add_recurrences, name_tensors
from tidegate.tasks._options import apply_preset, restore_options
from tidegate.tasks.base import Batch, Flag, Fold, Indices, Predictions, Problem, Question, Tensors, concatenate

if TYPE_CHECKING:
    import torch

KIND = "backwards"
VERB = "writes backwards"
EXAMPLES = "  tidegate fit backwards messages.csv --out backwards.safetensors"
INPUTS = {"text": _messages}
FILES = ".csv"
PREDICTED = (("text", "backwards"),)
SCORE_FLAGS: tuple[Flag, ...] = ()
PREDICT_FLAGS: tuple[Flag, ...] = ()
BEGIN, END = "<begin>", "<end>"
MOST = 16


@dataclass(frozen=True)
class Options(TrainingOptions, RecurrenceOptions, _messages.TextOptions):
    """The options of the toy; every default is decided."""


class Rows:
    """Messages, and their words backwards as ids of what is written."""

    def __init__(self, ids: list[Any], written: list[list[int]]) -> None:
        self.ids, self.written = ids, written
        self.lengths: Indices = np.array([len(row) for row in ids])

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        x, lengths = concatenate([self.ids[i] for i in rows])
        targets, counts = concatenate([np.array([*self.written[i], 1], np.int64) for i in rows])
        before, _ = concatenate([np.array([0, *self.written[i]], np.int64) for i in rows])
        inputs = {"x": x.astype(np.int64), "previous": before}
        return Batch(inputs, lengths, {"words": targets}, {"words": counts}, written={"reply": counts})


@dataclass(frozen=True, kw_only=True)
class Backwards(Problem):
    metric: str = "word_accuracy"

    def step_outputs(self) -> set[str]:
        return {"words"}

    def loss(self, outputs: Tensors, batch: Batch) -> torch.Tensor:
        import torch
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs["words"], torch.from_numpy(batch.targets["words"]))

    def measure(self, predictions: Predictions) -> dict[str, float]:
        right = predictions.outputs["words"].argmax(1) == predictions.targets["words"]
        return {"word_accuracy": float(right.mean())}


def read(source: Any, options: Options, columns: list[str] | None = None) -> Table:
    return _messages.read_messages(source, options)


def split_folds(source: Table, options: Options, count: int) -> list[Fold]:
    return split_rows(source, count, np.arange(len(source)))


def prepare(source: Table, valid: Table | None, options: Options) -> Backwards:
    options = replace(
        apply_preset(options), epochs=options.epochs or 30, batch=options.batch or 16, patience=options.patience or 30
    )
    sources = [each for each in (source, valid) if each is not None]
    words = [row for each in sources for row in _messages.tokenize_rows(each, options)]
    (section, arrays, vocabulary, _), ids = _messages.build_input_and_ids(options, words, words)
    names = [BEGIN, END, *sorted({word.decode() for row in words for word in row})]
    written = [[names.index(word.decode()) for word in reversed(row)] for row in words]
    cell = options.load_cell()
    first, reply = Builder(None), Builder(None)
    first.add("embed", rows=len(vocabulary), size=16)
    add_recurrences(first, cell, 32, None, "causal", 1)
    first.add("dense", size=64, activation="none")
    first.add("pool", over=["last"], sources=(1,))
    reply.add("embed", rows=len(names), size=16)
    reply.add("given", size=32)
    add_recurrences(reply, cell, 32, None, "causal", 1)
    reply.add("cross_attend", size=32, heads=2, most=MOST)
    reply.add("dense", size=len(names), activation="none", sources=(2, 3))
    layers = name_tensors(reply.layers, "reply")
    order, cut = np.arange(len(ids)), len(ids) // 5
    valid_rows, train_rows = (order[:cut], order[cut:]) if valid is None else np.split(order, [len(source)])[::-1]
    beam = {"begin": 0, "end": 1, "width": 3, "most": MOST, "length_penalty": 0.6}
    return Backwards(
        options=options,
        rows=Rows(ids, written),
        train_rows=train_rows,
        valid_rows=valid_rows,
        inputs={"x": section, "previous": {"kind": "ids", "size": len(names), "clock": "reply"}},
        arrays=arrays,
        features=None,
        layers=layers,
        graphs={
            "words": GraphPlan("message", first.layers),
            "reply": GraphPlan("", layers, ("words.3", "words.2"), "beam", (1, 3)),
        },
        outputs={"words": {"kind": "tokens", "from": "beam", "at": "end", "labels": names}},
        decoders={
            "beam": {"kind": "beam", "reads": "reply.4", "drives": "reply", "feeds": "previous", "options": beam}
        },
        summaries=[each.describe() for each in sources],
    )


def report(document: dict[str, Any], path: str) -> str:
    return f"next: tidegate score {path} TEST.csv"


@dataclass(frozen=True)
class Score:
    """How many messages are written right, to the last word."""

    right: int
    rows: int

    def as_dict(self) -> dict[str, Any]:
        return {"right": self.right, "rows": self.rows}

    def report(self, width: int) -> str:
        return f"{self.right} of {self.rows} right"


def score(predictor: Any, file: str, flags: Mapping[str, Any]) -> Score:
    options = restore_options(Options, predictor.model.document["task"]["options"])
    texts = read(file, options).columns[options.text]
    expected = [text.split()[::-1] for text in texts]
    answers = predictor.answers(texts)
    return Score(sum(a.tokens == e for a, e in zip(answers, expected, strict=True)), len(texts))


@dataclass(frozen=True)
class Written:
    """What is written about some messages."""

    texts: list[str]
    answers: list[Any]
    columns: ClassVar[dict[str, type]] = {"text": str, "backwards": str}
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()

    def rows(self) -> Iterator[list[Any]]:
        for text, answer in zip(self.texts, self.answers, strict=True):
            yield [text, " ".join(answer.tokens or [])]

    def records(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows())

    def format(self, width: int | None, unicode: bool) -> Iterator[str]:
        return ("\t".join(row) for row in self.rows())


def predict(predictor: Any, question: Question, flags: Mapping[str, Any]) -> Written:
    options = restore_options(Options, predictor.model.document["task"]["options"])
    if question.file is None:
        texts = [text for _, text in question.messages or ()]
    else:
        texts = read(question.file, options).columns[options.text]
    return Written(texts, predictor.answers(texts))
