"""One of a few things, such as who speaks: numbers, 1 for the one that it is and 0 for the others.

A side input: it is read when its graph ticks. Names are not stored in the model: they are counted in the order in which
a stream meets them, so that any name will do. The first is number 0; from the last number on, all share that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, StateError
from ..expect import check_integer, check_keys
from ..tensors import Array
from .base import PlainInput

MAX_SIZE: Final = 64
MAX_NAME: Final = 256  # bytes of UTF-8


def parse(name: str, entry: dict[str, Any], tensors: Mapping[str, Array]) -> CategoryInput:
    """Check the entry of a category and return its input. Raises ModelFileError."""
    check_keys(f"inputs.{name}", entry, "kind", "size")
    return CategoryInput(name, check_integer(f"inputs.{name}.size", entry["size"], 1, MAX_SIZE))


class CategoryInput(PlainInput):
    """A step is a name; its row has a 1 at the number of the name. The state is the names so far, as JSON."""

    kind = "category"
    takes = "a name"
    may_be_side = True

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name)
        self.features = size

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "size": self.features}

    def describe_rows(self) -> str:
        assert self.features is not None
        return (
            f"1 at the number of the name and 0 elsewhere: names are counted from 0 as a stream meets them, and from "
            f"{self.features - 1} on they share that number"
        )

    @property
    def memory_bytes(self) -> int:
        assert self.features is not None
        return self.features * (2 * MAX_NAME + 4)

    def read(self, x: Any, state: bytes) -> tuple[npt.NDArray[np.float32], bytes]:
        """Return the row of one name [1, size], and the names so far."""
        assert self.features is not None
        if not isinstance(x, str) or not x:
            raise DataError(f"{x!r:.40} was given; expected a name, a string that is not empty")
        try:
            size = len(x.encode())
        except UnicodeEncodeError:
            raise DataError(f"{x[:40]!r} was given, which has half of a surrogate pair; expected text") from None
        if size > MAX_NAME:
            raise DataError(f"a name has {len(x)} characters; at most {MAX_NAME} bytes of UTF-8 are allowed")
        names: list[str] = json.loads(state) if state else []
        if x not in names and len(names) < self.features - 1:
            names.append(x)
            state = json.dumps(names, ensure_ascii=False).encode()
        row = np.zeros((1, self.features), np.float32)
        row[0, names.index(x) if x in names else self.features - 1] = 1
        return row, state

    def read_many(self, x: Any) -> npt.NDArray[np.float32]:
        raise DataError(f"{self.name} is read when its graph ticks; it has no steps of its own")

    def synthesise(self, draws: Iterator[int], steps: int) -> npt.NDArray[np.float32]:
        assert self.features is not None
        rows = np.zeros((steps, self.features), np.float32)
        rows[np.arange(steps), [next(draws) * self.features >> 64 for _ in range(steps)]] = 1
        return rows

    def from_bytes(self, data: bytes, count: int) -> bytes:
        try:
            names: Any = json.loads(data) if data else []
            fits = isinstance(names, list) and all(0 < len(name.encode()) <= MAX_NAME for name in names)
        except (ValueError, AttributeError, RecursionError):  # ValueError: half of a surrogate pair, too
            fits = False
        if not fits or len(names) >= (self.features or 1) or len(set(names)) < len(names):
            raise StateError(f"the names of {self.name!r} in the state do not fit this model")
        return data
