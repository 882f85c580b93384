"""The window of latest steps that a forecast or a label is made from: how long, in what segments, and less what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .steps import Flags, Indices

FEWEST: Final = 2  # steps of a window: a single one, less itself, is always 0


@dataclass(frozen=True)
class Window:
    """The latest `length` steps, each less the one `season` before it (0: as they are), less their centre, over their
    spread, in segments of `segment` steps.

    least: from how many steps on there is an answer, made from as many as there are; None: from a full window on. In a
    window that is not full a season is taken off once two steps have one before them, and zeros fill the first segment.
    """

    length: int
    segment: int = 1
    season: int = 0
    centre: str = "last"
    spread: str = "training"
    least: int | None = None

    @property
    def reach(self) -> int:
        """How many steps a full window takes."""
        return self.length + self.season

    @property
    def needs(self) -> int:
        """How many steps must have been seen."""
        return self.reach if self.least is None else self.least

    def has_season(self, behind: Indices) -> Flags:
        """Whether a season is taken off windows with so many steps up to their end."""
        return behind >= self.season + FEWEST

    def count_steps(self, behind: Indices) -> Indices:
        """How many steps there are in windows with so many up to their end."""
        return np.minimum(self.length, behind - self.season * self.has_season(behind))

    def rows(self, behind: Indices) -> Indices:
        """How many rows windows with so many steps up to their end have."""
        return -(-self.count_steps(behind) // self.segment)

    def to_json(self) -> dict[str, Any]:
        """As a document has it: `least` only where it is given."""
        return {name: value for name, value in vars(self).items() if value is not None}
