"""The rows of a pool: what many streams remember, changed all at once or not at all, by one call at a time.

Before a change writes anything, it stores what it is going to overwrite in an undo record; setting the pool's mark
anew, a single assignment, commits it. While a change goes on, and after one that was interrupted, readers see the
stored rows.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Mapping
from threading import get_ident
from time import monotonic
from types import FrameType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError, StateError
from .compiled_model import Bytes, CompiledModel, Floats

FIRST_ROWS: Final = 16
EVICTED_SHARE: Final = 8  # the eighth of the streams that were used longest ago is found at once
BUSY: Final = (
    "this pool is being pushed by another thread, or by the call that this one comes from; give each thread its own "
    "pool, or hold a lock around its calls"
)

Indices = npt.NDArray[np.int64]


class PoolLock:
    """Lets one call at a time change a pool. One that was interrupted before it could release the lock is skipped.

    >>> lock = PoolLock()
    >>> with lock:
    ...     pass
    """

    __slots__ = ("_holder",)

    def __init__(self) -> None:
        self._holder: dict[None, Holder] = {}

    def __enter__(self) -> None:
        """Take the lock. Raises StateError while another call has it."""
        mine: Holder = (get_ident(), sys._getframe(1), {})
        first = holder = self._holder.setdefault(None, mine)  # atomic: no other thread comes in between
        while holder is not mine:  # another call has it, or was interrupted before it could release it
            if not holder[2] and is_running(holder):
                raise StateError(BUSY)
            holder = holder[2].setdefault(None, mine)
        if self._holder.get(None) is not first:  # released meanwhile, and perhaps taken by another call
            raise StateError(BUSY)

    def __exit__(self, *error: object) -> None:
        self._holder.clear()


Holder = tuple[int, FrameType, dict[None, Any]]  # a thread, its call's frame, and who took over from it


def is_running(holder: Holder) -> bool:
    """Return whether a holder's call has not returned yet."""
    frame = sys._current_frames().get(holder[0])
    while frame is not None and frame is not holder[1]:
        frame = frame.f_back
    return frame is not None


class UndoRecord(NamedTuple):
    """What was there before a change.

    old_row_by_id: for the ids that the change adds None, for those that it removes their rows. rows: those that it
    overwrites, with their blocks, outputs and, unless they stay the same, input states.
    """

    old_row_by_id: Mapping[Hashable, int | None]
    rows: Indices
    blocks: Bytes
    outputs: Floats
    input_states: list[Any] | None

    def restore(self, blocks: Bytes, outputs: Floats, input_states: list[Any]) -> None:
        """Put back into these arrays what was there before. Repeating it is harmless."""
        blocks[self.rows], outputs[self.rows] = self.blocks, self.outputs
        for row, input_state in zip(self.rows.tolist(), self.input_states or (), strict=False):
            input_states[row] = input_state

    def restore_ids(self, rows: dict[Hashable, int]) -> dict[Hashable, int]:
        """Return the rows by id as they were before."""
        before = {id: row for id, row in rows.items() if self.old_row_by_id.get(id, row) is not None}
        return before | {id: row for id, row in self.old_row_by_id.items() if row is not None}

    def read_old(self, row: int, now: tuple[Bytes, Floats, Any]) -> tuple[Bytes, Floats, Any]:
        """Return what a row had before. now: what it has now."""
        at = np.flatnonzero(self.rows == row)[:1].tolist()
        if not at:
            return now
        input_state = now[2] if self.input_states is None else self.input_states[at[0]]
        return self.blocks[at[0]], self.outputs[at[0]], input_state


class Content(NamedTuple):
    """All that a pool remembers of each stream: id, block, last values, input state, number and time of last use."""

    ids: list[Hashable]
    blocks: Bytes
    outputs: Floats
    input_states: list[Any]
    uses: Indices
    times: npt.NDArray[np.float64]


