"""One stream: pieces of messages or series in, scores or forecasts out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, StateError, error_context
from .compiled_model import Bytes, CompiledModel, Floats, as_batch, read_step_count
from .forecast import Forecast
from .output import wrap_output
from .scores import Scores
from .state import State

if TYPE_CHECKING:
    from ..features.series import Scaling

MOST_STEPS: Final = (1 << 31) - 1  # of one native run
BUSY: Final = (
    "this stream is being pushed by another thread; give each thread its own stream, or hold a lock around push"
)

# All that a stream remembers: its block [state_bytes], its output [outputs], what the input keeps, and what came after.
# Nothing of it is written to once it is there. What came after is empty, then holds the next one for ever, put there by
# `setdefault`: one call that no signal and no other thread can come into, so that of two changes of a `Held` one wins.
Snapshot = tuple[Bytes, Floats, Any, dict[None, Any]]


class Stream:
    """One conversation, sensor or device, and all that a model remembers of it.

    Pieces may be cut anywhere, inside a word or a character; the scores are bit for bit those of the whole
    message. Input that is refused changes nothing, and neither does a push that is interrupted: block, answer and
    what the input keeps change together at its end. Of two threads that change a stream at once, one gets a
    StateError and has changed nothing; threads may read at any time. A copy is a fork; a pickle holds the model and the
    state.
    """

    __slots__ = ("_compiled", "_snapshot")

    def __init__(self, compiled: CompiledModel, series: str | None = None) -> None:
        compiled.require_streams()
        self._compiled = compiled
        self._snapshot = first_snapshot(compiled, compiled.source.init(series))

    def push(self, x: Any, end: bool = False, time: Any = None) -> Any:
        """What the model says after a piece of the message: Scores, or a Forecast of a model that forecasts.

        x: str or bytes of UTF-8; for a model of numbers one step [columns] or several [T, columns], where NaN and None
        are missing, and a plain number is a step of one column. end: the message ends here: its last word is scored
        and the state is reset. time: of each step, where the model uses a calendar: datetime, ISO 8601 text or
        datetime64, later than those before. Raises DataError for input that cannot be used; StateError when another
        thread has changed the stream meanwhile.
        """
        held, compiled = self._snapshot, self._compiled
        if held[3]:
            held = self._newest()
        source = compiled.source
        try:
            steps, input_state = source.feed(x, held[2], time)
            if end and source.kind == "text" and input_state:
                steps, input_state = np.concatenate([steps, source.flush(input_state)]), b""
            block, output, scaling = self._advance(held[0], held[1], steps, input_state)
            answer = wrap_output(compiled, output, read_step_count(block), input_state, block, end, scaling)
            self._replace(held, reset_snapshot(compiled, input_state) if end else (block, output, input_state, {}))
            return answer
        except BaseException:
            del held  # a traceback that is kept would keep all that comes after it
            raise

    def end(self) -> Any:
        """The message's final answer, its last word included; the state is reset."""
        if self._compiled.source.kind == "text":
            return self.push(b"", end=True)
        held = self._newest()
        try:
            answer = self._wrap(held, True)
            self._replace(held, reset_snapshot(self._compiled, held[2]))
            return answer
        except BaseException:
            del held
            raise

    @property
    def steps(self) -> int:
        """How many steps the message has seen."""
        return read_step_count(self._newest()[0])

    @property
    def scores(self) -> Any:
        """What the last `push` gave; the same values as long as no step is completed."""
        return self._wrap(self._newest())

    def forecast(self, horizon: int | None = None, paths: int = 100, seed: int = 0, known: Any = None) -> Forecast:
        """The forecast after the last step. horizon: how many steps ahead, as the model was fitted if not given.

        A model whose head is autoregressive goes any number of steps ahead: `paths` possible futures are drawn from
        `seed`, each step from the model's quantiles and fed back as the next, past columns staying as they are; the
        quantiles after the first step are those of the paths. known: what is known of the steps ahead [horizon, known
        columns], the first as the last step brought it. Raises OptionError; DataError for a model that scores.
        """
        from .rollout import forecast_stream

        block, output, input_state, _ = self._newest()
        return forecast_stream(self._compiled, block[None], output[None], input_state, horizon, paths, seed, known)

    def reset(self) -> None:
        """Forget the message; the stream stays one of its series."""
        held = self._newest()
        self._replace(held, reset_snapshot(self._compiled, held[2]))

    def fork(self) -> Stream:
        """An independent stream that has seen the same."""
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
        """A copy of all that the stream holds."""
        return self._compiled.state(*self._newest()[:3])

    def restore(self, state: State) -> None:
        """Go on from a state of this model. Raises StateError for one of another model; nothing changes
        then.
        """
        self._replace(self._newest(), restore_snapshot(self._compiled, state))

    def replay(self, events: Iterable[Any]) -> list[Any]:
        """The scores after each event, from a fresh state and without touching this one.

        events: pieces as `push` takes them, (piece, end) or (piece, end, time). Raises DataError naming the event.
        """
        other, scores = self.fork(), []
        other.reset()
        for i, event in enumerate(events):
            with error_context(f"event {i}"):
                scores.append(other.push(*event) if isinstance(event, tuple) else other.push(event))
        return scores

    def _newest(self) -> Snapshot:
        held = self._snapshot
        while held[3]:  # the thread that made it has not got to the end of `_change`, or was interrupted there
            held = held[3][None]
        return held

    def _replace(self, held: Snapshot, after: Snapshot) -> None:
        """Raises StateError when `held` is not the newest any more."""
        try:
            if held[3].setdefault(None, after) is not after:
                raise StateError(BUSY)
            self._snapshot = after
        except BaseException:
            del held, after
            raise

    def _wrap(self, held: Snapshot, whole: bool = False) -> Scores | Forecast:
        block, output, input_state, _ = held
        return wrap_output(self._compiled, output, read_step_count(block), input_state, block, whole)

    def _advance(
        self, block: Bytes, output: Floats, steps: npt.NDArray[Any], input_state: Any
    ) -> tuple[Bytes, Floats, Scaling | None]:
        """Block and output after these steps. One step is stepped; several go through the run of a batch of one, whose
        bits are the same. Of a model with a window the newest one is run from the first state, and its scaling comes
        back.
        """
        compiled, count, before = self._compiled, len(steps), block
        if not count:
            return block, output, None
        block = block.copy()
        if compiled.windowed:
            assert compiled.series is not None
            block[:8].view(np.int64)[0] += count
            if not compiled.source.is_ready(read_step_count(block)):
                return block, output, None
            rows, lengths, scaling = compiled.series.make_windows([input_state])
            return block, compiled.run_windows(rows, lengths)[0], scaling
        output = output.copy()  # faster than an empty one
        if count == 1:
            compiled.engine.step(steps[0] if steps.ndim > 1 else steps, block, output)
            return block, output, None
        if count > MOST_STEPS:
            raise DataError(f"{count} steps in one piece; push fewer at once")
        compiled.engine.run(
            as_batch(steps), np.array([count], np.int32), before[None], block[None], output[None], False, 1
        )
        return block, output, None


def first_snapshot(compiled: CompiledModel, input_state: Any) -> Snapshot:
    """What a stream remembers before its first step."""
    return compiled.initial, np.zeros(compiled.outputs, np.float32), input_state, {}


def reset_snapshot(compiled: CompiledModel, input_state: Any) -> Snapshot:
    """What a stream remembers that has forgotten its message; it stays one of its series."""
    return first_snapshot(compiled, compiled.source.reset(input_state))


def restore_snapshot(compiled: CompiledModel, state: State) -> Snapshot:
    """What a stream remembers that goes on from a state. Raises StateError for a state of another model."""
    input_state = compiled.read_input_state(state)
    return state.block.copy(), state.output.copy(), input_state, {}


def unpickle(compiled: CompiledModel, state: State) -> Stream:
    """The stream that was pickled."""
    stream = object.__new__(Stream)
    stream._compiled, stream._snapshot = compiled, restore_snapshot(compiled, state)
    return stream
