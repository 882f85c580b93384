"""The input of kind `series`: raw steps to rows of the first layer, outputs to forecasts, and what a stream keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..features import memory
from ..features.calendar import moments
from ..features.memory import SeriesState
from ..features.series import Scaling, SeriesTransform
from ..model import Model
from .inputs import NO_STEP, Input, to_float32

Rows = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]
PART_NUMBERS: Final = 1 << 21  # of the windows that are worked out together


class SeriesInput(Input):
    """Series of numbers: `steps` are rows float32 [T, width], or float64 with a window, which scales them.

    `input_state` is a `SeriesState`.
    """

    kind = "series"

    def __init__(self, model: Model, entry: dict[str, Any]) -> None:
        self.transform = SeriesTransform.from_json(entry, model.tensors)
        self.features, self.column_count = self.transform.features, len(self.transform.columns)
        self.reach = self.transform.window.reach if self.transform.window else 0
        self.steps_needed = self.transform.window.needs if self.transform.window else 1
        self.targets = [self.transform.columns[i] for i in self.transform.of("target")]
        self.known_columns = self.transform.of("known")
        answer = self.transform.forecast
        self._scalings: dict[int, Scaling] = {}
        self._end = np.array([self.reach - 1])
        self._full = self.transform.window.rows(self._end + 1) if self.transform.window else self._end
        self.autoregressive = answer is not None and answer.head == "autoregressive"

    # ---- raw steps

    def init(self, series: str | None = None) -> SeriesState:
        """The memory of a new stream. series: its name. Raises DataError for one that the model does not know."""
        if series is not None and self.transform.names is None:
            raise DataError(f"the series {series!r} is named, and this model treats all alike; leave the name out")
        return memory.init(self.transform, self.transform.index(series))

    def reset(self, input_state: SeriesState) -> SeriesState:
        return memory.init(self.transform, input_state.series)

    def feed(self, x: Any, input_state: SeriesState, time: Any = None) -> tuple[Rows | Floats, SeriesState]:
        """The rows of one step [columns] or several [T, columns], with their times, and the memory after them."""
        values = self.read_steps(x)
        treated, seen = memory.update(self.transform, input_state, values, self.read_times(time, len(values)))
        return treated if self.reach else self.transform.scale_fixed(treated, seen.series), seen

    def flush(self, input_state: SeriesState) -> Rows:
        return np.zeros((0, self.transform.width), np.float32)

    def read_steps(self, x: Any) -> Floats:
        """Raw steps [T, columns] of what a user has; None is a missing number. Raises DataError."""
        values, C = to_float64(x), self.column_count
        if values.ndim < 2 and C == 1:
            return values.reshape(-1, 1)
        if values.ndim == 1 and len(values) == C:
            return values[None]
        if values.ndim != 2 or values.shape[1] != C:
            shown = ", ".join(map(repr, self.transform.columns[:5])) + (", ..." if C > 5 else "")
            raise DataError(
                f"shape {list(values.shape)}; expected [{C}] for one step, or [T, {C}] for several ({shown})"
            )
        return values

    def read_rows(self, x: Any) -> Floats:
        """One raw step of each of n streams: [n, columns]."""
        values = to_float64(x)
        values = values[:, None] if values.ndim == 1 and self.column_count == 1 else values
        if values.ndim != 2 or values.shape[1] != self.column_count:
            raise DataError(f"shape {list(values.shape)}; expected [n, {self.column_count}], one step for each stream")
        return values

    def read_times(self, time: Any, count: int) -> Times | None:
        """The times of `count` steps, where the calendar is used. Raises DataError unless each has one."""
        if not self.transform.calendar:
            if time is not None:
                raise DataError("times were given, and this model uses no calendar; leave them out")
            return None
        periods = ", ".join(self.transform.calendar)
        if time is None:
            raise DataError(f"this model uses the calendar ({periods}); give the time of each step")
        found = moments(time, self.transform.zone)
        if len(found) != count:
            raise DataError(f"there are {count} steps and {len(found)} times; each step has one")
        return found

    # ---- windows and scalings

    def is_ready(self, steps: int) -> bool:
        return steps >= self.steps_needed

    def not_ready_reason(self, steps: int) -> str:
        """Why there is no answer after so many steps."""
        return f"warming up {steps} of {self.steps_needed}" if self.reach else NO_STEP

    def make_windows(self, seen: Sequence[SeriesState]) -> tuple[Rows, Indices, Scaling]:
        """The newest window of each of B warm streams: rows [B, K, features], how many of them count [B], and their
        scaling.
        """
        assert self.transform.window
        rings = [one.ring for one in seen if one.ring is not None]
        if len(rings) == 1 and len(rings[0]) == self.reach:  # the usual one, which each step of a stream waits for
            rows, scaling = self.transform.windows(rings[0], self._end)
            return rows, self._full, scaling
        behind = np.array([len(ring) for ring in rings])
        rows, scaling = self.transform.windows(
            rings[0] if len(rings) == 1 else np.concatenate(rings), behind.cumsum() - 1, behind
        )
        return rows, self.transform.window.rows(behind), scaling

    def split(self, seen: Sequence[SeriesState]) -> Iterator[Sequence[SeriesState]]:
        """Warm streams, as many at once as keep their windows within bounds."""
        most = max(1, PART_NUMBERS // (self.reach * self.transform.width))
        return (seen[at : at + most] for at in range(0, len(seen), most))

    def scalings(self, seen: Sequence[SeriesState]) -> Scaling:
        """The scaling of forecasts of B warm streams."""
        if self.reach:
            return concat_scalings([self.make_windows(part)[2] for part in self.split(seen)])
        if len(seen) > 1:
            return self.transform.fixed_scaling(np.array([one.series for one in seen], np.int64), len(seen))
        (one,) = seen
        if one.series not in self._scalings:
            self._scalings[one.series] = self.transform.fixed_scaling(one.series)
        return self._scalings[one.series]

    def rollout_not_ready_reason(self, seen: SeriesState, known: bool = False, horizon: int | None = None) -> str:
        """Why a warm stream's forecast cannot be fed back, "" when it can. known: whether known columns are given."""
        answer = self.transform.forecast
        if answer is None or (horizon or answer.horizon) == 1:
            return ""
        if self.known_columns and not known:
            names = ", ".join(self.transform.columns[c] for c in self.known_columns)
            return f"what is known of the steps ahead ({names}) must be given; ask the stream's forecast with known="
        if self.transform.calendar and seen.gap is None and self.transform.frequency is None:
            return "how far steps lie apart is known after two of them"
        return ""

    # ---- whole series

    def read_whole(self, x: Any, times: Any = None, series: str | None = None) -> Rows | Floats:
        """The rows of a whole series: all of its steps, or those of its last window. Raises DataError."""
        input_state = self.init(series)
        if x is None or np.ndim(x) == 0:
            raise DataError(f"a series is an array [T, {self.column_count}]; {type(x).__name__} was given")
        steps, seen = self.feed(x, input_state, times)
        if not self.reach or not len(steps):
            return steps
        if not self.is_ready(len(steps)):
            raise DataError(f"has {format_steps(len(steps))}; this model's window needs {self.steps_needed}")
        rows, lengths, _ = self.make_windows([seen])
        return np.asarray(rows[0, : lengths[0]])

    # ---- memories as bytes

    def to_bytes(self, input_state: SeriesState) -> bytes:
        return memory.to_bytes(self.transform, input_state)

    def from_bytes(self, input_state: bytes, steps: int) -> SeriesState:
        """The memory of these bytes. Raises StateError for those of another model."""
        return memory.from_bytes(self.transform, input_state, steps)


def to_float64(x: Any) -> Floats:
    """Numbers as float64, None as NaN. Raises DataError for anything else."""
    try:
        found = np.asarray(x)
        if found.dtype == object and all(v is None or isinstance(v, int | float) for v in found.flat):
            found = found.astype(np.float64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"the numbers are no array: {error}") from error
    if found.dtype.kind not in "fiu":
        return np.asarray(to_float32(x), np.float64)
    return np.asarray(found, np.float64)


def concat_scalings(scalings: list[Scaling]) -> Scaling:
    """The scalings of some streams and those of others as one."""
    if len(scalings) == 1:
        return scalings[0]
    return Scaling(*(np.concatenate([getattr(f, name) for f in scalings]) for name in ("centre", "spread", "base")))


def format_steps(steps: int) -> str:
    return f"{steps} step{'s'[: steps != 1]}"
