"""Training misspells some words: by one letter, in the same way whenever the draws are the same, and no others."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from tidegate.features.ngrams import WORDS, NGrams
from tidegate.features.text import Vocabulary
from tidegate.tasks._messages import WordParts
from tidegate.tasks._misspelling import VARIANTS, Speller, change_letter
from tidegate.tasks._ngram_counts import LONGEST, SHORTEST, count_characters, count_words

TEXTS = [[b"please", b"play", b"the", b"song"], ["naïve".encode(), b"messages", b"b2b4", b"play"]]
IDS = [np.array([1, 2, 3, 4], np.int32), np.array([5, 6, 7, 2], np.int32)]


def make_parts(rate: float) -> WordParts:
    tables = count_words(TEXTS).hashes, count_characters(TEXTS).hashes
    ngrams = NGrams(*tables, SHORTEST, LONGEST)
    vocabulary = Vocabulary.learn(Counter(word for row in TEXTS for word in row))
    return WordParts(TEXTS, ngrams, Speller(TEXTS, vocabulary, ngrams, rate))


def distance(a: str, b: str) -> int:
    """Return how many letters are inserted, left out, replaced or swapped between two words."""
    table = {(i, -1): i + 1 for i in range(-1, len(a))} | {(-1, j): j + 1 for j in range(-1, len(b))}
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (x != y))
            if i and j and x == b[j - 1] and a[i - 1] == y:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(a) - 1, len(b) - 1]


def test_a_misspelt_word_is_one_typing_error_away() -> None:
    made = [change_letter("tidegate", ["x"], random.Random(seed)) for seed in range(400)]
    assert all(distance(word, "tidegate") == 1 for word in made)
    lengths = Counter(map(len, made))
    assert set(lengths) == {7, 8, 9}
    assert min(lengths.values()) > 60
    assert {"xidegate", "tidegatx", "idegate", "tidegat", "ttidegate", "tidegatee", "itdegate", "tidegaet"} <= set(made)


def test_only_words_of_letters_that_are_not_short_are_misspelt() -> None:
    speller = make_parts(0.5).speller
    assert speller is not None
    words = [word for row in TEXTS for word in row]
    assert [word for word in words if not speller.may_change(word)] == [b"the", b"b2b4"]
    assert speller.letters == sorted(set("pleaseplaythesongnaïvemessagesbb"))


@pytest.mark.parametrize("rate", [0.1, 0.9])
def test_a_share_of_words_is_misspelt_with_the_ids_of_what_they_look_like(rate: float) -> None:
    parts, rows = make_parts(rate), np.array([0, 1])
    before, own = np.concatenate(IDS), parts.ids(rows)
    changed = np.zeros(len(before))
    for seed in range(400):
        ids, others = before.copy(), own.copy()
        parts.misspell(rows, ids, others, np.random.default_rng(seed))
        again = before.copy(), own.copy()
        parts.misspell(rows, *again, np.random.default_rng(seed))
        assert np.array_equal(ids, again[0])
        assert np.array_equal(others, again[1])
        changed += (others != own).any(1)
        assert ((ids == before) | (ids == 0)).all()  # no misspelt word here is another one
        kept = ids == before
        assert np.array_equal(others[kept], own[kept])
    assert changed[[2, 6]].tolist() == [0, 0]
    assert changed[[0, 1, 3, 4, 5, 7]].mean() / 400 == pytest.approx(rate, abs=0.03)


def test_parts_of_a_misspelt_word_are_those_of_its_letters() -> None:
    parts = make_parts(0.5)
    assert parts.speller is not None
    for which in range(VARIANTS):
        other = change_letter("messages", parts.speller.letters, random.Random(parts.speller.seed(b"messages", which)))
        wanted = parts.speller.ngrams.ids([other.encode()])[0][0, WORDS:]
        assert np.array_equal(parts.speller.misspell(b"messages", which)[1], wanted)


def test_without_a_speller_nothing_is_misspelt() -> None:
    parts, rows = make_parts(0.5), np.array([0, 1])
    parts.speller = None
    ids, own = np.concatenate(IDS), parts.ids(rows)
    parts.misspell(rows, ids, own, np.random.default_rng(0))
    assert np.array_equal(ids, np.concatenate(IDS))
    assert np.array_equal(own, parts.ids(rows))
