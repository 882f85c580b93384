"""One stream: pieces of messages in, scores out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import DataError, located
from .scores import Scores
from .session import Session, chunk, steps_of
from .state import State


class Stream:
    """One conversation, sensor or device, and all that a model remembers of it. Not for two threads at once.

    Pieces may be cut anywhere, inside a word or a character; the scores are bit for bit those of the whole
    message. Input that is refused changes nothing.
    """

    __slots__ = ("_block", "_length", "_output", "_pending", "_session", "_spare")

    def __init__(self, session: Session) -> None:
        session.check_streams()
        self._session = session
        self._block = session.initial[None].copy()
        self._spare = np.empty_like(self._block)
        self._output = np.zeros((1, session.outputs), np.float32)
        self._length = np.zeros(1, np.int32)
        self._pending = b""

    def push(self, x: Any, end: bool = False) -> Scores:
        """The scores after a piece of the message.

        x: str or bytes of UTF-8; for an array model one step [features] or several [T, features]. end: the
        message ends here: its last word is scored and the state is reset. Raises DataError for input that
        cannot be used.
        """
        steps, pending = self._session.source.feed(x, self._pending)
        if end and pending:
            steps, pending = np.concatenate([steps, self._session.source.flush(pending)]), b""
        self._advance(steps)
        self._pending = pending
        scores = self._session.scores(self._output[0], steps_of(self._block[0]), end)
        if end:
            self.reset()
        return scores

    def end(self) -> Scores:
        """The message's final scores, its last word included; the state is reset."""
        if self._session.source.kind == "text":
            return self.push(b"", end=True)
        scores = self.scores
        self.reset()
        return scores

    @property
    def scores(self) -> Scores:
        """What the last `push` gave; the same values as long as no word is completed."""
        return self._session.scores(self._output[0], steps_of(self._block[0]))

    def reset(self) -> None:
        """Forget the message."""
        self._block[0], self._output[0], self._pending = self._session.initial, 0.0, b""

    def fork(self) -> Stream:
        """An independent stream that has seen the same."""
        other = Stream(self._session)
        other._block[:], other._output[:], other._pending = self._block, self._output, self._pending
        return other

    @property
    def state(self) -> State:
        """A copy of all that the stream holds."""
        return self._session.state(self._block[0], self._output[0], self._pending)

    def restore(self, state: State) -> None:
        """Go on from a state of this model. Raises StateError for one of another model; nothing changes
        then.
        """
        self._session.check_state(state)
        self._block[0], self._output[0], self._pending = state.block, state.output, state.pending

    def replay(self, events: Iterable[Any]) -> list[Scores]:
        """The scores after each event, from a fresh state and without touching this one.

        events: pieces as `push` takes them, or (piece, end). Raises DataError naming the event.
        """
        other, scores = Stream(self._session), []
        for i, event in enumerate(events):
            x, end = event if isinstance(event, tuple) else (event, False)
            with located(f"event {i}"):
                scores.append(other.push(x, end))
        return scores

    def _advance(self, steps: Any) -> None:
        """One step goes in place; several go through the run of a batch of one, whose bits are the same."""
        engine = self._session.engine
        if len(steps) == 1:
            engine.step(steps[0] if steps.ndim > 1 else steps, self._block[0], self._output[0])
        elif len(steps):
            if len(steps) > np.iinfo(np.int32).max:
                raise DataError(f"{len(steps)} steps in one piece; push fewer at once")
            self._length[0] = len(steps)
            engine.run(chunk(steps), self._length, self._block, self._spare, self._output, False, 1)
            self._block, self._spare = self._spare, self._block
