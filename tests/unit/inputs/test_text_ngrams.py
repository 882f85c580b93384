"""A text whose steps have hashed n-grams: any pieces, saved states, rows of ids, and entries that are refused."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import inputs
from tidegate.errors import DataError, ModelFileError, StateError
from tidegate.features.ngrams import append_word, count_most, hash_characters, hash_pair, hash_word
from tidegate.features.text import Tokenizer, Vocabulary

WORDS = (b"tide", b"gate", b"the")
MOST = count_most(2, 5)
FEATURES = ["prefix2", "prefix3"]


def make_entry(kind: str = "word", **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    data, offsets = Vocabulary.learn({b"tide": 3, b"gate": 2}).arrays()
    pairs = {hash_pair(after, append_word(word)) for word in WORDS for after in WORDS}
    words = np.array(sorted({*map(hash_word, WORDS), *pairs}), np.uint32)
    parts = np.array(sorted({code for word in WORDS for code in hash_characters(word, 2, 5)}), np.uint32)
    entry = {
        "kind": "text",
        "tokenizer": Tokenizer(kind).to_json(),
        "vocabulary": {"bytes": "b", "offsets": "o"},
        "size": 3,
        "ngrams": {
            "hash": "crc32",
            "characters": [2, 5],
            "tables": {"words": "w", "characters": "c"},
            **{key: value for key, value in changes.items() if key != "features"},
        },
    }
    entry |= {"features": changes["features"]} if "features" in changes else {}
    tensors = {"b": data, "o": offsets, "w": words, "c": parts, "one": np.ones(1), "none": np.zeros(0, np.uint32)}
    return entry, tensors | {"falls": words[::-1].copy(), "twice": np.repeat(words, 2), "flat": words[None]}


def make_input(**changes: Any) -> Any:
    entry, tensors = make_entry(**changes)
    return inputs.parse("x", entry, tensors).prepare()


PLAIN, FEATURED = make_input(), make_input(features=FEATURES)
TEXT = "The tide, the GATE the\u3000día 日本 tide gate"


def push_all(source: Any, pieces: list[bytes], save: bool = False) -> np.ndarray:
    state, parts = source.start(), []
    for k, piece in enumerate(pieces):
        steps, state = source.push(piece, state, None, k == len(pieces) - 1)
        assert steps.number == len(steps.rows)
        parts.append(steps.rows)
        if save:
            state = source.from_bytes(source.to_bytes(state), 0)
    return np.concatenate(parts)


def test_a_step_has_the_ids_of_the_word_and_of_its_n_grams() -> None:
    rows = PLAIN.read_whole(TEXT)[0].rows
    assert rows.shape == (11, 1 + 2 + MOST)
    assert [(port.first, port.ids, port.may_lack) for port in PLAIN.ports.values()] == [
        (0, 1, False),
        (1, 2, True),
        (3, MOST, True),
    ]
    hashes = make_entry()[1]["w"].tolist()
    assert rows[:, 0].tolist() == [0, 1, 0, 0, 2, 0, 0, 0, 0, 1, 2]  # the comma is a word too
    assert rows[1, 1:3].tolist() == list(
        map(hashes.index, [hash_word(b"tide"), hash_pair(b"tide", append_word(b"the"))])
    )
    assert rows[0, 2] == -1  # no word stands before the first one
    assert rows[3, 2] == -1  # nor a known one before the second "the"
    assert rows[6, 1:3].tolist() == [-1, -1]
    words = [(row[3:] >= 0).sum() for row in rows]
    assert words[1] == len(hash_characters(b"tide", 2, 5))
    featured = FEATURED.read_whole(TEXT)[0].rows
    assert featured.shape == (11, 3 + 2 + MOST)
    assert np.array_equal(featured[:, 3:], rows[:, 1:])


@pytest.mark.parametrize("source", [PLAIN, FEATURED], ids=["plain", "features"])
@pytest.mark.parametrize("save", [False, True])
def test_bytes_one_by_one_are_the_whole_also_through_saved_states(source: Any, save: bool) -> None:
    expected = source.read_whole(TEXT)[0].rows
    found = push_all(source, [bytes([byte]) for byte in TEXT.encode()], save)
    assert np.array_equal(found, expected)
    assert np.array_equal(push_all(source, [TEXT.encode(), b""], save), expected)


@given(st.text(" aetdighí日,\t", max_size=30), st.lists(st.integers(0, 60), max_size=4))
def test_any_pieces_are_the_whole(text: str, cuts: list[int]) -> None:
    data = text.encode()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    for source in (PLAIN, FEATURED):
        assert np.array_equal(push_all(source, pieces, True), source.read_whole(text)[0].rows)


def test_a_state_has_the_word_before_and_the_unfinished_one() -> None:
    assert PLAIN.memory_bytes == 4
    assert PLAIN.start() == b""
    assert PLAIN.push("", b"")[1] == b""  # nothing was read
    for text, word, pending in (("ti", b"ti", 1), ("tide ", b"", 0), ("tide ga", b"ga", 1)):
        steps, state = PLAIN.push(text, b"")
        before = append_word(b"tide") if " " in text else append_word(b"")
        assert state == before.to_bytes(4, "little") + word or not steps.number
        assert state[4:] == word
        assert PLAIN.pending_steps(state) == pending
        assert PLAIN.finish(state)[0].number == pending
        assert PLAIN.from_bytes(PLAIN.to_bytes(state), 1) == state
    assert PLAIN.pending_steps(b"") == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"abc", "its input state has 3 bytes; expected 0, or at least 4"),
        (b"0000" + b"a" * 65, "the state's unfinished word has 65 bytes; at most 64 are allowed"),
        (b"0000a b", "the tokenizer would split it"),
        (b"0000\xff", "its unfinished word does not fit this model"),
    ],
)
def test_a_state_that_the_tokenizer_cannot_leave_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(StateError, match=said):
        PLAIN.from_bytes(data, 1)


def test_rows_of_ids_may_lack_n_grams_and_not_words() -> None:
    rows = PLAIN.read_whole(TEXT)[0].rows
    assert np.array_equal(PLAIN.read_many(rows), rows)
    assert PLAIN.read_many(rows).dtype == np.int32
    for column, value, said in (
        (0, -1, "there is no token -1; it has ids 0 to 2"),
        (0, 3, "there is no token 3; it has ids 0 to 2"),
        (1, 12, "there is no token 12 of words; it has ids 0 to 11"),
        (3, 1 << 20, "there is no token 1048576 of characters; it has ids 0 to"),
    ):
        wrong = rows.copy()
        wrong[2, column] = value
        with pytest.raises(DataError, match=said):
            PLAIN.read_many(wrong)
    for wrong in (rows[:, 1:], rows[0], rows.astype(float)):
        with pytest.raises(DataError, match=r"token ids are integers of shape \[n, 257\]"):
            PLAIN.read_many(wrong)


def test_what_is_made_up_for_a_check_is_valid() -> None:
    rows = PLAIN.synthesise(iter(np.random.default_rng(0).integers(0, 1 << 63, 1 << 12).tolist()), 7)
    assert np.array_equal(PLAIN.read_many(rows), rows)
    assert (rows[:, 3:] < 0).any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hash": "md5"}, "inputs.x.ngrams.hash: is 'md5'; expected 'crc32'"),
        ({"hash": None}, "inputs.x.ngrams.hash: is None|is null"),
        ({"more": 1}, "inputs.x.ngrams: unknown key 'more'"),
        ({"characters": 2}, "inputs.x.ngrams.characters: .* expected a list of 2 to 2"),
        ({"characters": [2]}, "inputs.x.ngrams.characters: .* expected a list of 2 to 2"),
        ({"characters": [0, 5]}, r"inputs.x.ngrams.characters\[0\]: is 0; expected an integer of 1 to 8"),
        ({"characters": [3, 2]}, r"inputs.x.ngrams.characters\[1\]: is 2; expected an integer of 3 to 8"),
        ({"characters": [2, 9]}, r"inputs.x.ngrams.characters\[1\]: is 9; expected an integer of 2 to 8"),
        ({"characters": [True, 5]}, r"inputs.x.ngrams.characters\[0\]: is True|is true"),
        ({"tables": []}, "inputs.x.ngrams.tables: is .*; expected an object"),
        ({"tables": {"words": "w"}}, "inputs.x.ngrams.tables: the key 'characters' is missing"),
        ({"tables": {"words": "w", "characters": "gone"}}, "tables.characters: there is no tensor 'gone'"),
        ({"tables": {"words": "one", "characters": "c"}}, "tables.words: tensor 'one' is .*; expected U32"),
        ({"tables": {"words": "flat", "characters": "c"}}, "tables.words: tensor 'flat' has shape"),
        ({"tables": {"words": "falls", "characters": "c"}}, "tables.words: must be 1 to .* hashes in ascending order"),
        ({"tables": {"words": "w", "characters": "twice"}}, "tables.characters: must be 1 to .* in ascending order"),
        ({"tables": {"words": "none", "characters": "c"}}, "tables.words: must be 1 to .* hashes in ascending order"),
        ({"kind": "char"}, "inputs.x.ngrams: the tokenizer is of kind 'char'; only word and space have n-grams"),
    ],
)
def test_an_entry_that_no_text_can_have_is_refused(changes: dict[str, Any], said: str) -> None:
    entry, tensors = make_entry(**changes)
    with pytest.raises(ModelFileError, match=said):
        inputs.parse("x", entry, tensors)


def test_an_entry_is_an_object_and_lists_its_tensors() -> None:
    entry, tensors = make_entry()
    source = inputs.parse("x", entry, tensors)
    assert source.to_json() == entry
    assert source.tensor_names() == {"b", "o", "w", "c"}
    with pytest.raises(ModelFileError, match="inputs.x.ngrams: is 1; expected an object"):
        inputs.parse("x", entry | {"ngrams": 1}, tensors)
