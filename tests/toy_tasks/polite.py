"""Tell whether a message is polite, and which of its words are long: a toy task with two outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.data.table import Table
from tidegate.layers import Builder
from tidegate.tasks import _messages
from tidegate.tasks._graph_builder import RecurrenceOptions, TrainingOptions, add_recurrences
from tidegate.tasks.base import Batch, Indices, Predictions, Problem, Tensors, concatenate

if TYPE_CHECKING:
    import torch

KIND = "polite"
OUTPUTS: dict[str, dict[str, Any]] = {
    "long": {
        "kind": "tags",
        "at": "step",
        "part": [0, 2],
        "labels": ["short", "long"],
        "scores": "logits",
        "scheme": None,
    },
    "polite": {
        "kind": "labels",
        "at": "end",
        "part": [2, 4],
        "labels": ["no", "yes"],
        "scores": "logits",
        "calibration": None,
    },
}


@dataclass(frozen=True)
class Options(TrainingOptions, RecurrenceOptions, _messages.TextOptions):
    """The options of the toy; every default is decided."""


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
            "polite": np.array([b"please" in self.words[i] for i in rows]).astype(np.int64),
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


def prepare(source: Table, valid: Table | None, options: Options) -> Polite:
    options = replace(options, epochs=options.epochs or 8, batch=options.batch or 8, patience=options.patience or 8)
    words = _messages.tokenize_rows(source, options)
    (section, arrays, vocabulary, _), ids = _messages.build_input_and_ids(options, words, words)
    builder = Builder(None)
    builder.add("embed", rows=len(vocabulary), size=8)
    add_recurrences(builder, options.load_cell(), 8, None, "causal", 1)
    builder.add("pool", over=["last", "mean", "max"])
    builder.add("dense", size=4, activation="none")
    order = np.arange(len(ids))
    return Polite(
        options=options,
        rows=Rows(ids, words),
        train_rows=order[len(ids) // 4 :],
        valid_rows=order[: len(ids) // 4],
        inputs={"x": section},
        arrays=arrays,
        features=None,
        layers=builder.layers,
        outputs=OUTPUTS,
        summaries=[source.describe()],
    )
