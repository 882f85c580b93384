"""Evaluation of forecasters on held-out rows: the pinball loss of their quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]


class Quantiles:
    """Evaluates outputs [n, horizon x targets x quantiles] in the model's units.

    Targets are float [n, 3, horizon, targets]: the true values in the model's units, NaN where unknown, the unit of
    each, and what its error is divided by in MASE, NaN where there is nothing to divide by.
    """

    metric, lower_is_better = "pinball", True

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.levels = np.array(levels)

    def unpack(self, outputs: Floats, targets: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Split into outputs [n, horizon, targets, quantiles], and truth, units and scales [n, horizon, targets]."""
        y, unit, scale = (targets[:, i].astype(np.float64) for i in range(3))
        return outputs.reshape(*y.shape, len(self.levels)), y, unit, scale

    def figures(self, outputs: Floats, targets: Floats) -> dict[str, float]:
        """Compute the mean pinball loss in the model's units and its standard error, the median's mean absolute error
        in the data's units and scaled as in MASE, and the coverage of the outer quantiles.

        Origins that share steps ahead have similar errors: only one in `horizon` counts for the standard error.
        """
        q, y, unit, scale = self.unpack(outputs, targets)
        known = ~np.isnan(y)
        above = y[..., None] - q
        losses = np.maximum(self.levels * above, (self.levels - 1) * above).mean(-1)
        each = np.nansum(losses, (1, 2)) / known.sum((1, 2)).clip(1)
        error = np.abs(above[..., self.median_index]) * unit
        within = (q[..., 0] <= y) & (y <= q[..., -1])
        return {
            "pinball": float(losses[known].mean()),
            "standard_error": float(each.std() / max(1.0, len(each) / y.shape[1]) ** 0.5),
            "mae": float(error[known].mean()),
            **({"mase": float((error / scale)[scaled].mean())} if (scaled := known & (scale > 0)).any() else {}),
            **({"coverage": float(within[known].mean())} if len(self.levels) > 1 else {}),
        }

    @property
    def median_index(self) -> int:
        """Return the index of the median."""
        return int(np.flatnonzero(self.levels == 0.5)[0])

    def value(self, figures: dict[str, float]) -> tuple[float, float]:
        return -figures["pinball"], 0.0

    def tolerance(self, best: float, figures: dict[str, float], rows: int) -> float:
        """Return one standard error: with few held-out weeks an early epoch can look best by luck."""
        return figures["standard_error"]

    def fit_adjustment(self, outputs: Floats, targets: Floats) -> list[float]:
        """Return no adjustment: the end of a series is too short, and too unlike what follows, to shift quantiles by
        it.

        Offsets that made held-out intervals cover (Romano et al. 2019, arXiv:1905.03222) reduced the coverage of later
        steps on half-hourly load and on etth1.
        """
        return []

    def apply_adjustment(self, outputs: Floats, adjustment: list[float]) -> Floats:
        return outputs

    def cross_adjust(self, outputs: Floats, targets: Floats, folds: npt.NDArray[np.int64]) -> Floats:
        return outputs

    def fold_adjustment(self, network: Any, adjustment: list[float]) -> None:
        """Do nothing: there is no adjustment."""

    def provenance(self, adjustment: list[float]) -> dict[str, Any]:
        return {}
