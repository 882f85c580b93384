"""Forecast a known series from rolling origins, each bit for bit as a stream pushed up to its origin does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, OptionError
from ..features.memory import SeriesState, Times, read_clock
from ..features.series import Scaling
from .compiled_model import Bytes, CompiledModel
from .rollout import PATHS, check_known, require_forecaster, roll_out

RUN_NUMBERS: Final = 1 << 21  # of the inputs and outputs of one native run

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def forecast_origins(
    compiled: CompiledModel,
    values: Any,
    origins: Any = None,
    times: Any = None,
    series: str | None = None,
    paths: int = PATHS,
    seed: int = 0,
    known: Any = None,
) -> Floats:
    """Do `Predictor.forecasts`."""
    source, forecaster = require_forecaster(compiled)
    spec = forecaster.spec
    x = source.read_steps(values)
    origins = check_origins(origins, len(x))
    if not len(origins):
        return np.zeros((0, spec.horizon, len(forecaster.columns), len(spec.quantiles)))
    known = read_known(compiled, x, origins, known)
    count = int(origins.max()) + 1
    moments = source.read_times(times, len(x))
    imputed = ImputedSeries(compiled, x[:count], None if moments is None else moments[:count], series)
    ends = imputed.find_ends(origins)
    if not forecaster.feeds_back:
        return np.concatenate(list(imputed.forecast_direct(ends)))
    blocks, outputs, states = imputed.states_at(ends, origins)
    if reason := source.not_continued_reason(states[int(origins.argmin())], known=True):
        raise DataError(f"origin {origins.min()}: {reason}")
    if known is not None:
        known = check_known(compiled, known, len(origins), spec.horizon, states)
    return roll_out(compiled, blocks, outputs, states, spec.horizon, paths, seed, known)


def check_origins(origins: Any, steps: int) -> Indices:
    """Return origins as indices of steps, by default the last step. Raises DataError for a step that is not there."""
    if not steps:
        raise DataError("the series has no step")
    indices = np.asarray([steps - 1] if origins is None else origins)
    if indices.ndim != 1 or (indices.dtype.kind not in "iu" and indices.size):
        raise DataError(f"origins are integers [n]; {indices.dtype} of shape {list(indices.shape)} was given")
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < steps:
        bad = int(indices.min()) if int(indices.min()) < 0 else int(indices.max())
        raise DataError(f"there is no origin {bad}; the series has steps 0 to {steps - 1}")
    return indices.astype(np.int64)


def read_known(compiled: CompiledModel, x: Floats, origins: Indices, known: Any) -> Any:
    """Return the known columns of the steps after each origin [n, horizon, known columns], by default from the series.

    None if the head is direct or the model has no known columns. Raises DataError if the series ends too early.
    """
    source, forecaster = require_forecaster(compiled)
    spec = forecaster.spec
    if known is not None and not forecaster.feeds_back:
        raise OptionError(
            "known is for a model with an autoregressive head; here each step has the known values ahead already"
        )
    if known is not None or not source.known_columns or not forecaster.feeds_back or spec.horizon == 1:
        return known
    if (last := int(origins.max())) + spec.horizon > len(x):
        raise DataError(
            f"origin {last}: the known columns of {format_steps(spec.horizon)} ahead are read from as many steps from "
            f"there on, and the series has {format_steps(len(x))}; pass known="
        )
    return x[origins[:, None] + np.arange(spec.horizon)][..., source.known_columns]


class ImputedSeries:
    """A series without missing numbers, to forecast from several of its steps."""

    def __init__(self, compiled: CompiledModel, x: Floats, times: Times | None, series: str | None) -> None:
        self.compiled, (self.source, self.output) = compiled, require_forecaster(compiled)
        self.transform, self.x, self.times = self.source.transform, x, times
        self.start = self.source.start(series)
        if times is not None:
            read_clock(self.start, times)
        self.steps, self.keep, _ = self.transform.impute(x, times, self.start.last)
        if not self.source.reach:
            self.rows = self.transform.scale_fixed(self.steps, self.start.series)

    def find_ends(self, origins: Indices) -> Indices:
        """Return the last imputed step up to each origin. Raises DataError for an origin after too few steps."""
        ends = np.searchsorted(self.keep, origins, "right") - 1
        needed = self.source.steps_needed
        if (too_few := ends + 1 < needed).any():
            i = int(too_few.argmax())
            need = f"this model's window needs {needed}" if self.source.reach else "a forecast needs 1"
            count = int(ends[i]) + 1
            raise DataError(
                f"origin {origins[i]}: there {'is' if count == 1 else 'are'} {format_steps(count)} up to it; {need}"
            )
        return np.asarray(ends, np.int64)

    # ---- a direct head: all steps ahead at once

    def forecast_direct(self, ends: Indices) -> Iterator[Floats]:
        """Yield forecasts from these steps [B, horizon, targets, quantiles], in batches."""
        if self.source.reach:
            yield from self.forecast_windows(ends)
            return
        outputs = self.run_prefixes(ends) if self.compiled.model.whole_window else self.run_once(ends)
        yield self.output.convert(outputs, self.transform.fixed_scaling(self.start.series, len(ends)))

    def forecast_windows(self, ends: Indices) -> Iterator[Floats]:
        """Yield forecasts from the windows that end with these steps, in batches."""
        for outputs, scaling in self.run_windows(ends):
            yield self.output.convert(outputs, scaling)

    def run_windows(self, ends: Indices) -> Iterator[tuple[Rows, Scaling]]:
        """Yield the outputs of the windows that end with these steps, and their scaling, in batches of bounded size."""
        size = max(1, RUN_NUMBERS // (self.source.reach * self.transform.width))
        for at in range(0, len(ends), size):
            counts = ends[at : at + size] + 1
            rows, scaling = self.transform.make_windows(self.steps, counts - 1, counts)
            assert self.transform.window
            yield self.compiled.run_windows(rows, self.transform.window.count_rows(counts)), scaling

    def run_once(self, ends: Indices) -> Rows:
        """Return the model's outputs [n, outputs] at these steps, from one pass over the series."""
        compiled, outputs = self.compiled, np.empty((len(ends), self.compiled.width), np.float32)
        block = compiled.initial[None].copy()
        size = max(1, RUN_NUMBERS // max(compiled.width, self.rows.shape[1]))
        for at in range(0, int(ends.max()) + 1, size):
            x = np.ascontiguousarray(self.rows[at : at + size, None])
            out, spare = np.empty((len(x), 1, compiled.width), np.float32), np.empty_like(block)
            compiled.runner.run(x, np.array([len(x)], np.int32), block, spare, out, True, 1)
            block = spare
            inside = (ends >= at) & (ends < at + len(x))
            outputs[inside] = out[ends[inside] - at, 0]
        return outputs

    def run_prefixes(self, ends: Indices) -> Rows:
        """Do the same for layers that read whole rows: the steps up to each origin are a row."""
        rows = (self.rows[None, : end + 1] for end in ends.tolist())
        return np.concatenate([self.compiled.run_windows(row, np.array([row.shape[1]])) for row in rows])

    # ---- an autoregressive head

    def states_at(self, ends: Indices, origins: Indices) -> tuple[Bytes, Rows, list[SeriesState]]:
        """Return what a stream remembers at each origin: blocks, outputs, memories. ends: the imputed steps there."""
        compiled = self.compiled
        states = [self.series_state_at(*pair) for pair in zip(ends.tolist(), origins.tolist(), strict=True)]
        blocks = np.repeat(compiled.initial[None], len(ends), 0)
        if self.source.reach:
            blocks[:, :8] = (ends[:, None] + 1).view(np.uint8)
            return blocks, np.concatenate([outputs for outputs, _ in self.run_windows(ends)]), states
        outputs = np.empty((len(ends), compiled.width), np.float32)
        compiled.require_streams()
        block, at = compiled.initial[None].copy(), 0
        for end in np.unique(ends).tolist():
            x, spare, out = (
                self.rows[at : end + 1, None],
                np.empty_like(block),
                np.empty((1, compiled.width), np.float32),
            )
            compiled.runner.run(np.ascontiguousarray(x), np.array([len(x)], np.int32), block, spare, out, False, 1)
            block, at = spare, end + 1
            blocks[ends == end], outputs[ends == end] = block, out
        return blocks, outputs, states

    def series_state_at(self, end: int, origin: int) -> SeriesState:
        """Return the memory at an origin, as far as forecasts need it."""
        time = gap = None
        if self.times is not None:
            time, gap = read_clock(SeriesState(), self.times[max(0, origin - 1) : origin + 1])
        ring = self.steps[max(0, end + 1 - self.source.reach) : end + 1] if self.source.reach else None
        return SeriesState(self.start.series, time, gap, self.steps[end, : self.source.column_count], ring)


def format_steps(steps: int) -> str:
    """Return "1 step", "2 steps" and so on."""
    return f"{steps} step{'s'[: steps != 1]}"
