"""Many streams of one model, stepped together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import DataError, TidegateError
from .session import Session, steps_of
from .state import State

Ids = Sequence[Hashable] | npt.NDArray[Any]
FIRST_ROWS: Final = 16
MOST_STEPS: Final = 1 << 16  # steps of one native call; more go in several


class Planned(NamedTuple):
    """An event that has been looked at: its place in the list, id, steps, what is then pending, and whether its
    message ends.
    """

    place: int
    id: Hashable
    steps: npt.NDArray[Any]
    pending: Any
    end: bool


class Pool:
    """Streams by id, any hashable key; one is created at the first use of its id. Not for two threads at
    once.

    What each says is bit for bit what a `Stream` of its own would. All input of a call is looked at before
    anything changes, so a refused call changes nothing.
    """

    def __init__(self, session: Session) -> None:
        session.check_streams()
        self._session = session
        self._rows: dict[Hashable, int] = {}
        self._free: list[int] = []
        self._blocks = np.empty((0, len(session.initial)), np.uint8)
        self._outputs = np.empty((0, session.outputs), np.float32)
        self._pending: list[Any] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, id: Hashable) -> bool:
        return id in self._rows

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._rows)

    def add(self, id: Hashable, series: str | None = None) -> None:
        """A new stream. series: its name, where the model scales each series by its own statistics; the id is the name
        of a stream that is created at its first use. Raises DataError for an id that is there already.
        """
        (key,) = self._keys([id])
        if key in self._rows:
            raise DataError(f"the stream {id!r} is in the pool already; drop it first")
        self._place(key, self._session.source.fresh(series))

    def step(self, ids: Ids, x: Any, times: Any = None) -> npt.NDArray[Any]:
        """The answers to one step of each stream, in one native call: outputs float32 [n, outputs], or forecasts
        float64 [n, horizon, targets, quantiles]; NaN for a stream that has none yet, and `scores` says why.

        ids: n keys; one that stands twice is stepped twice, in order. x: float32 [n, features], raw numbers
        [n, columns] of series, or token ids int [n]. times: [n], where the model uses a calendar. Forecasts of a head
        that is autoregressive are all drawn here; those of `push` when they are read. Raises DataError.
        """
        keys = self._keys(ids)
        steps = self._session.source.rows(x)
        if len(steps) != len(keys):
            raise DataError(f"there are {len(keys)} ids and {len(steps)} steps; both must be equal")
        if self._session.series is not None:
            from .crowd import stepped

            return stepped(self, keys, steps, times)
        if times is not None:
            raise DataError("times were given, and this model uses no calendar; leave them out")
        rows = np.array([self._row(key) for key in keys], np.int64)
        return self._step(rows, steps)

    def push(self, events: Iterable[Any]) -> list[Any]:
        """The scores or forecasts after each event, as a `Stream` of its id would give them.

        events: (id, piece), (id, piece, end) or (id, piece, end, time), as `Stream.push` takes them; any number of one
        id, in order. Raises DataError naming the event.
        """
        rounds, pending = self._plan(events)
        for key in pending:
            self._row(key)
        scores: dict[int, Any] = {}
        for planned in rounds:
            for group in grouped(planned):
                self._apply(group, scores)
        for key, kept in pending.items():
            self._pending[self._rows[key]] = kept
        return [scores[i] for i in range(len(scores))]

    def scores(self, id: Hashable) -> Any:
        """What was last said to an id: Scores or a Forecast, with the reason where it has no values."""
        return self._said(self._known(id))

    def end(self, id: Hashable) -> Any:
        """The final answer to an id's message, its last word included; its state is reset."""
        if self._session.source.kind == "text":
            return self.push([(id, b"", True)])[0]
        row = self._row(*self._keys([id]))
        answer = self._said(row, True)
        self._reset(row)
        return answer

    def reset(self, id: Hashable) -> None:
        """Forget an id's message."""
        self._reset(self._known(id))

    def drop(self, id: Hashable) -> None:
        """Forget an id; its place is given to the next new one."""
        row = self._known(id)
        self._reset(row)
        del self._rows[id]
        self._free.append(row)

    def state(self, id: Hashable) -> State:
        """A copy of all that an id's stream holds."""
        row = self._known(id)
        return self._session.state(self._blocks[row], self._outputs[row], self._pending[row])

    def restore(self, id: Hashable, state: State) -> None:
        """Let an id go on from a state of this model. Raises StateError for one of another; nothing changes
        then.
        """
        pending = self._session.revived(state)
        (key,) = self._keys([id])
        row = self._rows[key] if key in self._rows else self._place(key, pending)
        self._blocks[row], self._outputs[row], self._pending[row] = state.block, state.output, pending

    def _keys(self, ids: Ids) -> list[Hashable]:
        keys: list[Hashable] = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        for key in keys:
            hashable(key)
        return keys

    def _known(self, id: Hashable) -> int:
        if id not in self._rows:
            raise DataError(f"no stream {id!r} in the pool; it has {len(self)}")
        return self._rows[id]

    def _row(self, id: Hashable) -> int:
        """The row of an id, a new one at its first use."""
        row = self._rows.get(id)
        return self._place(id, self._begun(id)) if row is None else row

    def _begun(self, id: Hashable) -> Any:
        """What is pending of an id that has no row yet."""
        series = self._session.series
        if series is None or series.intake.names is None:
            return self._session.source.fresh()
        if not isinstance(id, str):
            raise DataError(f"the stream {id!r} has no name of a series; add it to the pool with one")
        return series.fresh(id)

    def _place(self, id: Hashable, pending: Any) -> int:
        if not self._free:
            self._grow()
        row = self._rows[id] = self._free.pop()
        self._pending[row] = pending
        return row

    def _grow(self) -> None:
        old = len(self._blocks)
        more = max(FIRST_ROWS, old)
        self._blocks = np.concatenate([self._blocks, np.tile(self._session.initial, (more, 1))])
        self._outputs = np.concatenate([self._outputs, np.zeros((more, self._session.outputs), np.float32)])
        self._pending += [None] * more
        self._free += range(old + more - 1, old - 1, -1)

    def _reset(self, row: int) -> None:
        pending = self._session.source.emptied(self._pending[row])
        self._blocks[row], self._outputs[row], self._pending[row] = self._session.initial, 0.0, pending

    def _said(self, row: int, end: bool = False) -> Any:
        block = self._blocks[row]
        return self._session.answer(self._outputs[row], steps_of(block), self._pending[row], block, end)

    def _step(self, rows: npt.NDArray[np.int64], steps: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        out = np.empty((len(rows), self._session.outputs), np.float32)
        if len(rows):
            self._session.engine.pool_step(rows, steps, self._blocks, out, self._session.threads)
            self._outputs[rows] = out  # of an id that stands twice the last one stays
        return out

    def _plan(self, events: Iterable[Any]) -> tuple[list[list[Planned]], dict[Hashable, Any]]:
        """The events in rounds, an id's messages in one round each, and what is pending at the end."""
        rounds: list[list[Planned]] = []
        pending: dict[Hashable, Any] = {}
        passed: dict[Hashable, int] = {}
        place = 0
        try:
            for place, event in enumerate(events):
                id, x, end, time = opened(event)
                if id not in pending:
                    pending[id] = self._pending[self._rows[id]] if id in self._rows else self._begun(id)
                steps, kept = self._fed(x, pending[id], end, time)
                pending[id] = self._session.source.emptied(kept) if end else kept
                number = passed.get(id, 0)
                if number == len(rounds):
                    rounds.append([])
                rounds[number].append(Planned(place, id, steps, kept, end))
                passed[id] = number + (end or self._session.rolls)  # a forecast that is rolled needs its own block
        except TidegateError as error:
            raise type(error)(f"event {place}: {error}") from error
        return rounds, pending

    def _fed(self, x: Any, pending: Any, end: bool, time: Any) -> tuple[npt.NDArray[Any], Any]:
        source = self._session.source
        steps, rest = source.feed(x, pending, time)
        if end and source.kind == "text" and rest:
            return np.concatenate([steps, source.flush(rest)]), b""
        return steps, rest

    def _apply(self, group: list[Planned], scores: dict[int, Any]) -> None:
        """Events of one round in one native call."""
        rows = [self._rows[event.id] for event in group]
        if self._session.windowed:
            from .crowd import windows_of

            windows_of(self, group, rows, scores)
            return
        counts = [len(event.steps) for event in group]
        at_rows = np.array(rows, np.int64)
        seen = dict(zip(rows, self._blocks[:, :8][at_rows].view(np.int64)[:, 0].tolist(), strict=True))
        outputs = {row: self._outputs[row].copy() for row, count in zip(rows, counts, strict=True) if not count}
        out = self._step(np.repeat(at_rows, counts), np.concatenate([event.steps for event in group]))
        at = 0
        for event, row, count in zip(group, rows, counts, strict=True):
            at, seen[row] = at + count, seen[row] + count
            if count:
                outputs[row] = out[at - 1]
            block = self._blocks[row]
            scores[event.place] = self._session.answer(outputs[row], seen[row], event.pending, block, event.end)
            if event.end:
                self._reset(row)


def opened(event: Any) -> tuple[Hashable, Any, bool, Any]:
    """An event's id, piece, end and time. Raises DataError."""
    if not isinstance(event, tuple | list) or not 2 <= len(event) <= 4:
        raise DataError("an event is (id, piece), (id, piece, end) or (id, piece, end, time)")
    hashable(event[0])
    return event[0], event[1], bool(event[2]) if len(event) > 2 else False, event[3] if len(event) > 3 else None


def hashable(key: Any) -> None:
    try:
        hash(key)
    except TypeError:
        raise DataError(
            f"a stream's id must be hashable, such as a str or an int; {type(key).__name__} is not"
        ) from None


def grouped(events: list[Planned]) -> Iterator[list[Planned]]:
    """The events in order, in groups of at most MOST_STEPS steps, or of one event."""
    group: list[Planned] = []
    steps = 0
    for event in events:
        if group and steps + len(event.steps) > MOST_STEPS:
            yield group
            group, steps = [], 0
        group.append(event)
        steps += len(event.steps)
    if group:
        yield group
