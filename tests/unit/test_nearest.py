"""The nearest of many vectors: those of a full sort, with ties by row, and within bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate import nearest
from tidegate.errors import DataError, OptionError
from tidegate.nearest import Search, find_nearest


def sort_all(vectors: Any, corpus: Any, count: int) -> tuple[Any, Any]:
    """Compare each pair, and sort."""
    v, c = vectors.astype(np.float64), corpus.astype(np.float64)
    cosine = (v[:, None] * c).sum(-1) / np.sqrt((v * v).sum(1))[:, None] / np.sqrt((c * c).sum(1))
    cosine = cosine.round(12)
    order = np.argsort(-cosine, 1, kind="stable")[:, :count]
    return order, np.take_along_axis(cosine, order, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n", "m", "width", "count"),
    [(5, 100, 3, 7), (40, 20_000, 4, 9), (600, 300, 8, 1), (3, 17_000, 64, 50), (7, 10, 1, 10), (2, 9_000, 200, 8_500)],
)
def test_they_are_those_of_a_full_sort(n: int, m: int, width: int, count: int, dtype: Any) -> None:
    random = np.random.default_rng(m)
    vectors = random.standard_normal((n, width)).astype(dtype)
    corpus = random.standard_normal((m, width)).astype(dtype)
    corpus[m // 2 :] = corpus[: m - m // 2]  # each vector is there twice, in other blocks: the first one comes first
    rows, similarities = sort_all(vectors, corpus, count)
    found = find_nearest(vectors, corpus, count)
    assert (found.rows.dtype, found.similarities.dtype) == (np.int64, np.float32)
    assert (found.rows == rows).all()
    assert np.allclose(found.similarities, similarities, atol=1e-6)


def test_equal_vectors_are_equally_near_wherever_they_stand() -> None:
    corpus = np.random.default_rng(1).standard_normal((30_000, 63)).astype(np.float32)
    same = [5, 77, 8_191, 8_192, 20_000, 29_999]
    corpus[same] = corpus[5]
    found = find_nearest(corpus[[77]] * np.float32(2), corpus, 6)
    assert found.rows.tolist() == [same]
    assert found.similarities.tolist() == [[1.0] * 6]
    for size in (1, 3, 500):  # nor does it matter which vectors are compared at the same time
        many = find_nearest(corpus[:size], corpus, 5)
        one = find_nearest(corpus[:1], corpus, 5)
        assert many.similarities[0].tobytes() == one.similarities[0].tobytes()


def test_near_ties_that_float32_cannot_tell_apart() -> None:
    angles = np.arange(20_000) * 1e-9 + 0.3
    corpus = np.stack([np.cos(angles), np.sin(angles)], 1)
    assert find_nearest(np.array([[1.0, 0.0]]), corpus, 4).rows.tolist() == [[0, 1, 2, 3]]
    assert find_nearest(np.array([[0.0, 1.0]]), corpus, 4).rows.tolist() == [[19_999, 19_998, 19_997, 19_996]]


def test_rows_without_a_direction_have_no_neighbours_and_are_none() -> None:
    corpus = np.array([[np.nan, 0], [0, 0], [1, 0], [0, -1]], np.float32)
    found = find_nearest(np.array([[1, 1], [np.nan, np.nan], [0, 0]], np.float32), corpus, 9)
    assert found.rows.tolist() == [[2, 3], [-1, -1], [-1, -1]]
    assert found.similarities[0].tolist() == pytest.approx([0.5**0.5, -(0.5**0.5)])
    assert np.isnan(found.similarities[1:]).all()
    assert Search(corpus).usable.tolist() == [False, False, True, True]
    assert find_nearest(corpus[2:], corpus[:2], 3).rows.shape == (2, 0)
    assert find_nearest(corpus[:0], corpus, 3).rows.shape == (0, 0)


@pytest.mark.parametrize(
    ("vectors", "corpus", "count", "message"),
    [
        (
            [[1.0, 2.0]],
            [[1.0]],
            1,
            "the vectors have 2 numbers and those of the corpus 1; compare vectors of one model",
        ),
        ([1.0, 2.0], [[1.0, 2.0]], 1, r"the vectors: found the shape \[2\]; expected \[vectors, width\]"),
        ([[1.0]], [[1.0], [1.0, 2.0]], 1, "the corpus: the rows differ in length"),
        ([["a"]], [[1.0]], 1, "the vectors: found <U1; expected floating-point numbers"),
        ([[1.0]], [[1.0], [np.inf]], 1, "the corpus, row 2: holds an infinite number"),
        ([[1.0], [1e200]], [[1.0]], 1, "the vectors, row 2: holds an infinite number, or one too large to square"),
        ([[1.0]], [[1.0]], 0, "count is 0; expected how many neighbours each vector gets, from 1"),
        ([[1.0]], [[1.0]], 2.0, "count is 2.0; expected"),
    ],
)
def test_what_cannot_be_searched(vectors: Any, corpus: Any, count: Any, message: str) -> None:
    with pytest.raises(DataError if "count" not in message else OptionError, match=message):
        find_nearest(vectors, corpus, count)


def test_memory_is_bounded_whatever_the_corpus_holds() -> None:
    """Beyond the arguments: blocks of products and their candidates, also where all vectors are equally near."""
    random = np.random.default_rng(2)
    corpus, vectors = random.standard_normal((200_000, 16), np.float32), random.standard_normal((600, 16), np.float32)
    corpus[100_000:150_000] = corpus[0]
    tracemalloc.start()
    find_nearest(vectors[:512], corpus[:160_000], 3)
    small = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    find_nearest(vectors, corpus, 3)
    large = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert large < small + 2_000_000  # a length for each further row, and few results
    assert large < 250_000_000


def test_many_neighbours_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = np.random.default_rng(3).standard_normal((50, 4))
    monkeypatch.setattr(nearest, "KEPT", 100)
    found = list(Search(corpus).run(corpus, 40))
    assert [len(one.rows) for one in found] == [2] * 25
    assert np.concatenate([one.rows for one in found]).tolist() == sort_all(corpus, corpus, 40)[0].tolist()


def test_it_is_a_function_of_the_package() -> None:
    assert tidegate.find_nearest is find_nearest
