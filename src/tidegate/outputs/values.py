"""Plain numbers, as the last layer gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._label_names import check_label_names
from ._scores import Scores
from .base import Context, Output, check_common

Floats = npt.NDArray[np.float32]


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> ValuesOutput:
    """Check the entry of plain numbers and return its output. Raises ModelFileError."""
    place = f"outputs.{name}"
    own = check_common(place, entry, "step", width, "labels")
    if entry["labels"] is not None:
        check_label_names(f"{place}.labels", entry["labels"], own)
    return ValuesOutput(name, entry, width)


class ValuesOutput(Output):
    """Plain numbers, which may have names."""

    kind = "values"

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        super().__init__(name, entry, width)
        self.labels = None if entry["labels"] is None else list(entry["labels"])

    def answer(self, values: Floats | None, context: Context | None = None, reason: str = "") -> Scores:
        if reason or values is None:
            return Scores(None, self.labels, reason)
        return Scores(values if self.part is None else self.select(values), self.labels)
