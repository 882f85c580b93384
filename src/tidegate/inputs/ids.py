"""Token ids from a tokenizer of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..expect import check_integer, check_keys
from ..limits import MAX_VOCABULARY
from ..tensors import Array
from ._draws import draw_ids
from ._read import to_token_ids
from .base import PlainInput


def parse(name: str, entry: dict[str, Any], tensors: Mapping[str, Array]) -> IdsInput:
    """Check the entry of ids and return its input. Raises ModelFileError."""
    check_keys(f"inputs.{name}", entry, "kind", "size")
    return IdsInput(name, check_integer(f"inputs.{name}.size", entry["size"], 1, MAX_VOCABULARY))


class IdsInput(PlainInput):
    """Token ids: rows are int32 [T]; the state stays empty."""

    kind = "ids"
    takes = "token ids"
    unfinished_error = "it has an unfinished word; this model takes token ids"

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name)
        self.size = size

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "size": self.size}

    def read(self, x: Any, state: bytes) -> tuple[npt.NDArray[np.int32], bytes]:
        """Return one id, or several [T], as int32."""
        if isinstance(x, str | bytes):
            raise DataError(f"this model takes token ids, integers of 0 to {self.size - 1}; text was given")
        return to_token_ids([x] if np.ndim(x) == 0 else x, self.size), b""

    def read_many(self, x: Any) -> npt.NDArray[np.int32]:
        """Return one id for each of n streams: int32 [n]."""
        return to_token_ids(x, self.size)

    def synthesise(self, draws: Iterator[int], steps: int) -> npt.NDArray[np.int32]:
        return draw_ids(draws, steps, self.size)
