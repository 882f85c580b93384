"""Forecasts of a model that goes one step ahead: many possible futures, each drawn step by step and fed back.

A step is drawn from the model's quantiles: between two of them on the line that joins them, outside at the outer one;
each target on its own. Steps ahead follow each other as those in training did, where the model's file says how, else as
the last two did; columns that are neither forecast nor known
stay as they are. The first step ahead is what the model says itself; of the later ones the quantiles are those of the
paths, or NaN once a path has gone beyond the largest number that is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, OptionError
from ..features.frequency import next_times
from ..features.memory import SeriesState
from ..features.series import LARGEST, Scaling
from .compiled_model import Bytes, CompiledModel, read_step_count
from .forecast import Forecast
from .series import concat_scalings, to_float64

PATHS: Final = 100
MOST_PATHS: Final = 10_000
ROLLED_NUMBERS: Final = 1 << 21  # of all memories and outputs that roll together
MOST_NUMBERS: Final = 1 << 27  # of one stream's paths

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
Times = npt.NDArray[np.datetime64]


def forecast_stream(
    compiled: CompiledModel,
    block: Bytes,
    output: Rows,
    input_state: Any,
    horizon: int | None,
    paths: int,
    seed: int,
    known: Any,
) -> Forecast:
    """`Stream.forecast` of a stream's block and output [1, ...]."""
    source = compiled.require_forecaster()
    answer = source.transform.forecast
    assert answer is not None
    horizon = check_integer("horizon", answer.horizon if horizon is None else horizon, 1, 1 << 16)
    steps = read_step_count(block[0])
    if not source.is_ready(steps):
        return Forecast(None, answer.quantiles, source.targets, source.not_ready_reason(steps))
    if not compiled.autoregressive:
        return forecast_direct(compiled, output, input_state, horizon, known)
    if why := source.rollout_not_ready_reason(input_state, known is not None, horizon):
        return Forecast(None, answer.quantiles, source.targets, why)
    after = None if known is None else check_known(compiled, known, 1, horizon, [input_state])
    values = roll_out(compiled, block.copy(), output.copy(), [input_state], horizon, paths, seed, after)
    return Forecast(values[0], answer.quantiles, source.targets)


def forecast_direct(compiled: CompiledModel, output: Rows, input_state: Any, horizon: int, known: Any) -> Forecast:
    source = compiled.require_forecaster()
    answer = source.transform.forecast
    assert answer is not None
    if horizon > answer.horizon:
        raise OptionError(f"horizon is {horizon}; this model forecasts {answer.horizon} steps ahead at once")
    if known is not None:
        raise OptionError(
            "known is for a model whose head is autoregressive; here each step brings what is known ahead"
        )
    values = compiled.forecasts(output, source.scalings([input_state]))[0, :horizon]
    return Forecast(values, answer.quantiles, source.targets)


def check_known(compiled: CompiledModel, known: Any, count: int, horizon: int, seen: Sequence[SeriesState]) -> Floats:
    """What is known of the steps ahead of each of `count` streams: float64 [count, horizon, known columns].

    Raises OptionError for a model without such columns; DataError for another shape, for what is not finite, and where
    the first step is not as the last one of the stream brought it.
    """
    source = compiled.require_forecaster()
    if not source.known_columns:
        raise OptionError("known was given, and this model has no column that is known ahead")
    found, shape = to_float64(known), (count, horizon, len(source.known_columns))
    if found.shape == shape[1:] and count == 1:
        found = found[None]
    if found.shape != shape:
        raise DataError(f"known has shape {list(found.shape)}; expected {list(shape[1:] if count == 1 else shape)}")
    if not (np.abs(found) <= LARGEST).all():
        raise DataError(f"known holds a number that is missing, infinite or beyond {LARGEST:.3g}; correct it")
    if source.transform.missing == "error":
        brought = np.stack([one.last[source.known_columns] for one in seen if one.last is not None])
        if (found[:, 0] != brought).any():
            raise DataError(
                "the first row of known is not what the last step brought; it is of the step right after it"
            )
    return found


