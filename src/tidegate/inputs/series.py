"""Series of numbers: missing numbers, calendar, scaling by training or by a window, and the memory of a stream."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ModelFileError
from ..features import memory
from ..features.calendar import parse_times
from ..features.memory import SeriesState, Times
from ..features.one_window import OneWindow
from ..features.scaling import Scaling, concat_scalings
from ..features.series import SeriesTransform
from ..limits import MAX_MEMORY_BYTES, MAX_WIDTH
from ..strictjson import show
from ..tensors import Array
from ._draws import draw_numbers
from ._read import to_float64
from ._series_check import check_entry
from ._series_words import describe_rows, describe_series
from .base import Indices, Input, Round, Rows, Steps, check_count, new_tuple, refuse_times

Floats = npt.NDArray[np.float64]
BATCH_NUMBERS: Final = 1 << 21  # of the windows that are computed together


def parse(name: str, entry: dict[str, Any], tensors: Mapping[str, Array]) -> SeriesInput:
    """Check the entry of a series and return its input. Raises ModelFileError."""
    place = f"inputs.{name}"
    check_entry(place, entry, tensors)
    transform = SeriesTransform.from_json(entry, tensors)
    if (features := transform.features) > MAX_WIDTH:
        raise ModelFileError(f"{place}: a row has {features} numbers; at most {MAX_WIDTH} are allowed")
    if type(entry["features"]) is not int or entry["features"] != features:
        raise ModelFileError(f"{place}.features: is {show(entry['features'])}; the other keys give {features}")
    return SeriesInput(name, entry, transform)


def starts_anew(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry has a window, whose rows the graph runs from its initial state at each push."""
    return entry["window"] is not None


