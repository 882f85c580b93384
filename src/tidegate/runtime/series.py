"""The input of kind `series`: raw steps to rows of the first layer, outputs to forecasts, and what a stream keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..features import memory
from ..features.calendar import moments
from ..features.memory import Seen
from ..features.series import Frame, Intake
from ..model import Model
from .inputs import NO_STEP, Input, numbers

Rows = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Times = npt.NDArray[np.datetime64]
PART_NUMBERS: Final = 1 << 21  # of the windows that are worked out together


class Series(Input):
    """Series of numbers: `steps` are rows float32 [T, width], or with a window float64, which it scales; `pending` is a
    `Seen`.
    """

    kind = "series"

    def __init__(self, model: Model, entry: dict[str, Any]) -> None:
        self.intake = Intake.from_json(entry, model.tensors)
        self.features, self.columns = self.intake.features, len(self.intake.columns)
        self.reach = self.intake.window.reach if self.intake.window else 0
        self.needs = self.intake.window.needs if self.intake.window else 1
        self.targets = [self.intake.columns[i] for i in self.intake.of("target")]
        self.known = self.intake.of("known")
        answer = self.intake.answer
        self._frames: dict[int, Frame] = {}
        self._end = np.array([self.reach - 1])
        self._full = self.intake.window.rows(self._end + 1) if self.intake.window else self._end
        self.rolls = answer is not None and answer.head == "autoregressive"

    # ---- raw steps

    def fresh(self, series: str | None = None) -> Seen:
        """The memory of a new stream. series: its name. Raises DataError for one that the model does not know."""
        if series is not None and self.intake.names is None:
            raise DataError(f"the series {series!r} is named, and this model treats all alike; leave the name out")
        return memory.fresh(self.intake, self.intake.index(series))

    def emptied(self, pending: Seen) -> Seen:
        return memory.fresh(self.intake, pending.series)

    def feed(self, x: Any, pending: Seen, time: Any = None) -> tuple[Rows | Floats, Seen]:
        """The rows of one step [columns] or several [T, columns], with their times, and the memory after them."""
        values = self.steps(x)
        treated, seen = memory.after(self.intake, pending, values, self.times(time, len(values)))
        return treated if self.reach else self.intake.fixed(treated, seen.series), seen

    def flush(self, pending: Seen) -> Rows:
        return np.zeros((0, self.intake.width), np.float32)

    def steps(self, x: Any) -> Floats:
        """Raw steps [T, columns] of what a user has; None is a missing number. Raises DataError."""
        values, C = raw(x), self.columns
        if values.ndim < 2 and C == 1:
            return values.reshape(-1, 1)
        if values.ndim == 1 and len(values) == C:
            return values[None]
        if values.ndim != 2 or values.shape[1] != C:
            shown = ", ".join(map(repr, self.intake.columns[:5])) + (", ..." if C > 5 else "")
            raise DataError(
                f"shape {list(values.shape)}; expected [{C}] for one step, or [T, {C}] for several ({shown})"
            )
        return values

    def rows(self, x: Any) -> Floats:
        """One raw step of each of n streams: [n, columns]."""
        values = raw(x)
        values = values[:, None] if values.ndim == 1 and self.columns == 1 else values
        if values.ndim != 2 or values.shape[1] != self.columns:
            raise DataError(f"shape {list(values.shape)}; expected [n, {self.columns}], one step for each stream")
        return values

    def times(self, time: Any, count: int) -> Times | None:
        """The times of `count` steps, where the calendar is used. Raises DataError unless each has one."""
        if not self.intake.calendar:
            if time is not None:
                raise DataError("times were given, and this model uses no calendar; leave them out")
            return None
        periods = ", ".join(self.intake.calendar)
        if time is None:
            raise DataError(f"this model uses the calendar ({periods}); give the time of each step")
        found = moments(time, self.intake.zone)
        if len(found) != count:
            raise DataError(f"there are {count} steps and {len(found)} times; each step has one")
        return found

    # ---- windows and frames

    def warm(self, steps: int) -> bool:
        return steps >= self.needs

    def why(self, steps: int) -> str:
        """Why there is no answer after so many steps."""
        return f"warming up {steps} of {self.needs}" if self.reach else NO_STEP

    def windows(self, seen: Sequence[Seen]) -> tuple[Rows, Indices, Frame]:
        """The newest window of each of B warm streams: rows [B, K, features], how many of them count [B], and their
        frame.
        """
        assert self.intake.window
        rings = [one.ring for one in seen if one.ring is not None]
        if len(rings) == 1 and len(rings[0]) == self.reach:  # the usual one, which each step of a stream waits for
            rows, frame = self.intake.windows(rings[0], self._end)
            return rows, self._full, frame
        behind = np.array([len(ring) for ring in rings])
        rows, frame = self.intake.windows(
            rings[0] if len(rings) == 1 else np.concatenate(rings), behind.cumsum() - 1, behind
        )
        return rows, self.intake.window.rows(behind), frame

    def parts(self, seen: Sequence[Seen]) -> Iterator[Sequence[Seen]]:
        """Warm streams, as many at once as keep their windows within bounds."""
        most = max(1, PART_NUMBERS // (self.reach * self.intake.width))
        return (seen[at : at + most] for at in range(0, len(seen), most))

    def frames(self, seen: Sequence[Seen]) -> Frame:
        """The frame of forecasts of B warm streams."""
        if self.reach:
            return joined([self.windows(part)[2] for part in self.parts(seen)])
        if len(seen) > 1:
            return self.intake.fixed_frame(np.array([one.series for one in seen], np.int64), len(seen))
        (one,) = seen
        if one.series not in self._frames:
            self._frames[one.series] = self.intake.fixed_frame(one.series)
        return self._frames[one.series]

    def obstacle(self, seen: Seen, known: bool = False, horizon: int | None = None) -> str:
        """Why a warm stream's forecast cannot be fed back, "" when it can. known: whether known columns are given."""
        answer = self.intake.answer
        if answer is None or (horizon or answer.horizon) == 1:
            return ""
        if self.known and not known:
            names = ", ".join(self.intake.columns[c] for c in self.known)
            return f"what is known of the steps ahead ({names}) must be given; ask the stream's forecast with known="
        if self.intake.calendar and seen.gap is None and self.intake.frequency is None:
            return "how far steps lie apart is known after two of them"
        return ""

    # ---- whole series

    def whole(self, x: Any, times: Any = None, series: str | None = None) -> Rows | Floats:
        """The rows of a whole series: all of its steps, or those of its last window. Raises DataError."""
        pending = self.fresh(series)
        if x is None or np.ndim(x) == 0:
            raise DataError(f"a series is an array [T, {self.columns}]; {type(x).__name__} was given")
        steps, seen = self.feed(x, pending, times)
        if not self.reach or not len(steps):
            return steps
        if not self.warm(len(steps)):
            raise DataError(f"has {counted(len(steps))}; this model's window needs {self.needs}")
        rows, lengths, _ = self.windows([seen])
        return np.asarray(rows[0, : lengths[0]])

    # ---- memories as bytes

    def stored(self, pending: Seen) -> bytes:
        return memory.to_bytes(self.intake, pending)

    def revived(self, pending: bytes, steps: int) -> Seen:
        """The memory of these bytes. Raises StateError for those of another model."""
        return memory.from_bytes(self.intake, pending, steps)


def raw(x: Any) -> Floats:
    """Numbers as float64, None as NaN. Raises DataError for anything else."""
    try:
        found = np.asarray(x)
        if found.dtype == object and all(v is None or isinstance(v, int | float) for v in found.flat):
            found = found.astype(np.float64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"the numbers are no array: {error}") from error
    if found.dtype.kind not in "fiu":
        return np.asarray(numbers(x), np.float64)
    return np.asarray(found, np.float64)


def joined(frames: list[Frame]) -> Frame:
    """The frames of some streams and those of others as one."""
    if len(frames) == 1:
        return frames[0]
    return Frame(*(np.concatenate([getattr(f, name) for f in frames]) for name in ("centre", "spread", "base")))


def counted(steps: int) -> str:
    return f"{steps} step{'s'[: steps != 1]}"
