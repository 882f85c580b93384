"""Pools: many streams of one model, stepped together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from time import monotonic
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from ..errors import DataError, OptionError, TidegateError
from ..inputs.base import new_tuple
from ..outputs.base import Answer
from .compiled_model import CompiledModel
from .events import Event, batches, check_hashable, own_rows, parse_event, plan_parts
from .pool_runs import PoolRuns
from .rows import Content
from .state import State, read_step_count
from .ticks import make_current_answer

Ids = Sequence[Hashable] | npt.NDArray[Any]


class Pool(PoolRuns):
    """Many streams of one model, by id: any hashable key. A stream is created when its id is first used.

    Each answer is bit for bit that of a separate `Stream`. A call that is refused or interrupted changes nothing: state
    blocks, answers and input states of all its streams change together at its end. If two threads change a pool at
    once, one of them gets a StateError and has changed nothing; any thread may read at any time. A copy is a fork; a
    pickle contains the model and the states.

    keep: how many streams to keep; after each call, those beyond that were used longest ago are forgotten. None: all,
    until `forget` or `forget_idle` removes them. Raises OptionError for anything but an integer above 0.
    """

    def __init__(self, compiled: CompiledModel, keep: int | None = None) -> None:
        compiled.require_streams()
        if keep is not None and (type(keep) is not int or keep < 1):
            raise OptionError(f"keep is {keep!r}; expected the number of streams to keep, at least 1")
        super().__init__(compiled, keep)

    def __len__(self) -> int:
        return len(self._current_rows())

    def __contains__(self, id: Hashable) -> bool:
        return id in self._current_rows()

    def __iter__(self) -> Iterator[Hashable]:
        return iter(list(self._current_rows()))

    def __repr__(self) -> str:
        n, keep = len(self), "" if self._keep is None else f", keep={self._keep}"
        return f"Pool({self._compiled.model!r}, {n:,} stream{'s'[: n != 1]}{keep})"

    def __copy__(self) -> Pool:
        return self.fork()

    def __deepcopy__(self, memo: Any) -> Pool:
        return self.fork()

    def __reduce__(self) -> tuple[Any, ...]:
        content, to_bytes = self._copy_rows(), self._compiled.reader.to_bytes
        return unpickle, (
            self._compiled,
            self._keep,
            content._replace(input_states=[to_bytes(state) for state in content.input_states]),
        )

    def add(self, id: Hashable, series: str | None = None) -> None:
        """Add a stream. series: its name, if the model scales each series by its own statistics.

        A stream that is created by the first use of its id has the id as its name. Raises DataError for an id that the
        pool has already.
        """
        (key,), input_state = self._keys([id]), self._compiled.reader.start(series)
        with self._lock:
            self._roll_back()
            if key in self._rows:
                raise DataError(f"the stream {id!r} is in the pool already; forget it first")
            self._commit(self._begin_rows([key], {key: input_state}))

    def step(self, ids: Ids, x: Any, times: Any = None) -> Any:
        """Advance each stream by one step, in one native call, and return their answers.

        ids: n keys; one that occurs twice is stepped twice, in order. x: float32 [n, features], raw numbers
        [n, columns] of series, or token ids int [n] or [n, ids]. times: [n], if the model uses a calendar.

        Returns outputs float32 [n, outputs], or forecasts float64 [n, horizon, targets, quantiles]; NaN for a stream
        that has no answer yet, and `scores` says why. If the model looks n steps ahead, answers are about the step n
        before; if it reads whole messages, only their `end` gives one. What a decoder decides is in `scores`, and the
        array has the numbers. If the model has several outputs, returns a dict of such arrays, by name. Forecasts of an
        autoregressive head are computed at once here, and when they are first read from `push`. Raises DataError.
        """
        keys, compiled = self._keys(ids), self._compiled
        if compiled.upper:
            raise OptionError(f"step ends no {compiled.levels[0]}, and this model has several graphs; use push")
        if compiled.driven:
            raise OptionError(f"this model writes at the end of a {compiled.levels[0]}, which no step is; use push")
        with self._lock:
            self._roll_back()
            rounds = compiled.source.push_many(x, keys, self._find_input_state, times)
            self._require_room(keys, rounds)
            rows = self._begin_rows(keys, input_states=any(one.states is not None for one in rounds))
            if len(rounds) == 1 and rounds[0].states is None:  # plain steps: each has an answer
                out = self._step(rows, rounds[0].rows)
                answers = compiled.convert(lambda output: output.convert(out))
            else:
                answers = compiled.convert(lambda output: np.full((len(keys), *output.shape), np.nan, output.dtype))
                for one in rounds:
                    self._apply_round(one, rows[one.positions], answers)
            self._commit(rows)
            return answers

    @overload
    def push(self, events: Iterable[Any], per_step: Literal[False] = False) -> list[Answer]: ...

    @overload
    def push(self, events: Iterable[Any], per_step: Literal[True]) -> list[list[Answer]]: ...

    def push(self, events: Iterable[Any], per_step: bool = False) -> list[Answer] | list[list[Answer]]:
        """Push events and return the answer after each, as a `Stream` of its id would.

        events: (id, piece), (id, piece, end), (id, piece, end, time) or (id, piece, end, time, sides), as `Stream.push`
        takes them; any number per id, in order. per_step: return a list for each event, with the answer after each step
        that it completes.

        All events are applied, or none. Raises DataError naming the event that is refused; StateError while another
        thread changes the pool.
        """
        try:
            events = iter(events)
        except TypeError:
            raise DataError(f"events are a list of (id, piece); {type(events).__name__} was given") from None
        with self._lock:
            self._roll_back()
            return self._push(events, per_step)

    @overload
    def push_one(
        self,
        id: Hashable,
        x: Any,
        end: bool | str = False,
        time: Any = None,
        per_step: Literal[False] = False,
        sides: Any = None,
    ) -> Answer: ...

    @overload
    def push_one(
        self,
        id: Hashable,
        x: Any,
        end: bool | str = False,
        time: Any = None,
        *,
        per_step: Literal[True],
        sides: Any = None,
    ) -> list[Answer]: ...

    def push_one(
        self,
        id: Hashable,
        x: Any,
        end: bool | str = False,
        time: Any = None,
        per_step: bool = False,
        sides: Any = None,
    ) -> Answer | list[Answer]:
        """Push a piece into one stream, as `Stream.push` does, and return the answer after it."""
        check_hashable(id)
        with self._lock:
            self._roll_back()
            (found,) = self._push([(id, x, end, time, sides)], per_step, is_alone=True)
            answer: Answer | list[Answer] = found
            return answer

    def scores(self, id: Hashable) -> Answer:
        """Return the latest answer of a stream, with a reason if it has no values yet."""
        (key,) = self._keys([id])
        block, values, input_state = self._read_row(key, bool(self._compiled.upper))
        return make_current_answer(self._compiled, block, values, input_state)

    @overload
    def end(
        self, id: Hashable, per_step: Literal[False] = False, level: bool | str = True, sides: Any = None
    ) -> Answer: ...

    @overload
    def end(
        self, id: Hashable, per_step: Literal[True], level: bool | str = True, sides: Any = None
    ) -> list[Answer]: ...

    def end(
        self, id: Hashable, per_step: bool = False, level: bool | str = True, sides: Any = None
    ) -> Answer | list[Answer]:
        """End a stream's message: return the final answer, with its last word, and reset the state.

        per_step: return a list instead, with the answer after the last word if the end completes one. level, sides: as
        in `Stream.end`. The stream stays in the pool; `forget` removes it. Raises DataError for an id that the pool
        does not have.
        """
        compiled = self._compiled
        with self._lock:
            self._roll_back()
            row, ended = self._find_row(id), max(1, compiled.count_ended(level))
            state = compiled.take_sides(self._input_states[row], sides)
            steps, state = compiled.reader.finish(state)
            plan = compiled.plan(state, self._read_counts(id), steps.number, ended)
            rows, answers = self._begin_rows([id]), list[tuple[int, Answer]]()
            is_silent = per_step and not steps.number
            self._apply([Event(0, id, steps, state, True, is_silent, per_step, plan)], answers)
            if plan is not None:
                self._input_states[row] = plan.state
            found = [answer for _, answer in answers]
            self._commit(rows)
            return found if per_step else found[0]

    def reset(self, id: Hashable) -> None:
        """Forget a stream's message and all levels above. Raises DataError for an id that the pool does not have."""
        with self._lock:
            self._roll_back()
            row = self._find_row(id)
            rows = self._begin_rows([id])
            self._reset(row)
            self._commit(rows)

    def forget(self, id: Hashable) -> None:
        """Remove a stream; its memory is used again for new ones. Raises DataError for an id that is not there."""
        with self._lock:
            self._roll_back()
            self._forget({id: self._find_row(id)})

    drop = forget  # its older name

    def forget_idle(self, seconds: float) -> list[Hashable]:
        """Remove all streams that have not been used for so many seconds, and return their ids.

        A stream is used whenever a call changes it. Raises OptionError for anything but a number from 0 on.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise OptionError(f"seconds is {seconds!r}; expected a number from 0 on")
        with self._lock:
            self._roll_back()
            before = monotonic() - seconds
            gone = {id: row for id, row in self._rows.items() if self._last_time[row] <= before}
            self._forget(gone)
            return list(gone)

    def state(self, id: Hashable) -> State:
        """Return a copy of all that a stream remembers."""
        return self._compiled.make_state(*self._read_row(self._keys([id])[0]))

    def restore(self, id: Hashable, state: State) -> None:
        """Continue a stream from a state of this model. Raises StateError, changing nothing, for a state of another."""
        input_state = self._compiled.read_input_state(state)
        keys = self._keys([id])
        with self._lock:
            self._roll_back()
            rows = self._begin_rows(keys, {keys[0]: input_state})
            (row,) = rows.tolist()
            self._restore_block(row, state)
            self._outputs[row], self._input_states[row] = state.output, input_state
            self._commit(rows)

    def fork(self) -> Pool:
        """Return an independent pool whose streams have the same history."""
        return make_pool(self._compiled, self._keep, self._copy_rows())

    def _keys(self, ids: Ids) -> list[Hashable]:
        keys: list[Hashable] = ids.tolist() if isinstance(ids, np.ndarray) else list(ids)
        try:
            dict.fromkeys(keys)
        except TypeError:
            for key in keys:
                check_hashable(key)
        return keys

    def _find_row(self, id: Hashable) -> int:
        check_hashable(id)
        if id not in self._rows:
            raise DataError(f"no stream {id!r} in the pool; it has {len(self)}")
        return self._rows[id]

    def _forget(self, gone: dict[Hashable, int]) -> None:
        """Remove streams, as a change of its own. gone: their rows by id."""
        self._begin({}, np.empty(0, np.int64), False)
        self._remove(gone)
        self._mark = object()
        self._clear(gone)

    # ---- events

    def _push(self, events: Iterable[Any], per_step: bool, is_alone: bool = False) -> list[Any]:
        """Push events with the lock held; return an answer for each, or if per_step a list of answers."""
        rounds, input_states, count = self._plan(events, per_step, is_alone)
        rows = self._begin_rows(list(input_states))
        answers: list[tuple[int, Answer]] = []
        for events_of_round in rounds:
            for batch in batches(events_of_round):
                self._apply(batch, answers)
        for row, input_state in zip(rows.tolist(), input_states.values(), strict=True):
            self._input_states[row] = input_state
        found: list[Any] = [[] for _ in range(count)] if per_step else [None] * count
        for position, answer in answers:
            if per_step:
                found[position].append(answer)
            else:
                found[position] = answer
        self._commit(rows)
        return found

    def _plan(
        self, events: Iterable[Any], per_step: bool, is_alone: bool
    ) -> tuple[list[list[Event]], dict[Hashable, Any], int]:
        """Read events and put them in rounds; return the rounds, the input states after all, and how many there are.

        A round has at most one message of a stream, and one event or step of it if an output feeds back or is
        remembered, because each of its answers needs a state block of its own. is_alone: there is one event, which
        errors need not name.
        """
        compiled, source = self._compiled, self._compiled.reader
        is_alone_in_round = compiled.feeds_back or bool(compiled.decodings) or compiled.look_ahead > 0
        counts_matter = compiled.kept is not None or bool(compiled.upper) or bool(compiled.memories)
        rounds: list[list[Event]] = []
        input_states: dict[Hashable, Any] = {}
        counts: dict[Hashable, list[int]] = {}  # of the steps of each graph, where they matter
        next_round: dict[Hashable, int] = {}
        position = -1
        try:
            for position, event in enumerate(events):
                id, x, end, time, sides = parse_event(event)
                state = input_states[id] if id in input_states else self._find_input_state(id)
                ended = 1 if end is True else compiled.count_ended(end) if end else 0
                if sides is not None:
                    state = compiled.take_sides(state, sides)
                if per_step and compiled.kept is None:
                    parts, after = self._read_each(position, id, x, state, end, time)
                else:
                    steps, after = source.push(x, state, time, end)
                    parts = (new_tuple(Event, (position, id, own_rows(steps, x), after, end, False, per_step, None)),)
                if counts_matter:
                    before = counts[id] if id in counts else self._read_counts(id)
                    parts, counts[id], after = plan_parts(compiled, parts, before, after, ended)
                else:
                    after = source.reset(after) if ended else after
                input_states[id] = after
                for part in parts:
                    number = next_round.get(id, 0)
                    if number == len(rounds):
                        rounds.append([])
                    rounds[number].append(part)
                    if part.end or is_alone_in_round:
                        next_round[id] = number + 1
        except TidegateError as error:
            if is_alone:
                raise
            raise type(error)(f"event {position}: {error}; none of the events was applied") from error
        return rounds, input_states, position + 1

    def _read_each(
        self, position: int, id: Hashable, x: Any, state: Any, end: bool, time: Any
    ) -> tuple[Sequence[Event], Any]:
        """Return the steps that an event completes as events of their own, and the input state after all.

        Without a step, a silent event stands for the end of the message.
        """
        source: Any = self._compiled.reader
        pieces, after = source.push_each(x, state, time, end)
        if not pieces:
            steps, empty = source.finish(source.reset(after))
            return [Event(position, id, steps, empty, end, True, True)], after
        last = len(pieces) - 1
        parts = [
            Event(position, id, own_rows(one, x), own, end and k == last, False, True)
            for k, (one, own) in enumerate(pieces)
        ]
        return parts, after


def make_pool(compiled: CompiledModel, keep: int | None, content: Content) -> Pool:
    """Make a pool of these streams. It takes over the arrays and the list."""
    pool = Pool(compiled, keep)
    pool._fill(content)
    return pool


def unpickle(compiled: CompiledModel, keep: int | None, content: Content) -> Pool:
    """Make a pool from a pickle, whose input states are bytes. The times of use begin anew."""
    pairs = zip(content.input_states, content.blocks, strict=True)
    states = [compiled.reader.from_bytes(data, read_step_count(block)) for data, block in pairs]
    times = np.full(len(states), monotonic())
    return make_pool(compiled, keep, content._replace(input_states=states, times=times))
