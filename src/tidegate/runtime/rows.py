"""The rows of a pool: what many streams remember, changed all at once or not at all, by one call at a time.

Before a change writes anything, it stores what it is going to overwrite in an undo record; setting the pool's mark
anew, a single assignment, commits it. While a change goes on, and after one that was interrupted, readers see the
stored rows.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from threading import get_ident
from types import FrameType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError, StateError
from .compiled_model import Bytes, CompiledModel, Floats

FIRST_ROWS: Final = 16
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


class Event(NamedTuple):
    """An event after reading. position: in the list of events. input_state: that after it. end: its message ends."""

    position: int
    id: Hashable
    steps: npt.NDArray[Any]
    input_state: Any
    end: bool


class Rows:
    """State blocks, outputs and input states of many streams, by id."""

    def __init__(self, compiled: CompiledModel) -> None:
        self._compiled = compiled
        self._lock = PoolLock()
        self._mark: object = object()  # a new mark after each change; while one goes on, its undo record
        self._rows: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._blocks = np.empty((0, len(compiled.initial)), np.uint8)
        self._outputs = np.empty((0, compiled.outputs), np.float32)
        self._input_states: list[Any] = []

    # ---- changes: with the lock held, `_roll_back`, then `_begin_rows` or `_begin`, then `_commit`

    def _roll_back(self) -> None:
        """Undo a change that was interrupted."""
        if isinstance(undo := self._mark, UndoRecord):
            undo.restore(self._blocks, self._outputs, self._input_states)
            self._rows = undo.restore_ids(self._rows)
            self._free = self._find_free()
            self._commit()

    def _begin_rows(
        self, keys: list[Hashable], initial: Mapping[Hashable, Any] | None = None, input_states: bool = True
    ) -> Indices:
        """Begin a change of these streams and return their rows; new streams get new rows.

        initial: the input states of new streams. input_states: whether the change touches input states too.
        """
        known = [self._rows.get(key) for key in keys]
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

    def _commit(self) -> None:
        """End a change."""
        self._mark = object()

    def _init_input_state(self, id: Hashable) -> Any:
        """Return the input state of an id that has no row yet."""
        series = self._compiled.series
        if series is None or series.transform.names is None:
            return self._compiled.source.init()
        if not isinstance(id, str):
            raise DataError(f"the stream {id!r} has no series name; add it to the pool with one")
        return series.init(id)

    def _grow(self, least: int) -> None:
        """Make room for at least this many new rows. The blocks come last, as their number is that of the rows."""
        old = len(self._blocks)
        more = max(FIRST_ROWS, old, least)
        self._outputs = np.concatenate([self._outputs[:old], np.zeros((more, self._compiled.outputs), np.float32)])
        self._input_states = [*self._input_states[:old], *[None] * more]
        self._blocks = np.concatenate([self._blocks, np.tile(self._compiled.initial, (more, 1))])
        self._free = self._find_free()

    def _find_free(self) -> list[int]:
        """Return the rows that no stream has, highest first."""
        return sorted({*range(len(self._blocks))}.difference(self._rows.values()), reverse=True)

    def _find_input_state(self, id: Hashable) -> Any:
        """Return the input state of an id, new or not."""
        return self._input_states[self._rows[id]] if id in self._rows else self._init_input_state(id)

    def _reset(self, row: int) -> None:
        """Forget the message of a row's stream."""
        input_state = self._compiled.source.reset(self._input_states[row])
        self._blocks[row], self._outputs[row], self._input_states[row] = self._compiled.initial, 0.0, input_state

    def _step(self, rows: Indices, steps: npt.NDArray[Any]) -> Floats:
        """Advance each row by one step and return the outputs [n, outputs]; a row may occur several times."""
        out = np.empty((len(rows), self._compiled.outputs), np.float32)
        if len(rows):
            self._compiled.engine.step_many(rows, steps, self._blocks, out, self._compiled.threads)
            self._outputs[rows] = out  # the last output of a row that occurs twice stays
        return out

    # ---- for readers in any thread: everything as before a change, or everything as after it

    def _current_rows(self) -> dict[Hashable, int]:
        """Return the rows by id."""
        now = self._mark
        return now.restore_ids(self._rows.copy()) if isinstance(now, UndoRecord) else self._rows

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

    def _copy_rows(self) -> tuple[list[Hashable], Bytes, Floats, list[Any]]:
        """Return all ids, copies of their blocks and outputs, and their input states, in the same order."""
        while True:
            mark, row_by_id = self._mark, self._rows.copy()
            blocks, outputs, input_states = self._blocks.copy(), self._outputs.copy(), self._input_states.copy()
            if isinstance(mark, UndoRecord):
                mark.restore(blocks, outputs, input_states)
                row_by_id = mark.restore_ids(row_by_id)
            if self._mark is mark:
                rows = list(row_by_id.values())
                return list(row_by_id), blocks[rows], outputs[rows], [input_states[row] for row in rows]
