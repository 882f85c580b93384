"""The linear branch of a forecaster: a ridge regression on the model's own window, which joins the network at the end.

It is fitted to what the network reads, in the network's units, so it is a linear map of the last steps of each target.
Steps before the first one of a series are zeros, as they are in the layer `lags` (layers/lags.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..features.series import SeriesTransform
from ..layers import Builder
from ._baseline_models import CHUNK, MAX_WINDOWS, PENALTIES, LinearMap, Moments, RidgeWindow, repeated_steps
from ._baselines import choose_lookback
from ._windows import OUTPUT, Segments, Windows
from .base import Array, Batch, Indices, Problem

Floats = npt.NDArray[np.float64]
HOLD_OUT: Final = 1 / 3  # of the steps of a series, by which the penalty is chosen, as that of the baseline is
MOST_TARGETS: Final = 256  # each takes operations of the graph, which are limited
NUMBERS_AT_ONCE: Final = 1 << 23
SHARES: Final = tuple(k / 10 for k in range(11))
WIDTHS: Final = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 1.25, 1.5, 2.0)


class Origins(NamedTuple):
    """Where forecasts begin: the row of each, its series, and its last known step."""

    row: Indices
    series: Indices
    end: Indices

    def select(self, which: npt.NDArray[np.bool_] | slice) -> Origins:
        return Origins(*(values[which] for values in self))


class Inputs(Protocol):
    """The rows of a problem as inputs of a ridge regression.

    length: the steps of an input. reach: the steps that a forecast reads. needs: how many there have to be for a fit.
    """

    transform: SeriesTransform
    length: int
    reach: int
    needs: int

    def find_origins(self, rows: Indices) -> Origins:
        """Return all origins of rows."""

    def read(self, origins: Origins) -> tuple[Floats, Floats, Floats]:
        """Return inputs [n, targets, length], what is added to forecasts [n, horizon, targets], and the truth in the
        model's units [n, horizon, targets], NaN where it is unknown."""

    def predict(self, batch: Batch, rows: Indices, maps: Sequence[LinearMap]) -> Floats:
        """Return the forecasts for the outputs of a batch of these rows, [outputs, horizon, targets]."""

    def map_steps(self, one: LinearMap) -> tuple[Floats, Floats]:
        """Return a map as one of the last `reach` steps, oldest first: weights [horizon, reach], bias [horizon]."""


