"""Adaptive threshold: an alarm begins at a score, runs until a lower one, and both follow a slow drift of the score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError
from ..expect import check_integer
from ..strictjson import show
from .base import ALARMS, Array, Decoder, Field, Floats, Memory, Update, check_common

MOST_STEPS: Final = 1 << 20
SLACK: Final = 1.5  # times the usual score: a mean up to there is no drift
NUMBERS: Final = ("on", "off", "usual", "share", "most")

Reals = npt.NDArray[np.float64]


class Moment(NamedTuple):
    """What is known after a step, in the order of the memory, which has the numbers of the event's peak behind it.

    steps: how many there were. active: for how many of them the alarm has run, counted up to `least`; 0: none runs.
    number: of the running or the latest event, from 1; 0: there was none. start, peak: the steps, from 0, where it
    began and where its score was the largest. drift: the running mean of the score over the usual one, less 1.
    """

    steps: float
    active: float
    number: float
    start: float
    peak: float
    drift: float


HEAD: Final = len(Moment._fields)
COUNTS: Final = 5  # of them are whole numbers


def parse(place: str, entry: Mapping[str, Any], width: int, tensors: Mapping[str, Array]) -> AdaptiveThreshold:
    """Check the entry of an adaptive threshold and return its decoder. Raises ModelFileError."""
    check_common(place, entry, width, *NUMBERS, "least", "wait")
    options = entry["options"]
    for key in NUMBERS:
        if type(options[key]) is not float or not 0 <= options[key] <= 1e30:
            raise ModelFileError(f"{place}.options.{key}: is {show(options[key])}; expected a number such as 0.5")
    for key, least, most, what in (
        ("on", options["off"], math.inf, "at least off"),
        ("usual", 1e-30, math.inf, "a number above 0"),
        ("share", 0.0, 1.0, "at most 1"),
        ("most", 1.0, math.inf, "at least 1"),
    ):
        if not least <= options[key] <= most:
            raise ModelFileError(f"{place}.options.{key}: is {options[key]}; expected {what}")
    check_integer(f"{place}.options.least", options["least"], 1, MOST_STEPS)
    check_integer(f"{place}.options.wait", options["wait"], 0, MOST_STEPS)
    return AdaptiveThreshold(place, entry, width)


class AdaptiveThreshold(Decoder):
    """An alarm runs from a score of at least `on` until one below `off`, and for at least `least` steps.

    The score is the first number of a step. `wait` steps at the start give no alarm. A running mean of the score over
    `usual`, to which the newest step adds its `share`, is the drift; no score counts more than the threshold there, so
    that an event moves it little. From 1.5 times the usual score on, both thresholds are multiplied by the drift / 1.5,
    at most by `most`.

    Its memory: `moment` float64 [6 + width], a `Moment` and the numbers of the event's peak. It is also what the
    decoder gives of a step.

    >>> options = {"on": 8.0, "off": 4.0, "least": 1, "wait": 1, "usual": 1.0, "share": 0.0, "most": 4.0}
    >>> decoder = AdaptiveThreshold("decoders.alarms", {"options": options}, 1)
    >>> moments = decoder.decode(np.array([[9.0], [1.0], [9.0], [5.0], [3.0]], np.float32))
    >>> decoder.find_alarms(moments).tolist(), decoder.is_waiting(moments).tolist()
    ([False, False, True, True, False], [True, False, False, False, False])
    """

    kind = "adaptive_threshold"
    gives = ALARMS

    def __init__(self, place: str, entry: Mapping[str, Any], width: int) -> None:
        super().__init__(place, entry, width)
        options = entry["options"]
        self.on, self.off, self.usual, self.share, self.most = (options[key] for key in NUMBERS)
        self.least, self.wait = options["least"], options["wait"]

    @property
    def fields(self) -> dict[str, Field]:
        return {"moment": Field("float64", (HEAD + self.width,))}

    def describe(self) -> list[tuple[str, str]]:
        steps = f"{self.least} step{'s'[: self.least != 1]}"
        wait = f"; the first {self.wait} steps give none" if self.wait else ""
        found = [("decoder", f"an alarm from {self.on:.6g} until below {self.off:.6g}, for at least {steps}{wait}")]
        if self.share:
            usual = f"from {SLACK} times the usual score ({self.usual:.3g}) on, at most {self.most:g}-fold"
            found.append(("drift", f"the threshold follows the mean of about {round(1 / self.share):,} steps {usual}"))
        return found

    def update(self, memory: Memory, y: Floats) -> Update:
        moment = memory["moment"]
        after = self.update_one(moment, y) if len(y) == 1 else self.update_each(moment, y)
        return Update({"moment": after}, after[:, None])

    def update_one(self, moment: Reals, y: Floats) -> Reals:
        """Return the memory of one stream after a step, first, as a push waits for it."""
        after, score = moment.copy(), y[0, 0].item()
        steps, active, number, start, peak, drift, largest = after[0, : HEAD + 1].tolist()
        steps += 1
        if steps > self.wait and math.isfinite(score):
            level = min(max((1 + drift) / SLACK, 1.0), self.most)
            on = self.on * level
            if score >= on or (active and (active < self.least or score >= self.off * level)):
                if not active:
                    number, start = number + 1, steps - 1
                if not active or score > largest:
                    after[0, HEAD:], peak = y[0], steps - 1
                active = min(active + 1, self.least)
            else:
                active = 0
            drift += self.share * (min(score, on) / self.usual - 1 - drift)
        after[0, :HEAD] = steps, active, number, start, peak, drift
        return after

    def update_each(self, moment: Reals, y: Floats) -> Reals:
        """Do `update_one` for each of n streams."""
        steps, active, number, start, peak, drift, largest = moment.T[: HEAD + 1]
        score, steps = y[:, 0].astype(np.float64), steps + 1
        runs = (steps > self.wait) & np.isfinite(score)
        level = np.minimum(np.maximum((1 + drift) / SLACK, 1.0), self.most)
        on = self.on * level
        alarm = (score >= on) | ((active > 0) & ((active < self.least) | (score >= self.off * level)))
        begins = runs & alarm & (active == 0)
        peaks = begins | (runs & alarm & (score > largest))
        with np.errstate(invalid="ignore"):
            moved = drift + self.share * (np.minimum(score, on) / self.usual - 1 - drift)
        after = moment.copy()
        after[:, 0] = steps
        after[:, 1] = np.where(runs, np.where(alarm, np.minimum(active + 1, self.least), 0), active)
        after[:, 2] = number + begins
        after[:, 3] = np.where(begins, steps - 1, start)
        after[:, 4] = np.where(peaks, steps - 1, peak)
        after[:, 5] = np.where(runs, moved, drift)
        after[peaks, HEAD:] = y[peaks]
        return after

    def recall(self, memory: Memory) -> Reals:
        """Return a `Moment` of each stream and the numbers of its event's peak, float64 [n, 1, 6 + width]."""
        return np.array(memory["moment"][:, None])

    def split(self, moment: Reals) -> tuple[Moment, Reals]:
        """Return what is known after a step and the numbers of the event's peak. moment: [6 + width]."""
        return Moment(*moment[:HEAD].tolist()), moment[HEAD:]

    def find_alarms(self, moments: Reals) -> npt.NDArray[np.bool_]:
        """Return whether an alarm runs at steps. moments: as the decoder gives them [T, 6 + width]."""
        return np.asarray(moments[:, 1] > 0)

    def is_waiting(self, moments: Reals) -> npt.NDArray[np.bool_]:
        """Return whether steps are in the warm-up."""
        return np.asarray(moments[:, 0] <= self.wait)

    def level(self, moment: Reals) -> float:
        """Return by what the thresholds are multiplied after a step. moment: [6 + width]."""
        return float(min(max((1 + float(moment[HEAD - 1])) / SLACK, 1.0), self.most))

    def check(self, memory: Memory) -> str:
        moment = memory["moment"][0]
        if not np.isfinite(moment).all():
            return f"{self.place}.moment has a number that is not finite; expected finite ones"
        counts = moment[:COUNTS]
        if (counts < 0).any() or (counts > 1 << 53).any() or (counts != np.floor(counts)).any():
            return f"{self.place}.moment begins with {counts.tolist()}; expected {COUNTS} whole numbers from 0 on"
        return ""
