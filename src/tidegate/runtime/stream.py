"""Streams: push pieces of messages or steps of series, get answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, overload

import numpy as np

from ..errors import DataError, StateError, error_context
from ..outputs.base import Answer
from .answers import make_answer, make_step_answers
from .compiled_model import Bytes, CompiledModel, Floats
from .ends import make_end_answer, make_end_answers, run_ends
from .level_input import LevelState
from .state import State, read_step_count
from .ticks import Reading, make_current_answer, push_levels

if TYPE_CHECKING:
    from ..outputs.forecast import Forecast

BUSY: Final = (
    "this stream is being pushed by another thread; give each thread its own stream, or hold a lock around push"
)

OPTIONS: Final = ("end", "time", "sides")  # what an event can have behind its piece

# All that a stream remembers: its block [state_bytes], last values [width], input state, and its successor. Nothing in
# a snapshot is ever written to but the successor, an empty dict until `setdefault` puts the next snapshot there for
# good. It is atomic: no signal and no other thread can interrupt it, so that one of two changes of a snapshot wins.
Snapshot = tuple[Bytes, Floats, Any, dict[None, Any]]


class Stream:
    """One conversation, sensor or device, and all that a model remembers of it.

    Pieces may be cut anywhere, even inside a word or a character; the scores are bit for bit those of the whole
    message. Input that is refused changes nothing, and neither does a push that is interrupted: state block, answer and
    input state change together at its end. If two threads change a stream at once, one of them gets a StateError and
    has changed nothing; any thread may read at any time. A copy is a fork; a pickle contains the model and the state.
    """

    __slots__ = ("_compiled", "_snapshot")

    def __init__(self, compiled: CompiledModel, series: str | None = None) -> None:
        compiled.require_streams()
        self._compiled = compiled
        self._snapshot = first_snapshot(compiled, compiled.reader.start(series))

    @overload
    def push(
        self, x: Any, end: bool | str = False, time: Any = None, per_step: Literal[False] = False, sides: Any = None
    ) -> Answer: ...

    @overload
    def push(
        self, x: Any, end: bool | str = False, time: Any = None, *, per_step: Literal[True], sides: Any = None
    ) -> list[Answer]: ...

    def push(
        self, x: Any, end: Any = False, time: Any = None, per_step: bool = False, sides: Any = None
    ) -> Answer | list[Answer]:
        """Push a piece of the message and return the answer after it: Scores, a Forecast or Tags, as the model's output
        is, or Answers if it has several.

        x: str, or bytes of UTF-8; for a model of numbers one step [columns] or several [T, columns], in which NaN and
        None are missing numbers; a single number is a step of one column. end: whether the message ends here: then its
        last word is scored, and the state is reset. time: of each step, if the model uses a calendar: datetime,
        ISO 8601 text or datetime64, later than those before. per_step: return a list with the answer after each step
        that the piece completes.

        If the model looks n steps ahead, the answer after a step is about the step n before it, whose number is its
        `step`, and the first n steps have none; at the end, the answers about the last steps follow. If a decoder needs
        later steps to decide, an answer is about the latest step that is decided, and with per_step there is one about
        each step that the piece decides: none, one or several for each of its own steps. If it reads whole messages,
        there is no answer before the end; then it is that of the whole message, as `Predictor.answers` gives it, and
        with per_step the list has an answer about each step of the message.

        If the model has several graphs, such as messages in a conversation, `end` can also be the name of a level, such
        as "conversation", which ends it and those below. sides: side inputs by name, such as {"speaker": "ann"}, with
        any piece of the message that they belong to. The answer about the conversation is a preview until the message
        ends, and without a side input, or a word, there is none.

        Raises DataError for input that cannot be used; StateError if another thread has changed the stream meanwhile.
        """
        snapshot, compiled = self._snapshot, self._compiled
        if snapshot[3]:
            snapshot = self._newest()
        try:
            if per_step or sides is not None or compiled.upper:
                return self._push_otherwise(snapshot, x, end, time, per_step, sides)
            block, values, state, successor = snapshot
            if end:
                compiled.count_ended(end)  # refuses a word that is no level
            steps, state = compiled.source.push(x, state, time, end)
            block, values, scaling = compiled.advance(block, values, steps, state)
            if end and compiled.ends_late:
                answer = make_end_answer(compiled, block, values, run_ends(compiled, block[None])[0], state)
            else:
                answer = make_answer(compiled, values, read_step_count(block), state, block, end, scaling)
            after = reset_snapshot(compiled, state) if end else (block, values, state, {})
            if successor.setdefault(None, after) is not after:  # as in `_replace`, without its call
                raise StateError(BUSY)
            self._snapshot = after
            return answer
        except BaseException:
            after, successor = None, {}
            del snapshot  # else a stored traceback would keep all later snapshots alive
            raise

    def _push_otherwise(
        self, snapshot: Snapshot, x: Any, end: Any, time: Any, per_step: bool, sides: Any
    ) -> Answer | list[Answer]:
        """Do `push` with per_step=True, with side inputs, or of a model with several graphs."""
        compiled = self._compiled
        try:
            state, ended = compiled.take_sides(snapshot[2], sides), compiled.count_ended(end)
            if not compiled.upper:
                return self._push_each(snapshot, x, ended > 0, time) if per_step else self.push(x, end, time)
            if per_step and compiled.kept is None:
                parts, state = compiled.reader.push_each(x, state, time, ended > 0)
            else:
                steps, state = compiled.reader.push(x, state, time, ended > 0)
                parts = [(steps, state)]
            answers = self._push_levels(snapshot, Reading(parts, state, ended), per_step)
            return answers if per_step else answers[0]
        except BaseException:
            del snapshot
            raise

    def _push_levels(self, snapshot: Snapshot, reading: Reading, per_step: bool) -> list[Answer]:
        """Push what was read into the graphs of a model that has several."""
        try:
            pushed = push_levels(self._compiled, snapshot[0], snapshot[1], reading, per_step)
            self._replace(snapshot, (pushed.block, pushed.values, pushed.state, {}))
            return pushed.answers
        except BaseException:
            del snapshot
            raise

    def _push_each(self, snapshot: Snapshot, x: Any, end: bool, time: Any) -> list[Answer]:
        """Do `push` with per_step=True for a model with one graph."""
        compiled, answers = self._compiled, []
        block, values, _, _ = snapshot
        try:
            if compiled.kept is None:
                pieces, after = compiled.source.push_each(x, snapshot[2], time, end)
            else:  # none of them has an answer yet
                steps, after = compiled.source.push(x, snapshot[2], time, end)
                pieces = [(steps, after)]
            for steps, state in pieces:
                block, values, scaling = compiled.advance(block, values, steps, state)
                if not steps.number and compiled.late_decoding is not None:
                    continue
                count = read_step_count(block)
                answers += make_step_answers(compiled, values, count, state, block, end, scaling, compiled.delay)
            if end and compiled.ends_late:
                answers += make_end_answers(compiled, block, values, run_ends(compiled, block[None])[0], after)
            self._replace(snapshot, reset_snapshot(compiled, after) if end else (block, values, after, {}))
            return answers
        except BaseException:
            del snapshot
            raise

    def end(self, level: bool | str = True, sides: Any = None) -> Answer:
        """End the message: return the final answer, with its last word, and reset the state.

        level: of a model with several graphs, the name of the level that ends, as `end` of `push`. sides: see `push`.
        """
        snapshot, compiled = self._newest(), self._compiled
        try:
            ended = max(1, compiled.count_ended(level))
            if compiled.upper or sides is not None:
                steps, state = compiled.reader.finish(compiled.take_sides(snapshot[2], sides))
                return self._push_levels(snapshot, Reading([(steps, state)], state, ended), False)[0]
            steps, state = compiled.source.finish(snapshot[2])
            block, values, scaling = compiled.advance(snapshot[0], snapshot[1], steps, state)
            if compiled.ends_late:
                answer = make_end_answer(compiled, block, values, run_ends(compiled, block[None])[0], state)
            else:
                answer = make_answer(compiled, values, read_step_count(block), state, block, True, scaling)
            self._replace(snapshot, reset_snapshot(compiled, state))
            return answer
        except BaseException:
            del snapshot
            raise

    @property
    def steps(self) -> int:
        """How many steps the message has had."""
        return read_step_count(self._newest()[0])

    @property
    def scores(self) -> Answer:
        """The answer of the last `push`. It stays the same until a step is completed."""
        block, values, state, _ = self._newest()
        return make_current_answer(self._compiled, block, values, state)

    def forecast(self, horizon: int | None = None, paths: int = 100, seed: int = 0, known: Any = None) -> Forecast:
        """Forecast the steps after the last one. horizon: how many steps ahead; by default as the model was fitted.

        A model with an autoregressive head forecasts any number of steps: it samples `paths` possible futures with
        `seed`, each step from the model's quantiles, and feeds each step back, with past columns unchanged; after the
        first step, the quantiles are those of the paths. known: the known columns of the steps ahead [horizon, known
        columns], the first row as the last step had it. Raises OptionError; DataError for known values that do not fit.
        """
        from .rollout import forecast_stream

        block, values, state, _ = self._newest()
        state = state.first if isinstance(state, LevelState) else state
        return forecast_stream(self._compiled, block[None], values[None], state, horizon, paths, seed, known)

    def reset(self) -> None:
        """Forget the message, and all levels above it. The stream keeps the name of its series."""
        snapshot = self._newest()
        self._replace(snapshot, reset_snapshot(self._compiled, snapshot[2]))

    def fork(self) -> Stream:
        """Return an independent stream with the same history."""
        other = object.__new__(Stream)
        other._compiled, other._snapshot = self._compiled, (*self._newest()[:3], {})
        return other

    def __copy__(self) -> Stream:
        return self.fork()

    def __deepcopy__(self, memo: Any) -> Stream:
        return self.fork()

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickle, (self._compiled, self.state)

    @property
    def state(self) -> State:
        """A copy of all that the stream remembers."""
        return self._compiled.make_state(*self._newest()[:3])

    def restore(self, state: State) -> None:
        """Continue from a state of this model. Raises StateError, changing nothing, for a state of another model."""
        self._replace(self._newest(), restore_snapshot(self._compiled, state))

    def replay(self, events: Iterable[Any]) -> list[Answer]:
        """Push events from an initial state and return the answer after each, without changing this stream.

        events: pieces as `push` takes them, or tuples (piece, end), (piece, end, time) or (piece, end, time, sides).
        Raises DataError naming the event.
        """
        other, answers = self.fork(), list[Answer]()
        other.reset()
        for i, event in enumerate(events):
            with error_context(f"event {i}"):
                piece, *others = event if isinstance(event, tuple) else (event,)
                if len(others) > len(OPTIONS):
                    raise DataError(f"an event has {len(others) + 1} parts; expected a piece and {', '.join(OPTIONS)}")
                options: dict[str, Any] = dict(zip(OPTIONS, others, strict=False))
                answers.append(other.push(piece, **options))
        return answers

    def _newest(self) -> Snapshot:
        """Return the newest snapshot."""
        snapshot = self._snapshot
        while snapshot[3]:  # its thread has not reached the end of `_replace`, or was interrupted there
            snapshot = snapshot[3][None]
        return snapshot

    def _replace(self, snapshot: Snapshot, after: Snapshot) -> None:
        """Replace a snapshot. Raises StateError if it is not the newest any more."""
        try:
            if snapshot[3].setdefault(None, after) is not after:
                raise StateError(BUSY)
            self._snapshot = after
        except BaseException:
            del snapshot, after
            raise

    def __repr__(self) -> str:
        return f"Stream({self._compiled.model!r}, {count_steps(self.steps)}, {self.scores!r})"


def count_steps(steps: int) -> str:
    """Return "1 step", "2 steps" and so on."""
    return f"{steps:,} step{'s'[: steps != 1]}"


def first_snapshot(compiled: CompiledModel, input_state: Any) -> Snapshot:
    """Return the snapshot of a stream before its first step."""
    return compiled.initial, np.zeros(compiled.width, np.float32), input_state, {}


def reset_snapshot(compiled: CompiledModel, input_state: Any) -> Snapshot:
    """Return the snapshot of a stream that has forgotten all levels. It keeps the name of its series."""
    return first_snapshot(compiled, compiled.reader.reset(input_state))


def restore_snapshot(compiled: CompiledModel, state: State) -> Snapshot:
    """Return the snapshot of a stream that continues from a state. Raises StateError for a state of another model."""
    input_state = compiled.read_input_state(state)
    return state.block.copy(), state.output.copy(), input_state, {}


def unpickle(compiled: CompiledModel, state: State) -> Stream:
    """Make a stream from a pickle."""
    stream = object.__new__(Stream)
    stream._compiled, stream._snapshot = compiled, restore_snapshot(compiled, state)
    return stream
