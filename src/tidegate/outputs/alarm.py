"""An alarm: how unusual the latest steps of a series are, and whether an event runs, as a decoder says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError
from ..expect import check_list, check_text
from ..strictjson import show
from .base import Context, LazyAnswer, Output, check_common, shortest_decimals

if TYPE_CHECKING:
    from ..decode.adaptive_threshold import AdaptiveThreshold

MOST_CHANNELS: Final = 3  # named as those that drove an event
DRIVEN: Final = 0.5  # the share of a score that they make up, where fewer do not

Floats = npt.NDArray[np.float32]
Reals = npt.NDArray[np.float64]


def parse(name: str, entry: dict[str, Any], width: int, inputs: Mapping[str, Any]) -> AlarmOutput:
    """Check the entry of an alarm and return its output. Raises ModelFileError."""
    place = f"outputs.{name}"
    own = check_common(place, entry, "step", width, "columns")
    if own < 2:
        raise ModelFileError(f"{place}: an alarm has a score and the parts of it; its node gives {own} number")
    check_list(f"{place}.columns", entry["columns"], 1, own - 1)
    for i, column in enumerate(entry["columns"]):
        check_text(f"{place}.columns[{i}]", column)
    if (own - 1) % (count := len(entry["columns"])):
        raise ModelFileError(
            f"{place}.columns: has {count} names, and the node gives a score and {own - 1} parts; expected as many for "
            "each column"
        )
    return AlarmOutput(name, entry, width)


class Event(NamedTuple):
    """Steps in a row that are unusual.

    number: of the event in its stream, from 1. start, peak: the steps, from 0, where it began and where the score was
    the largest. end: its last step; None while it runs. severity: the largest score over the threshold. channels: those
    that drove it, as parts of that score, the first one the most.
    """

    number: int
    start: int
    end: int | None
    peak: int
    severity: float
    channels: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the event for JSON; `end` is left out while it runs."""
        return {key: value for key, value in self._asdict().items() if value is not None}


class Alarm(LazyAnswer[Floats]):
    """The score of a step and whether an alarm runs; or those of all steps; or the reason why there is none.

    values: float32 [1 + parts], the score and the parts whose mean it is, those of one kind after those of another,
    each with one for each column; of a whole series [T, 1 + parts]; or None. reason: why values is None, else "".
    columns: the names of the columns. decoder: that which gave `moments`, float64 [1 or T, 6 + 1 + parts].

    >>> from tidegate.decode.adaptive_threshold import AdaptiveThreshold
    >>> options = {"on": 8.0, "off": 4.0, "least": 1, "wait": 0, "usual": 1.0, "share": 0.0, "most": 4.0}
    >>> decoder = AdaptiveThreshold("decoders.alarms", {"options": options}, 3)
    >>> moments = np.array([[44, 1, 2, 40, 41, 0.0, 16.0, 2.0, 30.0]])
    >>> alarm = Alarm(np.array([12.0, 4.0, 20.0], np.float32), ["heat", "flow"], "", decoder, moments)
    >>> alarm.score, alarm.alarm, alarm.event.severity, alarm.event.channels
    (12.0, True, 2.0, ['flow'])
    """

    __slots__ = ("columns", "decoder", "moments")

    def __init__(
        self,
        values: Floats | None,
        columns: list[str],
        reason: str = "",
        decoder: AdaptiveThreshold | None = None,
        moments: Reals | None = None,
    ) -> None:
        super().__init__(values, reason)
        self.columns, self.decoder, self.moments = columns, decoder, moments

    def __reduce__(self) -> tuple[Any, ...]:
        return Alarm, (self.values, self.columns, self.reason, self.decoder, self.moments)

    @property
    def is_whole(self) -> bool:
        """Whether it is about all steps of a series."""
        return self.values is not None and self.values.ndim == 2

    @property
    def score(self) -> float | None:
        """The score of the last step: the mean square of the errors of its forecast, in their usual size; or None."""
        scores = self.scores
        return None if scores is None or np.isnan(scores[-1]) else shortest_decimals(scores[-1:].astype(np.float32))[0]

    @property
    def scores(self) -> Reals | None:
        """The score of each step, float64 [T], NaN in the warm-up; or None."""
        if self.values is None:
            return None
        found = self.values.reshape(-1, self.values.shape[-1])[:, 0].astype(np.float64)
        if self.decoder is None or self.moments is None:
            return found
        return np.where(self.decoder.is_waiting(self.moments), np.nan, found)

    @property
    def alarms(self) -> npt.NDArray[np.bool_] | None:
        """Whether an alarm runs at each step, bool [T], False in the warm-up; or None."""
        if self.values is None or self.decoder is None or self.moments is None:
            return None
        return self.decoder.find_alarms(self.moments)

    @property
    def alarm(self) -> bool | None:
        """Whether an alarm runs after the last step; None where there is no score."""
        return None if self.score is None or self.alarms is None else bool(self.alarms[-1])

    @property
    def level(self) -> float:
        """By what the threshold is multiplied because the score has drifted; 1.0: it has not."""
        return 1.0 if self.decoder is None or self.moments is None else self.decoder.level(self.moments[-1])

    @property
    def event(self) -> Event | None:
        """The event that runs after the last step, or None."""
        return self._event(self.moments[-1], None) if self.alarm and self.moments is not None else None

    @property
    def events(self) -> list[Event]:
        """The events of all steps that it is about; one that runs at the end has the last step as its end."""
        if self.alarms is None or self.moments is None:
            return []
        runs, found = np.flatnonzero(self.alarms), []
        for number in np.unique(self.moments[runs, 2]):
            last = self.moments[runs[self.moments[runs, 2] == number][-1]]
            found.append(self._event(last, int(last[0]) - 1))
        return found

    def _event(self, row: Reals, end: int | None) -> Event:
        assert self.decoder is not None
        own, numbers = self.decoder.split(row)
        severity = float(f"{numbers[0] / self.decoder.on:.4g}")
        channels = name_channels(add_parts(numbers[1:], len(self.columns)), self.columns)
        return Event(int(own.number), int(own.start), end, int(own.peak), severity, channels)

    def as_dict(self, all_scores: bool = True) -> dict[str, Any]:
        """Return a dict for JSON: `score`, `alarm` and `event`, and `level` where the threshold follows a drift.

        all_scores: give the parts of the columns too. Where there is no score, `reason` says why. Of a whole series, it
        has the lists `scores`, `alarms` and `events`.
        """
        if self.values is None or self.scores is None:
            return {"score": None, "alarm": None, "reason": self.reason}
        level = {"level": float(f"{self.level:.4g}")} if self.level > 1 else {}
        if self.is_whole:
            waiting = np.isnan(self.scores).tolist()
            alarms = [None] * len(waiting) if self.alarms is None else self.alarms.tolist()
            found = zip(waiting, shortest_decimals(self.values[:, 0]), alarms, strict=True)
            pairs = [(None, None) if waits else (score, alarm) for waits, score, alarm in found]
            scores, shown = map(list, zip(*pairs, strict=True))
            return {"scores": scores, "alarms": shown, "events": [one.as_dict() for one in self.events], **level}
        event = None if self.event is None else self.event.as_dict()
        each = shortest_decimals(add_parts(self.values[1:], len(self.columns)).astype(np.float32))
        parts = dict(zip(self.columns, each, strict=True))
        answer = {"score": self.score, "alarm": self.alarm, "event": event, **level}
        return {**answer, "parts": parts} if all_scores else answer

    def __repr__(self) -> str:
        if self.values is None:
            return f"Alarm(None, {self.reason!r})"
        return f"Alarm({self.score}, {self.alarm})" if not self.is_whole else f"Alarm({len(self.events)} events)"


