"""Calibrated predictions of held-out rows, in which no row influences its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .base import Indices, Predictions, Problem


def cross_calibrate(problem: Problem, predictions: Predictions, folds: Indices) -> Predictions:
    """Calibrate the outputs of each fold by what the other folds give, so that no row influences its own.

    folds: the fold of each row, int64 [rows]. A single fold stays as it is, unless it has a branch: then it is
    calibrated by itself, as otherwise the figures would be those of the network alone.
    """
    outputs = {name: y.copy() for name, y in predictions.outputs.items()}
    for fold in np.unique(folds):
        own, others = folds == fold, folds != fold
        if predictions.branch and not others.any():
            others = own
        if others.any():
            calibration = problem.calibrate(predictions.select(others))
            scaled = problem.apply_calibration(predictions.select(own), calibration)
            for name, y in outputs.items():
                y[own[predictions.row[name]]] = scaled.outputs[name]
    return replace(predictions, outputs=outputs)