class SeriesInput(Input):
    """Series of numbers; the state is a `SeriesState`.

    Rows are float32 [T, features]. With a window, each answer comes from the window of its latest steps: a restart is
    the imputed steps that the window is made of, float64 [up to reach, width].

    transform: as the entry says, together with what an output forecasts, if there is one.
    """

    kind = "series"
    takes = "series of numbers"
    event_options = ("time", "series")
    features: int

    def __init__(self, name: str, entry: dict[str, Any], transform: SeriesTransform) -> None:
        super().__init__(name)
        self._entry, self.transform = entry, transform
        self.features, self.column_count = transform.features, len(transform.columns)
        self.names_series = transform.names is not None
        self.known_columns = transform.find_columns("known")
        self._scalings: dict[int, Scaling] = {}
        window = transform.window
        self.reach = window.reach if window else 0
        self.steps_needed = window.steps_needed if window else 1
        self.rows = window.length // window.segment if window else None
        self._one_window = OneWindow(transform) if window else None
        self._no_rows = np.zeros((0, transform.features), np.float32)
        if (size := memory.count_bytes(transform)) > MAX_MEMORY_BYTES:
            raise ModelFileError(
                f"inputs.{name}: a stream must keep {size} bytes; at most {MAX_MEMORY_BYTES} are allowed"
            )

    # ---- the model file

    def differs_from(self, other: Input) -> str:
        if fault := super().differs_from(other):
            return fault
        own, before = ([f"{name} ({role})" for name, role in one] for one in (self.columns(), other.columns()))  # type: ignore[attr-defined]
        return "" if own == before else f"reads the columns {', '.join(before)}, and here they are {', '.join(own)}"

    def columns(self) -> list[tuple[str, str]]:
        """Return the name and the role of each column."""
        return [*zip(self.transform.columns, self.transform.roles, strict=True)]

    def to_json(self) -> dict[str, Any]:
        return dict(self._entry)

    def describe(self) -> list[tuple[str, str]]:
        return describe_series(self._entry, self.transform)

    def describe_rows(self) -> str:
        return describe_rows(self._entry)

    @property
    def memory_bytes(self) -> int:
        return memory.count_bytes(self.transform)

    def tensor_names(self) -> set[str]:
        scale = self._entry["scale"] or {}
        return {scale[role] for role in ("mean", "deviation") if scale.get(role) is not None}

    def serve(self, outputs: Iterable[Any]) -> SeriesInput:
        """Return the input that scales the forecast of these outputs that is of it, if there is one."""
        for output in outputs:
            if getattr(output, "of", None) == self.name:
                roles = tuple("target" if c in output.columns else r for c, r in self._name_roles())
                return SeriesInput(self.name, self._entry, replace(self.transform, roles=roles, forecast=output.spec))
        return self

    def _name_roles(self) -> Iterator[tuple[str, str]]:
        return zip(self._entry["columns"], self._entry["roles"], strict=True)

    # ---- streams

    def start(self, series: str | None = None) -> SeriesState:
        """Return the memory of a new stream. series: its name. Raises DataError for a name that is unknown."""
        if series is not None and not self.names_series:
            raise DataError(f"the series {series!r} is named, and this model treats all alike; leave the name out")
        return memory.init(self.transform, self.transform.find_series(series))

    def start_as(self, id: Hashable) -> SeriesState:
        """Return the memory of the series that has this id as its name, if series have names."""
        if not self.names_series:
            return self.start()
        if not isinstance(id, str):
            raise DataError(f"the stream {id!r} has no series name; add it to the pool with one")
        return self.start(id)

    def reset(self, state: SeriesState) -> SeriesState:
        return memory.init(self.transform, state.series)

    def push(self, x: Any, state: SeriesState, time: Any = None, end: bool = False) -> tuple[Steps, SeriesState]:
        """Return the rows of one step [columns] or several [T, columns], and the memory after them."""
        values = self.read_steps(x)
        steps, after = memory.update(self.transform, state, values, self.read_times(time, len(values)))
        return self._to_steps(steps, after), after

    def push_each(
        self, x: Any, state: SeriesState, time: Any = None, end: bool = False
    ) -> tuple[list[tuple[Steps, SeriesState]], SeriesState]:
        values = self.read_steps(x)
        times = self.read_times(time, len(values))
        memory.update(self.transform, state, values, times)  # raises errors that name the step by its number
        found = []
        for t in range(len(values)):
            steps, state = memory.update(
                self.transform, state, values[t : t + 1], None if times is None else times[t : t + 1]
            )
            if len(steps):
                found.append((self._to_steps(steps, state), state))
        return found, state

    def _to_steps(self, steps: Floats, after: SeriesState) -> Steps:
        """Return imputed steps as rows, or as the newest window."""
        if not self.reach:
            return new_tuple(Steps, (self.transform.scale_fixed(steps, after.series), len(steps), None))
        is_full = len(steps) > 0 and after.ring is not None and len(after.ring) >= self.steps_needed
        return new_tuple(Steps, (self._no_rows, len(steps), [after.ring] if is_full else []))

    def finish(self, state: SeriesState) -> tuple[Steps, SeriesState]:
        return Steps(self._no_rows, 0, [] if self.reach else None), state

    def push_many(
        self, x: Any, ids: Sequence[Hashable], find_state: Callable[[Hashable], Any], times: Any = None
    ) -> list[Round]:
        values = self.read_rows(x)
        check_count(len(ids), len(values))
        moments = self.read_times(times, len(ids))
        states = {id: find_state(id) for id in ids}
        found = []
        for positions in split_rounds(ids):
            streams = [ids[i] for i in positions]
            steps, keep, after = memory.update_batch(
                self.transform,
                [states[id] for id in streams],
                values[positions],
                None if moments is None else moments[positions],
                streams,
            )
            states |= zip(streams, after, strict=True)
            found.append(self._make_round(np.array(positions), steps, keep, after))
        return found

    def _make_round(self, positions: Indices, steps: Floats, keep: Indices, after: list[SeriesState]) -> Round:
        if self.reach:
            return Round(positions, self._no_rows, keep, list(after), [after[i].ring for i in keep.tolist()])
        series = np.array([after[i].series for i in keep.tolist()], np.int64)
        rows = np.ascontiguousarray(self.transform.scale_fixed(steps, series))
        return Round(positions, rows, keep, list(after))

    def read_whole(self, x: Any, times: Any = None, series: str | None = None) -> tuple[Steps, SeriesState]:
        start = self.start(series)
        if x is None or np.ndim(x) == 0:
            raise DataError(f"a series is an array [T, {self.column_count}]; {type(x).__name__} was given")
        return self.push(x, start, times, True)

    def not_ready_reason(self, count: int, ended: bool = False) -> str:
        if ended and not count:
            return f"the message has {self.empty}"
        return f"warming up {count} of {self.steps_needed}" if self.reach else "no step yet"

    # ---- raw steps

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
        """Return one raw step of each of n streams: [n, columns]. Raises DataError."""
        values = to_float64(x)
        values = values[:, None] if values.ndim == 1 and self.column_count == 1 else values
        if values.ndim != 2 or values.shape[1] != self.column_count:
            raise DataError(f"shape {list(values.shape)}; expected [n, {self.column_count}], one step for each stream")
        return values

    def read_times(self, time: Any, count: int) -> Times | None:
        """Return the times of `count` steps, or None if the model uses no calendar. Raises DataError."""
        if not self.transform.calendar:
            if time is not None:
                refuse_times()
            return None
        periods = ", ".join(self.transform.calendar)
        if time is None:
            raise DataError(f"this model uses the calendar ({periods}); give the time of each step")
        times = parse_times(time, self.transform.zone)
        if len(times) != count:
            raise DataError(f"there are {count} steps and {len(times)} times; each step has one")
        return times

    # ---- windows and scalings

    def make_rows(self, restart: Sequence[Floats]) -> Iterator[tuple[Rows, Indices, Scaling | None]]:
        """Yield the windows of B restarts in batches: rows [B, K, features], their lengths [B] and their scaling."""
        window = self.transform.window
        assert window, "an input with a window"
        assert self._one_window
        if len(restart) == 1 and len(restart[0]) == self.reach:  # the usual case: each push of a stream waits for it
            yield self._one_window.standardise(restart[0])
            return
        size = max(1, BATCH_NUMBERS // (self.reach * self.transform.width))
        for at in range(0, len(restart), size):
            rings = restart[at : at + size]
            counts = np.array([len(ring) for ring in rings])
            rows, scaling = self.transform.make_windows(np.concatenate(rings), counts.cumsum() - 1, counts)
            yield rows, window.count_rows(counts), scaling

    def context(self, states: Sequence[SeriesState]) -> Scaling | None:
        """Return the scaling of the forecasts of B ready streams; None if nothing is forecast."""
        if self.transform.forecast is None:
            return None
        if self.reach:
            rings = [state.ring for state in states if state.ring is not None]
            return concat_scalings([scaling for _, _, scaling in self.make_rows(rings) if scaling is not None])
        if len(states) > 1:
            return self.transform.fixed_scaling(np.array([state.series for state in states], np.int64), len(states))
        series = states[0].series
        if series not in self._scalings:
            self._scalings[series] = self.transform.fixed_scaling(series)
        return self._scalings[series]

    def select_context(self, context: Scaling | None, i: int) -> Scaling | None:
        return None if context is None else context.select(i)

    def not_continued_reason(self, state: SeriesState, known: bool = False, horizon: int | None = None) -> str:
        spec = self.transform.forecast
        if spec is None or (horizon or spec.horizon) == 1:
            return ""
        if self.known_columns and not known:
            names = ", ".join(self.transform.columns[c] for c in self.known_columns)
            return f"the steps ahead need values of the known columns ({names}); pass known= to the stream's forecast"
        if self.transform.calendar and state.gap is None and self.transform.frequency is None:
            return "the time between steps is only known after two of them"
        return ""

    def explain_overflow(self, values: Rows) -> str:
        bad = ~np.isfinite(values).all(1)
        i = int(bad.argmax()) if bad.any() else None
        return "" if i is None else f"series {i}: the output is not finite, because a number in it is too large"

    def synthesise(self, draws: Iterator[int], steps: int) -> npt.NDArray[np.float32]:
        return draw_numbers(draws, steps, self.features)

    # ---- saved states

    def to_bytes(self, state: SeriesState) -> bytes:
        return memory.to_bytes(self.transform, state)

    def from_bytes(self, data: bytes, count: int) -> SeriesState:
        return memory.from_bytes(self.transform, data, count)


def split_rounds(ids: Sequence[Hashable]) -> Iterator[list[int]]:
    """Group the positions of ids into rounds, in each of which an id occurs once.

    >>> list(split_rounds(["a", "b", "a"]))
    [[0, 1], [2]]
    """
    groups: list[list[int]] = []
    latest: dict[Hashable, int] = {}
    for i, id in enumerate(ids):
        number = latest[id] = latest.get(id, -1) + 1
        if number == len(groups):
            groups.append([])
        groups[number].append(i)
    yield from groups
