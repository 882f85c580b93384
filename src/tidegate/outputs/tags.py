"""Tags: each step has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError
from ..strictjson import show
from ._label_names import LOGITS, check_label_names, check_scores, softmax
from .base import Context, LazyAnswer, Output, check_common, shortest_decimals

BIO: Final = "bio"
SCHEMES: Final = (None, BIO)

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> TagsOutput:
    """Check the entry of tags and return its output. Raises ModelFileError."""
    place = f"outputs.{name}"
    own = check_common(place, entry, "step", width, "labels", "scores", "scheme")
    check_label_names(f"{place}.labels", entry["labels"], own)
    check_scores(place, entry)
    check_scheme(f"{place}.scheme", entry, inputs)
    return TagsOutput(name, entry, width)


def check_scheme(place: str, entry: dict[str, Any], inputs: Mapping[str, Any]) -> None:
    """Check that the tags of an entry follow its scheme, and that the steps of inputs follow each other.

    Raises ModelFileError.
    """
    if entry["scheme"] not in SCHEMES:
        raise ModelFileError(f"{place}: is {show(entry['scheme'])}; expected {BIO!r} or null")
    if entry["scheme"] is None:
        return
    if any(source.rows is not None for source in inputs.values()):
        raise ModelFileError(f"{place}: is {BIO!r}, but the input starts anew for each answer; expected null")
    for label in entry["labels"]:
        if label != "O" and label.partition("-")[0] not in ("B", "I"):
            raise ModelFileError(
                f"{place}: is {BIO!r}, but there is the tag {show(label)}; expected O, B-... and I-..."
            )
    if all(label.startswith("I") for label in entry["labels"]):
        raise ModelFileError(f"{place}: is {BIO!r}, but every tag begins with I; expected one that can be the first")


class Tags(LazyAnswer[Floats]):
    """The tags of one step or several, or the reason why there are none.

    values: float32 [T, tags], the probability of each tag after each step, or None. reason: why values is None, else
    "". labels: the names of all tags. chosen: int64 [T], the index of each step's tag; None: that of the largest
    probability. convert: makes the values from those given, when they are first read; None: copies them.

    >>> tags = Tags(np.array([[0.25, 0.75], [1.0, 0.0]], np.float32), ["O", "B-city"])
    >>> tags.tags, tags.scores
    (['B-city', 'O'], [0.75, 1.0])
    >>> tags.as_dict(all_scores=False)
    {'tags': ['B-city', 'O'], 'scores': [0.75, 1.0]}
    """

    __slots__ = ("_chosen", "labels")

    def __init__(
        self,
        values: Floats | None,
        labels: list[str],
        reason: str = "",
        chosen: Indices | None = None,
        convert: Callable[[Floats], Floats] | None = None,
    ) -> None:
        super().__init__(values, reason, convert)
        self.labels, self._chosen = labels, chosen

    def __reduce__(self) -> tuple[Any, ...]:
        return Tags, (self.values, self.labels, self.reason, self._chosen)

    @property
    def chosen(self) -> Indices | None:
        """The index of each step's tag, int64 [T]; None without values."""
        if self.values is None or self._chosen is not None:
            return None if self.values is None else self._chosen
        return np.asarray(self.values.argmax(-1))

    @property
    def tags(self) -> list[str] | None:
        """The tag of each step: that of the largest probability which may follow; None without values."""
        return None if (chosen := self.chosen) is None else [self.labels[i] for i in chosen.tolist()]

    @property
    def scores(self) -> list[float] | None:
        """The probability of each step's tag; None without values."""
        values, chosen = self.values, self.chosen
        return None if values is None or chosen is None else shortest_decimals(values[np.arange(len(values)), chosen])

    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
        """Return a dict for JSON: `tags` and their `scores`, one for each step.

        all_scores: give `all_scores` too, the probability of each tag by name, for each step. Without values they are
        None, and `reason` says why.
        """
        result: dict[str, Any] = {"tags": self.tags, "scores": self.scores}
        if self.values is None:
            return {**result, "reason": self.reason}
        if all_scores:
            rows = [dict(zip(self.labels, shortest_decimals(row), strict=True)) for row in self.values]
            result["all_scores"] = rows
        return result

    def __repr__(self) -> str:
        return f"Tags(None, {self.reason!r})" if self.values is None else f"Tags({' '.join(self.tags or [])})"


class TagsOutput(Output):
    """A tag for each step, which a decoder may choose. The answer about a whole input has those of all its steps.

    With the scheme "bio", the tag I-x only follows B-x or I-x.
    """

    kind = "tags"
    per_step = True
    decoded = "an id for each step"
    whole_reason = "this model tags every step; use answers, which gives a tag for each"
    labels: list[str]

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        super().__init__(name, entry, width)
        self.labels = list(entry["labels"])
        self.from_logits = entry["scores"] == LOGITS

    def implied_decoder(self) -> dict[str, Any] | None:
        options = {"labels": self.labels}
        return {"kind": "bio", "reads": self._entry["from"], "options": options} if self._entry["scheme"] else None

    def check_decoder(self, place: str, decoder: Any) -> None:
        super().check_decoder(place, decoder)
        for key, expected in (("scheme", None), ("scores", LOGITS)):
            if self._entry[key] != expected:
                raise ModelFileError(
                    f"{place}.{key}: is {show(self._entry[key])}, but {decoder.place} chooses the tags; expected "
                    f"{show(expected)}"
                )

    def convert(self, values: Floats, scaling: Any = None) -> Floats:
        own = self.select(values)
        return softmax(own) if self.from_logits else own

    def answer(self, values: Floats | None, context: Context | None = None, reason: str = "") -> Tags:
        """Return the tag of a step, or the tags of several. values: those of the node [all] or [T, all]."""
        if reason or values is None:
            return Tags(None, self.labels, reason)
        decided, numbers = (None, None) if context is None else (context.decided, context.numbers)
        own = self.select(values) if numbers is None else numbers
        own = own.reshape(-1, self.width).copy()  # of a batch, which an answer is not to keep alive
        return Tags(own, self.labels, chosen=decided, convert=softmax if self.from_logits else None)
