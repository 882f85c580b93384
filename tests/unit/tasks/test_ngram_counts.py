"""Counts of n-grams: those of a plain loop, and which n-grams get an id."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tidegate.features.ngrams import NO_WORD, append_word, hash_characters, hash_pair, hash_word
from tidegate.tasks._ngram_counts import FEW_ROWS, Counts, choose_hashes, count_characters, count_words, least_rows

TEXTS = [text.encode().split() for text in ("the tide the tide gate", "the día", "tide 日本 tide", "gate", "the tide")]


def count_words_of(words: list[bytes]) -> Counter[int]:
    befores = [NO_WORD, *map(append_word, words)]
    return Counter([*map(hash_word, words), *map(hash_pair, words, befores)])


def count_characters_of(words: list[bytes]) -> Counter[int]:
    return Counter(code for word in words for code in hash_characters(word, 2, 5))


def check(counts: Counts, expected: list[Counter[int]]) -> None:
    assert counts.hashes.dtype == np.uint32
    assert counts.hashes.tolist() == sorted(set().union(*expected))
    found = counts.matrix.toarray()
    for row, counter in zip(found, expected, strict=True):
        assert row.tolist() == [counter[code] for code in counts.hashes.tolist()]
    assert counts.rows().tolist() == (found > 0).sum(0).tolist()


def test_counts_are_those_of_a_loop() -> None:
    check(count_words(TEXTS), [count_words_of(words) for words in TEXTS])
    check(count_characters(TEXTS), [count_characters_of(words) for words in TEXTS])


def test_an_n_gram_gets_an_id_if_enough_rows_have_it() -> None:
    counts = count_words(TEXTS)
    enough = counts.hashes[counts.rows() >= 2].tolist()
    assert choose_hashes(counts, 100, 2).tolist() == enough
    assert 0 < len(enough) < len(counts.hashes)
    assert hash_pair(b"gate", append_word(b"tide")) not in enough  # one row only
    most = choose_hashes(counts, 2, 2).tolist()
    assert most == sorted(most)
    assert hash_word(b"the") in most  # three rows have it, and three have "tide"
    assert choose_hashes(count_words([[b"a"], [b"b"]]), 100, 2).tolist() == []
    assert len(choose_hashes(count_words([[b"a"], [b"b"]]), 100, 1)) == 4
    assert (least_rows(FEW_ROWS), least_rows(FEW_ROWS + 1)) == (1, 2)


def test_selected_n_grams_keep_their_counts_and_others_have_none() -> None:
    counts, absent = count_words(TEXTS), [0, 1 << 31, (1 << 32) - 1]
    wanted = np.array(sorted({*counts.hashes[::3].tolist(), *absent}), np.uint32)
    found = counts.select(wanted)
    assert found.hashes.tolist() == wanted.tolist()
    for k, code in enumerate(wanted.tolist()):
        column = found.matrix.toarray()[:, k].tolist()
        assert column == [count_words_of(words)[code] for words in TEXTS]
