"""The undo record of a pool: what was there before a change that goes on, or that was interrupted."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .compiled_model import Bytes, Floats

Indices = npt.NDArray[np.int64]
RowContent = tuple[Bytes, Floats, list[Indices], Any]  # a row's block, output, last pages (each [1]) and input state


class UndoRecord(NamedTuple):
    """What was there before a change.

    old_row_by_id: for the ids that the change adds None, for those that it removes their rows. rows: those that it
    overwrites, with their blocks, outputs, the last pages of each array that grows and, unless they stay the same,
    input states.
    """

    old_row_by_id: Mapping[Hashable, int | None]
    rows: Indices
    blocks: Bytes
    outputs: Floats
    last_pages: Sequence[Indices]
    input_states: list[Any] | None

    def restore(self, blocks: Bytes, outputs: Floats, last_pages: Iterable[Indices], input_states: list[Any]) -> None:
        """Put back into these arrays what was there before. Repeating it is harmless."""
        blocks[self.rows], outputs[self.rows] = self.blocks, self.outputs
        for own, before in zip(last_pages, self.last_pages, strict=True):
            own[self.rows] = before
        for row, input_state in zip(self.rows.tolist(), self.input_states or (), strict=False):
            input_states[row] = input_state

    def restore_ids(self, rows: dict[Hashable, int]) -> dict[Hashable, int]:
        """Return the rows by id as they were before."""
        before = {id: row for id, row in rows.items() if self.old_row_by_id.get(id, row) is not None}
        return before | {id: row for id, row in self.old_row_by_id.items() if row is not None}

    def read_old(self, row: int, now: RowContent) -> RowContent:
        """Return what a row had before. now: what it has now."""
        at = np.flatnonzero(self.rows == row)[:1].tolist()
        if not at:
            return now
        input_state = now[3] if self.input_states is None else self.input_states[at[0]]
        return self.blocks[at[0]], self.outputs[at[0]], [pages[at] for pages in self.last_pages], input_state
