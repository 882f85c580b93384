"""How a forecaster's answers are judged: the pinball loss of its quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]


class Quantiles:
    """Outputs [n, horizon x targets x quantiles] in the model's units.

    Truth is float [n, 2, horizon, targets]: the numbers in the model's units, NaN where unknown, and the unit of each.
    """

    metric, lower = "pinball", True

    def __init__(self, levels: tuple[float, ...]) -> None:
        self.levels = np.array(levels)

    def apart(self, outputs: Floats, targets: Floats) -> tuple[Floats, Floats, Floats]:
        """Outputs [n, horizon, targets, quantiles], truth and units [n, horizon, targets]."""
        y, unit = targets[:, 0].astype(np.float64), targets[:, 1].astype(np.float64)
        return outputs.reshape(*y.shape, len(self.levels)), y, unit

    def figures(self, outputs: Floats, targets: Floats) -> dict[str, float]:
        """Mean pinball loss in the model's units, and its standard error; the median's mean absolute error in the
        data's units; coverage.

        Origins that share steps ahead err alike: only one in `horizon` counts for the standard error.
        """
        q, y, unit = self.apart(outputs, targets)
        known = ~np.isnan(y)
        above = y[..., None] - q
        losses = np.maximum(self.levels * above, (self.levels - 1) * above).mean(-1)
        each = np.nansum(losses, (1, 2)) / known.sum((1, 2)).clip(1)
        error = np.abs(above[..., self.middle]) * unit
        within = (q[..., 0] <= y) & (y <= q[..., -1])
        return {
            "pinball": float(losses[known].mean()),
            "standard_error": float(each.std() / max(1.0, len(each) / y.shape[1]) ** 0.5),
            "mae": float(error[known].mean()),
            **({"coverage": float(within[known].mean())} if len(self.levels) > 1 else {}),
        }

    @property
    def middle(self) -> int:
        """The index of the median."""
        return int(np.flatnonzero(self.levels == 0.5)[0])

    def value(self, figures: dict[str, float]) -> tuple[float, float]:
        return -figures["pinball"], 0.0

    def tolerance(self, best: float, figures: dict[str, float], rows: int) -> float:
        """One standard error: a few held-out weeks make an early epoch look best by luck."""
        return figures["standard_error"]

    def adjustment(self, outputs: Floats, targets: Floats) -> list[float]:
        """None: the end of a series is too short, and too unlike what follows, to move quantiles by it.

        Offsets that made held-out intervals cover (Romano et al. 2019, arXiv:1905.03222) made those of what came after
        cover less on half-hourly load and on etth1.
        """
        return []

    def adjusted(self, outputs: Floats, adjustment: list[float]) -> Floats:
        return outputs

    def cross_adjusted(self, outputs: Floats, targets: Floats, folds: npt.NDArray[np.int64]) -> Floats:
        return outputs

    def adjust(self, network: Any, adjustment: list[float]) -> None:
        """Nothing to fold in."""

    def provenance(self, adjustment: list[float]) -> dict[str, Any]:
        return {}
