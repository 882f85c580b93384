"""Tell whether a message is polite, and which of its words are long: a toy task with outputs of two layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tidegate.data.table import Table
from tidegate.layers import Builder
from tidegate.tasks import _messages
from tidegate.tasks._folds import split_rows
from tidegate.tasks._graph_builder import RecurrenceOptions, TrainingOptions, add_recurrences
from tidegate.tasks._options import apply_preset, restore_options
from tidegate.tasks.base import Batch, Flag, Fold, Indices, Predictions, Problem, Question, Tensors, concatenate

if TYPE_CHECKING:
    import torch

KIND = "polite"
VERB = "tells politeness"
EXAMPLES = "  tidegate fit polite messages.csv --out polite.safetensors"
INPUTS = {"text": _messages}
FILES = ".csv"
PREDICTED = (("text", "polite", "long"),)
SCORE_FLAGS = (Flag("strict", "count a message without words as wrong", "politeness", kind=bool),)
PREDICT_FLAGS: tuple[Flag, ...] = ()
OUTPUTS: dict[str, dict[str, Any]] = {
    "long": {
        "kind": "tags",
        "at": "step",
        "from": "layers.3",
        "labels": ["short", "long"],
        "scores": "given",
        "scheme": None,
    },
    "polite": {
        "kind": "labels",
        "at": "end",
        "labels": ["no", "yes"],
        "scores": "logits",
        "calibration": None,
    },
}


@dataclass(frozen=True)
class Options(TrainingOptions, RecurrenceOptions, _messages.TextOptions):
    """The options of the toy; every default is decided."""


def is_polite(words: list[bytes]) -> bool:
    return b"please" in words


class Rows:
    """Messages with the length of each word, and whether one of them is "please"."""

    def __init__(self, ids: list[Any], words: list[list[bytes]]) -> None:
        self.ids, self.words = ids, words
        self.lengths: Indices = np.array([len(row) for row in ids])

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        x, lengths = concatenate([self.ids[i] for i in rows])
        words = [word for i in rows for word in self.words[i]]
        targets = {
            "long": np.array([len(word) > 4 for word in words]).astype(np.int64),
            "polite": np.array([is_polite(self.words[i]) for i in rows]).astype(np.int64),
        }
        known = np.array([word != b"unsure" for word in words])
        return Batch({"x": x.astype(np.int64)}, lengths, targets, mask={"long": known})


@dataclass(frozen=True, kw_only=True)
class Polite(Problem):
    metric: str = "accuracy"

    def loss(self, outputs: Tensors, batch: Batch) -> torch.Tensor:
        import torch
        from torch.nn.functional import cross_entropy

        known, targets = batch.mask["long"], {k: torch.from_numpy(v) for k, v in batch.targets.items()}
        words = cross_entropy(outputs["long"][known], targets["long"][known])
        return words + cross_entropy(outputs["polite"], targets["polite"])

    def measure(self, predictions: Predictions) -> dict[str, float]:
        right = {k: predictions.outputs[k].argmax(1) == predictions.targets[k] for k in OUTPUTS}
        return {"accuracy": float(right["polite"].mean()), "word_accuracy": float(right["long"].mean())}


def read(source: Any, options: Options, columns: list[str] | None = None) -> Table:
    return _messages.read_messages(source, options)


def split_folds(source: Table, options: Options, count: int) -> list[Fold]:
    words = _messages.tokenize_rows(source, options)
    return split_rows(source, count, np.arange(len(source)), np.array(list(map(is_polite, words))) * 1, ["no", "yes"])


def prepare(source: Table, valid: Table | None, options: Options) -> Polite:
    options = replace(
        apply_preset(options), epochs=options.epochs or 8, batch=options.batch or 8, patience=options.patience or 8
    )
    sources = [each for each in (source, valid) if each is not None]
    words = [row for each in sources for row in _messages.tokenize_rows(each, options)]
    (section, arrays, vocabulary, _), ids = _messages.build_input_and_ids(options, words, words)
    builder = Builder(None)
    builder.add("embed", rows=len(vocabulary), size=8)
    add_recurrences(builder, options.load_cell(), 8, None, "causal", 1)
    builder.add("dense", size=2, activation="none")
    builder.add("softmax")
    builder.add("pool", over=["last", "mean", "max"], sources=(1,))
    builder.add("dense", size=2, activation="none")
    order, cut = np.arange(len(ids)), len(ids) // 4
    valid_rows, train_rows = (order[:cut], order[cut:]) if valid is None else np.split(order, [len(source)])[::-1]
    return Polite(
        options=options,
        rows=Rows(ids, words),
        train_rows=train_rows,
        valid_rows=valid_rows,
        inputs={"x": section},
        arrays=arrays,
        features=None,
        layers=builder.layers,
        outputs=OUTPUTS,
        summaries=[each.describe() for each in sources],
    )


def report(document: dict[str, Any], path: str) -> str:
    return (
        f"{document['provenance']['metrics']['held_out']['accuracy']:.2f} right; next: tidegate score {path} TEST.csv"
    )


@dataclass(frozen=True)
class Score:
    """How many of some messages are answered right."""

    right: int
    rows: int

    def as_dict(self) -> dict[str, Any]:
        return {"right": self.right, "rows": self.rows}

    def report(self, width: int) -> str:
        return f"{self.right} of {self.rows} right"


def score(predictor: Any, file: str, flags: Mapping[str, Any]) -> Score:
    options = restore_options(Options, predictor.model.document["task"]["options"])
    source = read(file, options)
    answers = predictor.answers(source.columns[options.text])
    truth = map(is_polite, _messages.tokenize_rows(source, options))
    counted = [(a, t) for a, t in zip(answers, truth, strict=True) if flags.get("strict") or not a["polite"].reason]
    return Score(sum(a["polite"].label == ("yes" if t else "no") for a, t in counted), len(counted))


@dataclass(frozen=True)
class Told:
    """What is told about some messages."""

    texts: list[str]
    answers: list[Any]
    columns: ClassVar[dict[str, type]] = {"text": str, "polite": str, "long": str}
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ("told by a toy",)

    def rows(self) -> Iterator[list[Any]]:
        for text, answer in zip(self.texts, self.answers, strict=True):
            yield [text, answer["polite"].label, " ".join(answer["long"].tags)]

    def records(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows())

    def format(self, width: int | None, unicode: bool) -> Iterator[str]:
        return ("\t".join(row) for row in self.rows())


def predict(predictor: Any, question: Question, flags: Mapping[str, Any]) -> Told:
    options = restore_options(Options, predictor.model.document["task"]["options"])
    if question.file is None:
        texts = [text for _, text in question.messages or ()]
    else:
        texts = read(question.file, options).columns[options.text]
    return Told(texts, predictor.answers(texts))
