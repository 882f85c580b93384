"""Arrays that grow with a stream: one row for each step that something counts, and room for the most in its block."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError, StateError
from ..inputs.base import Port
from .state import Bytes, read_step_count


class Words(NamedTuple):
    """How messages speak of an array that grows. whole: what has the rows. row: one of them. holds: what a stream does
    with them, at most so many. until: how long. remedy: what to do where there is no room for more.
    """

    whole: str
    row: str
    holds: str
    until: str
    remedy: str


class GrowingArray:
    """Where an array that grows stands in a state block: [most, *shape]. It never changes.

    Its rows are counted by an int64 of the block, which others write: the rows behind them are zeros. All such arrays
    stand at the end of a block, so that pools and saved states leave out what is not there.

    name: in the schema. most: how many rows there can be. shape: of a row. dtype: "int32" or "float32". offset: where
    it begins, a multiple of 8. words: for messages. count_at: where its count stands, a multiple of 8.

    >>> array = GrowingArray("memory", 3, (2,), "float32", 8, Words("message", "step", "keeps", "", "end it before"))
    >>> block = array.append(np.zeros(array.end, np.uint8), np.ones((2, 2), np.float32), 0)
    >>> block[0] = 2
    >>> array.read(block).tolist(), array.end
    ([[1.0, 1.0], [1.0, 1.0]], 32)
    """

    __slots__ = ("count_at", "dtype", "end", "most", "name", "offset", "row_bytes", "shape", "size", "words")

    def __init__(
        self, name: str, most: int, shape: tuple[int, ...], dtype: str, offset: int, words: Words, count_at: int = 0
    ) -> None:
        self.name, self.most, self.shape, self.dtype = name, most, shape, np.dtype(dtype)
        self.offset, self.words, self.count_at = offset, words, count_at
        self.size = math.prod(shape)  # how many numbers a row has
        self.row_bytes = self.size * self.dtype.itemsize
        self.end = offset + -(-most * self.row_bytes // 8) * 8

    def describe(self) -> dict[str, Any]:
        """Return the array as it stands in the schema of a state."""
        return {
            "name": self.name,
            "dtype": self.dtype.name,
            "shape": [self.most, *self.shape],
            "offset": self.offset,
            "counted_at": self.count_at,
        }

    def require_room(self, rows: int) -> None:
        """Raise DataError unless there may be so many rows."""
        if rows > self.most:
            whole, row, holds, until, remedy = self.words
            raise DataError(
                f"the {whole} would have {rows:,} {row}s, and a stream of this model {holds} at most {self.most:,}"
                f"{until}; {remedy}"
            )

    def count(self, block: Bytes) -> int:
        """Return how many rows a block, uint8 [state_bytes] or its beginning, says that there are."""
        return read_step_count(block, self.count_at)

    def count_each(self, blocks: Bytes, rows: npt.NDArray[np.int64] | slice = slice(None)) -> npt.NDArray[np.int64]:
        """Return how many rows each of these n rows of blocks, by default of all, says that there are: int64 [n]."""
        counts: npt.NDArray[np.int64] = blocks[rows, self.count_at : self.count_at + 8].view(np.int64)[:, 0]
        return counts

    def append(self, block: Bytes, rows: npt.NDArray[Any], count: int) -> Bytes:
        """Return a block with more rows [T, *shape] behind the first `count`; there must be room for them.

        It counts as many as before.
        """
        at = self.offset + self.row_bytes * count
        after = np.zeros(len(block), np.uint8)
        after[:at] = block[:at]  # from there to the end of the array are zeros, whose memory is not touched
        after[self.end :] = block[self.end :]
        self.write(after, rows, count)
        return after

    def write(self, block: Bytes, rows: npt.NDArray[Any], count: int) -> None:
        """Do `append` in place."""
        at = self.offset + self.row_bytes * count
        block[at : at + self.row_bytes * len(rows)].view(self.dtype)[:] = rows.reshape(-1)

    def read(self, block: Bytes) -> npt.NDArray[Any]:
        """Return the rows of a block as a view [T, *shape]."""
        count = self.count(block)
        numbers = block[self.offset : self.offset + self.row_bytes * count].view(self.dtype)
        return np.asarray(numbers.reshape(count, *self.shape))

    def check(self, block: Bytes, pending: int = 0, ports: Collection[Port] = ()) -> None:
        """Raise StateError unless a stream can have come to these rows.

        pending: how many more the end could complete. ports: of rows of token ids, what they hold; none of numbers.
        """
        count = self.count(block)
        if count < 0 or count + pending > self.most:
            unfinished = " and an unfinished one" if pending else ""
            raise StateError(
                f"the state has {count} {self.words.row}s{unfinished}; a stream of this model {self.words.holds} at "
                f"most {self.most}"
            )
        for port in ports:
            own = self.read(block).reshape(count, math.prod(self.shape))[:, port.first : port.first + port.ids]
            wrong = own[(own >= port.size) | ((own < 0) & (not port.may_lack))]
            if wrong.size:
                raise StateError(f"the state's {self.name} has the id {wrong[0]}; expected 0 to {port.size - 1}")
