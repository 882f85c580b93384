"""Calibrated predictions of held-out rows, in which no row influences its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from .base import Indices, Predictions, Problem

FEW: Final = 5  # folds


def cross_calibrate(problem: Problem, predictions: Predictions, folds: Indices) -> Predictions:
    """Calibrate the outputs of each fold by what the other folds give, so that no row influences its own.

    folds: the fold of each row, int64 [rows]. A single fold stays as it is. With a branch, fewer than `FEW` folds are
    calibrated by all rows: the figures would be those of the network alone, or of shares that a handful of rows chose.
    """
    outputs = {name: y.copy() for name, y in predictions.outputs.items()}
    numbers = np.unique(folds)
    for fold in numbers:
        own = folds == fold
        others = np.ones_like(own) if predictions.branch and len(numbers) < FEW else ~own
        if others.any():
            calibration = problem.calibrate(predictions.select(others))
            scaled = problem.apply_calibration(predictions.select(own), calibration)
            for name, y in outputs.items():
                y[own[predictions.row[name]]] = scaled.outputs[name]
    return replace(predictions, outputs=outputs)
