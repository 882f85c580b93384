"""Many streams of one model, stepped together."""

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
    """Streams by id, any hashable key; one is created at the first use of its id.

    What each says is bit for bit what a `Stream` of its own would. A call that is refused or interrupted changes
    nothing: blocks, answers and what the input keeps of all its streams change together at its end. Of two threads that
    change a pool at once, one gets a StateError and has changed nothing; threads may read at any time. A copy is a
    fork; a pickle holds the model and the states.
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
        ids, blocks, outputs, input_state = self._copy_rows()
        return unpickle, (
            self._compiled,
            ids,
            blocks,
            outputs,
            [self._compiled.source.to_bytes(kept) for kept in input_state],
        )

    def add(self, id: Hashable, series: str | None = None) -> None:
        """A new stream. series: its name, where the model scales each series by its own statistics; the id is the name
        of a stream that is created at its first use. Raises DataError for an id that is there already.
        """
        (key,), fresh = self._keys([id]), self._compiled.source.init(series)
        with self._lock:
            self._roll_back()
            if key in self._rows:
                raise DataError(f"the stream {id!r} is in the pool already; drop it first")
            self._begin_rows([key], {key: fresh})
            self._commit()

    def step(self, ids: Ids, x: Any, times: Any = None) -> npt.NDArray[Any]:
        """The answers to one step of each stream, in one native call: outputs float32 [n, outputs], or forecasts
        float64 [n, horizon, targets, quantiles]; NaN for a stream that has none yet, and `scores` says why.

        ids: n keys; one that stands twice is stepped twice, in order. x: float32 [n, features], raw numbers
        [n, columns] of series, or token ids int [n]. times: [n], where the model uses a calendar. Forecasts of a head
        that is autoregressive are all drawn here; those of `push` when they are read. Raises DataError.
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
                answers = self._step(self._begin_rows(keys, input_state=False), steps)
            self._commit()
            return answers

    def push(self, events: Iterable[Any]) -> list[Any]:
        """The scores or forecasts after each event, as a `Stream` of its id would give them.

        events: (id, piece), (id, piece, end) or (id, piece, end, time), as `Stream.push` takes them; any number of one
        id, in order. Raises DataError naming the event; StateError while another thread changes the pool.
        """
        try:
            events = iter(events)
        except TypeError:
            raise DataError(f"events are a list of (id, piece); {type(events).__name__} was given") from None
        with self._lock:
            self._roll_back()
            rounds, input_state = self._plan(events)
            self._begin_rows(list(input_state))
            scores: dict[int, Any] = {}
            for planned in rounds:
                for group in batches(planned):
                    self._apply(group, scores)
            for key, kept in input_state.items():
                self._input_states[self._rows[key]] = kept
            answers = [scores[i] for i in range(len(scores))]
            self._commit()
            return answers

    def scores(self, id: Hashable) -> Any:
        """What was last said to an id: Scores or a Forecast, with the reason where it has no values."""
        return self._wrap(*self._read_row(*self._keys([id])))

    def end(self, id: Hashable) -> Any:
        """The final answer to an id's message, its last word included; its state is reset."""
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
        """Forget an id's message."""
        with self._lock:
            self._roll_back()
            row = self._find_row(id)
            self._begin_rows([id])
            self._reset(row)
            self._commit()

    def drop(self, id: Hashable) -> None:
        """Forget an id; its place is given to the next new one."""
        with self._lock:
            self._roll_back()
            row = self._find_row(id)
            self._begin({id: row}, np.array([row]), True)
            self._reset(row)
            del self._rows[id]
            self._free.append(row)
            self._commit()

    def state(self, id: Hashable) -> State:
        """A copy of all that an id's stream holds."""
        return self._compiled.state(*self._read_row(*self._keys([id])))

    def restore(self, id: Hashable, state: State) -> None:
        """Let an id go on from a state of this model. Raises StateError for one of another; nothing changes
        then.
        """
        input_state = self._compiled.read_input_state(state)
        keys = self._keys([id])
        with self._lock:
            self._roll_back()
            (row,) = self._begin_rows(keys, {keys[0]: input_state}).tolist()
            self._blocks[row], self._outputs[row], self._input_states[row] = state.block, state.output, input_state
            self._commit()

    def fork(self) -> Pool:
        """An independent pool whose streams have seen the same."""
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
        """The events in rounds, an id's messages in one round each, and what is input_state at the end."""
        rounds: list[list[Event]] = []
        input_state: dict[Hashable, Any] = {}
        passed: dict[Hashable, int] = {}
        place = 0
        try:
            for place, event in enumerate(events):
                id, x, end, time = parse_event(event)
                if id not in input_state:
                    input_state[id] = (
                        self._input_states[self._rows[id]] if id in self._rows else self._init_input_state(id)
                    )
                steps, kept = self._read(x, input_state[id], end, time)
                input_state[id] = self._compiled.source.reset(kept) if end else kept
                number = passed.get(id, 0)
                if number == len(rounds):
                    rounds.append([])
                rounds[number].append(Event(place, id, steps, kept, end))
                passed[id] = number + (
                    end or self._compiled.autoregressive
                )  # a forecast that is rolled needs its own block
        except TidegateError as error:
            raise type(error)(f"event {place}: {error}") from error
        return rounds, input_state

    def _read(self, x: Any, input_state: Any, end: bool, time: Any) -> tuple[npt.NDArray[Any], Any]:
        source = self._compiled.source
        steps, rest = source.feed(x, input_state, time)
        if end and source.kind == "text" and rest:
            return np.concatenate([steps, source.flush(rest)]), b""
        if steps is x or steps.base is not None:  # an array of the caller's, who may write the next event's into it
            steps = steps.copy()
        return steps, rest

    def _apply(self, group: list[Event], scores: dict[int, Any]) -> None:
        """Events of one round in one native call."""
        rows = [self._rows[event.id] for event in group]
        if self._compiled.windowed:
            from .pool_series import apply_windows

            apply_windows(self, group, rows, scores)
            return
        counts = [len(event.steps) for event in group]
        at_rows = np.array(rows, np.int64)
        seen = dict(zip(rows, self._blocks.take(at_rows, 0)[:, :8].view(np.int64)[:, 0].tolist(), strict=True))
        outputs = {row: self._outputs[row].copy() for row, count in zip(rows, counts, strict=True) if not count}
        steps = [event.steps for event in group]
        whole = np.ascontiguousarray(steps[0]) if len(steps) == 1 else np.concatenate(steps)
        out = self._step(at_rows.repeat(counts), whole)
        at = 0
        for event, row, count in zip(group, rows, counts, strict=True):
            at, seen[row] = at + count, seen[row] + count
            if count:
                outputs[row] = out[at - 1]
            block = self._blocks[row]
            scores[event.position] = wrap_output(
                self._compiled, outputs[row], seen[row], event.input_state, block, event.end
            )
            if event.end:
                self._reset(row)


