"""Adaptive threshold: an alarm begins at a score and runs until a lower one, and both follow a slow drift of the score."""

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
MOST_COUNT: Final = 1 << 53  # which float64 counts exactly
WAITING: Final = -1.0
SLACK: Final = 1.5  # times the usual score: a mean up to there is no drift
NUMBERS: Final = ("on", "off", "usual", "share", "most")
COUNTS: Final = 5  # steps, active, number, start, peak_step
HEAD: Final = 6

Reals = npt.NDArray[np.float64]


class Moment(NamedTuple):
    """What the decoder gives of one step, in this order, before the numbers of the event's peak.

    status: 1 in an alarm, 0 outside, -1 in the warm-up. level: by what the threshold is multiplied from here on. number:
    of the running or the latest event, from 1; 0: there was none. start, peak: the steps where it began and where its
    score was the largest, from 0. steps: how many there were.
    """

    status: float
    level: float
    number: float
    start: float
    peak: float
    steps: float


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

    Its memory: `counts` int64 [5]: steps, for how many of them the alarm has run, counted up to `least` (0: none runs),
    the number of the latest event, the steps of its start and its peak; `peak` float32 [width], the numbers at its
    peak; `drift` float32 [1], the running mean less 1. The arithmetic is in float64.

    >>> options = {"on": 8.0, "off": 4.0, "least": 1, "wait": 1, "usual": 1.0, "share": 0.0, "most": 4.0}
    >>> decoder = AdaptiveThreshold("decoders.alarms", {"options": options}, 1)
    >>> decoder.decode(np.array([[9.0], [1.0], [9.0], [5.0], [3.0]], np.float32))[:, 0].tolist()
    [-1.0, 0.0, 1.0, 1.0, 0.0]
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
        return {
            "counts": Field("int64", (COUNTS,), 0, MOST_COUNT),
            "peak": Field("float32", (self.width,)),
            "drift": Field("float32", (1,)),
        }

    def describe(self) -> list[tuple[str, str]]:
        steps = f"{self.least} step{'s'[: self.least != 1]}"
        wait = f"; the first {self.wait} steps give none" if self.wait else ""
        found = [("decoder", f"an alarm from {self.on:.6g} until below {self.off:.6g}, for at least {steps}{wait}")]
        if self.share:
            usual = f"from {SLACK} times the usual score ({self.usual:.3g}) on, at most {self.most:g}-fold"
            found.append(("drift", f"the threshold follows the mean of about {round(1 / self.share):,} steps {usual}"))
        return found

    def update(self, memory: Memory, y: Floats) -> Update:
        after = self.update_one(memory, y) if len(y) == 1 else self.update_each(memory, y)
        return Update(after, self.recall(after))

    def update_one(self, memory: Memory, y: Floats) -> Memory:
        """Return the memory of one stream after a step, first, as a push waits for it."""
        (steps, active, number, start, peak_step), peak = memory["counts"][0].tolist(), memory["peak"]
        drift, score = memory["drift"].item(), y[0, 0].item()
        steps += 1
        if steps > self.wait and math.isfinite(score):
            level = self.level(drift)
            on = self.on * level
            if score >= on or (active and (active < self.least or score >= self.off * level)):
                if not active:
                    number, start = number + 1, steps - 1
                if not active or score > peak[0, 0].item():
                    peak, peak_step = y.astype(np.float32), steps - 1
                active = min(active + 1, self.least)
            else:
                active = 0
            drift += self.share * (min(score, on) / self.usual - 1 - drift)
        counts = np.array([[steps, active, number, start, peak_step]])
        return {"counts": counts, "peak": peak, "drift": np.array([[drift]], np.float32)}

    def update_each(self, memory: Memory, y: Floats) -> Memory:
        """Do `update_one` for each of n streams."""
        steps, active, number, start, peak_step = memory["counts"].T
        drift, score, steps = memory["drift"][:, 0].astype(np.float64), y[:, 0].astype(np.float64), steps + 1
        runs = (steps > self.wait) & np.isfinite(score)
        level = np.minimum(np.maximum((1 + drift) / SLACK, 1.0), self.most)
        on = self.on * level
        alarm = (score >= on) | ((active > 0) & ((active < self.least) | (score >= self.off * level)))
        begins = runs & alarm & (active == 0)
        peaks = begins | (runs & alarm & (score > memory["peak"][:, 0]))
        number, start = number + begins, np.where(begins, steps - 1, start)
        peak_step = np.where(peaks, steps - 1, peak_step)
        active = np.where(runs, np.where(alarm, np.minimum(active + 1, self.least), 0), active)
        with np.errstate(invalid="ignore"):
            moved = drift + self.share * (np.minimum(score, on) / self.usual - 1 - drift)
        return {
            "counts": np.stack([steps, active, number, start, peak_step], 1),
            "peak": np.where(peaks[:, None], y, memory["peak"]).astype(np.float32),
            "drift": np.where(runs, moved, drift)[:, None].astype(np.float32),
        }

    def level(self, drift: float) -> float:
        """Return by what the thresholds are multiplied."""
        return min(max((1 + drift) / SLACK, 1.0), self.most)

    def recall(self, memory: Memory) -> Reals:
        """Return a `Moment` of each stream and the numbers of its event's peak, float64 [n, 1, 6 + width]."""
        if len(memory["counts"]) == 1:
            steps, active, number, start, peak = memory["counts"][0].tolist()
            status = WAITING if steps <= self.wait else float(active > 0)
            head = Moment(status, self.level(memory["drift"].item()), number, start, peak, steps)
            return np.array([[[*head, *memory["peak"][0].tolist()]]])
        steps, active, number, start, peak = memory["counts"].T
        status = np.where(steps <= self.wait, WAITING, (active > 0).astype(np.float64))
        level = np.minimum(np.maximum((1 + memory["drift"][:, 0].astype(np.float64)) / SLACK, 1.0), self.most)
        columns = [one[:, None] for one in (status, level, number, start, peak, steps)]
        return np.concatenate([*columns, memory["peak"]], 1, dtype=np.float64)[:, None]

    def check(self, memory: Memory) -> str:
        for name in ("peak", "drift"):
            if not np.isfinite(memory[name]).all():
                return f"{self.place}.{name} has a number that is not finite; expected finite ones"
        return super().check(memory)
