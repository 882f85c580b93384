"""Roll out an autoregressive model: run many possible futures of a stream, whose steps its decoder samples.

Times continue by the frequency of training, if the model file has one, else by the gap between the last two steps.
Columns that are neither forecast nor known keep their last values. `decode/rollout.py` says how steps are sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..decode.base import Context as DecoderContext
from ..decode.base import Decoder
from ..errors import DataError, OptionError
from ..features.frequency import next_times
from ..features.memory import SeriesState
from ..features.scaling import concat_scalings
from ..features.series import Scaling
from ..features.steps import LARGEST
from ..inputs._read import to_float64
from ..inputs.series import SeriesInput
from ..outputs.forecast import Forecast, ForecastOutput
from .compiled_model import Bytes, CompiledModel
from .kept_steps import WAITS_FOR_END
from .state import read_step_count

PATHS: Final = 100
MOST_PATHS: Final = 10_000
ROLLED_NUMBERS: Final = 1 << 21  # of the memories and outputs of all paths that run together
MOST_NUMBERS: Final = 1 << 27  # of one stream's paths

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
Times = npt.NDArray[np.datetime64]


def require_forecaster(compiled: CompiledModel) -> tuple[SeriesInput, ForecastOutput]:
    """Return the series and the output of a model that forecasts. Raises OptionError for other models."""
    output = next((one for one in compiled.outputs.values() if isinstance(one, ForecastOutput)), None)
    if output is None or not isinstance(compiled.source, SeriesInput):
        raise OptionError("this model does not forecast; use predict, which gives its outputs")
    return compiled.source, output


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
    """Do `Stream.forecast`. block, output: those of the stream, [1, ...]."""
    source, forecaster = require_forecaster(compiled)
    spec, columns = forecaster.spec, forecaster.columns
    horizon = check_integer("horizon", spec.horizon if horizon is None else horizon, 1, 1 << 16)
    steps = read_step_count(block[0])
    if not source.is_ready(steps):
        return Forecast(None, spec.quantiles, columns, source.not_ready_reason(steps))
    if compiled.kept is not None:
        return Forecast(None, spec.quantiles, columns, WAITS_FOR_END)
    if not forecaster.feeds_back:
        return forecast_direct(compiled, output, input_state, horizon, known)
    if reason := source.not_continued_reason(input_state, known is not None, horizon):
        return Forecast(None, spec.quantiles, columns, reason)
    known = None if known is None else check_known(compiled, known, 1, horizon, [input_state])
    values = roll_out(compiled, block.copy(), output.copy(), [input_state], horizon, paths, seed, known)
    return Forecast(values[0], spec.quantiles, columns)


def forecast_direct(compiled: CompiledModel, output: Rows, input_state: Any, horizon: int, known: Any) -> Forecast:
    """Return the forecast of a direct head. Raises OptionError for a longer horizon and for known values."""
    source, forecaster = require_forecaster(compiled)
    spec = forecaster.spec
    if horizon > spec.horizon:
        raise OptionError(f"horizon is {horizon}; this model forecasts up to {spec.horizon} steps ahead; ask for fewer")
    if known is not None:
        raise OptionError(
            "known is for a model with an autoregressive head; here each step has the known values ahead already"
        )
    values = forecaster.convert(output, source.context([input_state]))[0, :horizon]
    return Forecast(values, spec.quantiles, forecaster.columns)


def check_known(compiled: CompiledModel, known: Any, count: int, horizon: int, states: Sequence[SeriesState]) -> Floats:
    """Check the known columns of the steps ahead, and return them: float64 [count streams, horizon, known columns].

    Raises OptionError for a model without known columns; DataError for a wrong shape, for a number that is not finite,
    and for a first row that differs from the values that the stream's last step had for it.
    """
    source, _ = require_forecaster(compiled)
    if not source.known_columns:
        raise OptionError("known was given, and this model has no columns that are known ahead; leave it out")
    values, shape = to_float64(known), (count, horizon, len(source.known_columns))
    if values.shape == shape[1:] and count == 1:
        values = values[None]
    if values.shape != shape:
        raise DataError(f"known has shape {list(values.shape)}; expected {list(shape[1:] if count == 1 else shape)}")
    if not (np.abs(values) <= LARGEST).all():
        raise DataError(f"known has a number that is missing, infinite or beyond {LARGEST:.3g}; correct it")
    if source.transform.missing == "error":
        expected = np.stack([state.last[source.known_columns] for state in states if state.last is not None])
        if (values[:, 0] != expected).any():
            raise DataError(
                "the first row of known differs from what the last step had for it; begin with the step right after it"
            )
    return values


def roll_out(
    compiled: CompiledModel,
    blocks: Bytes,
    outputs: Rows,
    states: Sequence[SeriesState],
    horizon: int | None = None,
    paths: int = PATHS,
    seed: int = 0,
    known: Floats | None = None,
) -> Floats:
    """Forecast n ready streams: [n, horizon, targets, quantiles], each as if it were alone.

    blocks, outputs, states: what each remembers. horizon: how many steps ahead; None: as the model was
    fitted. known: [n, horizon, known columns], if the model has known columns.
    Raises OptionError.
    """
    compiled.require_streams()
    paths = check_integer("paths", paths, 1, MOST_PATHS)
    seed = check_integer("seed", seed, 0, (1 << 63) - 1)
    source, forecaster = require_forecaster(compiled)
    transform, forecasts = source.transform, []
    horizon = forecaster.spec.horizon if horizon is None else horizon
    size = max(
        transform.window.reach * transform.width if transform.window else 0, blocks.shape[1] // 4, outputs.shape[1]
    )
    if size * paths > MOST_NUMBERS:
        raise OptionError(
            f"{paths} paths of a stream that remembers {size} numbers are {size * paths} in all; at most "
            f"{MOST_NUMBERS} are allowed, so pass paths={MOST_NUMBERS // size} to the stream's forecast"
        )
    batch_size = max(1, ROLLED_NUMBERS // (size * paths))
    for at in range(0, len(states), batch_size):
        part = slice(at, at + batch_size)
        start = Paths(compiled, blocks[part], outputs[part], states[part], paths)
        context = DecoderContext(seed, paths, None if known is None else known[part])
        assert forecaster.decoder is not None, "a forecaster whose head is fed back"
        forecasts.append(roll(start, forecaster.decoder, horizon, context))
    return np.concatenate(forecasts)


class Paths:
    """Possible futures side by side: `paths` for each of n streams. `push` advances them by a step."""

    def __init__(
        self, compiled: CompiledModel, blocks: Bytes, outputs: Rows, states: Sequence[SeriesState], paths: int
    ) -> None:
        self.compiled, (self.source, self.output) = compiled, require_forecaster(compiled)
        self.transform, self.count, self.paths = self.source.transform, len(states), paths
        self.blocks, self.outputs = np.repeat(blocks, paths, 0), np.repeat(outputs, paths, 0)
        scaling = self.source.context(states)
        assert scaling, "a series that is forecast"
        self.scaling = Scaling(*(np.repeat(v, paths, 0) for v in (scaling.centre, scaling.spread, scaling.base)))
        self.series = np.repeat([state.series for state in states], paths)
        self.last = np.repeat(np.stack([state.last for state in states if state.last is not None]), paths, 0)
        rings = [state.ring for state in states if state.ring is not None]
        self.counts = np.repeat([len(ring) for ring in rings], paths)
        self.ring = np.repeat(np.stack([self.pad_ring(ring) for ring in rings]), paths, 0) if rings else None
        self.time = np.array([state.time or 0 for state in states], "M8[us]")
        self.gap = np.array([state.gap or 0 for state in states], "m8[us]")

    def pad_ring(self, ring: Floats) -> Floats:
        """Pad a ring to `reach` steps, with zeros in front."""
        return np.concatenate([np.zeros((self.source.reach - len(ring), ring.shape[1])), ring])

    def next_quantiles(self) -> Floats:
        """Return the quantiles of the next step of each path: [n x paths, targets, quantiles]."""
        return self.output.convert(self.outputs, self.scaling)[:, 0]

    def push(self, numbers: Floats) -> None:
        """Push the next step of each path: its targets, and the known columns of the step after if they are given.

        numbers: [n x paths, targets + known columns]. The targets of a lost path are NaN, and its last ones stay.
        """
        x = self.last.copy()
        columns = self.transform.find_columns("target")
        targets, known = numbers[:, : len(columns)], numbers[:, len(columns) :]
        x[:, columns] = np.where(np.isnan(targets), x[:, columns], targets)
        if known.size:
            x[:, self.source.known_columns] = known
        steps, _, _ = self.transform.impute_batch(x, self.next_times(), self.last, lambda i: "a step that was forecast")
        self.last = steps[:, : x.shape[1]]
        if self.ring is None:
            rows = np.ascontiguousarray(self.transform.scale_fixed(steps, self.series))
            self.compiled.engine.step_many(np.arange(len(rows)), rows, self.blocks, self.outputs, self.compiled.threads)
            self.scaling = self.transform.fixed_scaling(self.series, len(rows))
            return
        self.ring = np.concatenate([self.ring[:, 1:], steps[:, None]], 1)
        self.counts = np.minimum(self.counts + 1, self.source.reach)
        assert self.transform.window
        scalings, size = [], max(1, ROLLED_NUMBERS // self.ring[0].size)
        for at in range(0, len(steps), size):
            ring = self.ring[at : at + size]
            ends = np.arange(1, len(ring) + 1) * self.source.reach - 1
            counts = self.counts[at : at + size]
            rows, scaling = self.transform.make_windows(ring.reshape(-1, self.transform.width), ends, counts)
            self.outputs[at : at + size] = self.compiled.run_windows(rows, self.transform.window.count_rows(counts))
            scalings.append(scaling)
        self.scaling = concat_scalings(scalings)

    def next_times(self) -> Times | None:
        """Advance the times by a step and return them, datetime64[us] [n x paths]; None without a calendar."""
        if not self.transform.calendar:
            return None
        if self.transform.frequency is None:
            self.time = self.time + self.gap
        else:
            self.time = next_times(self.time, self.transform.frequency, self.transform.zone or "")
        return np.repeat(self.time, self.paths)


def roll(paths: Paths, decoder: Decoder, horizon: int, context: DecoderContext) -> Floats:
    """Return what a decoder gives of all steps ahead, quantiles [n, horizon, targets, quantiles]."""
    memory, found = decoder.start(paths.count, context), []
    for h in range(horizon):
        update = decoder.update(memory, paths.next_quantiles())
        memory = update.memory
        found.append(update.decided)
        if h + 1 < horizon and update.next is not None:
            paths.push(update.next)
    return np.concatenate(found, 1)


def check_integer(name: str, value: Any, least: int, most: int) -> int:
    """Return an integer of this range. Raises OptionError naming the argument for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise OptionError(f"{name} is {value!r}; expected an integer of {least} to {most}")
    return int(value)
