"""Texts as a task's input: columns of a table become rows of token ids, with a vocabulary learnt from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..data.candidates import suggest_columns, suggest_series
from ..data.columns import MissingColumn
from ..data.table import Table, read_table
from ..errors import DataError, error_context
from ..features.ngrams import WORDS, NGrams
from ..features.text import Tokenizer, Vocabulary, encode
from ..features.word_features import WordFeatures
from ..layers import INPUT
from ..model import Model
from ._misspelling import VARIANTS, Speller
from ._options import option
from ._search_space import Numbers
from .base import Array, Batch, Indices, concatenate

Inputs = tuple[dict[str, Any], dict[str, npt.NDArray[Any]], Vocabulary, npt.NDArray[np.float32]]

HIDDEN_PARTS: Final = 0.5
FEATURE_COUNT: Final = 2  # features of words that occur less often are unknown
MAX_LISTED: Final = 20  # skipped rows
TOKENIZER_KINDS: Final = {
    "word": "word",
    "space": "space",
    "character": "char",
    "byte": "byte",
}  # unit -> the tokenizer's kind in a model file


@dataclass(frozen=True)
class TextOptions:
    """Options of texts as input."""

    text: str = option("text", "column of messages", metavar="COLUMN")
    label: str = option("label", "column of labels", metavar="COLUMN")
    group: str | None = option(
        None,
        "column of groups: rows of one group, such as those of one patient, are held out together",
        metavar="COLUMN",
    )
    unit: str = option(
        "word",
        "what the model reads at each step; space: what stands between white space",
        choices=tuple(TOKENIZER_KINDS),
        old_name="tokens",
        old_values={"char": "character"},
        earlier="kept",
    )
    fold: bool = option(True, "ignore the case of letters (not in bytes)", earlier="kept")
    digits: str = option("keep", "keep digits, or replace each by 0 (shape)", choices=("keep", "shape"), earlier="kept")
    min_count: int = option(1, "treat words that occur less often as unknown", least=1)
    vocabulary: int | None = option(
        None,
        "maximum size of the vocabulary",
        least=2,
        most=1_000_000,
        presets={"tiny": 1000, "small": 30_000, "base": 30_000},
    )
    skip_bad: bool = option(False, "leave out rows whose text is empty, and list them, instead of stopping")
    drop_words: float = option(
        0.1,
        "share of words replaced by unknown in training",
        least=0.0,
        most=0.95,
        search=Numbers(0.0, 0.3, reads="text"),
    )
    drop_rare: float = option(
        0.5, "replace rare words by unknown more often in training: a share of a/(a + count)", least=0.0, most=100.0
    )

    vectors: str | None = option(
        None,
        "file of word vectors, by which the embedding begins: text of word2vec, GloVe or fastText (also .gz), or .npz",
        metavar="FILE",
    )
    freeze_vectors: int | None = option(
        None,
        "with --vectors, how many of the first epochs leave the words that were found as they are; default: a third",
        least=0,
    )

    def tokenizer(self) -> Tokenizer:
        fold = self.fold and self.unit != "byte"
        return Tokenizer(TOKENIZER_KINDS[self.unit], fold=fold, digits=self.digits)


class Messages:
    """Rows of token ids [T], or [T, K] with features of words.

    hide_rates: how often training replaces each id by unknown, float32 [size].
    targets: [n, ...], of the output of this name. parts: of words, the ids of which steps have as well; those of
    a hidden word are hidden in half of the cases, so that they have to do without it, and it without them.
    """

    def __init__(
        self,
        ids: list[npt.NDArray[np.int32]],
        output: str,
        targets: Array,
        hide: npt.NDArray[np.float32],
        parts: WordParts | None = None,
    ) -> None:
        self.ids, self.output, self.targets, self.hide_rates, self.parts = ids, output, targets, hide, parts
        self.lengths: Indices = np.array([len(row) for row in ids], np.int64)

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """See `Rows`: ids int64 [N], or [N, K].

        Training replaces some ids by unknown: the model learns not to rely on any single word, and what unknown means.
        """
        ids, lengths = concatenate([self.ids[i] for i in rows])
        own = None if self.parts is None else self.parts.ids(rows)
        if random is not None:
            hidden = hide_words(ids, self.hide_rates, random)
            if self.parts is not None and own is not None:
                own[(hidden != ids) & (random.random(len(ids)) < HIDDEN_PARTS)] = -1
                self.parts.misspell(rows, hidden, own, random)
            ids = hidden
        if own is not None:
            ids = np.column_stack([ids, own])
        return Batch({"x": ids.astype(np.int64)}, lengths, {self.output: self.targets[rows]})


class WordParts:
    """The ids of the parts of words, as `NGrams` gives them.

    texts: the words of all rows. speller: misspells some of them in training; None: none.
    """

    def __init__(self, texts: list[list[bytes]], ngrams: NGrams, speller: Speller | None = None) -> None:
        numbers: dict[bytes, int] = {}
        self.numbers = [np.array([numbers.setdefault(word, len(numbers)) for word in words]) for words in texts]
        self.rows, _ = ngrams.ids(list(numbers))
        self.rows[:, :WORDS] = -1  # only the linear model has words and pairs of them
        self.speller = speller
        self.may_change = np.array([speller is not None and speller.may_change(word) for word in numbers], bool)
        self.words = list(numbers)

    def ids(self, rows: Indices) -> npt.NDArray[np.int32]:
        """Return the ids at the steps of rows, one after another: int32 [N, ids]."""
        made: npt.NDArray[np.int32] = self.rows[np.concatenate([self.numbers[i] for i in rows])]
        return made

    def misspell(
        self, rows: Indices, ids: npt.NDArray[np.int32], own: npt.NDArray[np.int32], random: np.random.Generator
    ) -> None:
        """Misspell some words, in place. ids: int32 [N], those at the steps of rows; own: of their parts."""
        if self.speller is None:
            return
        numbers = np.concatenate([self.numbers[i] for i in rows])
        draws = random.random(len(ids))
        for place in np.flatnonzero((draws < self.speller.rate) & self.may_change[numbers]):
            which = int(draws[place] / self.speller.rate * VARIANTS)
            ids[place], own[place, WORDS:] = self.speller.misspell(self.words[numbers[place]], which)


def read_messages(source: Any, options: TextOptions, more: Sequence[str] = ()) -> Table:
    """Read a file or frame as a table with the columns that the task needs.

    more: further columns. Raises DataError; for a missing column the message suggests columns that may be meant.
    """
    wanted = [options.text, *([] if options.label is None else [options.label])]
    try:
        group = [] if options.group is None else [options.group]
        return read_table(source, list(dict.fromkeys([*wanted, *group, *more])))
    except MissingColumn as error:
        if (
            error.wanted in wanted
            and not error.alike
            and (hint := suggest_columns(source, error.names, options.text, options.label))
        ):
            raise DataError(f"{str(error).removesuffix(error.hint)}; {hint}") from error
        if error.wanted == options.text and (hint := suggest_series(source, error.names, options.label)):
            raise DataError(f"{str(error).removesuffix(error.hint)}; {hint}") from error
        raise


def hide_words(
    ids: npt.NDArray[np.int32], rates: npt.NDArray[np.float32], random: np.random.Generator
) -> npt.NDArray[np.int32]:
    """Replace words by unknown, by the rate of each id. ids: [N], or [N, K]; features of a hidden word stay."""
    words = ids if ids.ndim == 1 else ids[:, 0]
    words = np.where(random.random(len(words)) < rates[words], np.int32(0), words)
    return words if ids.ndim == 1 else np.column_stack([words, ids[:, 1:]])


def tokenize_rows(table: Table, options: TextOptions) -> list[list[bytes]]:
    """Split every row's message into tokens. Raises DataError with file and line for a message without any."""
    tokenizer, tokens = options.tokenizer(), []
    for row, text in enumerate(table.column(options.text)):
        with error_context(table.locate(row)):
            tokens.append(tokenize(tokenizer, text, options.text))
    return tokens


