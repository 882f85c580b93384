"""The scaling of forecasts, between the data's units and the model's."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .steps import Floats, Rows


class Scaling(NamedTuple):
    """Converts B forecasts between the data's units and the model's: y = out x spread + centre + base.

    centre, spread: float64 [B, targets]; base: float64 [B, horizon, targets]. If the spread is 0, because a window is
    constant, the forecast is that constant.
    """

    centre: Floats
    spread: Floats
    base: Floats

    def invert(self, out: npt.NDArray[Any], quantiles: int) -> Floats:
        """Convert outputs [B, horizon x targets x quantiles] to data: float64 [B, horizon, targets, quantiles]."""
        y: Floats = out.astype(np.float64).reshape(*self.base.shape, quantiles)
        if math.isfinite(np.vdot(y, y)):  # sooner than to ask NumPy not to warn
            return self._invert(y)
        with np.errstate(invalid="ignore"):
            return self._invert(y)

    def _invert(self, y: Floats) -> Floats:
        """Convert outputs in place."""
        y *= self.spread[:, None, :, None]
        y += (self.centre[:, None] + self.base)[..., None]
        return y

    def select(self, i: int) -> Scaling:
        """Return the scaling of forecast i alone."""
        return Scaling(self.centre[i : i + 1], self.spread[i : i + 1], self.base[i : i + 1])

    def apply(self, y: Floats) -> Rows:
        """Convert data [B, horizon, targets] to the model's units, float32; NaN if the window is constant."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(
                self.spread[:, None] > 0, (y - self.base - self.centre[:, None]) / self.spread[:, None], np.nan
            ).astype(np.float32)


def concat_scalings(scalings: list[Scaling]) -> Scaling:
    """Join the scalings of several batches of forecasts."""
    if len(scalings) == 1:
        return scalings[0]
    return Scaling(*map(np.concatenate, zip(*scalings, strict=True)))
