"""Labels: each input has one, or with a rule `reject` none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ._label_names import LOGITS, check_calibration, check_label_names, check_scores, softmax
from ._reject import read_reject
from ._scores import Scores, select_labels
from .base import Context, Output, check_common

Floats = npt.NDArray[np.float32]


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> LabelsOutput:
    """Check the entry of labels and return its output. Raises ModelFileError."""
    place = f"outputs.{name}"
    optional = ("reject",) if "reject" in entry else ()
    own = check_common(place, entry, "end", width, "labels", "scores", "calibration", *optional)
    check_label_names(f"{place}.labels", entry["labels"], own)
    check_scores(place, entry)
    check_calibration(place, entry)
    read_reject(place, entry)
    return LabelsOutput(name, entry, width)


class LabelsOutput(Output):
    """The label of an input is that of the largest score. Scores are probabilities.

    reject: the rule by which an input has none of the labels, or None.
    """

    kind = "labels"
    at = "end"
    classifies = True
    labels: list[str]

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        super().__init__(name, entry, width)
        self.labels = list(entry["labels"])
        self.from_logits = entry["scores"] == LOGITS
        self.reject = read_reject(f"outputs.{name}", entry)

    def describe(self) -> list[tuple[str, str]]:
        return [] if self.reject is None else [("no label", f"where {self.reject.describe()}")]

    def describe_numbers(self) -> str:
        if self.reject is None:
            return ""
        numbers = "logits, whose softmax gives the probabilities" if self.from_logits else "the probabilities"
        return f"{numbers} of the labels; an input has none of them where {self.reject.describe()}"

    def convert(self, values: Floats, scaling: Any = None) -> Floats:
        own = self.select(values)
        return softmax(own) if self.from_logits else own

    def answer(self, values: Floats | None, context: Context | None = None, reason: str = "") -> Scores:
        if reason or values is None:
            return Scores(None, self.labels, reason, reject=self.reject)
        convert = softmax if self.from_logits else None
        return Scores(self.select(values), self.labels, convert=convert, reject=self.reject)

    def select_labels(self, scores: Floats) -> list[list[str]]:
        return select_labels(scores, self.labels, False, reject=self.reject)
