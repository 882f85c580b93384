"""Pools: many streams of one model, stepped together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, TidegateError
from .compiled_model import Bytes, CompiledModel, Floats, read_step_count
from .output import wrap_output
from .rows import Event, Rows
from .state import State

Ids = Sequence[Hashable] | npt.NDArray[Any]
MOST_STEPS: Final = 1 << 16  # steps of one native call; more go in several


class Pool(Rows):
    """Many streams of one model, by id: any hashable key. A stream is created when its id is first used.

    Each answer is bit for bit that of a separate `Stream`. A call that is refused or interrupted changes nothing: state
    blocks, answers and input states of all its streams change together at its end. If two threads change a pool at
    once, one of them gets a StateError and has changed nothing; any thread may read at any time. A copy is a fork; a
    pickle contains the model and the states.
    """

    def __init__(self, compiled: CompiledModel) -> None:
        compiled.require_streams()
        super().__init__(compiled)

    def __len__(self) -> int:
        return len(self._current_rows())

    def __contains__(self, id: Hashable) -> bool:
        return id in self._current_rows()

    def __iter__(self) -> Iterator[Hashable]:
        return iter(list(self._current_rows()))

    def __copy__(self) -> Pool:
        return self.fork()

    def __deepcopy__(self, memo: Any) -> Pool:
        return self.fork()

    def __reduce__(self) -> tuple[Any, ...]:
        ids, blocks, outputs, input_states = self._copy_rows()
        return unpickle, (
            self._compiled,
            ids,
            blocks,
            outputs,
            [self._compiled.source.to_bytes(one) for one in input_states],
        )

    def add(self, id: Hashable, series: str | None = None) -> None:
        """Add a stream. series: its name, if the model scales each series by its own statistics.

        A stream that is created by the first use of its id has the id as its name. Raises DataError for an id that the
        pool has already.
        """
        (key,), input_state = self._keys([id]), self._compiled.source.init(series)
        with self._lock:
            self._roll_back()
            if key in self._rows:
                raise DataError(f"the stream {id!r} is in the pool already; drop it first")
            self._begin_rows([key], {key: input_state})
            self._commit()

    def step(self, ids: Ids, x: Any, times: Any = None) -> npt.NDArray[Any]:
        """Advance each stream by one step, in one native call, and return their answers.

        ids: n keys; one that occurs twice is stepped twice, in order. x: float32 [n, features], raw numbers
        [n, columns] of series, or token ids int [n]. times: [n], if the model uses a calendar.

        Returns outputs float32 [n, outputs], or forecasts float64 [n, horizon, targets, quantiles]; NaN for a stream
        that has no answer yet, and `scores` says why. Forecasts of an autoregressive head are computed at once here,
        and when they are first read from `push`. Raises DataError.
        """
        keys = self._keys(ids)
        steps = self._compiled.source.read_rows(x)
        if len(steps) != len(keys):
            raise DataError(f"there are {len(keys)} ids and {len(steps)} steps; both must be equal")
        if self._compiled.series is None and times is not None:
            raise DataError("times were given, and this model uses no calendar; leave them out")
        with self._lock:
            self._roll_back()
            if self._compiled.series is not None:
                from .pool_series import step_series

                answers = step_series(self, keys, steps, times)
            else:
                answers = self._step(self._begin_rows(keys, input_states=False), steps)
            self._commit()
            return answers

    def push(self, events: Iterable[Any]) -> list[Any]:
        """Push events and return the scores or the forecast after each, as a `Stream` of its id would.

        events: (id, piece), (id, piece, end) or (id, piece, end, time), as `Stream.push` takes them; any number per id,
        in order. Raises DataError naming the event; StateError while another thread changes the pool.
        """
        try:
            events = iter(events)
        except TypeError:
            raise DataError(f"events are a list of (id, piece); {type(events).__name__} was given") from None
        with self._lock:
            self._roll_back()
            rounds, input_states = self._plan(events)
            self._begin_rows(list(input_states))
            scores: dict[int, Any] = {}
            for events_of_round in rounds:
                for batch in batches(events_of_round):
                    self._apply(batch, scores)
            for key, input_state in input_states.items():
                self._input_states[self._rows[key]] = input_state
            answers = [scores[i] for i in range(len(scores))]
            self._commit()
            return answers

    def scores(self, id: Hashable) -> Any:
        """Return the latest answer of a stream: Scores or a Forecast, with a reason if it has no values yet."""
        return self._wrap(*self._read_row(*self._keys([id])))

    def end(self, id: Hashable) -> Any:
        """End a stream's message: return the final answer, with its last word, and reset the state."""
        if self._compiled.source.kind == "text":
            return self.push([(id, b"", True)])[0]
        with self._lock:
            self._roll_back()
            (row,) = self._begin_rows(self._keys([id])).tolist()
            answer = self._wrap(self._blocks[row], self._outputs[row], self._input_states[row], True)
            self._reset(row)
            self._commit()
            return answer

    def reset(self, id: Hashable) -> None:
        """Forget a stream's message."""
        with self._lock:
            self._roll_back()
            row = self._find_row(id)
            self._begin_rows([id])
            self._reset(row)
            self._commit()

    def drop(self, id: Hashable) -> None:
        """Remove a stream; its row is used again for the next new one."""
        with self._lock:
            self._roll_back()
            row = self._find_row(id)
            self._begin({id: row}, np.array([row]), True)
            self._reset(row)
            del self._rows[id]
            self._free.append(row)
            self._commit()

    def state(self, id: Hashable) -> State:
        """Return a copy of all that a stream remembers."""
        return self._compiled.make_state(*self._read_row(*self._keys([id])))

    def restore(self, id: Hashable, state: State) -> None:
        """Continue a stream from a state of this model. Raises StateError, changing nothing, for a state of another."""
        input_state = self._compiled.read_input_state(state)
        keys = self._keys([id])
        with self._lock:
            self._roll_back()
            (row,) = self._begin_rows(keys, {keys[0]: input_state}).tolist()
            self._blocks[row], self._outputs[row], self._input_states[row] = state.block, state.output, input_state
            self._commit()

    def fork(self) -> Pool:
        """Return an independent pool whose streams have the same history."""
        return make_pool(self._compiled, *self._copy_rows())

    def _keys(self, ids: Ids) -> list[Hashable]:
        keys: list[Hashable] = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        for key in keys:
            check_hashable(key)
        return keys

    def _find_row(self, id: Hashable) -> int:
        check_hashable(id)
        if id not in self._rows:
            raise DataError(f"no stream {id!r} in the pool; it has {len(self)}")
        return self._rows[id]

    def _wrap(self, block: Bytes, output: Floats, input_state: Any, end: bool = False) -> Any:
        return wrap_output(self._compiled, output, read_step_count(block), input_state, block, end)

    def _plan(self, events: Iterable[Any]) -> tuple[list[list[Event]], dict[Hashable, Any]]:
        """Read events and put them in rounds; return the rounds and the input states after all of them.

        A round has at most one message of a stream, and one event if the head is autoregressive, because each of its
        forecasts starts from a state block of its own.
        """
        rounds: list[list[Event]] = []
        input_states: dict[Hashable, Any] = {}
        next_round: dict[Hashable, int] = {}
        position = 0
        try:
            for position, event in enumerate(events):
                id, x, end, time = parse_event(event)
                if id not in input_states:
                    input_states[id] = self._find_input_state(id)
                steps, after = self._read(x, input_states[id], end, time)
                input_states[id] = self._compiled.source.reset(after) if end else after
                number = next_round.get(id, 0)
                if number == len(rounds):
                    rounds.append([])
                rounds[number].append(Event(position, id, steps, after, end))
                next_round[id] = number + (end or self._compiled.autoregressive)
        except TidegateError as error:
            raise type(error)(f"event {position}: {error}") from error
        return rounds, input_states

    def _read(self, x: Any, input_state: Any, end: bool, time: Any) -> tuple[npt.NDArray[Any], Any]:
        """Return the steps that an event completes, and the input state after it."""
        source = self._compiled.source
        steps, after = source.feed(x, input_state, time)
        if end and source.kind == "text" and after:
            return np.concatenate([steps, source.flush(after)]), b""
        if steps is x or steps.base is not None:  # the caller may write the next event into the same array
            steps = steps.copy()
        return steps, after

    def _apply(self, batch: list[Event], scores: dict[int, Any]) -> None:
        """Apply events of one round in one native call, and put their answers into `scores`, by position."""
        rows = [self._rows[event.id] for event in batch]
        if self._compiled.windowed:
            from .pool_series import apply_windows

            apply_windows(self, batch, rows, scores)
            return
        counts = [len(event.steps) for event in batch]
        row_array = np.array(rows, np.int64)
        totals = dict(zip(rows, self._blocks.take(row_array, 0)[:, :8].view(np.int64)[:, 0].tolist(), strict=True))
        outputs = {row: self._outputs[row].copy() for row, count in zip(rows, counts, strict=True) if not count}
        steps = [event.steps for event in batch]
        all_steps = np.ascontiguousarray(steps[0]) if len(steps) == 1 else np.concatenate(steps)
        out = self._step(row_array.repeat(counts), all_steps)
        at = 0
        for event, row, count in zip(batch, rows, counts, strict=True):
            at, totals[row] = at + count, totals[row] + count
            if count:
                outputs[row] = out[at - 1]
            block = self._blocks[row]
            scores[event.position] = wrap_output(
                self._compiled, outputs[row], totals[row], event.input_state, block, event.end
            )
            if event.end:
                self._reset(row)


