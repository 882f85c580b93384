"""What outputs with labels share: their checks, and scores from logits."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError
from ..expect import check_keys, check_object
from ..strictjson import show

GIVEN: Final = "given"
LOGITS: Final = "logits"
SCORES: Final = (GIVEN, LOGITS)

Floats = npt.NDArray[np.float32]


def check_label_names(place: str, value: Any, width: int) -> list[str]:
    """Return labels that are different, not empty, and as many as there are numbers. Raises ModelFileError."""
    if not isinstance(value, list) or not all(isinstance(label, str) and label for label in value):
        raise ModelFileError(f"{place}: is {show(value)}; expected a list of strings that are not empty")
    if len(set(value)) != len(value):
        ordered = sorted(value)
        repeated = next(a for a, b in pairwise(ordered) if a == b)
        raise ModelFileError(f"{place}: {show(repeated)} appears twice; each label must appear once")
    if len(value) != width:
        raise ModelFileError(f"{place}: there are {len(value)}; the output has {width} numbers")
    return list(value)


def check_scores(place: str, entry: dict[str, Any]) -> None:
    """Check whether the node gives scores, or logits that the output turns into scores. Raises ModelFileError."""
    if entry["scores"] not in SCORES:
        raise ModelFileError(f"{place}.scores: is {show(entry['scores'])}; expected one of {', '.join(SCORES)}")


def check_calibration(place: str, entry: dict[str, Any]) -> None:
    """Check by what the weights of the last layer were multiplied, and those of a branch, or null.

    Raises ModelFileError.
    """
    if (value := entry["calibration"]) is None:
        return
    check_object(f"{place}.calibration", value)
    check_keys(f"{place}.calibration", value, "factor", *(("branch",) if "branch" in value else ()))
    for key, number in value.items():
        if type(number) is not float or not 0 < number < float("inf"):
            raise ModelFileError(f"{place}.calibration.{key}: is {show(number)}; expected a number above 0")


@np.errstate(over="ignore", invalid="ignore")
def softmax(logits: Floats) -> Floats:
    """Return the softmax over the last axis, computed in float64.

    >>> softmax(np.array([0.0, 0.0], np.float32)).tolist()
    [0.5, 0.5]
    """
    x = logits.astype(np.float64)
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True), np.float32)


@np.errstate(over="ignore", invalid="ignore")
def sigmoid(logits: Floats) -> Floats:
    """Return the sigmoid of each number, computed in float64.

    >>> sigmoid(np.array([0.0], np.float32)).tolist()
    [0.5]
    """
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))), np.float32)
