"""The vocabulary: learning, ids, arrays, and malicious arrays."""

import numpy as np
import pytest

from tidegate.errors import DataError, OptionError
from tidegate.features.text import Tokenizer, Vocabulary


def arrays(data, offsets):
    return np.frombuffer(data, np.uint8), np.array(offsets, np.int64)


def test_learn_orders_by_count_then_bytes():
    vocabulary = Vocabulary.learn({b"b": 2, b"a": 2, b"z": 9, b"rare": 1}, min_count=2)
    assert vocabulary.tokens == (b"", b"z", b"a", b"b")
    assert Vocabulary.learn({b"b": 2, b"a": 2, b"z": 9}, max_size=3).tokens == (b"", b"z", b"a")
    assert Vocabulary.learn({b"a": 1}, max_size=1).tokens == (b"",)
    assert Vocabulary.learn({}).tokens == (b"",)


@pytest.mark.parametrize("limit", [{"min_count": 0}, {"max_size": 0}])
def test_limits_below_one(limit):
    with pytest.raises(OptionError, match="must be at least 1"):
        Vocabulary.learn({}, **limit)


def test_ids():
    vocabulary = Vocabulary.learn({b"a": 2, b"b": 1})
    ids = vocabulary.ids([b"b", b"", b"c", b"a"])
    assert ids.dtype == np.int32
    assert ids.tolist() == [2, 0, 0, 1]
    assert vocabulary.ids([]).shape == (0,)
    assert vocabulary.ids([]).dtype == np.int32
    assert b"a" in vocabulary
    assert b"" not in vocabulary


def test_round_trip():
    counts = dict.fromkeys(Tokenizer().tokens("Größe 世界, 👩 naïve ok".encode()), 1)
    vocabulary = Vocabulary.learn(counts)
    data, offsets = vocabulary.arrays()
    assert (data.dtype, offsets.dtype) == (np.uint8, np.int64)
    assert Vocabulary(data, offsets) == vocabulary
    assert len(vocabulary) == len(counts) + 1


def test_bytes_are_a_vocabulary():
    vocabulary = Vocabulary.of_bytes()
    assert Vocabulary(*vocabulary.arrays()) == vocabulary
    assert len(vocabulary) == 257
    assert vocabulary.ids(Tokenizer("byte").tokens(bytes(range(256)))).tolist() == list(range(1, 257))


@pytest.mark.parametrize(
    ("data", "offsets", "message"),
    [
        (b"ab", [0, 1, 2], "must begin with 0, 0"),
        (b"ab", [1, 1, 2], "must begin with 0, 0"),
        (b"ab", [], "must begin with 0, 0"),
        (b"ab", [0], "must begin with 0, 0"),
        (b"ab", [0, 0, 1, 1, 2], "entry 2 of the vocabulary runs from 1 to 1"),
        (b"ab", [0, 0, 2, 1, 2], "entry 2 of the vocabulary runs from 2 to 1"),
        (b"ab", [0, 0, -5, 2], "entry 1 of the vocabulary runs from 0 to -5"),
        (b"ab", [0, 0, 1, 9], "offsets end at 9, its data at 2"),
        (b"ab", [0, 0, 1], "offsets end at 1, its data at 2"),
        (b"aba", [0, 0, 1, 2, 3], "entry 1 of the vocabulary occurs twice, as b'a'"),
        (b"a\xff", [0, 0, 1, 2], "entry 2 of the vocabulary is not UTF-8"),
        ("é".encode(), [0, 0, 1, 2], "entry 2 of the vocabulary is not UTF-8"),
        (b"a\xc3", [0, 0, 1, 2], "entry 2 of the vocabulary is not UTF-8"),
    ],
)
def test_hostile_arrays(data, offsets, message):
    with pytest.raises(DataError, match=message):
        Vocabulary(*arrays(data, offsets))


def test_arrays_of_another_type():
    data, offsets = arrays(b"a", [0, 0, 1])
    for bad in ((data.astype(np.int32), offsets), (data, offsets.astype(np.float64)), (data[None], offsets)):
        with pytest.raises(DataError, match=r"the vocabulary's (data|offsets) are"):
            Vocabulary(*bad)


def test_tokens_that_are_no_tokens():
    with pytest.raises(DataError):
        Vocabulary.learn({b"": 1})
    with pytest.raises(DataError):
        Vocabulary.learn({b"\xff": 1})
