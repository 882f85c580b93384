"""One stream: pieces of messages or series in, scores or forecasts out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import DataError, located
from .forecast import Forecast
from .scores import Scores
from .session import Session, chunk, steps_of
from .state import State

if TYPE_CHECKING:
    from ..features.series import Frame


class Stream:
    """One conversation, sensor or device, and all that a model remembers of it. Not for two threads at once.

    Pieces may be cut anywhere, inside a word or a character; the scores are bit for bit those of the whole
    message. Input that is refused changes nothing.
    """

    __slots__ = ("_block", "_fresh", "_length", "_output", "_pending", "_session", "_spare", "_stepper")

    def __init__(self, session: Session, series: str | None = None) -> None:
        session.check_streams()
        self._session = session
        self._block = session.initial[None].copy()
        self._spare = np.empty_like(self._block)
        self._stepper: _native.Stepper | None = None
        self._output = np.zeros((1, session.outputs), np.float32)
        self._length = np.zeros(1, np.int32)
        self._pending: Any = session.source.fresh(series)
        self._fresh = self._pending

    def push(self, x: Any, end: bool = False, time: Any = None) -> Any:
        """What the model says after a piece of the message: Scores, or a Forecast of a model that forecasts.

        x: str or bytes of UTF-8; for a model of numbers one step [columns] or several [T, columns], where NaN and None
        are missing, and a plain number is a step of one column. end: the message ends here: its last word is scored
        and the state is reset. time: of each step, where the model uses a calendar: datetime, ISO 8601 text or
        datetime64, later than those before. Raises DataError for input that cannot be used.
        """
        source = self._session.source
        steps, pending = source.feed(x, self._pending, time)
        if end and source.kind == "text" and pending:
            steps, pending = np.concatenate([steps, source.flush(pending)]), b""
        frame = self._advance(steps, pending)
        self._pending = pending
        answer = self._answer(end, frame)
        if end:
            self.reset()
        return answer

    def end(self) -> Any:
        """The message's final answer, its last word included; the state is reset."""
        if self._session.source.kind == "text":
            return self.push(b"", end=True)
        answer = self._answer(True)
        self.reset()
        return answer

    @property
    def scores(self) -> Any:
        """What the last `push` gave; the same values as long as no step is completed."""
        return self._answer()

    def forecast(self, horizon: int | None = None, paths: int = 100, seed: int = 0, known: Any = None) -> Forecast:
        """The forecast after the last step. horizon: how many steps ahead, as the model was fitted if not given.

        A model whose head is autoregressive goes any number of steps ahead: `paths` possible futures are drawn from
        `seed`, each step from the model's quantiles and fed back as the next, past columns staying as they are; the
        quantiles after the first step are those of the paths. known: what is known of the steps ahead [horizon, known
        columns], the first as the last step brought it. Raises OptionError; DataError for a model that scores.
        """
        from .roll import ahead

        return ahead(self._session, self._block, self._output, self._pending, horizon, paths, seed, known)

    def reset(self) -> None:
        """Forget the message; the stream stays one of its series."""
        self._block[0], self._output[0], self._pending = self._session.initial, 0.0, self._fresh

    def fork(self) -> Stream:
        """An independent stream that has seen the same."""
        other = object.__new__(Stream)
        other._session, other._fresh, other._pending = self._session, self._fresh, self._pending
        other._block, other._output, other._length = self._block.copy(), self._output.copy(), self._length.copy()
        other._spare, other._stepper = np.empty_like(self._block), None
        return other

    @property
    def state(self) -> State:
        """A copy of all that the stream holds."""
        return self._session.state(self._block[0], self._output[0], self._pending)

    def restore(self, state: State) -> None:
        """Go on from a state of this model. Raises StateError for one of another model; nothing changes
        then.
        """
        pending = self._session.revived(state)
        self._block[0], self._output[0], self._pending = state.block, state.output, pending
        self._fresh = self._session.source.emptied(pending)

    def replay(self, events: Iterable[Any]) -> list[Any]:
        """The scores after each event, from a fresh state and without touching this one.

        events: pieces as `push` takes them, (piece, end) or (piece, end, time). Raises DataError naming the event.
        """
        other, scores = self.fork(), []
        other.reset()
        for i, event in enumerate(events):
            with located(f"event {i}"):
                scores.append(other.push(*event) if isinstance(event, tuple) else other.push(event))
        return scores

    def _answer(self, whole: bool = False, frame: Frame | None = None) -> Scores | Forecast:
        block = self._block[0]
        return self._session.answer(self._output[0], steps_of(block), self._pending, block, whole, frame)

    def _advance(self, steps: npt.NDArray[Any], pending: Any) -> Frame | None:
        """One step goes in place; several go through the run of a batch of one, whose bits are the same. Of a model
        with a window the newest one is run, and its frame comes back.
        """
        if self._session.windowed:
            return self._rewind(len(steps), pending)
        engine = self._session.engine
        if len(steps) == 1:
            if self._stepper is None:
                self._stepper = _native.Stepper(engine, self._block[0], self._output[0])
            self._stepper.step(steps[0] if steps.ndim > 1 else steps)
        elif len(steps):
            if len(steps) > np.iinfo(np.int32).max:
                raise DataError(f"{len(steps)} steps in one piece; push fewer at once")
            self._length[0] = len(steps)
            engine.run(chunk(steps), self._length, self._block, self._spare, self._output, False, 1)
            self._block, self._spare, self._stepper = self._spare, self._block, None
        return None

    def _rewind(self, count: int, pending: Any) -> Frame | None:
        """Count the steps that have come, and run the newest window from the first state."""
        session, steps = self._session, self._block[0, :8].view(np.int64)
        steps[0] += count
        if not count or not session.source.warm(int(steps[0])):
            return None
        assert session.series is not None
        rows, lengths, frame = session.series.windows([pending])
        self._output = session.afresh(rows, lengths)
        return frame