class Rows:
    """State blocks, last values and input states of many streams, by id.

    keep: how many streams to keep, the most recently used ones; None: all.
    """

    def __init__(self, compiled: CompiledModel, keep: int | None = None) -> None:
        self._compiled, self._keep = compiled, keep
        self._lock = PoolLock()
        self._mark: object = object()  # a new mark after each change; while one goes on, its undo record
        self._rows: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._blocks = np.empty((0, len(compiled.initial)), np.uint8)
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
        """Undo a change that was interrupted."""
        if isinstance(undo := self._mark, UndoRecord):
            undo.restore(self._blocks, self._outputs, self._input_states)
            self._rows = undo.restore_ids(self._rows)
            self._free, self._oldest = self._find_free(), []
            self._mark = object()

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
        self._blocks[free], self._outputs[free] = self._compiled.initial, 0.0
        for row, input_state in zip(free, new.values(), strict=True):
            self._input_states[row] = input_state
        del self._free[-len(new) :]
        self._rows.update(zip(new, free, strict=True))
        return np.array([self._rows[key] for key in keys], np.int64)

    def _begin(self, old_row_by_id: Mapping[Hashable, int | None], rows: Indices, input_states: bool) -> None:
        """Begin a change of these rows; see `UndoRecord`."""
        states = [self._input_states[row] for row in rows.tolist()] if input_states else None
        self._mark = UndoRecord(old_row_by_id, rows, self._blocks.take(rows, 0), self._outputs.take(rows, 0), states)

    def _commit(self, rows: Indices) -> None:
        """End a change that used these rows. The least recently used streams beyond `keep` are forgotten."""
        self._last_time[rows] = monotonic()
        if self._keep is not None:
            self._last_use[rows] = np.arange(self._uses, self._uses + len(rows))
            self._uses += len(rows)
        if self._keep is None or len(self._rows) <= self._keep:
            self._mark = object()
            return
        gone = self._find_least_used(len(self._rows) - self._keep)
        self._remove(gone)
        self._mark = object()
        self._clear(gone.values())

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

    def _clear(self, rows: Iterable[int]) -> None:
        """Give back the memory of input states that no stream has any more."""
        for row in rows:
            self._input_states[row] = None

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
        self._blocks[row], self._outputs[row], self._input_states[row] = self._compiled.initial, 0.0, input_state

    def _step(self, rows: Indices, steps: npt.NDArray[Any]) -> Floats:
        """Advance each row by one step and return the outputs [n, outputs]; a row may occur several times."""
        if self._compiled.delay:
            return self._step_late(rows, steps)
        out = np.empty((len(rows), self._compiled.width), np.float32)
        if len(rows):
            self._compiled.engine.step_many(rows, steps, self._blocks, out, self._compiled.threads)
            self._outputs[rows] = out  # the last output of a row that occurs twice stays
            if self._compiled.decodings:
                self._compiled.follow_each(self._blocks, rows, out)
        return out

    def _step_late(self, rows: Indices, steps: npt.NDArray[Any]) -> Floats:
        """Do `_step` for a model whose answers are late; the outputs of a row are NaN while it has none."""
        compiled = self._compiled
        out = np.full((len(rows), compiled.width), np.nan, np.float32)
        if compiled.kept is not None:
            compiled.kept.append_each(self._blocks, rows, steps)
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

    # ---- for readers in any thread: everything as before a change, or everything as after it

    def _current_rows(self) -> dict[Hashable, int]:
        """Return the rows by id."""
        while isinstance(mark := self._mark, UndoRecord):
            rows = mark.restore_ids(self._rows.copy())
            if self._mark is mark:
                return rows
        return self._rows

    def _read_row(self, id: Hashable) -> tuple[Bytes, Floats, Any]:
        """Copy a stream's block and output, and return its input state too. Raises DataError for an unknown id."""
        while True:
            mark, row, content = self._mark, self._rows.get(id), None
            undo = mark if isinstance(mark, UndoRecord) else None
            if undo:
                row = undo.old_row_by_id.get(id, row)
            if row is not None:
                content = self._blocks[row].copy(), self._outputs[row].copy(), self._input_states[row]
                content = undo.read_old(row, content) if undo else content
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
            if isinstance(mark, UndoRecord):
                mark.restore(blocks, outputs, input_states)
                row_by_id = mark.restore_ids(row_by_id)
            if self._mark is mark:
                rows = list(row_by_id.values())
                states = [input_states[row] for row in rows]
                return Content(list(row_by_id), blocks[rows], outputs[rows], states, uses[rows], times[rows])

    def _fill(self, content: Content) -> None:
        """Take over the streams of a content, and its arrays."""
        self._rows, self._input_states = {id: row for row, id in enumerate(content.ids)}, content.input_states
        self._blocks, self._outputs = content.blocks, content.outputs
        self._last_use, self._last_time = content.uses, content.times
        self._uses = int(content.uses.max(initial=-1)) + 1


def enlarge(array: npt.NDArray[Any], old: int, size: int) -> npt.NDArray[Any]:
    """Return a copy of the first `old` rows of an array, with room for `size` rows."""
    larger = np.zeros((size, *array.shape[1:]), array.dtype)
    larger[:old] = array[:old]
    return larger
