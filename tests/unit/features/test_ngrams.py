"""Hashed n-grams: values that model files rely on, letters of any script, and words read in any pieces."""

from __future__ import annotations

from itertools import pairwise
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.features import ngrams
from tidegate.features.ngrams import NO_WORD, NGrams, append_word, count_most, hash_characters, hash_pair, hash_word

WORDS = [text.encode() for text in ("the", "tide", "día", "日本", "😀", "x" * 64, "the", "tide", "q")]


def hash_all(words: list[bytes]) -> NGrams:
    """Return what gives an id to all n-grams of words but those of the last one alone."""
    befores = [NO_WORD, *map(append_word, words)]
    codes = {hash_pair(word, before) for word, before in zip(words, befores, strict=False)}
    own = {hash_word(word) for word in words[:-1]} | codes
    parts = {code for word in words[:-1] for code in hash_characters(word, 2, 5)}
    return NGrams(np.array(sorted(own), np.uint32), np.array(sorted(parts), np.uint32), 2, 5)


def test_hashes_are_those_that_model_files_have() -> None:
    """Each is the CRC-32 of a letter for its kind and the text of the n-gram."""
    assert hash_word(b"gate") == crc32(b"wgate") == 348097610
    assert hash_pair(b"gate", append_word(b"tide")) == crc32(b"btide gate") == 723323873
    assert hash_pair(b"gate", NO_WORD) == crc32(b"b gate") == 2890950526
    assert hash_characters(b"ab", 2, 3) == [crc32(b"c" + text) for text in (b" a", b"ab", b"b ", b" ab", b"ab ")]
    assert hash_word("日本".encode()) == crc32("w日本".encode())


def test_characters_are_letters_and_not_bytes() -> None:
    expected = [" d", "dí", "ía", "a ", " dí", "día", "ía "]
    assert hash_characters("día".encode(), 2, 3) == [crc32(f"c{text}".encode()) for text in expected]
    assert hash_characters("😀".encode(), 3, 8) == [crc32("c 😀 ".encode())]
    assert hash_characters(b"a", 4, 5) == []


@pytest.mark.parametrize(("shortest", "longest"), [(1, 1), (2, 5), (8, 8)])
def test_no_word_has_more_n_grams_than_there_is_room_for(shortest: int, longest: int) -> None:
    word = bytes(range(48, 112))  # 64 characters of one byte, all different
    codes = hash_characters(word, shortest, longest)
    assert len(codes) == count_most(shortest, longest)
    table = np.array(sorted(set(codes)), np.uint32)
    found, _ = NGrams(np.array([0], np.uint32), table, shortest, longest).ids([word])
    assert table[found[0, ngrams.WORDS :]].tolist() == codes


def test_ids_are_places_in_the_tables_and_unknown_n_grams_have_none() -> None:
    known = hash_all(WORDS)
    rows, _ = known.ids(WORDS)
    assert rows.dtype == np.int32
    assert rows.shape == (len(WORDS), 2 + known.most)
    assert (rows[:-1, :2] >= 0).all()
    assert rows[-1].tolist()[0] == -1  # the word itself is unknown, and the pair is not
    assert rows[-1, 1] >= 0
    assert (rows[-1, 2:] == -1).all()
    for word, row in zip(WORDS[:-1], rows, strict=False):
        assert (row[2:] >= 0).sum() == len(hash_characters(word, 2, 5))
    assert rows[0].tolist()[2:] == rows[6].tolist()[2:]  # equal words
    assert rows[0, 1] != rows[6, 1]  # behind other words


@given(st.lists(st.integers(0, len(WORDS)), max_size=4))
def test_words_in_pieces_have_the_ids_of_the_whole(cuts: list[int]) -> None:
    known = hash_all(WORDS)
    expected, last = known.ids(WORDS)
    before, parts, places = NO_WORD, [], [0, *sorted(cuts), len(WORDS)]
    for start, end in pairwise(places):
        rows, before = known.ids(WORDS[start:end], before)
        parts.append(rows)
    assert np.array_equal(np.concatenate(parts), expected)
    assert before == last


def test_forgotten_words_are_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = hash_all(WORDS).ids(WORDS)
    monkeypatch.setattr(ngrams, "_REMEMBERED", 2)
    known = hash_all(WORDS)
    for _ in range(2):
        assert np.array_equal(known.ids(WORDS)[0], expected)
