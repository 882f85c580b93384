"""The window: the latest steps that a forecast or a label is made from, and how they are standardised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .steps import Flags, Indices

MIN_LENGTH: Final = 2  # steps of a window: a single step minus itself is always 0


@dataclass(frozen=True)
class Window:
    """The latest `length` steps, standardised by their own centre and spread, in segments of `segment` steps.

    season: subtract from each step the one so many steps before it; 0: do not. centre: "last" or "mean". spread: of the
    "training" data or of the "window". least: the number of steps from which on there is an answer, made from the steps
    that there are; None: only full windows. In a window that is not full, the season is subtracted once two steps have
    one a season before them, and zeros fill up the first segment.
    """

    length: int
    segment: int = 1
    season: int = 0
    centre: str = "last"
    spread: str = "training"
    least: int | None = None

    @property
    def reach(self) -> int:
        """How many steps a full window needs."""
        return self.length + self.season

    @property
    def steps_needed(self) -> int:
        """How many steps are needed for an answer."""
        return self.reach if self.least is None else self.least

    def has_season(self, available: Indices) -> Flags:
        """Return whether the season is subtracted in windows with so many steps available."""
        return available >= self.season + MIN_LENGTH

    def count_steps(self, available: Indices) -> Indices:
        """Return how many steps windows have with so many steps available."""
        return np.minimum(self.length, available - self.season * self.has_season(available))

    def count_rows(self, available: Indices) -> Indices:
        """Return how many rows windows have with so many steps available."""
        return -(-self.count_steps(available) // self.segment)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a model file stores them: `least` only if it is set."""
        return {name: value for name, value in vars(self).items() if value is not None}
