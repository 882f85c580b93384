"""Bootstrap intervals of a classifier's figures: how far other rows of the same kind could move them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ._answered_rows import AnsweredRows
from ._holdout import number_keys
from ._reliability import BINS, find_bins
from .base import Indices

RESAMPLES: Final = 1000
SEED: Final = 0  # the same file has the same intervals each time
PERCENTILES: Final = (2.5, 97.5)  # 95 % intervals
CHUNK: Final = 2**21  # weights that are in memory at once
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """What a resample draws: rows, or groups of rows that depend on each other.

    number: int64 [rows], the unit of each row; equal numbers belong together. noun: what a unit is. column: that of the
    groups, None for rows. missing: the column of groups in training, if the file lacks it, and rows are drawn instead.
    """

    number: Indices
    noun: str = "row"
    column: str | None = None
    missing: str | None = None

    def select(self, rows: Indices) -> Units:
        """Return the units of some rows."""
        return replace(self, number=self.number[rows])

    def as_dict(self) -> dict[str, Any]:
        """Return what was drawn, and how often, as an object for JSON."""
        count = len(np.unique(self.number))
        of = {"of": self.noun, "units": count, "column": self.column, "missing_column": self.missing}
        return {"resamples": RESAMPLES, **of}


def number_units(names: Sequence[str], noun: str, column: str) -> Units:
    """Return the groups of rows with the same name; a row without one (an empty cell) is a group by itself.

    >>> number_units(["ann", "", "ann", " "], "group", "speaker").number.tolist()
    [0, 1, 0, 2]
    """
    return Units(number_keys(name if name.strip() else row for row, name in enumerate(names)), noun, column)


@dataclass(frozen=True)
class UnitSums:
    """Sums over the rows of each unit, from which figures are computed.

    several: whether a row may have several labels. labels: how many there are. unit, column: int64 [entries]; each
    entry counts one row of the unit for a column: `labels` of right predictions, as many of predictions, as many of
    truths. dense: float64 [units, 6 + BINS]: rows; rows that are right; rows with a log loss, and its sum; decisions
    with a probability; labels that rows have; and of each bin, its probabilities less its decisions that are right.
    """

    several: bool
    labels: int
    unit: Indices
    column: Indices
    dense: Floats

    def total(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the sums of all units, each taken `weights` times in each resample, [resamples, units].

        They are [resamples, 3, labels] of the entries, and [resamples, 6 + BINS] of `dense`.
        """
        counts = [np.bincount(self.column, each[self.unit], 3 * self.labels) for each in weights]
        return np.stack(counts).astype(np.float64).reshape(-1, 3, self.labels), weights @ self.dense


def add_units(rows: AnsweredRows, number: Indices) -> UnitSums:
    """Add up the rows of each unit. number: int64 [n], that of each row's unit, from 0 on."""
    size, predicted, truth = len(rows.labels), rows.predicted, rows.truth
    decisions, log_losses = rows.decide(), measure_log_losses(rows)
    if rows.several:
        known, chosen = truth[:, :size] > 0, predicted[:, :size]
        entries = [np.nonzero(known & chosen), np.nonzero(chosen), np.nonzero(known)]
        right, has = (predicted == (truth > 0)).all(1) & ~rows.empty, (truth > 0).sum(1)
    else:
        right, has = predicted == truth, np.ones(len(truth))
        entries = [(row, truth[row]) for row in (np.flatnonzero(right), np.flatnonzero(truth >= 0))]
        answered = np.flatnonzero(~rows.empty)
        entries.insert(1, (answered, predicted[answered]))
    cell = decisions.row * BINS + find_bins(decisions.probability)
    gaps = np.bincount(cell, decisions.probability - decisions.right, len(rows) * BINS).reshape(-1, BINS)
    judged = np.bincount(decisions.row, minlength=len(rows))
    known_loss = ~np.isnan(log_losses)
    parts = [np.ones(len(rows)), right, known_loss, np.nan_to_num(log_losses), judged, has]
    of_rows = np.column_stack([*parts, gaps]).astype(np.float64)
    units = int(number.max()) + 1
    dense = np.column_stack([np.bincount(number, column, units).astype(np.float64) for column in of_rows.T])
    unit = np.concatenate([number[row] for row, _ in entries])
    column = np.concatenate([label + k * size for k, (_, label) in enumerate(entries)])
    return UnitSums(rows.several, size, unit, column, dense)


