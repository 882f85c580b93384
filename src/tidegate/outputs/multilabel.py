"""Several labels: each input has any number of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError
from ..strictjson import show
from ._label_names import LOGITS, check_calibration, check_label_names, check_scores, sigmoid
from ._scores import Scores, select_labels
from .base import Context, Output, check_common

Floats = npt.NDArray[np.float32]


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> MultilabelOutput:
    """Check the entry of several labels and return its output. Raises ModelFileError."""
    place = f"outputs.{name}"
    own = check_common(place, entry, "end", width, "labels", "scores", "calibration", "threshold")
    check_label_names(f"{place}.labels", entry["labels"], own)
    check_scores(place, entry)
    check_calibration(place, entry)
    if type(entry["threshold"]) is not float or not 0 < entry["threshold"] < 1:
        raise ModelFileError(f"{place}.threshold: is {show(entry['threshold'])}; expected a number between 0 and 1")
    return MultilabelOutput(name, entry, width)


class MultilabelOutput(Output):
    """An input has the labels whose score is at least the threshold. Each score is a probability of its own."""

    kind = "multilabel"
    at = "end"
    classifies = True
    gives_several = True
    labels: list[str]

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        super().__init__(name, entry, width)
        self.labels, self.threshold = list(entry["labels"]), float(entry["threshold"])
        self.from_logits = entry["scores"] == LOGITS

    def convert(self, values: Floats, scaling: Any = None) -> Floats:
        own = self.select(values)
        return sigmoid(own) if self.from_logits else own

    def answer(self, values: Floats | None, context: Context | None = None, reason: str = "") -> Scores:
        if reason or values is None:
            return Scores(None, self.labels, reason, True, self.threshold)
        convert = sigmoid if self.from_logits else None
        return Scores(self.select(values), self.labels, "", True, self.threshold, convert)

    def select_labels(self, scores: Floats) -> list[list[str]]:
        return select_labels(scores, self.labels, True, self.threshold)
