"""Features of words: their strings, and their ids next to those of the words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.features.characters import UNICODE
from tidegate.features.text import Tokenizer, Vocabulary
from tidegate.features.word_features import NAMES, WordFeatures, describe_word, shape


def test_features_are_characters_with_a_space() -> None:
    assert describe_word(NAMES, "größe", "Größe", UNICODE) == ["gr ", "grö ", " ße", " öße", " Xxx "]
    assert describe_word(NAMES, "a", "a", UNICODE) == ["a ", "a ", " a", " a", " x "]


@pytest.mark.parametrize(
    ("word", "expected"),
    [("DL-1234", "XX-00"), ("iPhone15", "xXxx00"), ("ΑΘΗΝΑ", "XX"), ("東京", "東京"), ("a_b", "x_x"), ("٣٤٥", "00")],
)
def test_the_shape_of_a_word(word: str, expected: str) -> None:
    assert shape(word, UNICODE) == expected


@given(st.text(max_size=80), st.sampled_from(["word", "space"]), st.booleans(), st.sampled_from(["keep", "shape"]))
def test_a_plain_tokenizer_splits_in_the_same_places(text: str, kind: str, fold: bool, digits: str) -> None:
    tokenizer, data = Tokenizer(kind, fold, digits), text.encode()
    plain = tokenizer.plain()
    assert [tokenizer.normalise(word) for word in plain.tokens(data)] == tokenizer.tokens(data)
    assert plain.feed(data)[1] == tokenizer.feed(data)[1]


def test_ids_are_those_of_the_strings() -> None:
    known = [b"gate", b"ga ", b" Xxx ", b" te"]
    vocabulary = Vocabulary.learn({token: 9 - k for k, token in enumerate(known)})
    words = WordFeatures(Tokenizer("word"), vocabulary, ["shape", "prefix2", "suffix2"])
    assert words.ids([b"Gate"]).tolist() == [[1, 3, 2, 4]]
    assert words.ids([b"Gate", b"gap", b"Gate"]).tolist() == [[1, 3, 2, 4], [0, 0, 2, 0], [1, 3, 2, 4]]
    assert words.ids([]).shape == (0, 4)