class WindowInputs:
    """Windows that end at an origin: as the network reads them, with zeros in front of those that are not full."""

    def __init__(self, rows: Windows, length: int) -> None:
        window = rows.transform.window
        assert window
        self.rows, self.transform, self.window = rows, rows.transform, window
        self.length = self.reach = length - length % window.segment
        self.needs = window.steps_needed

    def find_origins(self, rows: Indices) -> Origins:
        return Origins(rows, self.rows.series[rows], self.rows.behind[rows] - 1)

    def read(self, origins: Origins) -> tuple[Floats, Floats, Floats]:
        batch = self.rows.batch(origins.row)
        y = np.where(batch.mask[OUTPUT], batch.targets[OUTPUT][:, 0].astype(np.float64), np.nan)
        return self.cut(batch), np.zeros_like(y), y

    def cut(self, batch: Batch) -> Floats:
        """Return the last steps of the targets of each row, [B, targets, length]."""
        segment, targets = self.window.segment, self.transform.targets
        ends = np.cumsum(batch.lengths)
        at = ends[:, None] + np.arange(-(self.length // segment), 0)
        there = at >= (ends - batch.lengths)[:, None]
        x = np.where(there[..., None], batch.inputs["x"][np.where(there, at, 0)], 0)
        steps = x.reshape(len(ends), self.length, self.transform.width)[..., :targets]
        return np.asarray(steps.swapaxes(1, 2), np.float64)

    def predict(self, batch: Batch, rows: Indices, maps: Sequence[LinearMap]) -> Floats:
        return apply_maps(maps, self.cut(batch))

    def map_steps(self, one: LinearMap) -> tuple[Floats, Floats]:
        return one.weights.T, one.bias - one.mean @ one.weights


class SegmentInputs:
    """The last steps up to an origin, in units of training, as a window: without their season and their centre."""

    def __init__(self, rows: Segments, length: int, season: int, centre: str) -> None:
        forecast = rows.transform.forecast
        assert forecast
        self.rows, self.transform = rows, rows.transform
        self.window = RidgeWindow(length, forecast.horizon, season, centre)
        self.length, self.reach = length, self.window.reach
        self.needs = self.reach

    def find_origins(self, rows: Indices) -> Origins:
        counts = self.rows.end[rows] - self.rows.first[rows]
        own = np.repeat(rows, counts)
        step = np.arange(len(own)) - np.repeat(np.cumsum(counts) - counts, counts)
        return Origins(own, self.rows.series[own], self.rows.first[own] + step)

    def read(self, origins: Origins) -> tuple[Floats, Floats, Floats]:
        ahead, parts = np.arange(1, self.window.horizon + 1), []
        for i in np.unique(origins.series):
            at = origins.end[origins.series == i]
            scaling = self.transform.fixed_scaling(self.rows.index[i], len(at))
            parts.append((*self.cut(i, at), scaling.apply(self.rows.tracks[i].truth[at[:, None] + ahead])))
        inputs, base, y = (np.concatenate(values) for values in zip(*parts, strict=True))
        return inputs, base, y

    def cut(self, series: int, ends: Indices) -> tuple[Floats, Floats]:
        """Return the windows of one series, [n, targets, length], and what is added, [n, horizon, targets]."""
        steps = self.rows.tracks[series].steps[max(0, ends.min() - self.reach + 1) : ends.max() + 1]
        before = ends.max() + 1 - len(steps)
        scaled = self.transform.scale_fixed(steps, self.rows.index[series])[:, : self.transform.targets]
        x = np.concatenate([np.zeros((self.reach, scaled.shape[1])), scaled.astype(np.float64)])
        each = [self.window.windows(column, ends - before + self.reach) for column in x.T]
        return np.stack([moved for moved, _, _ in each], 1), np.stack([base for _, base, _ in each], 2)

    def predict(self, batch: Batch, rows: Indices, maps: Sequence[LinearMap]) -> Floats:
        out = np.zeros((batch.lengths.sum(), self.window.horizon, self.transform.targets))
        for row, end in zip(rows, np.cumsum(batch.lengths), strict=True):
            ends = np.arange(self.rows.first[row], self.rows.end[row])
            inputs, base = self.cut(self.rows.series[row], ends)
            out[end - len(ends) : end] = apply_maps(maps, inputs) + base
        return out

    def map_steps(self, one: LinearMap) -> tuple[Floats, Floats]:
        season, n = self.window.season, np.arange(self.length)
        moved = np.zeros((self.length, self.reach))  # steps less those a season before, from all steps
        moved[n, n + season] += 1
        moved[n, n] -= season > 0
        centre = moved[-1] if self.window.centre == "last" else moved.mean(0)
        added = np.repeat(centre[None], self.window.horizon, 0)
        if season:
            repeated = repeated_steps(np.array([self.reach - 1]), self.window.horizon, season)[0]
            added[np.arange(self.window.horizon), repeated] += 1
        return one.weights.T @ (moved - centre) + added, one.bias - one.mean @ one.weights


def apply_maps(maps: Sequence[LinearMap], inputs: Floats) -> Floats:
    """Return the forecasts of a map for each target: [n, targets, length] -> [n, horizon, targets]."""
    return np.stack([one(inputs[:, k]) for k, one in enumerate(maps)], 2)


@dataclass(frozen=True)
class LinearBranch:
    """A ridge regression for each target. quantiles: how many copies of a forecast there are, as all move alike."""

    inputs: Inputs
    maps: tuple[LinearMap, ...]
    quantiles: int

    def predict(self, batch: Batch, rows: Indices) -> dict[str, Array]:
        """See `tasks.base.Branch`: [n, horizon x targets x quantiles] in the model's units."""
        forecasts = self.inputs.predict(batch, rows, self.maps)
        return {OUTPUT: np.repeat(forecasts.reshape(len(forecasts), -1), self.quantiles, 1)}


def fit_linear_branch(problem: Problem, rows: Indices) -> LinearBranch | None:
    """Fit the branch to the origins of these rows; None where they are too few, or the targets too many.

    Training rows among them choose the penalty; a fit to held-out rows too keeps it, as that of the baseline does.
    """
    inputs = make_inputs(problem)
    if inputs is None:
        return None
    is_training = np.isin(rows, problem.train_rows)
    maps = fit_maps(inputs, *(inputs.find_origins(np.sort(rows[which])) for which in (is_training, ~is_training)))
    return None if maps is None else LinearBranch(inputs, maps, len(problem.options.levels()))


def make_inputs(problem: Problem) -> Inputs | None:
    """Return how the rows of a problem are read, with the look-back of the baseline; None if there can be none."""
    rows, options = problem.rows, problem.options
    assert isinstance(rows, Windows | Segments)
    assert rows.transform.forecast
    if (targets := rows.transform.targets) > MOST_TARGETS:
        return None
    season, horizon = options.season or 0, rows.transform.forecast.horizon
    longest = int((rows.behind if isinstance(rows, Windows) else rows.end)[problem.train_rows].max()) + horizon
    length = choose_lookback(options.lookback, season, horizon, targets, longest)
    if isinstance(rows, Segments):
        return SegmentInputs(rows, length, season, options.centre)
    assert rows.transform.window
    return WindowInputs(rows, length) if length >= rows.transform.window.segment else None


def fit_maps(inputs: Inputs, origins: Origins, further: Origins) -> tuple[LinearMap, ...] | None:
    """Fit a map for each target, each with the penalty that is best on the end of every series.

    The last `HOLD_OUT` of the steps of `origins` choose it, which no forecast of the first fit reaches; then all of
    them are fitted, and further ones. Beyond MAX_WINDOWS only every second origin is used, or every third, and so on.
    """
    every = max(1, -(-(len(origins.end) + len(further.end)) // MAX_WINDOWS))
    origins, further = (
        of.select(of.end + 1 >= inputs.needs).select(slice(None, None, every)) for of in (origins, further)
    )
    if not len(origins.end):
        return None
    horizon, targets = inputs.read(origins.select(slice(1)))[2].shape[1:]
    ends = np.zeros(origins.series.max() + 1, np.int64)
    np.maximum.at(ends, origins.series, origins.end + 1 + horizon)
    cuts = np.minimum(np.maximum((ends * (1 - HOLD_OUT)).astype(np.int64), inputs.needs + horizon), ends - horizon)
    cut = cuts[origins.series]
    early = origins.end + horizon < cut
    moments = [Moments(inputs.length, horizon) for _ in range(targets)]
    add_moments(moments, inputs, origins.select(early))
    if not all(one.count for one in moments):
        return None
    choices = [one.solve(PENALTIES) for one in moments]
    errors, compared = np.zeros((targets, len(PENALTIES))), np.zeros(targets)
    for x, y, k in read_examples(inputs, origins.select(origins.end >= cut - 1)):
        errors[k] += [float(np.abs(choice(x) - y).sum()) for choice in choices[k]]
        compared[k] += len(x)
    if not compared.all():
        return None
    add_moments(moments, inputs, origins.select(~early))
    add_moments(moments, inputs, further)
    return tuple(one.solve([PENALTIES[best]])[0] for one, best in zip(moments, errors.argmin(1).tolist(), strict=True))


def add_moments(moments: list[Moments], inputs: Inputs, origins: Origins) -> None:
    """Add the examples of origins to the moments of each target."""
    for x, y, k in read_examples(inputs, origins):
        moments[k].add(x, y)


def read_examples(inputs: Inputs, origins: Origins) -> Iterator[tuple[Floats, Floats, int]]:
    """Yield inputs [n, length], what a map should give for them [n, horizon], and the target's number, in chunks.

    An origin is left out where a part of the truth is unknown, as it is where a window is constant.
    """
    most = max(1, min(CHUNK, NUMBERS_AT_ONCE // inputs.length))
    for start in range(0, len(origins.end), most):
        x, base, y = inputs.read(origins.select(slice(start, start + most)))
        for k in range(x.shape[1]):
            full = ~np.isnan(y[..., k]).any(1)
            yield x[full, k], (y - base)[full, :, k], k


# ---- in the network


def choose_share(
    outputs: Floats, branch: Floats, y: Floats, weight: Floats, known: npt.NDArray[np.bool_], median: int
) -> float:
    """Return how far the quantiles should move from their median to the branch's forecast: 0, 0.1, ... or 1.

    That with the lowest absolute error is chosen, and the least of them on a tie. outputs, branch: [n, horizon,
    targets, quantiles]. y, weight, known: [n, horizon, targets], the truth, by what errors are multiplied, and which
    count. median: the number of the median. A model answers with sorted quantiles, so that of the answer counts.
    """
    off, move = y - np.sort(outputs, -1)[..., median], branch[..., median] - outputs[..., median]
    off, move, weight = off[known], move[known], weight[known]
    errors = [float((np.abs(off - share * move) * weight).sum()) for share in SHARES]
    return SHARES[int(np.argmin(errors))]


def choose_width(
    moved: Floats, y: Floats, known: npt.NDArray[np.bool_], levels: Sequence[float], horizon: int
) -> float:
    """Return by what distances from the median should be multiplied: 1, unless held-out rows clearly say otherwise.

    A network that is far from the truth has wide intervals, and a better median leaves them too wide. Another width is
    taken if its pinball loss is lower by more than the standard error of that of the network's own; origins that share
    steps ahead count as few. moved: the quantiles about their new median, [n, horizon, targets, quantiles]. y, known:
    [n, horizon, targets].
    """
    at, median = np.array(levels), moved[..., [list(levels).index(0.5)]]

    def losses(width: float) -> Floats:
        above = y[..., None] - (median + width * (moved - median))
        each = np.where(known, np.maximum(at * above, (at - 1) * above).mean(-1), 0.0).sum((1, 2))
        return np.asarray(each / known.sum((1, 2)).clip(1))

    of = [losses(width) for width in WIDTHS]
    error = of[0].std() / max(1.0, len(y) / horizon) ** 0.5
    best = int(np.argmin([each.mean() for each in of]))
    return WIDTHS[best] if of[best].mean() < of[0].mean() - error else 1.0


def join_branch(
    problem: Problem, branch: LinearBranch, share: float, width: float, tensors: dict[str, Array]
) -> tuple[Problem, dict[str, Array]]:
    """Return the problem with the branch in its graph, and the tensors.

    With m the median, r the branch, s the share and w the width, each quantile becomes m + s (r - m) + w (q - m). All
    of it but s r is another last dense layer; s r is a linear map of the last steps, which that layer adds.
    """
    *body, last = problem.layers
    inputs, transform = branch.inputs, branch.inputs.transform
    assert transform.forecast
    builder, segment = Builder(transform.features), transform.window.segment if transform.window else 1
    builder.layers = list(body)
    builder.add("lags", ("x",), parts=segment, columns=transform.targets, steps=inputs.reach // segment)
    if transform.window:
        builder.add("pool", over=["last"])
    q = branch.quantiles
    linear = builder.add("grouped", groups=transform.targets, size=transform.forecast.horizon, times=q)
    head = builder.add("dense", (len(body) - 1,), size=last.width, activation="none", add=len(builder.layers) - 1)
    steps = [inputs.map_steps(one) for one in branch.maps]
    ours = {
        "weight": np.concatenate([share * weights for weights, _ in steps]),
        "bias": np.concatenate([share * bias for _, bias in steps]),
    }
    median = transform.forecast.quantiles.index(0.5)
    folded = {role: fold_median(tensors[name], q, median, share, width) for role, name in last.tensors.items()}
    own = {name: array for name, array in tensors.items() if name not in last.tensors.values()}
    for layer, arrays in ((linear, ours), (head, folded)):
        own |= {name: arrays[role].astype(np.float32) for role, name in layer.tensors.items()}
    return replace(problem, layers=builder.layers), own


def fold_median(rows: Array, quantiles: int, median: int, share: float, width: float = 1.0) -> Floats:
    """Return rows [forecasts x quantiles, ...] whose medians lost a share, and whose distances to them have a width.

    >>> fold_median(np.array([1.0, 3.0, 4.0]), 3, 1, 0.5).tolist()
    [-0.5, 1.5, 2.5]
    >>> fold_median(np.array([1.0, 3.0, 4.0]), 3, 1, 0.5, 2.0).tolist()
    [-2.5, 1.5, 3.5]
    """
    each = rows.reshape(-1, quantiles, *rows.shape[1:]).astype(np.float64)
    return np.asarray(width * each + (1 - width - share) * each[:, median : median + 1]).reshape(rows.shape)
