"""What a run tells while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report: after a step, or after an epoch's evaluation (`evaluated`).

    phase: "train", or "refit" when held-out rows are in too. loss: running mean. metric: held-out, of the newest
    evaluation, None before the first; best: the best so far. seconds_left: estimate for the rest, None at the start.
    """

    phase: str
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    metric_name: str
    metric: float | None
    best: float | None
    seconds_left: float | None
    evaluated: bool = False


Report = Callable[[Progress], None]
