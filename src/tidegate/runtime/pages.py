"""Pages: the rows of an array that grows, for the many streams of a pool, in memory as they need it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .growing import GrowingArray

PAGE_BYTES: Final = 512  # as most messages are short: their rows take about as much as the rest of a stream
FIRST_PAGES: Final = 16

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]


class Pages:
    """The rows of one growing array for each row of a pool, here its *stream*, in pages of one store.

    A page has some rows of one stream, and says which page is before it. A stream knows its last page. Page 0 is none.
    How many rows there are, others know; a stream has no more pages than these need.

    A page is only written to behind the rows that its stream has, and pages that a stream gives up stay as they are
    until `settle`. So who knows the last page and the count of a stream can read its rows until then, come what may.

    >>> from .kept_steps import place_kept
    >>> pages = Pages(place_kept(1000, (), "int32", 8))
    >>> pages.make_room(0, 4)
    >>> pages.append_each(np.array([2, 0, 2]), np.array([0, 0, 0]), np.array([7, 8, 9], np.int32)).tolist()
    [0, 0, 1]
    >>> [rows.tolist() for rows in pages.read_each(pages.last[[0, 2]], np.array([1, 2]))]
    [[8], [7, 9]]
    """

    __slots__ = ("array", "before", "free", "fresh", "given_up", "last", "rows", "store")

    def __init__(self, array: GrowingArray) -> None:
        self.array = array
        self.rows = min(max(1, PAGE_BYTES // array.row_bytes), array.most)  # of a page
        self.last: Indices = np.zeros(0, np.int64)  # of each stream
        self.before: Indices = np.zeros(FIRST_PAGES, np.int64)  # of each page
        self.store: Array = np.zeros((FIRST_PAGES, self.rows, array.size), array.dtype)
        self.fresh = 1  # from here on, no page was ever used
        self.free: list[int] = []  # the pages below it that no stream has
        self.given_up: list[int] = []  # by the change that goes on

    def make_room(self, old: int, size: int) -> None:
        """Make room for so many streams; the first `old` stay as they are, the others have nothing."""
        self.last = enlarge(self.last, old, size)

    # ---- changes

    def append_each(self, streams: Indices, counts: Indices, values: Array) -> Indices:
        """Append a row to each of these streams [n]; return which row of its stream each became [n].

        A stream may occur several times, in order. counts: how many rows the stream had before all of them [n].
        values: [n, *shape]. There must be room.
        """
        n, values = len(streams), values.reshape(len(streams), self.array.size)
        if n and (streams == streams[0]).all():  # at once, as a push into one stream waits for it
            self.append(int(streams[0]), int(counts[0]), values)
            return counts + np.arange(n)
        order = np.argsort(streams, kind="stable")
        own, values = streams[order], values[order]
        first = np.searchsorted(own, own)  # of the rows of the same stream
        places = counts[order] + np.arange(n) - first
        opens = places % self.rows == 0
        taken = np.cumsum(opens)  # how many pages are new, up to each row
        taken_before = (taken - opens)[first]  # by the streams before
        pages = self._take(int(opens.sum()))
        page = np.where(taken > taken_before, pages[taken], self.last[own])  # of each row
        new = np.flatnonzero(opens)
        self.before[pages[1:]] = np.where(
            taken[new] - 1 > taken_before[new], pages[taken[new] - 1], self.last[own[new]]
        )
        self.store.reshape(-1, self.array.size)[page * self.rows + places % self.rows] = values
        self.last[own] = page  # the last of a stream that occurs twice stays
        found = np.empty_like(places)
        found[order] = places
        return found

    def append(self, stream: int, count: int, values: Array) -> None:
        """Append rows [T, ...] to one stream, behind the `count` that it has."""
        values, page, at = values.reshape(len(values), self.array.size), self.last.item(stream), -count % self.rows
        if at:  # what is left of its last page
            self.store[page, self.rows - at : self.rows - at + len(values)] = values[:at]
        for new in self._take(max(0, -(-(len(values) - at) // self.rows)))[1:].tolist():
            part = values[at : at + self.rows]
            self.store[new, : len(part)] = part
            self.before[new], page, at = page, new, at + len(part)
        self.last[stream] = page

    def give_up(self, streams: Indices) -> None:
        """Leave these different streams [n] without rows."""
        if len(streams) == 1:  # at once, as every end of a message does
            page = self.last.item(streams[0])
            while page:
                self.given_up.append(page)
                page = self.before.item(page)
        else:
            self.given_up += self._find_used(streams).tolist()
        self.last[streams] = 0

    def settle(self) -> None:
        """Use the pages again that streams gave up: the change that did has taken place."""
        if self.given_up:
            self.free += self.given_up
            self.given_up = []

    def settle_anew(self, streams: Indices) -> None:
        """Find out which pages are free after a change was interrupted. streams: those that there are [n]."""
        last = np.zeros_like(self.last)
        last[streams] = self.last[streams]
        self.last, self.given_up = last, []
        used = self._find_used(streams)
        is_free = np.ones(int(used.max(initial=0)) + 1, bool)
        is_free[used] = is_free[0] = False
        self.free, self.fresh = np.flatnonzero(is_free).tolist(), len(is_free)

    def fill(self, counts: Indices, copied: Array) -> None:
        """Take over the rows of n streams, which are all. counts: of each [n]. copied: pages, as `copy` gives them."""
        ends, number = self._count_pages(counts), len(copied)
        self._grow(number + 1)
        self.store[1 : number + 1] = copied
        self.before[1 : number + 1] = np.arange(number)
        self.before[np.append(0, ends)[: len(ends)][counts > 0] + 1] = 0  # of the first page of each stream
        self.last = np.where(counts > 0, ends, 0)
        self.free, self.fresh, self.given_up = [], number + 1, []

    # ---- for readers in any thread, who have read the last pages before

    def read_each(self, last: Indices, counts: Indices) -> list[Array]:
        """Return the rows [count, *shape] of each of n streams. last: their last pages [n]."""
        ends = self._count_pages(counts)
        pages = self._list_pages(last, ends)
        numbers = self.store[pages].reshape(-1, *self.array.shape)
        starts = self.rows * np.append(0, ends)[: len(ends)]
        return [numbers[at : at + count] for at, count in zip(starts.tolist(), counts.tolist(), strict=True)]

    def copy(self, last: Indices, counts: Indices) -> Array:
        """Return a copy of the pages of n streams, one after another, with zeros behind the rows that there are.

        last: the last pages of the streams [n]. counts: of their rows [n].
        """
        ends = self._count_pages(counts)
        pages = self._list_pages(last, ends)
        copied, some = self.store[pages], counts > 0
        held = (counts[some] - 1) % self.rows + 1
        rows = copied[ends[some] - 1]
        rows[np.arange(self.rows) >= held[:, None]] = 0
        copied[ends[some] - 1] = rows
        return copied

    # ---- pages

    def _count_pages(self, counts: Indices) -> Indices:
        """Return how many pages rows take, of the streams up to each [n]."""
        return np.cumsum(-(-counts // self.rows))

    def _list_pages(self, last: Indices, ends: Indices) -> Indices:
        """Return the pages of n streams, in order, one stream after another. ends: as `_count_pages` gives them."""
        pages = np.zeros(int(ends[-1]) if len(ends) else 0, np.int64)
        before = self.before
        if len(last) == 1:  # in plain Python, as rows of one stream are asked for alone
            page = last.item(0)
            for i in range(len(pages) - 1, -1, -1):
                pages[i] = page
                page = before.item(page)
            return pages
        starts, at = np.append(0, ends)[: len(ends)], ends - 1
        while (more := at >= starts).any():
            last, at, starts = last[more], at[more], starts[more]
            pages[at] = last
            last, at = before[last], at - 1
        return pages

    def _find_used(self, streams: Indices) -> Indices:
        """Return all pages of these streams [n]."""
        found, pages = [np.zeros(0, np.int64)], self.last[streams]
        while len(pages := pages[pages > 0]):
            found.append(pages)
            pages = self.before[pages]
        return np.concatenate(found)

    def _take(self, number: int) -> Indices:
        """Return so many free pages, behind a 0."""
        used = self.free[max(0, len(self.free) - number) :]
        del self.free[len(self.free) - len(used) :]
        end = self.fresh + number - len(used)
        self._grow(end)
        pages = np.array([0, *used, *range(self.fresh, end)], np.int64)
        self.fresh = end
        return pages

    def _grow(self, least: int) -> None:
        """Make sure that there are so many pages. New ones take no memory before they are written to.

        The store comes first, as a reader takes numbers of pages from `before`.
        """
        old = len(self.before)
        if least > old:
            size = max(least, 2 * old)
            self.store = enlarge(self.store, old, size)
            self.before = enlarge(self.before, old, size)


def enlarge(array: Array, old: int, size: int) -> Array:
    """Return a copy of the first `old` rows of an array, with room for `size` rows, the others zeros."""
    larger = np.zeros((size, *array.shape[1:]), array.dtype)
    larger[:old] = array[:old]
    return larger
