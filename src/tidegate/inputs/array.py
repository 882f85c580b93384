"""Plain numbers, as the first layer takes them. NaN is passed to the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..expect import check_integer, check_keys
from ..limits import MAX_WIDTH
from ..tensors import Array
from ._draws import draw_numbers
from ._read import to_float32
from .base import PlainInput


def parse(name: str, entry: dict[str, Any], tensors: Mapping[str, Array]) -> ArrayInput:
    """Check the entry of an array and return its input. Raises ModelFileError."""
    check_keys(f"inputs.{name}", entry, "kind", "features")
    return ArrayInput(name, check_integer(f"inputs.{name}.features", entry["features"], 1, MAX_WIDTH))


class ArrayInput(PlainInput):
    """Plain numbers: rows are float32 [T, features]; the state stays empty."""

    kind = "array"
    takes = "numbers"
    may_be_side = True
    features: int

    def __init__(self, name: str, features: int) -> None:
        super().__init__(name)
        self.features = features

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "features": self.features}

    def read(self, x: Any, state: bytes) -> tuple[npt.NDArray[np.float32], bytes]:
        """Return one step [features] or several [T, features] as float32 [T, features]."""
        rows = to_float32(x)
        if rows.ndim == 1:
            rows = rows[None]
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise DataError(
                f"shape {list(np.shape(x))}; expected [{self.features}] for one step, "
                f"or [T, {self.features}] for several"
            )
        return rows, b""

    def read_many(self, x: Any) -> npt.NDArray[np.float32]:
        """Return one step of each of n streams: float32 [n, features]."""
        rows = to_float32(x)
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise DataError(f"shape {list(rows.shape)}; expected [n, {self.features}], one step for each stream")
        return rows

    def synthesise(self, draws: Iterator[int], steps: int) -> npt.NDArray[np.float32]:
        return draw_numbers(draws, steps, self.features)
