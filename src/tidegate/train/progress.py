"""The progress that a training run reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """The progress after a step, or after the evaluation of an epoch (`evaluated`).

    phase: "train", or "refit" in epochs that also train on held-out rows. epoch, step: counted from 1, of `epochs` and
    `steps`. loss: running mean of this epoch. metric: the latest held-out one, None before the first evaluation. best:
    the best one so far. seconds_left: estimate of the remaining time. part: the trial and the fold that are trained, in
    words; "" for the model itself.
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
    part: str = ""


Report = Callable[[Progress], None]
