"""The rows of a pool: what many streams remember, changed all at once or not at all, by one call at a time.

Before a change writes anything, it stores what it is going to overwrite in an undo record; setting the pool's mark
anew, a single assignment, commits it. While a change goes on, and after one that was interrupted, readers see the
stored rows.

Arrays that grow are not in the rows but in pages (`pages.py`), and a change leaves those alone in which there is
something: it appends, or takes other pages. So an undo record needs no copy of them, only the last pages of its rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from time import monotonic
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .compiled_model import Bytes, CompiledModel, Floats
from .growing import GrowingArray
from .pages import Pages, enlarge
from .pool_lock import PoolLock
from .state import State
from .undo import UndoRecord

FIRST_ROWS: Final = 16
EVICTED_SHARE: Final = 8  # the eighth of the streams that were used longest ago is found at once

Indices = npt.NDArray[np.int64]


class Content(NamedTuple):
    """All that a pool remembers of each stream: id, block, last values, input state, number and time of last use.

    growing: the pages of each array that grows, of one stream after another.
    """

    ids: list[Hashable]
    blocks: Bytes
    outputs: Floats
    growing: list[npt.NDArray[Any]]
    input_states: list[Any]
    uses: Indices
    times: npt.NDArray[np.float64]


class Rows:
    """State blocks, last values and input states of many streams, by id.

    A row has the first `fixed_bytes` of its stream's block; arrays that grow are in pages.

    keep: how many streams to keep, the most recently used ones; None: all.
    """

    def __init__(self, compiled: CompiledModel, keep: int | None = None) -> None:
        self._compiled, self._keep = compiled, keep
        self._lock = PoolLock()
        self._mark: object = object()  # a new mark after each change; while one goes on, its undo record
        self._rows: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._initial = compiled.initial[: compiled.fixed_bytes]
        self._blocks = np.empty((0, compiled.fixed_bytes), np.uint8)
        self._pages = tuple(map(Pages, compiled.growing))
        self._is_settled = True  # whether all pages that no stream has are known to be free
        self._outputs = np.empty((0, compiled.width), np.float32)
        self._input_states: list[Any] = []
        self._uses = 0  # how many times streams were used, all together
        self._last_use = np.empty(0, np.int64)  # the number of a row's last use, if some are kept only
        self._last_time = np.empty(0)  # its time, in seconds
        self._oldest: list[
            tuple[int, Hashable, int]
        ] = []  # last use, id, row: the least recently used ones, last first

    # ---- changes: with the lock held, `_roll_back`, then `_begin_rows` or `_begin`, then `_commit`

    def _roll_back(self) -> None:
        """Undo a change that was interrupted, or finish one that was interrupted right after its commit."""
        if isinstance(undo := self._mark, UndoRecord):
            undo.restore(self._blocks, self._outputs, [pages.last for pages in self._pages], self._input_states)
            self._rows = undo.restore_ids(self._rows)
            self._free, self._oldest = self._find_free(), []
            self._mark = object()
        if not self._is_settled:
            rows = np.array(list(self._rows.values()), np.int64)
            for pages in self._pages:
                pages.settle_anew(rows)
            self._is_settled = True

    def _begin_rows(
        self, keys: list[Hashable], initial: Mapping[Hashable, Any] | None = None, input_states: bool = True
    ) -> Indices:
        """Begin a change of these streams and return their rows; new streams get new rows.

        initial: the input states of new streams. input_states: whether the change touches input states too.
        """
        known = list(map(self._rows.get, keys))
        if None not in known:
            rows = np.array(known, np.int64)
            self._begin({}, rows, input_states)
            return rows
        new = {key: initial[key] if initial else self._init_input_state(key) for key in keys if key not in self._rows}
        if len(self._free) < len(new):
            self._grow(len(new))
        free = self._free[-len(new) :][::-1]
        self._begin(dict.fromkeys(new), np.array([row for row in known if row is not None], np.int64), input_states)
        self._blocks[free], self._outputs[free] = self._initial, 0.0
        for row, input_state in zip(free, new.values(), strict=True):
            self._input_states[row] = input_state
        del self._free[-len(new) :]
        self._rows.update(zip(new, free, strict=True))
        return np.array([self._rows[key] for key in keys], np.int64)

    def _begin(self, old_row_by_id: Mapping[Hashable, int | None], rows: Indices, input_states: bool) -> None:
        """Begin a change of these rows; see `UndoRecord`."""
        states = [self._input_states[row] for row in rows.tolist()] if input_states else None
        last_pages = [pages.last[rows] for pages in self._pages]
        self._is_settled = not self._pages
        blocks, outputs = self._blocks.take(rows, 0), self._outputs.take(rows, 0)
        self._mark = UndoRecord(old_row_by_id, rows, blocks, outputs, last_pages, states)

    def _commit(self, rows: Indices) -> None:
        """End a change that used these rows. The least recently used streams beyond `keep` are forgotten."""
        self._last_time[rows] = monotonic()
        if self._keep is not None:
            self._last_use[rows] = np.arange(self._uses, self._uses + len(rows))
            self._uses += len(rows)
        has_room = self._keep is None or len(self._rows) <= self._keep
        gone = {} if has_room else self._find_least_used(len(self._rows) - (self._keep or 0))
        self._remove(gone)
        self._mark = object()
        self._clear(gone)

    def _remove(self, gone: Mapping[Hashable, int]) -> None:
        """Remove streams from the pool, as a part of the change that goes on. gone: their rows by id."""
        if not gone:
            return
        undo = self._mark
        assert isinstance(undo, UndoRecord), "a change that goes on"
        self._mark = undo._replace(old_row_by_id={**gone, **undo.old_row_by_id})
        for id, row in gone.items():
            del self._rows[id]
            self._free.append(row)

    def _clear(self, gone: Mapping[Hashable, int]) -> None:
        """Give back the memory that no stream has any more, after a change. gone: the rows of those that it removed."""
        for row in gone.values():
            self._input_states[row] = None
        for pages in self._pages:
            if gone:
                pages.give_up(np.fromiter(gone.values(), np.int64))
            pages.settle()
        self._is_settled = True

    def _find_least_used(self, count: int) -> dict[Hashable, int]:
        """Return the rows of this many streams, those that were used longest ago, by id."""
        found: dict[Hashable, int] = {}
        while len(found) < count:
            if not self._oldest:
                self._oldest = self._list_oldest(found, max(count - len(found), len(self._rows) // EVICTED_SHARE))
            use, id, row = self._oldest.pop()
            if self._rows.get(id) == row and self._last_use[row] == use:  # not used or removed since it was listed
                found[id] = row
        return found

    def _list_oldest(self, found: Mapping[Hashable, int], count: int) -> list[tuple[int, Hashable, int]]:
        """List the least recently used streams, all but those found already: last use, id, row; the oldest last."""
        left = [(id, row) for id, row in self._rows.items() if id not in found]
        rows = np.array([row for _, row in left], np.int64)
        uses = self._last_use[rows]
        order = np.argsort(uses, kind="stable")[:count][::-1]
        return [(int(uses[i]), *left[i]) for i in order.tolist()]

    def _init_input_state(self, id: Hashable) -> Any:
        """Return the input state of an id that has no row yet."""
        return self._compiled.reader.start_as(id)

    def _grow(self, least: int) -> None:
        """Make room for at least this many new rows. The blocks come last, as their number is that of the rows.

        New rows are zeros that are not written to before streams begin in them, so they take no memory before.
        """
        old = len(self._blocks)
        size = old + max(FIRST_ROWS, old, least)
        self._outputs = enlarge(self._outputs, old, size)
        self._last_use, self._last_time = enlarge(self._last_use, old, size), enlarge(self._last_time, old, size)
        self._input_states = [*self._input_states[:old], *[None] * (size - old)]
        for pages in self._pages:
            pages.make_room(old, size)
        self._blocks = enlarge(self._blocks, old, size)
        self._free = self._find_free()

    def _find_free(self) -> list[int]:
        """Return the rows that no stream has, highest first."""
        is_free = np.ones(len(self._blocks), bool)
        is_free[list(self._rows.values())] = False
        free: list[int] = np.flatnonzero(is_free)[::-1].tolist()
        return free

    def _find_input_state(self, id: Hashable) -> Any:
        """Return the input state of an id, new or not."""
        return self._input_states[self._rows[id]] if id in self._rows else self._init_input_state(id)

    def _read_counts(self, id: Hashable) -> list[int]:
        """Return how many steps each graph of a stream has had, new or not."""
        return self._compiled.read_counts(self._blocks[self._rows[id]] if id in self._rows else self._compiled.initial)

    def _reset(self, row: int) -> None:
        """Forget the message of a row's stream, and all levels above it."""
        input_state = self._compiled.reader.reset(self._input_states[row])
        self._write_block(row, self._initial)
        self._outputs[row], self._input_states[row] = 0.0, input_state

    def _step(self, rows: Indices, steps: npt.NDArray[Any]) -> Floats:
        """Advance each row by one step and return the outputs [n, outputs]; a row may occur several times."""
        if self._compiled.delay:
            return self._step_late(rows, steps)
        out = np.empty((len(rows), self._compiled.width), np.float32)
        if len(rows):
            counts = self._blocks[rows, :8].view(np.int64)[:, 0] if self._compiled.memories else rows
            self._compiled.engine.step_many(rows, steps, self._blocks, out, self._compiled.threads)
            self._outputs[rows] = out  # the last output of a row that occurs twice stays
            if self._compiled.decodings:
                self._compiled.follow_each(self._blocks, rows, out)
            for memory in self._compiled.memories:
                if memory.graph == 0:
                    self._find_pages(memory.array).append_each(rows, counts, out[:, memory.part])
        return out

    def _step_late(self, rows: Indices, steps: npt.NDArray[Any]) -> Floats:
        """Do `_step` for a model whose answers are late; the outputs of a row are NaN while it has none."""
        compiled = self._compiled
        out = np.full((len(rows), compiled.width), np.nan, np.float32)
        if compiled.kept is not None:
            before = compiled.kept.count_each(self._blocks, rows)
            places = self._append_growing(compiled.kept, rows, before, steps)
            self._blocks[rows, :8] = (places[:, None] + 1).view(np.uint8)  # the last of a row that occurs twice stays
            return out
        counts = dict(zip(rows.tolist(), self._blocks[rows, :8].view(np.int64)[:, 0].tolist(), strict=True))
        compiled.engine.step_many(rows, steps, self._blocks, out, compiled.threads)
        for row, values in zip(rows.tolist(), out, strict=True):
            counts[row] += 1
            if counts[row] > compiled.look_ahead:
                self._outputs[row] = values
                if compiled.decodings:
                    compiled.follow(self._blocks[row], values[None])
        return out

    # ---- blocks as a whole, and arrays that grow

    def _write_block(self, row: int, block: Bytes) -> None:
        """Overwrite a row's block with what follows from it, as at an end: arrays with fewer rows begin anew.

        block: uint8 [state_bytes], or as much of it as a row has. Of arrays that grow it only gives the counts.
        """
        for pages in self._pages:
            if pages.array.count(block) < pages.array.count(self._blocks[row]):
                pages.give_up(np.array([row]))
        self._blocks[row] = block[: len(self._initial)]

    def _write_end(self, row: int, block: Bytes) -> None:
        """Do `_write_block` for the whole block after an end, which may have ticks that are kept."""
        for memory in self._compiled.memories:
            before = memory.array.count(self._blocks[row])
            if memory.graph and memory.array.count(block) > before:
                self._find_pages(memory.array).append(row, before, memory.array.read(block)[before:])
        self._write_block(row, block)

    def _read_block(self, row: int) -> Bytes:
        """Return a row's whole block, during a change; without arrays that grow, a view of it."""
        return self._join_block(self._blocks[row], [pages.last[row : row + 1] for pages in self._pages])

    def _restore_block(self, row: int, state: State) -> None:
        """Overwrite a row's block, and what it has of arrays that grow, with a state."""
        for pages in self._pages:
            pages.give_up(np.array([row]))
            pages.append(row, 0, pages.array.read(state.block))
        self._blocks[row] = state.block[: len(self._initial)]

    def _find_pages(self, array: GrowingArray) -> Pages:
        """Return the pages of an array that grows."""
        return next(pages for pages in self._pages if pages.array is array)

    def _append_growing(self, array: GrowingArray, rows: Indices, counts: Indices, values: npt.NDArray[Any]) -> Indices:
        """Append a row of an array to each of these rows [n] of the pool; one may occur several times, in order.

        counts: how many each had before all of them [n]. values: [n, *shape]. Counting them is up to the caller.
        Returns which row of the array each became [n].
        """
        return self._find_pages(array).append_each(rows, counts, values)

    def _read_growing(self, array: GrowingArray, rows: Indices) -> list[npt.NDArray[Any]]:
        """Return the rows of an array that each of these rows [n] of the pool has, n of [count, *shape]."""
        pages = self._find_pages(array)
        return pages.read_each(pages.last[rows], array.count_each(self._blocks, rows))

    def _join_block(self, block: Bytes, last_pages: list[Indices]) -> Bytes:
        """Return the whole block of a stream, uint8 [state_bytes]. last_pages: of each array that grows [1]."""
        if not self._pages:
            return block
        whole = np.zeros(len(self._compiled.initial), np.uint8)
        whole[: len(block)] = block
        for pages, last in zip(self._pages, last_pages, strict=True):
            (own,) = pages.read_each(last, pages.array.count_each(block[None]))
            pages.array.write(whole, own, 0)
        return whole

    # ---- for readers in any thread: everything as before a change, or everything as after it

    def _current_rows(self) -> dict[Hashable, int]:
        """Return the rows by id."""
        while isinstance(mark := self._mark, UndoRecord):
            rows = mark.restore_ids(self._rows.copy())
            if self._mark is mark:
                return rows
        return self._rows

    def _read_row(self, id: Hashable, is_whole: bool = True) -> tuple[Bytes, Floats, Any]:
        """Copy a stream's block and output, and return its input state too. Raises DataError for an unknown id.

        is_whole: with the arrays that grow.
        """
        while True:
            mark, row, content = self._mark, self._rows.get(id), None
            undo = mark if isinstance(mark, UndoRecord) else None
            if undo:
                row = undo.old_row_by_id.get(id, row)
            if row is not None:
                last_pages = [pages.last[row : row + 1].copy() for pages in self._pages]
                found = self._blocks[row].copy(), self._outputs[row].copy(), last_pages, self._input_states[row]
                block, output, last_pages, input_state = undo.read_old(row, found) if undo else found
                content = self._join_block(block, last_pages) if is_whole else block, output, input_state
            if self._mark is mark:
                break
        if content is None:
            raise DataError(f"no stream {id!r} in the pool; it has {len(self._current_rows())}")
        return content

    def _copy_rows(self) -> Content:
        """Return a copy of all that the pool remembers."""
        while True:
            mark, row_by_id = self._mark, self._rows.copy()
            blocks, outputs, input_states = self._blocks.copy(), self._outputs.copy(), self._input_states.copy()
            uses, times = self._last_use.copy(), self._last_time.copy()
            last_pages = [pages.last.copy() for pages in self._pages]
            if isinstance(mark, UndoRecord):
                mark.restore(blocks, outputs, last_pages, input_states)
                row_by_id = mark.restore_ids(row_by_id)
            rows = list(row_by_id.values())
            blocks, outputs = blocks[rows], outputs[rows]
            pairs = zip(self._pages, last_pages, strict=True)
            growing = [pages.copy(last[rows], pages.array.count_each(blocks)) for pages, last in pairs]
            if self._mark is mark:
                states = [input_states[row] for row in rows]
                return Content(list(row_by_id), blocks, outputs, growing, states, uses[rows], times[rows])

    def _fill(self, content: Content) -> None:
        """Take over the streams of a content, and its arrays."""
        self._rows, self._input_states = {id: row for row, id in enumerate(content.ids)}, content.input_states
        self._blocks, self._outputs = content.blocks, content.outputs
        self._last_use, self._last_time = content.uses, content.times
        self._uses = int(content.uses.max(initial=-1)) + 1
        for pages, values in zip(self._pages, content.growing, strict=True):
            pages.fill(pages.array.count_each(content.blocks), values)
