"""The steps of a message in the state of a stream, which keeps them until the end if layers read whole rows."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, StateError
from .state import Bytes, State, read_step_count, write_step_count

WAITS_FOR_END: Final = "this model reads whole messages; the answer comes at their end"

Indices = npt.NDArray[np.int64]


class KeptSteps:
    """Where the steps of a message stand in a state block: `kept.steps`, [most, *shape]. It never changes.

    The block counts them, and what stands behind them is zeros. most: how many there can be. shape: of a step as the
    first layer takes it. dtype: "int32" or "float32". offset: where they begin, a multiple of 4.

    >>> kept = KeptSteps(3, (2,), "float32", 8)
    >>> block = kept.append(np.zeros(kept.end, np.uint8), np.ones((2, 2), np.float32))
    >>> kept.read(block).tolist(), kept.end
    ([[1.0, 1.0], [1.0, 1.0]], 32)
    """

    __slots__ = ("dtype", "end", "most", "offset", "shape", "size")

    def __init__(self, most: int, shape: tuple[int, ...], dtype: str, offset: int) -> None:
        self.most, self.shape, self.dtype, self.offset = most, shape, np.dtype(dtype), offset
        self.size = math.prod(shape)  # how many numbers a step has
        self.end = offset + -(-4 * most * self.size // 8) * 8

    def describe(self) -> dict[str, Any]:
        """Return the array as it stands in the schema of a state."""
        return {
            "name": "kept.steps",
            "dtype": self.dtype.name,
            "shape": [self.most, *self.shape],
            "offset": self.offset,
        }

    def require_room(self, steps: int) -> None:
        """Raise DataError unless a message may have so many steps."""
        if steps > self.most:
            raise DataError(
                f"the message would have {steps:,} steps, and a stream of this model keeps at most {self.most:,} until "
                "its end; end the message before, or give it whole to predict"
            )

    def append(self, block: Bytes, steps: npt.NDArray[Any]) -> Bytes:
        """Return a block [state_bytes] with more steps [T, *shape]; there must be room for them."""
        count = read_step_count(block)
        at = self.offset + 4 * self.size * count
        after = np.zeros(len(block), np.uint8)
        after[:at] = block[:at]  # what is behind them is zeros, whose memory is not touched
        after[at : at + 4 * self.size * len(steps)].view(self.dtype)[:] = steps.reshape(-1)
        write_step_count(after, count + len(steps))
        return after

    def append_each(self, blocks: Bytes, rows: Indices, steps: npt.NDArray[Any]) -> None:
        """Append a step to each of these rows [n] of blocks, in place. A row may occur several times, in order.

        steps: [n, *shape]. There must be room for them.
        """
        order = np.argsort(rows, kind="stable")
        in_order = rows[order]
        counts = np.empty(len(rows), np.int64)  # of the steps before each
        counts[order] = np.arange(len(rows)) - np.searchsorted(in_order, in_order)
        counts += blocks[rows, :8].view(np.int64)[:, 0]
        places = self.offset // 4 + counts[:, None] * self.size + np.arange(self.size)
        blocks.view(self.dtype)[rows[:, None], places] = steps.reshape(len(rows), self.size)
        last = order[np.append(in_order[1:] != in_order[:-1], True)] if len(rows) else order
        blocks[rows[last], :8] = (counts[last, None] + 1).view(np.uint8)

    def read(self, block: Bytes) -> npt.NDArray[Any]:
        """Return the steps of a block as a view [T, *shape]."""
        count = read_step_count(block)
        numbers = block[self.offset : self.offset + 4 * self.size * count].view(self.dtype)
        return np.asarray(numbers.reshape(count, *self.shape))

    def check(self, state: State, pending: int, ids: int) -> None:
        """Raise StateError unless a stream can have kept these steps.

        pending: how many more the end could complete. ids: how many different ids there are; 0 for numbers.
        """
        if state.steps + pending > self.most:
            unfinished = " and an unfinished one" if pending else ""
            raise StateError(
                f"the state has {state.steps} steps{unfinished}; a stream of this model keeps at most {self.most}"
            )
        if not ids:
            return
        steps = self.read(state.block)
        wrong = steps[(steps < 0) | (steps >= ids)]
        if wrong.size:
            raise StateError(f"the state's kept.steps has the id {wrong[0]}; expected 0 to {ids - 1}")
