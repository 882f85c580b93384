"""Hashed n-grams of a text: of each word alone and with the word before it, and of the characters inside words.

Only n-grams that a model knows have ids, so a table of them has a row for each, and no two share one. A text is read
word by word, and what is remembered between words is one number: the hash of the word before, to which the next word is
appended.

Source: Wang and Manning 2012, Baselines and bigrams (aclanthology P12-2018), for words and pairs of words; Bojanowski
et al. 2017 (arXiv:1607.04606), section 3.2, for the n-grams of a word with its boundaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from .text import WORD_BYTES

HASH: Final = "crc32"
MAX_LENGTH: Final = 8  # of an n-gram of characters
WORDS: Final = 2  # n-grams of words that end at a word: itself, and with the word before
NO_WORD: Final = crc32(b"b ")  # the hash that the first word of a text is appended to
_WORD, _PAIR, _CHARACTERS = crc32(b"w"), crc32(b"b"), crc32(b"c")  # each kind's strings begin with its letter
_REMEMBERED: Final = 1 << 16  # words; then all are forgotten

Hashes = NDArray[np.uint32]


def hash_word(word: bytes) -> int:
    """Return the hash of a word alone.

    >>> hash_word(b"gate")
    348097610
    """
    return crc32(word, _WORD)


def hash_pair(word: bytes, before: int) -> int:
    """Return the hash of a word with the one before. before: `append_word` of that word, or `NO_WORD`."""
    return crc32(word, before)


def append_word(word: bytes) -> int:
    """Return what is remembered of a word until the next one: the hash that the next is appended to."""
    return crc32(b" ", crc32(word, _PAIR))


def hash_characters(word: bytes, shortest: int, longest: int) -> list[int]:
    """Return the hashes of the n-grams of a word's characters, with a space before and behind it.

    shortest, longest: how many characters they have.

    >>> len(hash_characters("día".encode(), 2, 5))  # " d", "dí", ..., " día "
    10
    """
    text = f" {word.decode()} "
    return [
        crc32(text[i : i + n].encode(), _CHARACTERS)
        for n in range(shortest, longest + 1)
        for i in range(len(text) - n + 1)
    ]


def count_most(shortest: int, longest: int) -> int:
    """Return how many n-grams of characters a word can have; a tokenizer splits words after 64 bytes.

    >>> count_most(2, 5)
    254
    """
    return sum(WORD_BYTES + 3 - n for n in range(shortest, longest + 1))


class NGrams:
    """Gives each word of a text the ids of its n-grams. What it has looked up of single words it remembers.

    Args:
        words: uint32, shape (W,): the hashes of the n-grams of words that have ids, in ascending order.
        characters: uint32, shape (C,): those of n-grams of characters.
        shortest, longest: how many characters these have.

    >>> words = np.array(sorted([hash_word(b"gate"), hash_pair(b"gate", append_word(b"tide"))]), np.uint32)
    >>> rows, _ = NGrams(words, np.array([7], np.uint32), 2, 5).ids([b"tide", b"gate"])
    >>> rows.shape, rows[:, :2].tolist()
    ((2, 256), [[-1, -1], [0, 1]])
    """

    __slots__ = ("_characters", "_known", "_longest", "_shortest", "_words", "most")

    def __init__(self, words: Hashes, characters: Hashes, shortest: int, longest: int) -> None:
        self._words = {code: i for i, code in enumerate(words.tolist())}
        self._characters = {code: i for i, code in enumerate(characters.tolist())}
        self._shortest, self._longest, self.most = shortest, longest, count_most(shortest, longest)
        self._known: dict[bytes, NDArray[np.int32]] = {}

    def ids(self, words: Sequence[bytes], before: int = NO_WORD) -> tuple[NDArray[np.int32], int]:
        """Return the ids of words, and the hash that the next one is appended to.

        The ids are int32, shape (T, 2 + most): of the word, of the pair with the word before, and of the characters;
        -1 where an n-gram has none. before: what the previous call returned.
        """
        rows = np.empty((len(words), WORDS + self.most), np.int32)
        for row, word in zip(rows, words, strict=True):
            row[:] = self._row(word)
            if (pair := self._words.get(hash_pair(word, before))) is not None:
                row[1] = pair
            before = append_word(word)
        return rows, before

    def _row(self, word: bytes) -> NDArray[np.int32]:
        """Return the ids of a word without its pair."""
        row = self._known.get(word)
        if row is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            row = np.full(WORDS + self.most, -1, np.int32)
            row[0] = self._words.get(hash_word(word), -1)
            codes = hash_characters(word, self._shortest, self._longest)
            found = [i for i in map(self._characters.get, codes) if i is not None]
            row[WORDS : WORDS + len(found)] = found
            self._known[word] = row
        return row
