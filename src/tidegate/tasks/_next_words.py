"""Vectors of texts without labels: after each word they predict the next word, or after each message the next one's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from . import _word_head
from ._conversations import Conversations
from ._messages import Messages
from ._next_step import OUTPUT, NextStep, next_rows, spread_steps
from ._word_head import NO_WORD
from .base import Batch, Indices, Predictions, Tensors, concatenate

if TYPE_CHECKING:
    import torch

OWN_PROJECTION: Final = "own_projection"  # the name of the tensor that a text's own words are given back by
MOST_OWN: Final = 24  # own words of a text that a training step counts
MOST_WORDS: Final = 32  # of the next message that are predicted: its first ones
Ids = npt.NDArray[np.int32]


class WordsToCome:
    """Rows of token ids; the target of each step is the word that follows it, int64 [N, 1].

    own: whether training has `MOST_OWN` targets more, which are there after the last step alone: words of the text
    itself, drawn where it has more.
    """

    def __init__(self, messages: Messages, own: bool = False) -> None:
        self.messages, self.lengths, self.own = messages, messages.lengths, own

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """See `Rows`: training hides some of the words that are read, and none of those that are predicted."""
        batch = self.messages.batch(rows, random)
        ids, lengths = concatenate([self.messages.ids[i] for i in rows])
        words = next_rows(ids.astype(np.int64), lengths, NO_WORD)[:, None]
        if random is None:
            return with_words(batch, words, spread_steps(lengths))
        if self.own:
            own = np.full((len(ids), MOST_OWN), NO_WORD, np.int64)
            for end, row in zip(np.cumsum(lengths), rows, strict=True):
                drawn = draw_words(self.messages.ids[row], random)
                own[end - 1, : len(drawn)] = drawn
            words = np.concatenate([words, own], 1)
        return with_words(batch, words, None)


class MessagesToCome:
    """Rows that are conversations; the targets of each message are the words of the next one, int64 [M, MOST_WORDS]."""

    def __init__(self, conversations: Conversations) -> None:
        self.conversations, self.lengths = conversations, conversations.lengths

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """See `Rows`: training hides some of the words that are read, and none of those that are predicted."""
        own = self.conversations
        words = [words_of_next([own.ids[i] for i in own.parts[row]]) for row in rows]
        return with_words(own.batch(rows, random), np.concatenate(words), None)


def draw_words(ids: Ids, random: np.random.Generator) -> Ids:
    """Return the words of a text, at most `MOST_OWN` of them, drawn without replacement."""
    return ids if len(ids) <= MOST_OWN else random.choice(ids, MOST_OWN, replace=False)


def words_of_next(messages: Sequence[Ids]) -> Indices:
    """Return the first words of the message after each, int64 [messages, MOST_WORDS], `NO_WORD` where there is none.

    >>> words_of_next([np.array([5]), np.array([7, 8])])[:, :3].tolist()
    [[7, 8, 0], [0, 0, 0]]
    """
    words = np.full((len(messages), MOST_WORDS), NO_WORD, np.int64)
    for row, ids in zip(words, messages[1:], strict=False):
        row[: len(ids)] = ids[:MOST_WORDS]
    return words


def with_words(batch: Batch, words: Indices, measured: npt.NDArray[np.bool_] | None) -> Batch:
    """Return a batch whose vectors predict these words. measured: which steps count; None: all that have a word."""
    counts = (words != NO_WORD).any(1)
    mask = counts if measured is None else counts & measured
    return replace(batch, targets={OUTPUT: words}, target_lengths={OUTPUT: batch.lengths}, mask={OUTPUT: mask})


@dataclass(frozen=True, kw_only=True)
class NextWords(NextStep):
    """Rows whose vectors predict words. table: the name of the embedding's tensor, which the head shares.

    own_words: the weight of the loss of a text's own words, which the vector at its end gives back; 0: there is none.
    """

    table: str
    own_words: float = 0.0
    metric: str = "perplexity"

    def loss(
        self,
        outputs: Tensors,
        batch: Batch,
        tensors: Tensors | None = None,
        random: np.random.Generator | None = None,
    ) -> torch.Tensor:
        """Compute the cross-entropy of the next words, and of a text's own words, by a projection of their own."""
        assert tensors is not None
        assert random is not None
        vectors, words, table = outputs[OUTPUT], batch.targets[OUTPUT], tensors[self.table]
        if not self.own_words:
            return _word_head.loss(vectors, words, table, tensors, random)
        following, own = words[:, :1], words[:, 1:]
        head = {**tensors, _word_head.PROJECTION: tensors[OWN_PROJECTION]}
        return (
            _word_head.loss(vectors, following, table, tensors, random)
            + self.own_words * _word_head.loss(vectors, own, table, head, random)
        ) / (1 + self.own_words)

    def measure(self, predictions: Predictions) -> dict[str, float]:
        vectors, words = predictions.outputs[OUTPUT], predictions.targets[OUTPUT]
        return measure_words(vectors, words, predictions.tensors[self.table], predictions.tensors)


def measure_words(vectors: npt.NDArray[Any], words: Indices, table: npt.NDArray[Any], tensors: Any) -> dict[str, float]:
    """Compute the mean cross-entropy of the words that vectors predict, in nats a word, and its exponential.

    vectors: [n, size]. words: [n, K], one or more of which are there. table, tensors: see `_word_head.surprise`.
    """
    total, count = _word_head.surprise(vectors, words, table, tensors).sum(), int((words != NO_WORD).sum())
    return {"perplexity": float(np.exp(total / count)), "loss": float(total / count)}
