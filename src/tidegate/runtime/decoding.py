"""What a stream remembers of the decoders of outputs: where it stands in a state block, and how steps change it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..decode.base import Decoder, Field, Memory
from ..outputs.base import Output
from .state import Bytes

FEW_ROWS: Final = 4  # fewer are followed sooner one by one
NUMBERS: Final = "numbers"

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


class Decoding:
    """The memory of an output's decoder in state blocks. It never changes.

    If the decoder decides later, the output's numbers after the latest steps stand there too, the newest last, as
    answers about them give their scores.

    output: with a decoder that drives nothing. offset: where its arrays begin, a multiple of 8, as each of them does.
    """

    __slots__ = ("arrays", "decoder", "end", "fields", "late", "only", "output")

    def __init__(self, output: Output, offset: int) -> None:
        assert output.decoder is not None
        self.output, self.decoder, self.late = output, output.decoder, output.decoder.late
        self.fields = dict(self.decoder.fields)
        if self.late:
            self.fields[NUMBERS] = Field("float32", (self.late + 1, output.width))
        self.arrays: dict[str, tuple[slice, np.dtype[Any], tuple[int, ...]]] = {}  # what `read` needs, as a push waits
        for name, field in self.fields.items():
            self.arrays[name] = slice(offset, offset + field.nbytes), np.dtype(field.dtype), field.shape
            offset += -(-field.nbytes // 8) * 8
        self.end = offset
        self.only = next(iter(self.fields)) if len(self.fields) == 1 else None  # the name of the array if there is one

    def describe(self) -> list[dict[str, Any]]:
        """Return the arrays as they stand in the schema of a state."""
        return [
            {
                "name": f"{self.decoder.place}.{name}",
                "dtype": field.dtype,
                "shape": list(field.shape),
                "offset": self.arrays[name][0].start,
            }
            for name, field in self.fields.items()
        ]

    def read(self, blocks: Bytes) -> dict[str, Array]:
        """Return the arrays of n blocks [n, state_bytes] as views [n, ...]."""
        n = len(blocks)
        return {
            name: blocks[:, place].view(dtype).reshape(n, *shape) for name, (place, dtype, shape) in self.arrays.items()
        }

    def read_one(self, block: Bytes) -> dict[str, Array]:
        """Return the arrays of one block as views [1, ...]."""
        return {
            name: block[place].view(dtype).reshape(1, *shape) for name, (place, dtype, shape) in self.arrays.items()
        }

    def follow(self, block: Bytes, values: Floats) -> None:
        """Change a block by further steps. values: the numbers after each [T, all outputs' numbers]."""
        places = self.read_one(block)
        if len(values) == 1 and self.only is not None:  # first, as a stream waits for it
            places[self.only][...] = self.decoder.update(places, self.output.select(values)).memory[self.only]
            return
        memory: Memory = {name: place.copy() for name, place in places.items()}  # which may become parts of others
        own = self.output.select(values)
        for t in range(len(own)):
            memory = self.update(memory, own[t : t + 1])
        for name, place in places.items():
            place[...] = memory[name]

    def follow_each(self, blocks: Bytes, rows: Indices, values: Floats) -> None:
        """Do `follow` for one step of each of some rows of blocks; one may occur several times. values: [n, all]."""
        if len(rows) < FEW_ROWS or len(np.unique(rows)) < len(rows):
            for row, one in zip(rows.tolist(), values, strict=True):
                self.follow(blocks[row], one[None])
            return
        places = self.read(blocks)
        memory = self.update({name: place[rows] for name, place in places.items()}, self.output.select(values))
        for name, place in places.items():
            place[rows] = memory[name]

    def update(self, memory: Memory, own: Floats) -> Memory:
        """Return the memory of n streams after one further step. own: the output's numbers after it [n, width]."""
        after = self.decoder.update(memory, own).memory
        if not self.late:
            return after
        return {**after, NUMBERS: np.concatenate([memory[NUMBERS][:, 1:], own[:, None]], 1)}

    def finish(self, block: Bytes) -> None:
        """Change a block by the end of its message."""
        places = self.read_one(block)
        after = self.decoder.finish({name: place.copy() for name, place in places.items()}).memory
        for name in self.decoder.fields:
            places[name][...] = after[name]

    def count(self, block: Bytes) -> tuple[int, int]:
        """Return how many of the latest steps have no final result yet, and how many the last step made final."""
        memory = self.read_one(block)
        return int(self.decoder.count_pending(memory)[0]), int(self.decoder.count_decided(memory)[0])

    def recall(self, block: Bytes, back: int) -> tuple[Array, Floats | None]:
        """Return the result [1, ...] and the output's numbers [1, width] of the step so many before the latest one.

        The numbers are None if they are those of the latest step.
        """
        memory, at = self.read_one(block), slice(self.late - back, self.late - back + 1)
        return self.decoder.recall(memory)[0, at], memory[NUMBERS][0, at] if self.late else None

    def check(self, block: Bytes) -> str:
        """Say what is wrong with a block of another origin; "" if nothing is."""
        return self.decoder.check(self.read_one(block))


def find_decoder(output: Output) -> Decoder | None:
    """Return the decoder of which streams remember something, or None."""
    return None if output.decoder is None or output.decoder.drives else output.decoder