def make_pool(
    compiled: CompiledModel, ids: list[Hashable], blocks: Bytes, outputs: Floats, input_state: list[Any]
) -> Pool:
    """A pool of these streams, which becomes the owner of what is given."""
    pool = Pool(compiled)
    pool._rows, pool._input_states = {id: row for row, id in enumerate(ids)}, input_state
    pool._blocks, pool._outputs = blocks, outputs
    return pool


def unpickle(compiled: CompiledModel, ids: list[Hashable], blocks: Bytes, outputs: Floats, stored: list[bytes]) -> Pool:
    """The pool that was pickled. stored: what is input_state, as states keep it."""
    kept = [compiled.source.from_bytes(one, read_step_count(block)) for one, block in zip(stored, blocks, strict=True)]
    return make_pool(compiled, ids, blocks, outputs, kept)


def parse_event(event: Any) -> tuple[Hashable, Any, bool, Any]:
    """An event's id, piece, end and time. Raises DataError."""
    if not isinstance(event, tuple | list) or not 2 <= len(event) <= 4:
        raise DataError("an event is (id, piece), (id, piece, end) or (id, piece, end, time)")
    check_hashable(event[0])
    return event[0], event[1], bool(event[2]) if len(event) > 2 else False, event[3] if len(event) > 3 else None


def check_hashable(key: Any) -> None:
    try:
        hash(key)
    except TypeError:
        raise DataError(
            f"a stream's id must be hashable, such as a str or an int; {type(key).__name__} is not"
        ) from None


def batches(events: list[Event]) -> Iterator[list[Event]]:
    """The events in order, in groups of at most MOST_STEPS steps, or of one event."""
    group: list[Event] = []
    steps = 0
    for event in events:
        if group and steps + len(event.steps) > MOST_STEPS:
            yield group
            group, steps = [], 0
        group.append(event)
        steps += len(event.steps)
    if group:
        yield group
