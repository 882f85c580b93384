"""The input of kind `series`: converts raw steps to rows of the first layer, and keeps a stream's memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..features import memory
from ..features.calendar import parse_times
from ..features.memory import SeriesState
from ..features.series import Scaling, SeriesTransform
from ..model import Model
from .inputs import NO_STEP, Input, to_float32

Rows = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]
BATCH_NUMBERS: Final = 1 << 21  # of the windows that are computed together


class SeriesInput(Input):
    """Series of numbers: `steps` are rows float32 [T, width], or float64 with a window, which scales them.

    `input_state` is a `SeriesState`.
    """

    kind = "series"

    def __init__(self, model: Model, entry: dict[str, Any]) -> None:
        self.transform = SeriesTransform.from_json(entry, model.tensors)
        self.features, self.column_count = self.transform.features, len(self.transform.columns)
        self.reach = self.transform.window.reach if self.transform.window else 0
        self.steps_needed = self.transform.window.steps_needed if self.transform.window else 1
        self.targets = [self.transform.columns[i] for i in self.transform.find_columns("target")]
        self.known_columns = self.transform.find_columns("known")
        spec = self.transform.forecast
        self._scalings: dict[int, Scaling] = {}
        self._end = np.array([self.reach - 1])
        self._full = self.transform.window.count_rows(self._end + 1) if self.transform.window else self._end
        self.autoregressive = spec is not None and spec.head == "autoregressive"

    # ---- raw steps

    def init(self, series: str | None = None) -> SeriesState:
        """Return the memory of a new stream. series: its name. Raises DataError for a name that is unknown."""
        if series is not None and self.transform.names is None:
            raise DataError(f"the series {series!r} is named, and this model treats all alike; leave the name out")
        return memory.init(self.transform, self.transform.find_series(series))

    def reset(self, input_state: SeriesState) -> SeriesState:
        return memory.init(self.transform, input_state.series)

    def feed(self, x: Any, input_state: SeriesState, time: Any = None) -> tuple[Rows | Floats, SeriesState]:
        """Return the rows of one step [columns] or several [T, columns], and the memory after them."""
        values = self.read_steps(x)
        steps, after = memory.update(self.transform, input_state, values, self.read_times(time, len(values)))
        return steps if self.reach else self.transform.scale_fixed(steps, after.series), after

    def flush(self, input_state: SeriesState) -> Rows:
        return np.zeros((0, self.transform.width), np.float32)

    def read_steps(self, x: Any) -> Floats:
        """Return raw steps [T, columns] of what a user has; None is a missing number. Raises DataError."""
        values, C = to_float64(x), self.column_count
        if values.ndim < 2 and C == 1:
            return values.reshape(-1, 1)
        if values.ndim == 1 and len(values) == C:
            return values[None]
        if values.ndim != 2 or values.shape[1] != C:
            names = ", ".join(map(repr, self.transform.columns[:5])) + (", ..." if C > 5 else "")
            raise DataError(
                f"shape {list(values.shape)}; expected [{C}] for one step, or [T, {C}] for several ({names})"
            )
        return values

    def read_rows(self, x: Any) -> Floats:
        """Return one raw step of each of n streams: [n, columns]."""
        values = to_float64(x)
        values = values[:, None] if values.ndim == 1 and self.column_count == 1 else values
        if values.ndim != 2 or values.shape[1] != self.column_count:
            raise DataError(f"shape {list(values.shape)}; expected [n, {self.column_count}], one step for each stream")
        return values

    def read_times(self, time: Any, count: int) -> Times | None:
        """Return the times of `count` steps, or None if the model uses no calendar. Raises DataError."""
        if not self.transform.calendar:
            if time is not None:
                raise DataError("times were given, and this model uses no calendar; leave them out")
            return None
        periods = ", ".join(self.transform.calendar)
        if time is None:
            raise DataError(f"this model uses the calendar ({periods}); give the time of each step")
        times = parse_times(time, self.transform.zone)
        if len(times) != count:
            raise DataError(f"there are {count} steps and {len(times)} times; each step has one")
        return times

    # ---- windows and scalings

    def is_ready(self, steps: int) -> bool:
        return steps >= self.steps_needed

    def not_ready_reason(self, steps: int) -> str:
        """Say why there is no answer after so many steps."""
        return f"warming up {steps} of {self.steps_needed}" if self.reach else NO_STEP

    def make_windows(self, states: Sequence[SeriesState]) -> tuple[Rows, Indices, Scaling]:
        """Return the newest window of each of B ready streams: rows [B, K, features], their lengths [B] and scaling."""
        assert self.transform.window
        rings = [state.ring for state in states if state.ring is not None]
        if len(rings) == 1 and len(rings[0]) == self.reach:  # the usual case: each push of a stream waits for it
            rows, scaling = self.transform.make_windows(rings[0], self._end)
            return rows, self._full, scaling
        behind = np.array([len(ring) for ring in rings])
        rows, scaling = self.transform.make_windows(
            rings[0] if len(rings) == 1 else np.concatenate(rings), behind.cumsum() - 1, behind
        )
        return rows, self.transform.window.count_rows(behind), scaling

    def split(self, states: Sequence[SeriesState]) -> Iterator[Sequence[SeriesState]]:
        """Split ready streams into batches small enough to bound the memory of their windows."""
        size = max(1, BATCH_NUMBERS // (self.reach * self.transform.width))
        return (states[at : at + size] for at in range(0, len(states), size))

    def scalings(self, states: Sequence[SeriesState]) -> Scaling:
        """Return the scaling of the forecasts of B ready streams."""
        if self.reach:
            return concat_scalings([self.make_windows(batch)[2] for batch in self.split(states)])
        if len(states) > 1:
            return self.transform.fixed_scaling(np.array([state.series for state in states], np.int64), len(states))
        series = states[0].series
        if series not in self._scalings:
            self._scalings[series] = self.transform.fixed_scaling(series)
        return self._scalings[series]

    def rollout_not_ready_reason(self, state: SeriesState, known: bool = False, horizon: int | None = None) -> str:
        """Say why a ready stream's forecast cannot be fed back; "" if it can.

        known: whether the caller gives the known columns of the steps ahead.
        """
        spec = self.transform.forecast
        if spec is None or (horizon or spec.horizon) == 1:
            return ""
        if self.known_columns and not known:
            names = ", ".join(self.transform.columns[c] for c in self.known_columns)
            return f"the steps ahead need values of the known columns ({names}); pass known= to the stream's forecast"
        if self.transform.calendar and state.gap is None and self.transform.frequency is None:
            return "the time between steps is only known after two of them"
        return ""

    # ---- whole series

    def read_whole(self, x: Any, times: Any = None, series: str | None = None) -> Rows | Floats:
        """Return the rows of a whole series: of all its steps, or of its last window. Raises DataError."""
        input_state = self.init(series)
        if x is None or np.ndim(x) == 0:
            raise DataError(f"a series is an array [T, {self.column_count}]; {type(x).__name__} was given")
        steps, state = self.feed(x, input_state, times)
        if not self.reach or not len(steps):
            return steps
        if not self.is_ready(len(steps)):
            raise DataError(f"has {format_steps(len(steps))}; this model's window needs {self.steps_needed}")
        rows, lengths, _ = self.make_windows([state])
        return np.asarray(rows[0, : lengths[0]])

    # ---- memories as bytes

    def to_bytes(self, input_state: SeriesState) -> bytes:
        return memory.to_bytes(self.transform, input_state)

    def from_bytes(self, input_state: bytes, steps: int) -> SeriesState:
        """Read a memory from bytes. Raises StateError if they do not fit this model."""
        return memory.from_bytes(self.transform, input_state, steps)


def to_float64(x: Any) -> Floats:
    """Return numbers as float64, None as NaN. Raises DataError for anything else."""
    try:
        values = np.asarray(x)
        if values.dtype == object and all(v is None or isinstance(v, int | float) for v in values.flat):
            values = values.astype(np.float64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"the numbers are not an array: {error}") from error
    if values.dtype.kind not in "fiu":
        return np.asarray(to_float32(x), np.float64)
    return np.asarray(values, np.float64)


def concat_scalings(scalings: list[Scaling]) -> Scaling:
    """Join the scalings of several batches of streams."""
    if len(scalings) == 1:
        return scalings[0]
    return Scaling(*(np.concatenate([getattr(f, name) for f in scalings]) for name in ("centre", "spread", "base")))


def format_steps(steps: int) -> str:
    """Return "1 step", "2 steps" and so on."""
    return f"{steps} step{'s'[: steps != 1]}"
