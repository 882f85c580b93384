"""Pages: what streams appended is there, in as few pages as it needs, whatever happened before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidegate.runtime.growing import GrowingArray, Words
from tidegate.runtime.pages import PAGE_BYTES, Pages

STREAMS = 12
WORDS = Words("message", "step", "keeps", "", "end it before")
SHAPES: dict[str, tuple[int, tuple[int, ...], str]] = {
    "ids": (1000, (), "int32"),
    "numbers": (300, (7,), "float32"),
    "wide": (50, (200,), "float32"),
    "few": (3, (2,), "float32"),
}


def make_pages(shape: str) -> Pages:
    most, of_row, dtype = SHAPES[shape]
    pages = Pages(GrowingArray("rows", most, of_row, dtype, 8, WORDS))
    pages.make_room(0, STREAMS)
    return pages


def draw_rows(random: np.random.Generator, pages: Pages, number: int) -> Any:
    return random.integers(0, 1 << 20, (number, *pages.array.shape)).astype(pages.array.dtype)


def count_used(pages: Pages) -> int:
    assert len(set(pages.free)) == len(pages.free)
    assert 0 not in pages.free
    return pages.fresh - 1 - len(pages.free) - len(pages.given_up)


def check(pages: Pages, held: list[Any]) -> None:
    """Check all streams, alone and together, and that they have as many pages as their rows need."""
    counts = np.array([len(rows) for rows in held])
    for found, rows in zip(pages.read_each(pages.last, counts), held, strict=True):
        assert found.dtype == pages.array.dtype
        np.testing.assert_array_equal(found, rows)
    for stream, rows in enumerate(held):
        (found,) = pages.read_each(pages.last[stream : stream + 1], counts[stream : stream + 1])
        np.testing.assert_array_equal(found, rows)
    copied = pages.copy(pages.last, counts)
    assert len(copied) == count_used(pages)
    whole = [-(-len(rows) // pages.rows) * pages.rows for rows in held]
    for at, size, rows in zip(np.cumsum(whole) - whole, whole, held, strict=True):
        found = copied.reshape(-1, *pages.array.shape)[at : at + size]
        np.testing.assert_array_equal(found[: len(rows)], rows)
        assert not found[len(rows) :].any()  # not what another stream had there
    assert count_used(pages) == sum(-(-len(rows) // pages.rows) for rows in held)


@pytest.mark.parametrize("shape", SHAPES)
def test_streams_that_grow_and_end_at_random(shape: str) -> None:
    random, pages = np.random.default_rng(4), make_pages(shape)
    nothing = np.zeros((0, *pages.array.shape), pages.array.dtype)
    held = [nothing] * STREAMS
    for turn in range(150):
        streams = random.integers(0, STREAMS, random.choice([0, 1, 3, 40]))
        if turn % 5 == 1:
            streams[:] = streams[:1]
        left = {s: pages.array.most - len(held[s]) for s in range(STREAMS)}
        some = np.array([s for i, s in enumerate(streams) if (streams[:i] == s).sum() < left[s]], np.int64)
        rows = draw_rows(random, pages, len(some))
        counts = np.array([len(held[s]) for s in some], np.int64)
        places = pages.append_each(some, counts, rows)
        for i, s in enumerate(some.tolist()):
            assert places[i] == len(held[s])
            held[s] = np.concatenate([held[s], rows[i : i + 1]])
        check(pages, held)
        for gone in map(np.unique, random.integers(0, STREAMS, (2, random.integers(0, 3)))):
            pages.give_up(gone)
            for s in gone:
                held[s] = nothing
            pages.settle()
        check(pages, held)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_copy_has_the_rows_of_all(shape: str) -> None:
    random, pages = np.random.default_rng(5), make_pages(shape)
    held = [draw_rows(random, pages, random.integers(0, 1 + min(90, pages.array.most))) for _ in range(STREAMS)]
    held[3] = held[3][:0]
    for stream, rows in enumerate(held):
        pages.append(stream, 0, rows[:2])
        pages.append(stream, len(rows[:2]), rows[2:])
    check(pages, held)
    counts = np.array([len(rows) for rows in held])
    other = make_pages(shape)
    other.fill(counts, pages.copy(pages.last, counts))
    check(other, held)
    none = make_pages(shape)
    none.fill(counts[:0], pages.copy(pages.last[:0], counts[:0]))
    assert (len(none.last), count_used(none)) == (0, 0)


def test_rows_that_were_given_up_stay_until_the_change_has_taken_place() -> None:
    random, pages = np.random.default_rng(6), make_pages("numbers")
    rows, others = draw_rows(random, pages, 100), draw_rows(random, pages, 100)
    pages.append(2, 0, rows[:60])
    last, count = pages.last[2:3].copy(), np.array([60])
    pages.append(2, 60, rows[60:])  # behind them
    pages.give_up(np.array([2]))
    pages.append(2, 0, others)
    np.testing.assert_array_equal(pages.read_each(last, count)[0], rows[:60])
    pages.last[2] = last[0]  # as after an interruption
    pages.settle_anew(np.array([2]))
    check(pages, [*[rows[:0]] * 2, rows[:60], *[rows[:0]] * 9])


def test_pages_of_streams_that_are_gone_are_found_after_an_interruption() -> None:
    random, pages = np.random.default_rng(7), make_pages("wide")
    held = [draw_rows(random, pages, 5) for _ in range(STREAMS)]
    for stream, rows in enumerate(held):
        pages.append(stream, 0, rows)
    pages.give_up(np.array([4]))
    pages.given_up = []  # lost
    pages.settle_anew(np.delete(np.arange(STREAMS), [4, 7, STREAMS - 1]))
    for stream in (4, 7, STREAMS - 1):
        held[stream] = held[stream][:0]
    check(pages, held)
    before = len(pages.store)
    for stream in (4, 7, STREAMS - 1):
        held[stream] = draw_rows(random, pages, 5)
        pages.append(stream, 0, held[stream])
    check(pages, held)
    assert len(pages.store) == before


def test_a_page_has_as_many_rows_as_fit_and_at_least_one() -> None:
    found = {shape: make_pages(shape).rows for shape in SHAPES}
    assert found == {"ids": PAGE_BYTES // 4, "numbers": PAGE_BYTES // 28, "wide": 1, "few": 3}
