"""The rule by which an input has none of the labels: a measure of its scores, beyond a threshold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError
from ..expect import check_keys
from ..strictjson import show

ENTROPY: Final = "entropy"
MAX_PROBABILITY: Final = "max_probability"

Floats = npt.NDArray[np.float32]


class Measure(NamedTuple):
    """A measure of the scores of an input, from which it is rejected.

    of: computes it, a number, from scores [labels]. is_confidence: whether less of it is rejected, not more. words:
    what it is. unit: what follows the number, "" or " nats".
    """

    of: Callable[[Floats], float]
    is_confidence: bool
    words: str
    unit: str = ""


def measure_entropy(scores: Floats) -> float:
    """Return the entropy of probabilities [labels], in nats: 0 for a sure label, log n for n equal ones.

    >>> measure_entropy(np.array([1.0, 0.0], np.float32)), measure_entropy(np.array([0.5, 0.5], np.float32))
    (0.0, 0.6931471805599453)
    """
    p = scores[scores > 0].astype(np.float64)
    return max(0.0, -math.fsum((p * np.log(p)).tolist()))


def measure_largest(scores: Floats) -> float:
    """Return the largest score.

    >>> measure_largest(np.array([0.25, 0.75], np.float32))
    0.75
    """
    return float(scores.max())


MEASURES: Final[dict[str, Measure]] = {
    ENTROPY: Measure(measure_entropy, False, "the entropy of the probabilities", " nats"),
    MAX_PROBABILITY: Measure(measure_largest, True, "the largest probability"),
}


@dataclass(frozen=True)
class Reject:
    """The rule that an output has, in the key `reject` of its entry. score: a name of `MEASURES`.

    >>> rule = Reject("max_probability", 0.5)
    >>> rule.reason(np.array([0.75, 0.25], np.float32)), rule.reason(np.array([0.25, 0.25], np.float32))
    ('', 'out of scope: the largest probability is 0.25, below 0.5')
    >>> Reject("entropy", 0.5).reason(np.array([0.5, 0.5], np.float32))
    'out of scope: the entropy of the probabilities is 0.6931 nats, above 0.5'
    """

    score: str
    threshold: float

    def doubt(self, scores: Floats) -> float:
        """Return a number for scores [labels] of which more is sooner rejected."""
        measure = MEASURES[self.score]
        return -measure.of(scores) if measure.is_confidence else measure.of(scores)

    def reason(self, scores: Floats) -> str:
        """Return why an input with these scores [labels] has no label; "" if it has one."""
        measure = MEASURES[self.score]
        found = measure.of(scores)
        if not (found < self.threshold if measure.is_confidence else found > self.threshold):
            return ""
        beyond, (shown, least) = "below" if measure.is_confidence else "above", show_apart(found, self.threshold)
        return f"out of scope: {measure.words} is {shown}{measure.unit}, {beyond} {least}"

    def describe(self) -> str:
        """Say in words what is rejected."""
        measure = MEASURES[self.score]
        return f"{measure.words} is {'below' if measure.is_confidence else 'above'} {self.threshold:.4g}{measure.unit}"


def show_apart(one: float, other: float) -> tuple[str, str]:
    """Format two numbers that differ with four digits, or as many as tell them apart.

    >>> show_apart(0.25, 0.5), show_apart(0.123451, 0.123459)
    (('0.25', '0.5'), ('0.12345', '0.12346'))
    """
    digits = next((n for n in range(4, 17) if f"{one:.{n}g}" != f"{other:.{n}g}"), 17)
    return f"{one:.{digits}g}", f"{other:.{digits}g}"


def read_reject(place: str, entry: dict[str, Any]) -> Reject | None:
    """Check the key `reject` of an output's entry and return its rule; None without one. Raises ModelFileError."""
    if "reject" not in entry:
        return None
    value, place = entry["reject"], f"{place}.reject"
    check_keys(place, value, "score", "threshold")
    if not isinstance(value["score"], str) or value["score"] not in MEASURES:
        raise ModelFileError(f"{place}.score: is {show(value['score'])}; expected one of {', '.join(MEASURES)}")
    threshold = value["threshold"]
    if type(threshold) is not float or not 0 <= threshold < math.inf:
        raise ModelFileError(f"{place}.threshold: is {show(threshold)}; expected a number of at least 0.0")
    return Reject(value["score"], threshold)
