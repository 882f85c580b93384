"""The rows of a pool: what many streams remember, changed whole or not at all, by one call at a time.

A change keeps what was there before it begins to write, and is done when the pool's mark is set anew, which is one
assignment. Whoever reads while a change goes on, or after it was interrupted, is given what it kept.
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
    """A call's turn to change a pool: from its `with` to the end of that, or until the call is over.

    >>> turn = Turn()
    >>> with turn:
    ...     pass
    """

    __slots__ = ("_holder",)

    def __init__(self) -> None:
        self._holder: dict[None, Holder] = {}

    def __enter__(self) -> None:
        """Raises StateError while it is another call's turn."""
        mine: Holder = (get_ident(), sys._getframe(1), {})
        first = holder = self._holder.setdefault(None, mine)  # one call, which no other thread can come into
        while holder is not mine:  # another call's turn, or that of one which was interrupted before it could end it
            if not holder[2] and is_running(holder):
                raise StateError(BUSY)
            holder = holder[2].setdefault(None, mine)
        if self._holder.get(None) is not first:  # it was over by then, and may be somebody else's again
            raise StateError(BUSY)

    def __exit__(self, *error: object) -> None:
        self._holder.clear()


Holder = tuple[int, FrameType, dict[None, Any]]  # a thread, its call, and who has taken the turn over from it


def is_running(holder: Holder) -> bool:
    """Whether a holder's call is not over yet."""
    frame = sys._current_frames().get(holder[0])
    while frame is not None and frame is not holder[1]:
        frame = frame.f_back
    return frame is not None


class UndoRecord(NamedTuple):
    """What was there before: the row of each id that comes (None) or goes; of the rows that are changed the blocks, the
    outputs and, unless it stays, what is input_state.
    """

    old_row_by_id: Mapping[Hashable, int | None]
    rows: Indices
    blocks: Bytes
    outputs: Floats
    input_state: list[Any] | None

    def restore(self, blocks: Bytes, outputs: Floats, input_state: list[Any]) -> None:
        """Put into these arrays what was there before; as often as one likes."""
        blocks[self.rows], outputs[self.rows] = self.blocks, self.outputs
        for row, kept in zip(self.rows.tolist(), self.input_state or (), strict=False):
            input_state[row] = kept

    def restore_ids(self, places: dict[Hashable, int]) -> dict[Hashable, int]:
        """The rows by id as they were before."""
        before = {id: row for id, row in places.items() if self.old_row_by_id.get(id, row) is not None}
        return before | {id: row for id, row in self.old_row_by_id.items() if row is not None}

    def read_old(self, row: int, now: tuple[Bytes, Floats, Any]) -> tuple[Bytes, Floats, Any]:
        """What a row, which now holds this, held before."""
        at = np.flatnonzero(self.rows == row)[:1].tolist()
        if not at:
            return now
        return self.blocks[at[0]], self.outputs[at[0]], now[2] if self.input_state is None else self.input_state[at[0]]


class Event(NamedTuple):
    """An event that has been looked at: its place in the list, id, steps, what is then input_state, and whether its
    message ends.
    """

    position: int
    id: Hashable
    steps: npt.NDArray[Any]
    input_state: Any
    end: bool


