"""One full window: what `SeriesTransform.make_windows` does for many, in fewer calls of NumPy.

A stream computes one window at each push, where the calls take longer than the arithmetic. The operations and their
order are the same, and so are the bits, which tests compare.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .scaling import Scaling
from .series import FLAT, SeriesTransform
from .steps import Floats, Indices, Rows


class OneWindow:
    """Standardises full windows of a transform, one at a time."""

    def __init__(self, transform: SeriesTransform) -> None:
        assert transform.window, "a transform with a window"
        self.window, at = transform.window, transform.column_indices
        self.reach = self.window.reach
        self.shape = 1, self.window.length // self.window.segment, transform.features
        self.lengths: Indices = np.array([self.shape[1]], np.int64)
        self.windowed, self.targets, self.own_targets, self.others = (
            at.windowed,
            at.target,
            at.windowed_targets,
            at.others,
        )
        self.needs_mean = self.window.centre == "mean" or self.window.spread == "window"
        mean, deviation = transform.mean, transform.deviation
        by_training = not self.needs_mean or self.window.spread == "training"
        self.spread = deviation[0, self.windowed] if by_training and deviation is not None else None
        self.statistics = None
        if at.others and mean is not None and deviation is not None:
            self.statistics = mean[0][at.others], deviation[0][at.others]
        self.season_steps = self.reach - 1 + at.season_steps
        self.forecasts = transform.forecast is not None
        ahead = transform.forecast.output_horizon if transform.forecast else 0
        self.no_base = np.zeros((1, ahead, transform.targets))
        self.no_base.flags.writeable = False  # scalings share it

    @np.errstate(over="ignore", invalid="ignore")
    def standardise(self, ring: Floats) -> tuple[Rows, Indices, Scaling | None]:
        """Return the window of these imputed steps [reach, width] as rows [1, K, features], K in an array, and its
        scaling if the transform forecasts.
        """
        w = self.window
        whole = ring[w.season :].astype(np.float64)
        moved = whole[:, self.windowed]
        if w.season:
            moved = moved - ring[: w.length, self.windowed]
        last = centre = moved[-1].copy()
        spread = self.spread
        if self.needs_mean:
            mean = last + np.add.accumulate(moved - last, 0)[-1] / w.length
            centre = last if w.centre == "last" else mean
            if spread is None:
                spread = np.sqrt(np.add.accumulate((moved - mean) ** 2, 0)[-1] / w.length)
                spread = np.where(spread > FLAT * np.maximum.reduce(np.abs(moved), 0), spread, 0.0)
        assert spread is not None
        divisor = spread
        if self.spread is None and not np.logical_and.reduce(spread):
            divisor = np.where(spread > 0, spread, 1.0)
        whole[:, self.windowed] = (moved - centre) / divisor
        if self.statistics is not None:
            whole[:, self.others] = (whole[:, self.others] - self.statistics[0]) / self.statistics[1]
        rows: npt.NDArray[np.float32] = whole.astype(np.float32).reshape(self.shape)
        if not self.forecasts:
            return rows, self.lengths, None
        base = ring[self.season_steps][None, :, self.targets] if len(self.season_steps) else self.no_base
        scaling = Scaling(centre[None, self.own_targets], spread[None, self.own_targets], base)
        return rows, self.lengths, scaling