def skip_empty(table: Table, options: TextOptions) -> tuple[Table, list[str]]:
    """Leave out the rows whose message has no token, if the options say so; return the table and a note about them."""
    if not options.skip_bad:
        return table, []
    tokenizer, texts = options.tokenizer(), table.column(options.text)
    bad = [i for i, text in enumerate(texts) if not tokenizer.tokens(encode(text))]
    if not bad:
        return table, []
    kept = sorted(set(range(len(table))) - set(bad))
    lines = ", ".join(str(table.lines[i]) for i in bad)
    note = (
        f"skipped {len(bad):,} of {len(table):,} rows, whose text is empty: {table.unit}{'s'[: len(bad) != 1]} {lines}"
    )
    return replace(table.take(kept), sha256=table.sha256), [note]


def tokenize(tokenizer: Tokenizer, text: str, column: str) -> list[bytes]:
    """Split a message into tokens. Raises DataError for one without any, as it cannot be classified."""
    if not (tokens := tokenizer.tokens(encode(text))):
        what = "is empty" if not text.strip() else f"has no {tokenizer.kind}"
        raise DataError(f"the text in column {column!r} {what}; fill it in, or leave such rows out with --skip-bad")
    return tokens


def build_input(options: Any, tokens: list[list[bytes]], features: Sequence[str] = ()) -> Inputs:
    """Build the vocabulary of the training rows' tokens.

    features: the names of features of words that each step has as well; the tokens are then as they are written, as
    `Tokenizer.plain` splits a text.

    Returns the document's input section, its tensors, the vocabulary, and how often training replaces each id by
    unknown, float32 [size].
    """
    described: Counter[bytes] = Counter()
    if features:
        tokens, described = count_features(options, tokens, features)
    counts = Counter(t for row in tokens for t in row)
    if options.unit == "byte":
        vocabulary = Vocabulary.of_bytes()
    else:
        vocabulary = Vocabulary.learn(counts, options.min_count, options.vocabulary)
    if described:
        known = {token: counts[token] for token in vocabulary.tokens[1:]}
        most = getattr(options, "affixes", None)  # of a tagger alone
        often = Vocabulary.learn(described, FEATURE_COUNT, most and most + 1).tokens[1:]
        vocabulary = Vocabulary.learn({**known, **{feature: described[feature] for feature in often}})
    if options.from_model is not None and options.unit != "byte":
        vocabulary = keep_earlier_words(options, vocabulary)
    data, offsets = vocabulary.arrays()
    names = {"bytes": "input.vocabulary.bytes", "offsets": "input.vocabulary.offsets"}
    section = {"kind": "text", "tokenizer": options.tokenizer().to_json(), "vocabulary": names, "size": len(vocabulary)}
    if features:
        section["features"] = list(features)
    rates = hide_rates(options, counts, vocabulary)
    rates[[token in described for token in vocabulary.tokens]] = 0
    return section, {names["bytes"]: data, names["offsets"]: offsets}, vocabulary, rates


