"""The problem of a forecaster: the pinball loss of its quantiles, and its figures on held-out rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._linear_branch import LinearBranch, choose_share, choose_width, fit_linear_branch, join_branch
from ._windows import OUTPUT
from .base import Array, Batch, Branch, Calibration, Dropout, Indices, Predictions, Problem, Tensors

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Quantiles(Problem):
    """Steps ahead of series: outputs [n, horizon x targets x quantiles] in the model's units.

    Targets are float32 [n, 3, horizon, targets]: the true values in the model's units, the unit of each, and what its
    error is divided by in MASE, NaN where there is nothing to divide by; the mask [n, horizon, targets] says which are
    known.

    A ridge regression on the same window is the linear branch: all quantiles of a forecast move by a share of the way
    from their median to it, which held-out errors choose; where these clearly say so, intervals get another width.

    There is no other calibration: the end of a series is too short, and too unlike what follows, to shift quantiles by
    it. Offsets that made held-out intervals cover (Romano et al. 2019, arXiv:1905.03222) reduced the coverage of later
    steps on half-hourly load and on etth1.
    """

    def step_outputs(self) -> set[str]:
        """Return the output where rows have many origins; a window is a row with one, at its end."""
        return set() if self.inputs["x"]["window"] else {OUTPUT}

    def dropout(self, random: np.random.Generator) -> Dropout:
        return Dropout(0.0, self.options.drop_pool, random)

    def loss(self, outputs: Tensors, batch: Batch) -> torch.Tensor:
        """Compute the pinball loss summed over the quantiles: the mean over the known targets.

        Source: Koenker and Bassett 1978, Regression quantiles, eq. 1.1.
        """
        import torch

        forecast, known = outputs[OUTPUT], torch.from_numpy(batch.mask[OUTPUT])
        y = torch.from_numpy(batch.targets[OUTPUT][:, 0])
        levels = torch.tensor(self.options.levels(), dtype=forecast.dtype)
        above = y[..., None] - forecast.reshape(*y.shape, len(levels))
        lost = torch.maximum(levels * above, (levels - 1) * above).sum(-1)
        return (lost * known).sum() / known.sum().clamp(min=1)

    def measure(self, predictions: Predictions) -> dict[str, float]:
        y, unit, scale = predictions.targets[OUTPUT].astype(np.float64).swapaxes(0, 1)
        known, levels = predictions.mask[OUTPUT], self.options.levels()
        return measure_quantiles(predictions.outputs[OUTPUT], y, unit, scale, known, levels)

    def fit_branch(self, rows: Indices) -> LinearBranch | None:
        return fit_linear_branch(self, rows)

    def calibrate(self, predictions: Predictions) -> Calibration:
        """Choose the share of the branch by held-out errors: of several series or channels by MASE, so that none counts
        for more because of its unit.
        """
        if OUTPUT not in predictions.branch or not (known := predictions.mask[OUTPUT]).any():
            return {}
        y, unit, scale = predictions.targets[OUTPUT].astype(np.float64).swapaxes(0, 1)
        several = max(len(self.provenance["targets"]), len(self.provenance["fitted_on"])) > 1
        if several and (scaled := known & (scale > 0)).any():
            known, unit = scaled, unit / np.where(scaled, scale, 1)
        outputs, branch = (of[OUTPUT].reshape(*y.shape, -1) for of in (predictions.outputs, predictions.branch))
        levels = self.options.levels()
        share = choose_share(outputs, branch, y, unit, known, levels.index(0.5))
        if not share:
            return {}
        moved = outputs + share * (branch - outputs[..., [levels.index(0.5)]])
        width = choose_width(moved, y, predictions.mask[OUTPUT], levels, y.shape[1])
        return {OUTPUT: {"branch": share, **({"width": width} if width != 1 else {})}}

    def apply_calibration(self, predictions: Predictions, calibration: Calibration) -> Predictions:
        if not (share := calibration.get(OUTPUT, {}).get("branch")):
            return predictions
        levels, width = self.options.levels(), calibration[OUTPUT].get("width", 1.0)
        outputs = predictions.outputs[OUTPUT]
        median = np.repeat(outputs[:, levels.index(0.5) :: len(levels)], len(levels), 1)
        moved = median + share * (predictions.branch[OUTPUT] - median) + width * (outputs - median)
        return replace(predictions, outputs={OUTPUT: moved})

    def join_branch(
        self, branch: Branch, calibration: Calibration, tensors: dict[str, Array]
    ) -> tuple[Problem, dict[str, Array]]:
        assert isinstance(branch, LinearBranch)
        own = calibration[OUTPUT]
        return join_branch(self, branch, own["branch"], own.get("width", 1.0), tensors)

    @property
    def compared(self) -> str:
        """The pinball loss scaled as in MASE: the model's units depend on the options, such as the look-back."""
        return "scaled_pinball"

    def compare(self, figures: dict[str, float]) -> tuple[float, float]:
        return -figures[self.compared], 0.0

    def noise(self, figures: dict[str, float]) -> float | None:
        """Return the standard error of the pinball loss, which is taken to be the same share of the scaled one."""
        share = figures["standard_error"] / figures["pinball"] if figures["pinball"] else 0.0
        return share * figures[self.compared] or None

    def count_held_out(self) -> int:
        return int(self.provenance["rows"]["held_out"])

    def tolerance(self, best: float, figures: dict[str, float]) -> float:
        """Return one standard error: with few held-out weeks an early epoch can look best by luck."""
        return figures["standard_error"]


def measure_quantiles(
    outputs: Floats, y: Floats, unit: Floats, scale: Floats, known: npt.NDArray[np.bool_], quantiles: tuple[float, ...]
) -> dict[str, float]:
    """Compute the mean pinball loss in the model's units, its standard error, and the loss scaled as in MASE; the
    median's mean absolute error in the data's units and scaled as in MASE; and the coverage of the outer quantiles.

    Where nothing can be scaled, because no series ever changed, the scaled loss is in the data's units.

    outputs: [n, horizon x targets x quantiles]. y, unit, scale, known: [n, horizon, targets], see `Quantiles`. Origins
    that share steps ahead have similar errors: only one in `horizon` counts for the standard error. Where quantiles
    cross, the pinball loss is that of the outputs, which is trained; the other figures are of the sorted quantiles that
    the model answers with.
    """
    levels = np.array(quantiles)
    q = outputs.reshape(*y.shape, len(levels))
    above = y[..., None] - q
    losses = np.maximum(levels * above, (levels - 1) * above).mean(-1)
    each = np.where(known, losses, 0.0).sum((1, 2)) / known.sum((1, 2)).clip(1)
    answers = np.sort(q, -1)
    error = np.abs(y - answers[..., quantiles.index(0.5)]) * unit
    scaled = known & (scale > 0)
    count, each_scale = (scaled, np.where(scaled, scale, 1)) if scaled.any() else (known, 1)
    within = (answers[..., 0] <= y) & (y <= answers[..., -1])
    return {
        "pinball": float(losses[known].mean()),
        "standard_error": float(each.std() / max(1.0, len(each) / y.shape[1]) ** 0.5),
        "scaled_pinball": float((losses * unit / each_scale)[count].mean()),
        "mae": float(error[known].mean()),
        **({"mase": float((error / scale)[scaled].mean())} if scaled.any() else {}),
        **({"coverage": float(within[known].mean())} if len(levels) > 1 else {}),
    }