def make_pool(
    compiled: CompiledModel, ids: list[Hashable], blocks: Bytes, outputs: Floats, input_states: list[Any]
) -> Pool:
    """Make a pool of these streams. It takes over the arrays and the list."""
    pool = Pool(compiled)
    pool._rows, pool._input_states = {id: row for row, id in enumerate(ids)}, input_states
    pool._blocks, pool._outputs = blocks, outputs
    return pool


def unpickle(compiled: CompiledModel, ids: list[Hashable], blocks: Bytes, outputs: Floats, data: list[bytes]) -> Pool:
    """Make a pool from a pickle. data: the input states as bytes."""
    states = [compiled.source.from_bytes(one, read_step_count(block)) for one, block in zip(data, blocks, strict=True)]
    return make_pool(compiled, ids, blocks, outputs, states)


def parse_event(event: Any) -> tuple[Hashable, Any, bool, Any]:
    """Return an event's id, piece, end and time. Raises DataError."""
    if not isinstance(event, tuple | list) or not 2 <= len(event) <= 4:
        raise DataError("an event is (id, piece), (id, piece, end) or (id, piece, end, time)")
    check_hashable(event[0])
    return event[0], event[1], bool(event[2]) if len(event) > 2 else False, event[3] if len(event) > 3 else None


def check_hashable(key: Any) -> None:
    """Raise DataError unless a stream may have this id."""
    try:
        hash(key)
    except TypeError:
        raise DataError(
            f"a stream's id must be hashable, such as a str or an int; {type(key).__name__} is not"
        ) from None


def batches(events: list[Event]) -> Iterator[list[Event]]:
    """Split events, in order, into batches of at most MOST_STEPS steps, or of one event."""
    batch: list[Event] = []
    steps = 0
    for event in events:
        if batch and steps + len(event.steps) > MOST_STEPS:
            yield batch
            batch, steps = [], 0
        batch.append(event)
        steps += len(event.steps)
    if batch:
        yield batch