class Rows:
    """Blocks, outputs and what is input_state of many streams, by id."""

    def __init__(self, compiled: CompiledModel) -> None:
        self._compiled = compiled
        self._lock = PoolLock()
        self._mark: object = object()  # the mark, another one after each change; or the change that goes on
        self._rows: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._blocks = np.empty((0, len(compiled.initial)), np.uint8)
        self._outputs = np.empty((0, compiled.outputs), np.float32)
        self._input_states: list[Any] = []

    # ---- changes: within a turn, after `_settled`, from `_open` to a new mark

    def _roll_back(self) -> None:
        """Take back a change that was interrupted."""
        if isinstance(change := self._mark, UndoRecord):
            change.restore(self._blocks, self._outputs, self._input_states)
            self._rows = change.restore_ids(self._rows)
            self._free = self._find_free()
            self._commit()

    def _begin_rows(
        self, keys: list[Hashable], begun: Mapping[Hashable, Any] | None = None, input_state: bool = True
    ) -> Indices:
        """Begin a change of these streams and return their rows; a stream that is not there gets a new one.

        begun: the input state of new streams. input_state: whether the change touches input states too.
        """
        found = [self._rows.get(key) for key in keys]
        if None not in found:
            rows = np.array(found, np.int64)
            self._begin({}, rows, input_state)
            return rows
        new = {key: begun[key] if begun else self._init_input_state(key) for key in keys if key not in self._rows}
        if len(self._free) < len(new):
            self._grow(len(new))
        fresh = self._free[-len(new) :][::-1]
        self._begin(dict.fromkeys(new), np.array([row for row in found if row is not None], np.int64), input_state)
        self._blocks[fresh], self._outputs[fresh] = self._compiled.initial, 0.0
        for row, kept in zip(fresh, new.values(), strict=True):
            self._input_states[row] = kept
        del self._free[-len(new) :]
        self._rows.update(zip(new, fresh, strict=True))
        return np.array([self._rows[key] for key in keys], np.int64)

    def _begin(self, members: Mapping[Hashable, int | None], rows: Indices, input_state: bool) -> None:
        kept = [self._input_states[row] for row in rows.tolist()] if input_state else None
        self._mark = UndoRecord(members, rows, self._blocks.take(rows, 0), self._outputs.take(rows, 0), kept)

    def _commit(self) -> None:
        """End a change."""
        self._mark = object()

    def _init_input_state(self, id: Hashable) -> Any:
        """What is input_state of an id that has no row yet."""
        series = self._compiled.series
        if series is None or series.transform.names is None:
            return self._compiled.source.init()
        if not isinstance(id, str):
            raise DataError(f"the stream {id!r} has no name of a series; add it to the pool with one")
        return series.init(id)

    def _grow(self, least: int) -> None:
        """Have so many rows free. The blocks, which tell how many rows there are, come last of the three."""
        old = len(self._blocks)
        more = max(FIRST_ROWS, old, least)
        self._outputs = np.concatenate([self._outputs[:old], np.zeros((more, self._compiled.outputs), np.float32)])
        self._input_states = [*self._input_states[:old], *[None] * more]
        self._blocks = np.concatenate([self._blocks, np.tile(self._compiled.initial, (more, 1))])
        self._free = self._find_free()

    def _find_free(self) -> list[int]:
        return sorted({*range(len(self._blocks))}.difference(self._rows.values()), reverse=True)

    def _reset(self, row: int) -> None:
        input_state = self._compiled.source.reset(self._input_states[row])
        self._blocks[row], self._outputs[row], self._input_states[row] = self._compiled.initial, 0.0, input_state

    def _step(self, rows: npt.NDArray[np.int64], steps: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        out = np.empty((len(rows), self._compiled.outputs), np.float32)
        if len(rows):
            self._compiled.engine.step_many(rows, steps, self._blocks, out, self._compiled.threads)
            self._outputs[rows] = out  # of an id that stands twice the last one stays
        return out

    # ---- what any thread may read: all as it was before a change, or all as it is after it

    def _current_rows(self) -> dict[Hashable, int]:
        """The rows by id."""
        now = self._mark
        return now.restore_ids(self._rows.copy()) if isinstance(now, UndoRecord) else self._rows

    def _read_row(self, id: Hashable) -> tuple[Bytes, Floats, Any]:
        """Copies of an id's block and output, and what is input_state. Raises DataError for an id that is not there."""
        while True:
            now, row, found = self._mark, self._rows.get(id), None
            change = now if isinstance(now, UndoRecord) else None
            if change:
                row = change.old_row_by_id.get(id, row)
            if row is not None:
                found = self._blocks[row].copy(), self._outputs[row].copy(), self._input_states[row]
                found = change.read_old(row, found) if change else found
            if self._mark is now:
                break
        if found is None:
            raise DataError(f"no stream {id!r} in the pool; it has {len(self._current_rows())}")
        return found

    def _copy_rows(self) -> tuple[list[Hashable], Bytes, Floats, list[Any]]:
        """All ids, with copies of their blocks and outputs and what is input_state, in the same order."""
        while True:
            now, places = self._mark, self._rows.copy()
            blocks, outputs, input_state = self._blocks.copy(), self._outputs.copy(), self._input_states.copy()
            if isinstance(now, UndoRecord):
                now.restore(blocks, outputs, input_state)
                places = now.restore_ids(places)
            if self._mark is now:
                rows = list(places.values())
                return list(places), blocks[rows], outputs[rows], [input_state[row] for row in rows]
