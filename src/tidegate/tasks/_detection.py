"""The problem of a detector: a forecaster of the next step is trained, and its graph then scores its errors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..layers import Builder, Layer
from ._alarm_metrics import find_runs
from ._alarm_score import average, block_diagonal, compare_recent, hold_alarms, whiten
from ._alarm_threshold import choose_larger
from ._quantiles import Quantiles
from ._windows import OUTPUT, Segments
from .base import Array, Branch, Calibration, Indices, Predict, Problem, sort_by_length

Floats = npt.NDArray[np.float64]

ALARM, ALARMS = "alarm", "alarms"  # the names of the output and its decoder
MOST_SURPRISE: Final = 100.0
TRUSTED: Final = 5.0  # deviations: by the scale of training, an error counts at most so much
MOST_RECENT: Final = 10.0  # and by the size of its recent ones, so much
LEAST_SHARE: Final = 0.1  # of the usual error of a column, which its spread counts at least
LEAST_SPREAD: Final = 1e-3  # of a column's deviation in training
MOST_LEVEL: Final = 4.0  # times the threshold, where the score drifts


@dataclass(frozen=True, kw_only=True)
class Detection(Quantiles):
    """A forecaster of the next step of all columns, of which the finished model gives the score of its errors.

    rate: how many events a step are expected on normal data. level_whitening: [columns, columns], of the values in
    training. rivals: arrays of simple detectors, by role, which `score` compares the model with. There is no linear
    branch: the last layer reads the present values too.
    """

    rate: float
    level_whitening: Floats
    rivals: dict[str, Floats] = field(default_factory=dict)

    def fit_branch(self, rows: Indices) -> None:
        return None

    def complete(
        self, branch: Branch | None, predict: Predict, calibration: Calibration, tensors: dict[str, Array]
    ) -> tuple[Problem, dict[str, Array]]:
        """Put the score behind the network: surprise, whitened, its mean square, and a threshold by normal steps.

        Held-out steps choose what errors are compared with. The threshold is the larger one of theirs and that of the
        training steps: errors on these are no larger than on new ones, so one that they exceed too often is too low.
        """
        errors, spreads, values, sizes = self.forecast_errors(predict, self.valid_rows)
        usual = np.sqrt(np.nanmean(np.where(np.isnan(errors).all(0), 0.0, errors) ** 2, 0))
        least = np.maximum(LEAST_SHARE * usual, LEAST_SPREAD)
        surprise = clip(errors / np.maximum(spreads, least))
        whitening = block_diagonal(whiten(surprise), self.level_whitening)
        scores = self.score_steps(np.concatenate([surprise, clip(values)], 1), whitening, sizes)
        errors, spreads, values, sizes = self.forecast_errors(predict, self.train_rows)
        learnt = clip(errors / np.maximum(spreads, least))
        trained = self.score_steps(np.concatenate([learnt, clip(values)], 1), whitening, sizes)
        decoder, found = self.make_decoder(scores, trained)
        layers, own = self.score_layers(least, whitening, tensors)
        columns = self.inputs["x"]["columns"]
        output = {"kind": "alarm", "at": "step", "from": ALARMS, "columns": list(columns)}
        provenance = {**self.provenance, "threshold": found}
        completed = replace(
            self,
            layers=layers,
            outputs={ALARM: output},
            decoders={ALARMS: decoder},
            provenance=provenance,
            loss_tensors=self.rivals,
            kept=tuple(self.rivals),
        )
        return completed, {**own, **self.rivals}

    # ---- scores of held-out steps

    def forecast_errors(self, predict: Predict, which: Indices) -> tuple[Floats, Floats, Floats, list[int]]:
        """Return the errors of the forecasts of rows, their spreads, and the values that they are of [n, columns], NaN
        for what is unknown, series after series in the order of their steps; and how many steps each series has.
        """
        rows, predictions = self.rows, predict(which)
        assert isinstance(rows, Segments)
        places = []
        for r in sort_by_length(which, rows.lengths):
            truth = rows.tracks[rows.series[r]].truth[rows.first[r] + 1 : rows.end[r] + 1]
            steps = rows.first[r] + np.flatnonzero(~np.isnan(truth).all(1))
            places.append(np.stack([np.full_like(steps, rows.series[r]), steps], 1))
        series, steps = np.concatenate(places).T
        order = np.lexsort((steps, series))
        quantiles = predictions.outputs[OUTPUT].reshape(len(steps), -1, 3)[order]
        known = predictions.mask[OUTPUT][order, 0]
        truth = predictions.targets[OUTPUT][order, 0, 0].astype(np.float64)
        values = np.where(known, truth, np.nan)
        sizes = np.unique(series, return_counts=True)[1].tolist()
        return values - quantiles[..., 1], (quantiles[..., 2] - quantiles[..., 0]) / 2, values, sizes

    def score_steps(self, surprise: Floats, whitening: Floats, sizes: list[int]) -> list[Floats]:
        """Return the scores of the steps of each series, as the layers of `score_layers` give them."""
        known = ~np.isnan(surprise)
        each = np.where(known, surprise, 0.0) * np.sqrt(known.shape[1] / known.sum(1, keepdims=True).clip(1))
        options, white = self.options, each @ whitening.T
        parts = np.split(white, np.cumsum(sizes)[:-1])
        if options.recent_over:
            parts = [compare_recent(part, 1 / options.recent_over, TRUSTED, MOST_RECENT) for part in parts]
        return [average((part**2).mean(1), 1 / options.mean_over) for part in parts]

    def make_decoder(self, scores: list[Floats], trained: list[Floats]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the entry of the decoder, and what the provenance says of the threshold.

        scores, trained: those of the held-out steps and of the training steps of each series.
        """
        found, together = choose_larger(scores, trained, self.rate), np.concatenate(scores)
        options = {
            "on": found.on,
            "off": min(found.off, found.on),
            "least": 1,
            "wait": self.options.warmup,
            "usual": max(float(np.minimum(together, found.on).mean()), 1e-6),
            "share": 1 / self.options.drift_over if self.options.drift_over else 0.0,
            "most": MOST_LEVEL,
        }
        alarms = sum(len(find_runs(hold_alarms(one, found.on, found.off))) for one in scores)
        entry = {"kind": "adaptive_threshold", "options": options}
        return entry, {
            **found.as_dict(),
            "usual": options["usual"],
            "steps": len(together),
            "alarms": alarms,
            "alarms_per_step": self.rate,
        }

    # ---- the graph

    def score_layers(
        self, least: Floats, whitening: Floats, tensors: dict[str, Array]
    ) -> tuple[list[Layer], dict[str, Array]]:
        """Return the layers of the finished model and all tensors.

        The last layer of the network becomes one that gives the present values, the median of the next ones, half the
        distance of the outer quantiles, and flags of missing values if there are any.
        """
        *body, last = self.layers
        columns, features = len(least), self.features or 0
        parts = 4 if self.inputs["x"]["missing"] == "mask" else 3
        builder = Builder(features)
        builder.layers = list(body)
        head = builder.add("dense", last.sources, size=parts * columns, activation="none")
        surprise = builder.add("surprise", columns=columns, most=MOST_SURPRISE)
        mixed = builder.add("dense", size=2 * columns, activation="none")
        if recent := self.options.recent_over:
            more = {"trusted": TRUSTED, "most": MOST_RECENT, "wait": self.options.warmup}
            builder.add("recent_scale", share=1 / recent, **more)
        builder.add("mean_square", share=1 / self.options.mean_over, wait=self.options.warmup)
        own = {name: array for name, array in tensors.items() if name not in last.tensors.values()}
        ours = {role: fold_quantiles(tensors[name], columns, features, parts) for role, name in last.tensors.items()}
        ours_mixed = {"weight": whitening, "bias": np.zeros(2 * columns)}
        for layer, arrays in ((head, ours), (surprise, {"deviation": least}), (mixed, ours_mixed)):
            own |= {name: np.asarray(arrays[role], np.float32) for role, name in layer.tensors.items()}
        return builder.layers, own


def clip(x: Floats) -> Floats:
    """Limit numbers as the layer `surprise` does."""
    return np.clip(x, -MOST_SURPRISE, MOST_SURPRISE)


def fold_quantiles(array: Array, columns: int, features: int, parts: int) -> Floats:
    """Return the weights or biases of the present values, the median, the spread and the flags.

    array: [columns x 3, hidden + features] or [columns x 3]; those of the features stand last.
    """
    each = array.reshape(columns, 3, *array.shape[1:]).astype(np.float64)
    medians, spreads = each[:, 1], (each[:, 2] - each[:, 0]) / 2
    values, flags = np.zeros_like(medians), np.zeros_like(medians)
    if array.ndim == 2:
        at, first = np.arange(columns), array.shape[1] - features
        values[at, first + at] = 1
        if parts == 4:
            flags[at, first + columns + at] = 1
    return np.concatenate([values, medians, spreads, *([flags] if parts == 4 else [])])
