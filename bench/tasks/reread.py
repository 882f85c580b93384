"""Classify each message by one graph that reads all words of its conversation so far: a task outside the package.

A row is a conversation: for each message a word that marks its speaker, and the words of the message. The label is
given after the last word of each message. The layers are causal, so after that word they have seen what they would see
if the conversation up to there were read again, and one pass trains all of its messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tidegate.layers import Builder
from tidegate.outputs import make_entry
from tidegate.tasks import _classified_conversations, _conversations, _labels, _messages, _sizing, classify
from tidegate.tasks._classes import OUTPUT, SingleLabel
from tidegate.tasks._graph_builder import add_recurrences
from tidegate.tasks._label_report import LabelScores, report_fit, warn_of_training_data
from tidegate.tasks._options import apply_preset, restore_options
from tidegate.tasks.base import Batch, Indices, Problem, concatenate

if TYPE_CHECKING:
    import torch

    from tidegate.data.table import Table
    from tidegate.tasks.base import Forward

KIND, VERB, FILES = "reread", "predicts the labels of messages", ".csv"
EXAMPLES = "  tidegate fit reread talks.csv --conversation talk --turn turn --speaker who --out m.safetensors"
INPUTS, PREDICTED = {"text": _messages}, (("text", "label", "score"),)
SCORE_FLAGS, PREDICT_FLAGS = classify.SCORE_FLAGS, ()
Options, report = classify.Options, report_fit


def mark(number: int) -> str:
    """Return the word that stands before the messages of a speaker. No message has it: a word has no bracket.

    >>> mark(1)
    '<1>'
    """
    return f"<{number}>"


class Rows:
    """Conversations as one row of word ids each. ends: of each, the index of the last word of every message."""

    def __init__(
        self,
        ids: list[npt.NDArray[np.int32]],
        ends: list[Indices],
        targets: list[Indices],
        hide: npt.NDArray[np.float32],
    ) -> None:
        self.ids, self.hide_rates = ids, hide
        self.lengths: Indices = np.array([len(row) for row in ids], np.int64)
        self.targets: list[Indices] = [np.full(len(row), _labels.NO_LABEL, np.int64) for row in ids]
        for row, at, y in zip(self.targets, ends, targets, strict=True):
            row[at] = y

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """Pack conversations; training hides words as a classifier's does."""
        ids, lengths = concatenate([self.ids[i] for i in rows])
        if random is not None:
            ids = _messages.hide_words(ids, self.hide_rates, random)
        y = np.concatenate([self.targets[i] for i in rows])
        known = {OUTPUT: y != _labels.NO_LABEL}
        return Batch({"x": ids.astype(np.int64)}, lengths, {OUTPUT: y}, {OUTPUT: lengths}, known)


@dataclass(frozen=True, kw_only=True)
class Rereading(SingleLabel):
    """Conversations whose last word of each message has its label. judged: how many held-out messages there are."""

    judged: int

    def step_outputs(self) -> set[str]:
        return {OUTPUT}

    def train_loss(self, network: Forward, batch: Batch, random: np.random.Generator) -> torch.Tensor:
        return Problem.train_loss(self, network, batch, random)

    def tolerance(self, best: float, figures: dict[str, float]) -> float:
        return float((best * (1 - best) / self.judged) ** 0.5)


def read(source: Any, options: Any, columns: list[str] | None = None) -> Table:
    """Read messages with their conversations, turns and speakers. Raises DataError."""
    return _classified_conversations.read(source, options)


def lay_out(source: Table, options: Any, marks: int) -> tuple[list[Indices], list[list[list[str]]]]:
    """Return the rows of each conversation in order, and of each message its words, that of its speaker first."""
    tokens, conversations = _messages.tokenize_rows(source, options), _conversations.order_messages(source, options)
    names = _conversations.read_speakers(source, options)
    speakers = _conversations.encode_speakers(source, names, conversations, marks).argmax(1)
    words = [[mark(n), *(word.decode() for word in row)] for n, row in zip(speakers.tolist(), tokens, strict=True)]
    return conversations, [[words[i] for i in rows] for rows in conversations]


