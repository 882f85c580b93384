"""Events: which labels are active after each step, as a decoder says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError
from ..strictjson import show
from ._label_names import LOGITS, check_label_names, check_scores, sigmoid
from .base import Context, LazyAnswer, Output, check_common, shortest_decimals

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.int64]


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> EventsOutput:
    """Check the entry of events and return its output. Raises ModelFileError."""
    place = f"outputs.{name}"
    own = check_common(place, entry, "step", width, "labels", "scores")
    check_label_names(f"{place}.labels", entry["labels"], own)
    check_scores(place, entry)
    return EventsOutput(name, entry, width)


class Events(LazyAnswer[Floats]):
    """The labels that are active after one step or several, or the reason why there are none.

    values: float32 [T, labels], the score of each label after each step, or None. reason: why values is None, else "".
    labels: the names of all labels. flags: [T, labels], 1 for those that are active. convert: makes the values from
    those given, when they are first read; None: copies them.

    >>> Events(np.array([[0.75, 0.25]], np.float32), ["rain", "wind"], flags=np.array([[1, 0]])).as_dict()
    {'active': [['rain']], 'all_scores': [{'rain': 0.75, 'wind': 0.25}]}
    """

    __slots__ = ("_flags", "labels")

    def __init__(
        self,
        values: Floats | None,
        labels: list[str],
        reason: str = "",
        flags: Flags | None = None,
        convert: Callable[[Floats], Floats] | None = None,
    ) -> None:
        super().__init__(values, reason, convert)
        self.labels, self._flags = labels, flags

    def __reduce__(self) -> tuple[Any, ...]:
        return Events, (self.values, self.labels, self.reason, self._flags)

    @property
    def active(self) -> list[list[str]] | None:
        """The labels that are active after each step; None without values."""
        if self.values is None or self._flags is None:
            return None
        return [[self.labels[i] for i in np.flatnonzero(row)] for row in self._flags]

    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
        """Return a dict for JSON: `active`, the labels of each step.

        all_scores: give `all_scores` too, the score of each label by name, for each step. Without values they are None,
        and `reason` says why.
        """
        if self.values is None:
            return {"active": None, "reason": self.reason}
        rows = [dict(zip(self.labels, shortest_decimals(row), strict=True)) for row in self.values]
        return {"active": self.active, **({"all_scores": rows} if all_scores else {})}

    def __repr__(self) -> str:
        return f"Events({self.active!r})" if self.values is not None else f"Events(None, {self.reason!r})"


class EventsOutput(Output):
    """Labels that are active or not after each step. The answer about a whole input has those of all its steps."""

    kind = "events"
    per_step = True
    decoded = "for each step which labels are active"
    whole_reason = "this model has events at every step; use answers, which gives the active labels of each"
    labels: list[str]

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        super().__init__(name, entry, width)
        self.labels = list(entry["labels"])
        self.from_logits = entry["scores"] == LOGITS

    def implied_decoder(self) -> dict[str, Any] | None:
        raise ModelFileError(
            f"outputs.{self.name}.from: is {show(self._entry['from'])}; expected the name of a decoder, which says "
            "when a label is active"
        )

    def convert(self, values: Floats, scaling: Any = None) -> Floats:
        own = self.select(values)
        return sigmoid(own) if self.from_logits else own

    def answer(self, values: Floats | None, context: Context | None = None, reason: str = "") -> Events:
        """Return the labels that are active after a step, or after several. values: of the node [all] or [T, all]."""
        if reason or values is None:
            return Events(None, self.labels, reason)
        decided, numbers = (None, None) if context is None else (context.decided, context.numbers)
        own = (self.select(values) if numbers is None else numbers).reshape(-1, self.width).copy()
        return Events(own, self.labels, flags=decided, convert=sigmoid if self.from_logits else None)
