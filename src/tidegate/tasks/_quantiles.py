"""How a forecaster's answers are judged: pinball loss of its quantiles; and what makes their intervals cover."""

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
        """Mean pinball loss in the model's units; mean absolute error of the median in the data's; coverage."""
        q, y, unit = self.apart(outputs, targets)
        known = ~np.isnan(y)
        above = y[..., None] - q
        lost = np.maximum(self.levels * above, (self.levels - 1) * above)[known].mean()
        error = np.abs(above[..., self.middle]) * unit
        within = (q[..., 0] <= y) & (y <= q[..., -1])
        return {
            "pinball": float(lost), "mae": float(error[known].mean()),
            **({"coverage": float(within[known].mean())} if len(self.levels) > 1 else {}),
        }  # fmt: skip

    @property
    def middle(self) -> int:
        """The index of the median."""
        return int(np.flatnonzero(self.levels == 0.5)[0])

    def value(self, figures: dict[str, float]) -> tuple[float, float]:
        return -figures["pinball"], 0.0

    def slack(self, best: float, rows: int) -> float:
        return 0.0

    def adjustment(self, outputs: Floats, targets: Floats) -> list[float]:
        """For each output what moves its quantile to where it should lie on held-out rows; nothing for the median.

        The offset of the quantile a is the a-quantile of what is left over, y - q_a: afterwards a share a of the
        held-out truth lies below. Source: conformalised quantile regression, Romano et al. 2019 (arXiv:1905.03222),
        with one offset for each side.
        """
        q, y, _ = self.apart(outputs, targets)
        left = y[..., None] - q
        found = np.zeros(q.shape[1:])
        for i, level in enumerate(self.levels.tolist()):
            if level != 0.5:
                found[..., i] = smooth(np.nanquantile(left[..., i], level, axis=0))
        return [float(v) for v in found.ravel()]

    def adjusted(self, outputs: Floats, adjustment: list[float]) -> Floats:
        return np.asarray(outputs + np.array(adjustment))

    def adjust(self, network: Any, adjustment: list[float]) -> None:
        network.shift_outputs(adjustment)

    def recorded(self, adjustment: list[float]) -> dict[str, Any]:
        largest = max(map(abs, adjustment), default=0.0)
        return {"largest_offset": largest, "of": "the last layer's biases, fitted on the held-out rows"}


def smooth(offsets: Floats, width: int = 5) -> Floats:
    """Offsets [horizon, targets], each the mean of those around it, as neighbouring steps ahead are alike.

    >>> smooth(np.array([[1.0], [4.0], [1.0]]), 3).ravel().tolist()
    [2.5, 2.0, 2.5]
    """
    around = [offsets[max(0, h - width // 2) : h + width // 2 + 1].mean(0) for h in range(len(offsets))]
    return np.stack(around)