def add_parts(parts: npt.NDArray[Any], columns: int) -> npt.NDArray[Any]:
    """Return the part of each column in a score [columns]: the mean of those of all kinds.

    >>> add_parts(np.array([1.0, 2.0, 3.0, 6.0]), 2).tolist()
    [2.0, 4.0]
    """
    return np.asarray(parts.reshape(-1, columns).mean(0))


def name_channels(parts: Reals, columns: Sequence[str]) -> list[str]:
    """Return the columns that make up half of a score, at most three, the largest part first.

    >>> name_channels(np.array([1.0, 9.0, 8.0]), ["heat", "flow", "load"])
    ['flow']
    """
    order = np.argsort(-parts, kind="stable")
    share = np.cumsum(parts[order]) / max(float(parts.sum()), 1e-30)
    return [columns[i] for i in order[: min(MOST_CHANNELS, 1 + int((share < DRIVEN).sum()))]]


class AlarmOutput(Output):
    """A score of each step, and alarms and events, as a decoder says. The answer about a whole series has all steps.

    columns: those whose parts follow the score, one or several of each.
    """

    kind = "alarm"
    per_step = True
    decoded = "for each step whether an alarm runs"
    whole_reason = "this model gives alarms at every step; use answers, which gives the events of each series"

    def __init__(self, name: str, entry: dict[str, Any], width: int) -> None:
        super().__init__(name, entry, width)
        self.columns: list[str] = list(entry["columns"])

    def implied_decoder(self) -> dict[str, Any] | None:
        raise ModelFileError(
            f"outputs.{self.name}.from: is {show(self._entry['from'])}; expected the name of a decoder, which says "
            "when an alarm runs"
        )

    def describe_numbers(self) -> str:
        return "the score, and the part of each column in it"

    def answer(self, values: Floats | None, context: Context | None = None, reason: str = "") -> Alarm:
        """Return the alarm after a step, or those after several. values: of the node [all] or [T, all]."""
        if reason or values is None:
            return Alarm(None, self.columns, reason)
        decided = None if context is None else context.decided
        decoder: Any = self.decoder
        if values.ndim == 1 and decided is not None and (steps := int(decided[-1, 0])) <= decoder.wait:
            return Alarm(None, self.columns, f"warming up {steps} of {decoder.wait + 1}")
        return Alarm(self.select(values).copy(), self.columns, "", decoder, decided)
