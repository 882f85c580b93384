"""Forecasts of a known series at rolling origins, each bit for bit that of a stream pushed up to its origin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, OptionError
from ..features.memory import SeriesState, Times, read_clock
from ..features.series import Scaling
from .compiled_model import Bytes, CompiledModel
from .rollout import PATHS, check_known, roll_out
from .series import format_steps

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
    """See `Predictor.forecasts`."""
    source = compiled.require_forecaster()
    answer = source.transform.forecast
    assert answer is not None
    x = source.read_steps(values)
    at = check_origins(origins, len(x))
    if not len(at):
        return np.zeros((0, answer.horizon, len(source.targets), len(answer.quantiles)))
    after = read_known(compiled, x, at, known)
    count = int(at.max()) + 1
    moments = source.read_times(times, len(x))
    track = ImputedSeries(compiled, x[:count], None if moments is None else moments[:count], series)
    ends = track.find_ends(at)
    if not compiled.autoregressive:
        return np.concatenate(list(track.forecast_direct(ends)))
    here = track.states_at(ends, at)
    if why := source.rollout_not_ready_reason(here[2][int(at.argmin())], known=True):
        raise DataError(f"origin {at.min()}: {why}")
    if after is not None:
        after = check_known(compiled, after, len(at), answer.horizon, here[2])
    return roll_out(compiled, *here, answer.horizon, paths, seed, after)


def check_origins(origins: Any, steps: int) -> Indices:
    """The origins as indices of steps; the last step where there are none. Raises DataError for no such step."""
    if not steps:
        raise DataError("the series has no step")
    found = np.asarray([steps - 1] if origins is None else origins)
    if found.ndim != 1 or (found.dtype.kind not in "iu" and found.size):
        raise DataError(f"origins are integers [n]; {found.dtype} of shape {list(found.shape)} was given")
    if found.size and not 0 <= int(found.min()) <= int(found.max()) < steps:
        bad = int(found.min()) if int(found.min()) < 0 else int(found.max())
        raise DataError(f"there is no origin {bad}; the series has steps 0 to {steps - 1}")
    return found.astype(np.int64)


def read_known(compiled: CompiledModel, x: Floats, at: Indices, known: Any) -> Any:
    """What is known of the steps after each origin [n, horizon, known columns], of the series itself if not given; None
    where forecasts are made at once or nothing is known ahead. Raises DataError where the series ends too early.
    """
    source = compiled.require_forecaster()
    answer = source.transform.forecast
    assert answer is not None
    if known is not None and not compiled.autoregressive:
        raise OptionError(
            "known is for a model whose head is autoregressive; here each step brings what is known ahead"
        )
    if known is not None or not source.known_columns or not compiled.autoregressive or answer.horizon == 1:
        return known
    if (last := int(at.max())) + answer.horizon > len(x):
        raise DataError(
            f"origin {last}: what is known of {format_steps(answer.horizon)} ahead is in as many steps from there on, "
            f"and the series has {format_steps(len(x))}; give known="
        )
    return x[at[:, None] + np.arange(answer.horizon)][..., source.known_columns]


class ImputedSeries:
    """A series, treated, that forecasts are made along."""

    def __init__(self, compiled: CompiledModel, x: Floats, times: Times | None, series: str | None) -> None:
        self.compiled, self.source = compiled, compiled.require_forecaster()
        self.transform, self.x, self.times = self.source.transform, x, times
        self.start = self.source.init(series)
        if times is not None:
            read_clock(self.start, times)
        self.steps, self.keep, _ = self.transform.impute(x, times, self.start.last)
        if not self.source.reach:
            self.rows = self.transform.scale_fixed(self.steps, self.start.series)

    def find_ends(self, at: Indices) -> Indices:
        """The treated step that each origin stands at. Raises DataError for one that has too few behind it."""
        ends = np.searchsorted(self.keep, at, "right") - 1
        least = self.source.steps_needed
        if (few := ends + 1 < least).any():
            i = int(few.argmax())
            need = f"this model's window needs {least}" if self.source.reach else "a forecast needs 1"
            seen = int(ends[i]) + 1
            raise DataError(
                f"origin {at[i]}: there {'is' if seen == 1 else 'are'} {format_steps(seen)} up to it; {need}"
            )
        return np.asarray(ends, np.int64)

        # ---- a head that says all steps ahead at once

    def forecast_direct(self, ends: Indices) -> Iterator[Floats]:
        if self.source.reach:
            yield from self.forecast_windows(ends)
            return
        outputs = self.run_once(ends) if self.compiled.model.streams[0] else self.run_prefixes(ends)
        yield self.compiled.forecasts(outputs, self.transform.fixed_scaling(self.start.series, len(ends)))

    def forecast_windows(self, ends: Indices) -> Iterator[Floats]:
        for outputs, scaling in self.run_windows(ends):
            yield self.compiled.forecasts(outputs, scaling)

    def run_windows(self, ends: Indices) -> Iterator[tuple[Rows, Scaling]]:
        """The outputs of the windows that end with these steps, and their scalings, so many as fit together."""
        most = max(1, RUN_NUMBERS // (self.source.reach * self.transform.width))
        for at in range(0, len(ends), most):
            behind = ends[at : at + most] + 1
            rows, scaling = self.transform.windows(self.steps, behind - 1, behind)
            assert self.transform.window
            yield self.compiled.run_windows(rows, self.transform.window.rows(behind)), scaling

    def run_once(self, ends: Indices) -> Rows:
        """The chain's outputs [n, outputs] at these steps, of one pass."""
        compiled, found = self.compiled, np.empty((len(ends), self.compiled.outputs), np.float32)
        block = compiled.initial[None].copy()
        most = max(1, RUN_NUMBERS // max(compiled.outputs, self.rows.shape[1]))
        for at in range(0, int(ends.max()) + 1, most):
            x = np.ascontiguousarray(self.rows[at : at + most, None])
            out, spare = np.empty((len(x), 1, compiled.outputs), np.float32), np.empty_like(block)
            compiled.runner.run(x, np.array([len(x)], np.int32), block, spare, out, True, 1)
            block = spare
            here = (ends >= at) & (ends < at + len(x))
            found[here] = out[ends[here] - at, 0]
        return found

    def run_prefixes(self, ends: Indices) -> Rows:
        """The same of layers that read whole rows: each origin's steps are a row of their own."""
        rows = (self.rows[None, : end + 1] for end in ends.tolist())
        return np.concatenate([self.compiled.run_windows(row, np.array([row.shape[1]])) for row in rows])

        # ---- a head that is fed back

    def states_at(self, ends: Indices, origins: Indices) -> tuple[Bytes, Rows, list[SeriesState]]:
        """Where a stream stands at each origin: blocks, outputs and memories. ends: the treated steps there."""
        compiled = self.compiled
        seen = [self.series_state_at(*pair) for pair in zip(ends.tolist(), origins.tolist(), strict=True)]
        blocks = np.repeat(compiled.initial[None], len(ends), 0)
        if self.source.reach:
            blocks[:, :8] = (ends[:, None] + 1).view(np.uint8)
            return blocks, np.concatenate([outputs for outputs, _ in self.run_windows(ends)]), seen
        outputs = np.empty((len(ends), compiled.outputs), np.float32)
        compiled.require_streams()
        block, at = compiled.initial[None].copy(), 0
        for end in np.unique(ends).tolist():
            x, spare, out = (
                self.rows[at : end + 1, None],
                np.empty_like(block),
                np.empty((1, compiled.outputs), np.float32),
            )
            compiled.runner.run(np.ascontiguousarray(x), np.array([len(x)], np.int32), block, spare, out, False, 1)
            block, at = spare, end + 1
            blocks[ends == end], outputs[ends == end] = block, out
        return blocks, outputs, seen

    def series_state_at(self, end: int, origin: int) -> SeriesState:
        """The memory at an origin, as far as forecasts need it."""
        time = gap = None
        if self.times is not None:
            time, gap = read_clock(SeriesState(), self.times[max(0, origin - 1) : origin + 1])
        ring = self.steps[max(0, end + 1 - self.source.reach) : end + 1] if self.source.reach else None
        return SeriesState(self.start.series, time, gap, self.steps[end, : self.source.column_count], ring)
