"""Features of words beside the word itself: its first and last characters, and its shape.

Their strings share the vocabulary of the words. They contain a space, which no word contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tidegate.features.characters import load
from tidegate.features.text import Tokenizer, Vocabulary

NAMES: Final = ("prefix2", "prefix3", "suffix2", "suffix3", "shape")
KINDS: Final = ("word", "space")  # of tokenizers whose tokens have features
_LONGEST_RUN: Final = 2
_REMEMBERED: Final = 1 << 16  # words; then all are forgotten


def describe_word(names: Sequence[str], word: str, written: str, unicode: str) -> list[str]:
    """Return the feature of each name, a string with a space.

    Args:
        names: some of `NAMES`.
        word: the token, whose first and last characters are taken.
        written: the same as it stands in the text, of which the shape is taken.
        unicode: the version of Unicode for the classes of characters.

    >>> describe_word(["prefix2", "suffix3", "shape"], "boeing-767", "Boeing-767", "unicode-14.0.0")
    ['bo ', ' 767', ' Xxx-00 ']
    """
    return [_describe(name, word, written, unicode) for name in names]


def _describe(name: str, word: str, written: str, unicode: str) -> str:
    if name == "shape":
        return f" {shape(written, unicode)} "
    n = int(name[-1])
    return f"{word[:n]} " if name.startswith("prefix") else f" {word[-n:]}"


def shape(word: str, unicode: str) -> str:
    """Return the shape of a word: X for letters that case folding replaces by another, x for others, 0 for digits.

    A letter that folds to several, such as ß, counts as small. Other characters stand for themselves. Of a run of equal
    symbols, two remain.

    >>> shape("McDonald's", "unicode-14.0.0")
    "XxXxx'x"
    """
    symbols = ""
    for character in word:
        symbol = _symbol(character, unicode)
        if symbols[-_LONGEST_RUN:] != symbol * _LONGEST_RUN:
            symbols += symbol
    return symbols


def _symbol(character: str, unicode: str) -> str:
    if character.isascii():  # the table of Unicode is not needed
        kind, folded = "d" if character.isdigit() else "w" if character.isalpha() else "o", character.lower()
    else:
        classes, folds = load(unicode)
        kind, folded = classes[ord(character)], folds[ord(character)]
    if kind == "d":
        return "0"
    if kind != "w":
        return character
    return "X" if folded != character and len(folded) == 1 else "x"


class WordFeatures:
    """Gives each word its id and those of its features. What it has looked up it remembers.

    Args:
        tokenizer: of a kind of `KINDS`.
        vocabulary: of its tokens and of the features.
        names: some of `NAMES`, in the order of the ids.

    >>> tokenizer, vocabulary = Tokenizer("word"), Vocabulary.learn({b"gate": 2, b"ga ": 1})
    >>> WordFeatures(tokenizer, vocabulary, ["prefix2"]).ids([b"Gate", b"Gap"]).tolist()
    [[1, 2], [0, 2]]
    """

    __slots__ = ("_known", "_tokenizer", "_vocabulary", "names", "splitter")

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary, names: Sequence[str]) -> None:
        self._tokenizer, self._vocabulary, self.names = tokenizer, vocabulary, tuple(names)
        self.splitter = tokenizer.plain()  # what splits a text into the words that `ids` takes
        self._known: dict[bytes, NDArray[np.int32]] = {}

    def __len__(self) -> int:
        return 1 + len(self.names)

    def strings(self, word: bytes) -> list[bytes]:
        """Return the token of a word as `splitter` gives it, and its features."""
        token = self._tokenizer.normalise(word)
        features = describe_word(self.names, token.decode(), word.decode(), self._tokenizer.unicode)
        return [token, *(feature.encode() for feature in features)]

    def ids(self, words: Sequence[bytes]) -> NDArray[np.int32]:
        """Return the ids of words and of their features, 0 for what is unknown: int32, shape (T, 1 + names)."""
        rows = [self._row(word) for word in words]
        if len(rows) == 1:  # a stream waits for it
            return rows[0]
        return np.concatenate(rows) if rows else np.zeros((0, len(self)), np.int32)

    def _row(self, word: bytes) -> NDArray[np.int32]:
        row = self._known.get(word)
        if row is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            row = self._vocabulary.ids(self.strings(word))[None]
            row.flags.writeable = False
            self._known[word] = row
        return row
