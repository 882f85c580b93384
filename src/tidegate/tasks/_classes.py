"""How a classifier's answers are judged: accuracy or F1, then log loss; and how sure it may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._calibration import binary_log_loss, calibrated, log_loss
from ._metrics import micro_f1
from ._problem import Indices

Logits = npt.NDArray[Any]
Targets = npt.NDArray[np.int64]


class SingleLabel:
    """One label a row: targets int64 [n], logits [n, classes]."""

    metric, lower = "accuracy", False

    def figures(self, outputs: Logits, targets: Targets) -> dict[str, float]:
        return {"accuracy": float((outputs.argmax(1) == targets).mean()), "log_loss": log_loss(outputs, targets)}

    def value(self, figures: dict[str, float]) -> tuple[float, float]:
        return figures[self.metric], -figures["log_loss"]

    def tolerance(self, best: float, figures: dict[str, float], rows: int) -> float:
        """One standard error. Few held-out rows make an early epoch look best by luck, while the schedule's late,
        small steps settle a model; an epoch that is truly worse falls out.

        Source: the one-standard-error rule, Breiman et al. 1984, 3.4.3.
        """
        return float((best * (1 - best) / rows) ** 0.5)

    def adjustment(self, outputs: Logits, targets: Targets) -> list[float]:
        return [calibrated(outputs, targets)]

    def adjusted(self, outputs: Logits, adjustment: list[float]) -> Logits:
        return adjustment[0] * outputs

    def cross_adjusted(self, outputs: Logits, targets: Targets, folds: Indices) -> Logits:
        """Scale each fold's outputs by the factor that the other folds give, so that no row is judged by a factor that
        it had a say in. folds: the number of each row's, int64 [n]; one fold alone stays as it is.
        """
        scaled = outputs.copy()
        for fold in np.unique(folds):
            own, others = folds == fold, folds != fold
            if others.any():
                scaled[own] = self.adjusted(outputs[own], self.adjustment(outputs[others], targets[others]))
        return scaled

    def adjust(self, network: Any, adjustment: list[float]) -> None:
        network.scale_scores(adjustment[0])

    def provenance(self, adjustment: list[float]) -> dict[str, Any]:
        return {"factor": adjustment[0], "of": "the last layer's weights, fitted on the held-out rows"}


class MultiLabel(SingleLabel):
    """Any number of labels a row: targets float32 [n, labels] of 0 and 1, logits [n, labels]."""

    metric = "micro_f1"

    def figures(self, outputs: Logits, targets: npt.NDArray[Any]) -> dict[str, float]:
        loss = binary_log_loss(outputs, targets) / targets.shape[1]
        return {"micro_f1": micro_f1(outputs >= 0, targets > 0), "log_loss": loss}

    def adjustment(self, outputs: Logits, targets: npt.NDArray[Any]) -> list[float]:
        return [calibrated(outputs, targets, binary_log_loss)]
