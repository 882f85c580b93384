"""Misspelt words: what training puts in the place of some words, so that a typing error does little harm to an answer.

Source: Belinkov and Bisk 2018, Synthetic and natural noise both break neural machine translation (arXiv:1711.02173),
section 6.2: training on texts with such errors makes a model robust to them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ..features.ngrams import WORDS, NGrams
from ..features.text import Vocabulary

LEAST_LETTERS: Final = 4  # of a word that may be misspelt; shorter ones are often other words then
VARIANTS: Final = 4  # of each word, so that each is looked up once


class Speller:
    """Misspells words as people mistype them: a letter is replaced, left out, doubled, or swapped with the next.

    Args:
        texts: the words of rows, whose letters take the place of others.
        vocabulary: gives a misspelt word its id; it is mostly unknown.
        ngrams: gives its parts their ids.
        rate: the share of words that are misspelt.
    """

    def __init__(self, texts: Iterable[list[bytes]], vocabulary: Vocabulary, ngrams: NGrams, rate: float) -> None:
        characters = {character for word in {word for row in texts for word in row} for character in word.decode()}
        self.rate, self.letters = rate, sorted(filter(str.isalpha, characters))
        self.vocabulary, self.ngrams = vocabulary, ngrams
        self.known: dict[tuple[bytes, int], tuple[int, npt.NDArray[np.int32]]] = {}

    def may_change(self, word: bytes) -> bool:
        """Return whether a word may be misspelt: it is of letters alone, and not short."""
        text = word.decode()
        return len(text) >= LEAST_LETTERS and text.isalpha() and bool(self.letters)

    def seed(self, word: bytes, which: int) -> int:
        """Return the seed of a variant: it is the same whenever it is drawn, so that resumed training has it too."""
        return crc32(word) * VARIANTS + which

    def misspell(self, word: bytes, which: int) -> tuple[int, npt.NDArray[np.int32]]:
        """Return the id of a misspelt word and those of its parts. which: one of its `VARIANTS`."""
        found = self.known.get((word, which))
        if found is None:
            other = change_letter(word.decode(), self.letters, random.Random(self.seed(word, which))).encode()
            parts = self.ngrams.ids([other])[0][0, WORDS:]
            found = self.known[word, which] = int(self.vocabulary.ids([other])[0]), parts
        return found


def change_letter(word: str, letters: list[str], source: random.Random) -> str:
    """Return a word of two letters or more with one of four typing errors.

    >>> change_letter("message", ["a"], random.Random(2))
    'messaga'
    """
    i, kind = source.randrange(len(word)), source.randrange(4)
    k = min(i, len(word) - 2)
    replaced = word[:i] + source.choice(letters) + word[i + 1 :]
    swapped = word[:k] + word[k + 1] + word[k] + word[k + 2 :]
    return (replaced, word[:i] + word[i + 1 :], word[: i + 1] + word[i:], swapped)[kind]