def measure_log_losses(rows: AnsweredRows) -> Floats:
    """Compute the log loss of each row, float64 [n], with several labels its mean over them; NaN where it has none."""
    losses = np.full(len(rows), np.nan)
    p = np.asarray(rows.probabilities, np.float64)
    if rows.several:
        p = p.clip(1e-12, 1 - 1e-12)
        of_labels = np.where(rows.truth[:, : len(rows.labels)] > 0, np.log(p), np.log(1 - p))
        losses[~rows.empty] = -of_labels.mean(1)[~rows.empty]
    else:
        row = np.flatnonzero(~rows.empty & (rows.truth >= 0))
        losses[row] = -np.log(p[row, rows.truth[row]].clip(1e-12))
    return losses


def compute_figures(sums: UnitSums, counts: Floats, dense: Floats) -> dict[str, float]:
    """Compute the figures from sums over rows, as `UnitSums.total` gives them; NaN where one has no value.

    The definitions are those of `_metrics.score` and `_reliability.measure_reliability`.
    """
    hits, predicted, support = counts
    rows, right, with_loss, loss, judged, has = dense[:6].tolist()
    supported = support > 0
    f1 = 2 * hits[supported] / (predicted + support)[supported]
    found = {"macro_f1": float(f1.mean()) if len(f1) else np.nan, "log_loss": loss / with_loss if with_loss else np.nan}
    found["ece"] = float(np.abs(dense[6:]).sum()) / judged if judged else np.nan
    if not sums.several:
        return {"accuracy": right / rows, **found}
    both = float(predicted.sum()) + has
    return {"subset_accuracy": right / rows, "micro_f1": 2 * float(hits.sum()) / both if both else 1.0, **found}


def bootstrap(rows: AnsweredRows, units: Units, resamples: int = RESAMPLES, seed: int = SEED) -> dict[str, list[float]]:
    """Return the 95 % percentile interval [low, high] of each figure.

    A resample draws as many units as there are, with replacement: rows, or groups of rows where these depend on each
    other. An interval is from the 2.5th to the 97.5th percentile of a figure over the resamples that give it a value.
    There is none with a single unit, whose resamples are all the same. resamples: how many, at least 1.

    Source: Efron and Tibshirani 1993, An introduction to the bootstrap, section 13.3.

    >>> scores = np.array([[.9, .1], [.4, .6], [.2, .8], [.7, .3]])
    >>> rows = AnsweredRows(scores, np.array([0, 0, 1, 0]), ["no", "yes"], np.zeros(4, bool), 0.5)
    >>> bootstrap(rows, Units(np.arange(4)))["accuracy"]
    [0.25, 1.0]
    """
    number = np.unique(units.number, return_inverse=True)[1]
    sums, random = add_units(rows, number), np.random.default_rng(seed)
    count = len(sums.dense)
    if count < 2:
        return {}
    found: list[dict[str, float]] = []
    while len(found) < resamples:
        some = min(resamples - len(found), max(1, CHUNK // count))
        drawn = random.integers(0, count, (some, count)) + np.arange(some)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=some * count).reshape(some, count).astype(np.float64)
        found += [compute_figures(sums, *each) for each in zip(*sums.total(weights), strict=True)]
    values = {name: np.array([one[name] for one in found]) for name in found[0]}
    return {
        name: np.percentile(known, PERCENTILES).tolist()
        for name, of in values.items()
        if len(known := of[~np.isnan(of)])
    }