def roll_out(
    compiled: CompiledModel,
    blocks: Bytes,
    outputs: Rows,
    seen: Sequence[SeriesState],
    horizon: int,
    paths: int = PATHS,
    seed: int = 0,
    known: Floats | None = None,
) -> Floats:
    """Forecasts of n warm streams [n, horizon, targets, quantiles], of each as if it were alone.

    blocks, outputs, seen: where each stands. known: [n, horizon, known columns] where the model has such columns.
    """
    compiled.require_streams()
    paths = check_integer("paths", paths, 1, MOST_PATHS)
    seed = check_integer("seed", seed, 0, (1 << 63) - 1)
    transform, found = compiled.require_forecaster().transform, []
    size = max(
        transform.window.reach * transform.width if transform.window else 0, blocks.shape[1] // 4, outputs.shape[1]
    )
    if size * paths > MOST_NUMBERS:
        raise OptionError(
            f"{paths} paths of a stream that keeps {size} numbers are {size * paths} together; at most {MOST_NUMBERS} "
            f"are allowed, so ask the stream's forecast with paths={MOST_NUMBERS // size}"
        )
    most = max(1, ROLLED_NUMBERS // (size * paths))
    for at in range(0, len(seen), most):
        part = slice(at, at + most)
        start = Paths(compiled, blocks[part], outputs[part], seen[part], paths)
        found.append(
            sample_quantiles(start, horizon, np.random.default_rng(seed), None if known is None else known[part])
        )
    return np.concatenate(found)


class Paths:
    """Possible futures side by side: `paths` for each of n streams. Goes on with each `push`."""

    def __init__(
        self, compiled: CompiledModel, blocks: Bytes, outputs: Rows, seen: Sequence[SeriesState], paths: int
    ) -> None:
        self.compiled, self.source = compiled, compiled.require_forecaster()
        self.transform, self.count, self.paths = self.source.transform, len(seen), paths
        self.blocks, self.outputs = np.repeat(blocks, paths, 0), np.repeat(outputs, paths, 0)
        scaling = self.source.scalings(seen)
        self.scaling = Scaling(*(np.repeat(v, paths, 0) for v in (scaling.centre, scaling.spread, scaling.base)))
        self.series = np.repeat([one.series for one in seen], paths)
        self.last = np.repeat(np.stack([one.last for one in seen if one.last is not None]), paths, 0)
        rings = [one.ring for one in seen if one.ring is not None]
        self.behind = np.repeat([len(ring) for ring in rings], paths)
        self.ring = np.repeat(np.stack([self.pad_ring(ring) for ring in rings]), paths, 0) if rings else None
        self.time = np.array([one.time or 0 for one in seen], "M8[us]")
        self.gap = np.array([one.gap or 0 for one in seen], "m8[us]")

    def pad_ring(self, ring: Floats) -> Floats:
        """A ring of `reach` steps, zeros ahead of those that it has."""
        return np.concatenate([np.zeros((self.source.reach - len(ring), ring.shape[1])), ring])

    def next_quantiles(self) -> Floats:
        """Of the next step of each path: [n x paths, targets, quantiles]."""
        return self.compiled.forecasts(self.outputs, self.scaling)[:, 0]

    def push(self, targets: Floats, known: Floats | None) -> None:
        """The next step of each path. targets: [n x paths, targets], NaN where a path is lost and its last ones stay;
        known: [n, known columns], of the step after.
        """
        x = self.last.copy()
        own = self.transform.of("target")
        x[:, own] = np.where(np.isnan(targets), x[:, own], targets)
        if known is not None:
            x[:, self.source.known_columns] = np.repeat(known, self.paths, 0)
        steps, _, _ = self.transform.impute_batch(x, self.next_times(), self.last, lambda i: "a step that was forecast")
        self.last = steps[:, : x.shape[1]]
        if self.ring is None:
            rows = np.ascontiguousarray(self.transform.scale_fixed(steps, self.series))
            self.compiled.engine.step_many(np.arange(len(rows)), rows, self.blocks, self.outputs, self.compiled.threads)
            self.scaling = self.transform.fixed_scaling(self.series, len(rows))
            return
        self.ring = np.concatenate([self.ring[:, 1:], steps[:, None]], 1)
        self.behind = np.minimum(self.behind + 1, self.source.reach)
        assert self.transform.window
        parts, most = [], max(1, ROLLED_NUMBERS // self.ring[0].size)
        for at in range(0, len(steps), most):
            ring = self.ring[at : at + most]
            ends = np.arange(1, len(ring) + 1) * self.source.reach - 1
            behind = self.behind[at : at + most]
            rows, scaling = self.transform.windows(ring.reshape(-1, self.transform.width), ends, behind)
            self.outputs[at : at + most] = self.compiled.run_windows(rows, self.transform.window.rows(behind))
            parts.append(scaling)
        self.scaling = concat_scalings(parts)

    def next_times(self) -> Times | None:
        """The times of the next steps, datetime64[us] [n x paths]; None where the calendar is not used."""
        if not self.transform.calendar:
            return None
        if self.transform.frequency is None:
            self.time = self.time + self.gap
        else:
            self.time = next_times(self.time, self.transform.frequency, self.transform.zone or "")
        return np.repeat(self.time, self.paths)


def sample_quantiles(paths: Paths, horizon: int, random: np.random.Generator, known: Floats | None) -> Floats:
    """Quantiles of every step ahead [n, horizon, targets, quantiles]; each stream's paths get the same draws."""
    answer, targets = paths.transform.forecast, paths.transform.targets
    assert answer is not None
    levels = np.array(answer.quantiles)
    found = np.empty((paths.count, horizon, targets, len(levels)))
    lost = np.zeros(paths.count * paths.paths, bool)
    for h in range(horizon):
        values = paths.next_quantiles()
        y = sample(values, levels, np.tile(random.random((paths.paths, targets)), (paths.count, 1)))
        y[lost := lost | is_too_large(y)] = np.nan  # such a path says nothing more, and neither does its stream
        if h == 0:
            found[:, 0] = values[:: paths.paths]
        else:
            spread = np.quantile(y.reshape(paths.count, paths.paths, -1), levels, axis=1)
            found[:, h] = np.moveaxis(spread, 0, -1)
        if h + 1 < horizon:
            paths.push(y, None if known is None else known[:, h + 1])
    return found


def is_too_large(y: Floats) -> npt.NDArray[np.bool_]:
    """Which rows of y [n, targets] hold a number that no step may have."""
    return np.asarray(~(np.abs(y) <= LARGEST).all(1))


@np.errstate(invalid="ignore", over="ignore")
def sample(values: Floats, levels: Floats, shares: Floats) -> Floats:
    """Numbers at these shares [n, k] of distributions whose quantiles are values [n, k, levels].

    >>> drawn(np.array([[[1.0, 3.0]]]), np.array([0.25, 0.75]), np.array([[0.5]])).tolist()
    [[2.0]]
    >>> drawn(np.array([[[1.0, 3.0]]]), np.array([0.25, 0.75]), np.array([[0.9]])).tolist()
    [[3.0]]
    """
    if len(levels) == 1:
        return values[..., 0]
    place = np.interp(shares, levels, np.arange(len(levels)))
    low = np.minimum(place.astype(np.int64), len(levels) - 2)
    below, above = (np.take_along_axis(values, at[..., None], -1)[..., 0] for at in (low, low + 1))
    return np.asarray(below + (place - low) * (above - below))


def check_integer(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise OptionError(f"{name} is {value!r}; expected an integer of {least} to {most}")
    return int(value)