def keep_earlier_words(options: Any, vocabulary: Vocabulary) -> Vocabulary:
    """Return a vocabulary with the words of the model that training starts from, too: what it knows is not forgotten.

    Raises DataError where that model knows none of the words.
    """
    source = Model.load(options.from_model).inputs.get(INPUT)
    tokens = [] if source is None else list(source.tokens or ())
    if tokens and not any(token in vocabulary for token in tokens):
        raise DataError(
            f"{options.from_model}: knows none of the {len(vocabulary) - 1:,} words of the training rows; start from a "
            "model of texts in the same language"
        )
    return vocabulary.extend(tokens, options.vocabulary)


def count_features(
    options: TextOptions, words: list[list[bytes]], features: Sequence[str]
) -> tuple[list[list[bytes]], Counter[bytes]]:
    """Return the tokens of words as they are written, and how often each of their features occurs."""
    describe = WordFeatures(options.tokenizer(), Vocabulary.learn({}), features).strings
    strings = {word: describe(word) for row in words for word in row}
    described = Counter(feature for row in words for word in row for feature in strings[word][1:])
    return [[strings[word][0] for word in row] for row in words], described


def build_input_and_ids(
    options: Any, train_tokens: list[list[bytes]], tokens: list[list[bytes]], features: Sequence[str] = ()
) -> tuple[Inputs, list[npt.NDArray[np.int32]]]:
    """Build the input from the training rows' tokens, see `build_input`, and return it with the ids of all rows.

    The ids are int32 [T], or with features [T, K].
    """
    parts = build_input(options, train_tokens, features)
    source = WordFeatures(options.tokenizer(), parts[2], features) if features else parts[2]
    return parts, [source.ids(row) for row in tokens]


def hide_rates(options: TextOptions, counts: Counter[bytes], vocabulary: Vocabulary) -> npt.NDArray[np.float32]:
    """Compute how often training replaces each id by unknown: rare words more often, as new text has more of them."""
    seen = np.array([counts[token] for token in vocabulary.tokens], np.float64)
    rare = options.drop_rare / np.maximum(options.drop_rare + seen, 1e-9)
    return np.minimum(np.maximum(options.drop_words, rare), 0.95).astype(np.float32)
