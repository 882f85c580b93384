"""Evaluation of classifiers on held-out rows: accuracy or F1, then log loss; and their calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._calibration import binary_log_loss, fit_logit_scale, log_loss
from ._metrics import micro_f1
from ._problem import Indices

Logits = npt.NDArray[Any]
Targets = npt.NDArray[np.int64]


class SingleLabel:
    """Evaluates rows with one label each: targets int64 [n], logits [n, classes]."""

    metric, lower_is_better = "accuracy", False

    def figures(self, outputs: Logits, targets: Targets) -> dict[str, float]:
        return {"accuracy": float((outputs.argmax(1) == targets).mean()), "log_loss": log_loss(outputs, targets)}

    def value(self, figures: dict[str, float]) -> tuple[float, float]:
        return figures[self.metric], -figures["log_loss"]

    def tolerance(self, best: float, figures: dict[str, float], rows: int) -> float:
        """Return one standard error.

        With few held-out rows an early epoch can look best by luck, while it is the schedule's small late steps that
        settle a model. An epoch that is really worse still falls outside the tolerance.

        Source: the one-standard-error rule, Breiman et al. 1984, section 3.4.3.
        """
        return float((best * (1 - best) / rows) ** 0.5)

    def fit_adjustment(self, outputs: Logits, targets: Targets) -> list[float]:
        return [fit_logit_scale(outputs, targets)]

    def apply_adjustment(self, outputs: Logits, adjustment: list[float]) -> Logits:
        return adjustment[0] * outputs

    def cross_adjust(self, outputs: Logits, targets: Targets, folds: Indices) -> Logits:
        """Scale each fold's outputs by the factor fitted on the other folds, so that no row influences its own factor.

        folds: the fold of each row, int64 [n]. A single fold stays as it is.
        """
        scaled = outputs.copy()
        for fold in np.unique(folds):
            own, others = folds == fold, folds != fold
            if others.any():
                scaled[own] = self.apply_adjustment(outputs[own], self.fit_adjustment(outputs[others], targets[others]))
        return scaled

    def fold_adjustment(self, network: Any, adjustment: list[float]) -> None:
        network.scale_scores(adjustment[0])

    def provenance(self, adjustment: list[float]) -> dict[str, Any]:
        return {"factor": adjustment[0], "of": "the last layer's weights, fitted on the held-out rows"}


class MultiLabel(SingleLabel):
    """Evaluates rows with any number of labels: targets float32 [n, labels] of 0 and 1, logits [n, labels]."""

    metric = "micro_f1"

    def figures(self, outputs: Logits, targets: npt.NDArray[Any]) -> dict[str, float]:
        loss = binary_log_loss(outputs, targets) / targets.shape[1]
        return {"micro_f1": micro_f1(outputs >= 0, targets > 0), "log_loss": loss}

    def fit_adjustment(self, outputs: Logits, targets: npt.NDArray[Any]) -> list[float]:
        return [fit_logit_scale(outputs, targets, binary_log_loss)]