def prepare(source: Table, valid: Table, options: Any) -> Rereading:
    """Make the problem of a source. valid: the conversations that select the weights. Raises DataError."""
    options = apply_preset(options)
    conversations = _conversations.order_messages(source, options)
    marks = _conversations.count_speakers(_conversations.read_speakers(source, options), conversations)
    laid = [lay_out(table, options, marks) for table in (source, valid)]
    y, labels = classify.read_targets(source, options)
    more, _ = classify.read_targets(valid, options, labels)
    steps = [[[word.encode() for word in m] for m in talk] for _, talks in laid for talk in talks]
    flat = [[word for message in talk for word in message] for talk in steps]
    count = len(conversations)
    options = _sizing.resolve_classifier(
        replace(options, input="text", prefix=0.0, refit_epochs=0),
        lambda o, lengths, classes: _sizing.resolve_for_conversations(o, lengths, classes, count),
        [len(message) for talk in steps[:count] for message in talk],
        len(labels),
    )
    (section, arrays, vocabulary, hide), ids = _messages.build_input_and_ids(
        replace(options, unit="space", fold=False), flat[:count], flat
    )
    hide[[word.decode() in map(mark, range(marks)) for word in vocabulary.tokens]] = 0
    builder = Builder(None)
    builder.add("embed", rows=len(vocabulary), size=options.embed)
    add_recurrences(builder, options.load_cell(), options.hidden, options.project, "causal", options.depth)
    builder.add("pool", over=options.pools())
    SingleLabel.add_head(builder, len(labels))
    targets = [t[rows] for t, (talks, _) in zip((y, more), laid, strict=True) for rows in talks]
    return Rereading(
        options=options,
        rows=Rows(ids, [np.cumsum([len(m) for m in talk]) - 1 for talk in steps], targets, hide),
        train_rows=np.arange(count),
        valid_rows=np.arange(count, len(ids)),
        inputs={"x": section},
        arrays=arrays,
        features=None,
        layers=builder.layers,
        outputs={OUTPUT: make_entry(labels, builder.layers[-1].ends_in)},
        summaries=[table.describe() for table in (source, valid)],
        provenance={"judged_on": valid.describe(), "marks": marks},
        class_weights=_labels.class_weights(y, len(labels), options.class_weights == "balanced"),
        judged=int((more != _labels.NO_LABEL).sum()),
    )


def score(predictor: Any, file: str, flags: Mapping[str, Any]) -> LabelScores:
    """Evaluate a model: a stream reads each conversation, and what it says after each message counts.

    This is what the model says where it reads all up to there again: a stream has the bits of the whole.
    """
    model = predictor.model
    options, marks = restore_options(Options, model.document["task"]["options"]), model.document["provenance"]["marks"]
    source = read(file, options)
    truth, labels = classify.read_targets(source, options, model.labels, flags.get("unseen", "error"))
    conversations, talks = lay_out(source, options, marks)
    answers: list[Any] = [None] * len(source)
    for rows, talk in zip(conversations, talks, strict=True):
        stream = predictor.stream()
        for row, words in zip(rows.tolist(), talk, strict=True):
            answers[row] = stream.push(" ".join(words) + " ")
    labelled = np.flatnonzero(truth != _labels.NO_LABEL)
    figures = classify.evaluate([answers[i] for i in labelled], {OUTPUT: truth[labelled]}, labels)[OUTPUT]
    return LabelScores({**figures, "warning": warn_of_training_data(model.document["provenance"], source.sha256)})


def predict(predictor: Any, question: Any, flags: Mapping[str, Any]) -> Any:
    """Refuse: the benchmark only scores."""
    raise NotImplementedError("bench/context.py only scores models of this task")
