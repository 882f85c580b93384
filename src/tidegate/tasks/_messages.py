"""Texts as a task's input: columns of a table to rows of token ids, with a vocabulary learnt from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..data.candidates import of_series, suggestion
from ..data.columns import MissingColumn
from ..data.table import Table, read
from ..errors import DataError, error_context
from ..features.text import Tokenizer, Vocabulary, encode
from ._options import option
from ._problem import Array, Indices, pad

Inputs = tuple[dict[str, Any], dict[str, npt.NDArray[Any]], Vocabulary, npt.NDArray[np.float32]]

KINDS: Final = {"word": "word", "character": "char", "byte": "byte"}  # a unit -> the tokenizer's kind in a model file


@dataclass(frozen=True)
class TextSource:
    """Options of texts as input."""

    text: str = option("text", "column that holds the message")
    label: str = option("label", "column that holds the label")
    group: str | None = option(
        None, "column that says which rows belong together, such as those of one patient; they are held out together"
    )
    unit: str = option("word", "what the model reads at each step", choices=tuple(KINDS))
    fold: bool = option(True, "fold case (bytes are never folded)")
    digits: str = option("keep", "keep digits, or show only their shape (every digit as 0)", choices=("keep", "shape"))
    min_count: int = option(1, "rarer tokens count as unknown", least=1)
    vocabulary: int = option(30_000, "most entries of the vocabulary", least=2, most=1_000_000)
    drop_words: float = option(0.1, "share of words read as unknown in training", least=0.0, most=0.95)
    drop_rare: float = option(0.5, "rare words more often: a/(a + count) of them", least=0.0, most=100.0)

    def tokenizer(self) -> Tokenizer:
        fold = self.fold and self.unit != "byte"
        return Tokenizer(KINDS[self.unit], fold=fold, digits=self.digits)


class Messages:
    """Rows of token ids. hide: per id, how often training reads it as unknown, float32 [size]."""

    def __init__(self, ids: list[npt.NDArray[np.int32]], targets: Array, hide: npt.NDArray[np.float32]) -> None:
        self.ids, self.targets, self.hide = ids, targets, hide
        self.lengths: Indices = np.array([len(row) for row in ids], np.int64)

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> tuple[Array, Indices, Array]:
        """See `Rows`: ids int64 [T, B]. In training some are read as unknown: the model learns to live without any one
        word, and what unknown means.
        """
        chosen = [self.ids[i] for i in rows]
        if random is not None:
            chosen = [np.where(random.random(len(row)) < self.hide[row], np.int32(0), row) for row in chosen]
        x, lengths = pad(chosen)
        return x.astype(np.int64), lengths, self.targets[rows]


def rows(source: Any, options: TextSource) -> Table:
    """The table of a file or frame with the columns that the task reads.

    Raises DataError; for a column that is not there, it names those that look as if they were meant.
    """
    wanted = [options.text, options.label]
    try:
        return read(source, wanted if options.group is None else [*wanted, options.group])
    except MissingColumn as error:
        if (
            error.wanted in wanted
            and not error.alike
            and (hint := suggestion(source, error.names, options.text, options.label))
        ):
            raise DataError(f"{str(error).removesuffix(error.hint)}; {hint}") from error
        if error.wanted == options.text and (hint := of_series(source, error.names, options.label)):
            raise DataError(f"{str(error).removesuffix(error.hint)}; {hint}") from error
        raise


def tokens_of(table: Table, options: TextSource) -> list[list[bytes]]:
    """The tokens of every row's message. Raises DataError with file and line for one without any."""
    tokenizer, found = options.tokenizer(), []
    for row, text in enumerate(table.column(options.text)):
        with error_context(table.place(row)):
            found.append(message(tokenizer, text, options.text))
    return found


def message(tokenizer: Tokenizer, text: str, column: str) -> list[bytes]:
    """The tokens of a message; a message without one cannot be classified."""
    if not (tokens := tokenizer.tokens(encode(text))):
        what = "is empty" if not text.strip() else f"has no {tokenizer.kind}"
        raise DataError(f"the text in column {column!r} {what}; give one or leave the row out")
    return tokens


def inputs(options: TextSource, tokens: list[list[bytes]]) -> Inputs:
    """The document's input section, its tensors, the vocabulary that the training rows' tokens give, and for each
    of its ids how often training reads it as unknown, float32 [size].
    """
    counts = Counter(t for row in tokens for t in row)
    if options.unit == "byte":
        vocabulary = Vocabulary.of_bytes()
    else:
        vocabulary = Vocabulary.learn(counts, options.min_count, options.vocabulary)
    data, offsets = vocabulary.arrays()
    names = {"bytes": "input.vocabulary.bytes", "offsets": "input.vocabulary.offsets"}
    section = {"kind": "text", "tokenizer": options.tokenizer().to_json(), "vocabulary": names, "size": len(vocabulary)}
    return section, {names["bytes"]: data, names["offsets"]: offsets}, vocabulary, hide(options, counts, vocabulary)


def read_as(
    options: TextSource, learnt: list[list[bytes]], asked: list[list[bytes]]
) -> tuple[Inputs, list[npt.NDArray[np.int32]]]:
    """What rows of tokens give, see `inputs`, and the ids of all rows that are `asked`."""
    made = inputs(options, learnt)
    return made, [made[2].ids(row) for row in asked]


def hide(options: TextSource, counts: Counter[bytes], vocabulary: Vocabulary) -> npt.NDArray[np.float32]:
    """How often each id is read as unknown in training: rare words more, as they are what new text has more of."""
    seen = np.array([counts[token] for token in vocabulary.tokens], np.float64)
    rare = options.drop_rare / np.maximum(options.drop_rare + seen, 1e-9)
    return np.minimum(np.maximum(options.drop_words, rare), 0.95).astype(np.float32)
