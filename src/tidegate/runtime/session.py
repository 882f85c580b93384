"""What streams and pools of one model share: the engine, the input and the state's first value. Never
changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import OptionError, StateError
from ..model import Model
from .inputs import Ids, Numbers, Text
from .scores import Scores
from .stages import Staged
from .state import State, initial

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


class Session:
    """A model ready to stream.

    runner: runs whole inputs. engine: goes step by step; the runner itself, of a model that streams, and otherwise
    not there. initial: uint8 [state_bytes], the state before a message's first step.
    """

    __slots__ = ("engine", "initial", "labels", "model", "outputs", "runner", "schema", "source", "threads")
    engine: _native.Engine

    def __init__(
        self, model: Model, runner: _native.Engine | Staged, source: Text | Ids | Numbers, threads: int
    ) -> None:
        self.model, self.runner, self.source, self.threads = model, runner, source, threads
        if isinstance(runner, _native.Engine):
            self.engine = runner
        self.labels, self.schema, self.outputs = model.labels, model.state_schema, int(runner.outputs)
        self.initial = initial(self.schema, model.state_bytes)

    def check_streams(self) -> None:
        """Raises OptionError, in the file's own sentence, when the model cannot stream."""
        yes, because = self.model.streams
        if not yes:
            raise OptionError(f"streams: no, because {because}; predict takes whole inputs")

    def scores(self, output: Floats, steps: int, whole: bool = False) -> Scores:
        """The scores after `steps` steps; whole: the message has ended."""
        if steps:
            return Scores(output.copy(), self.labels)
        return Scores(None, self.labels, f"the message has {self.source.nothing}" if whole else self.source.reason)

    def state(self, block: Bytes, output: Floats, pending: bytes) -> State:
        """A copy of what a stream holds, as a value."""
        model = self.model
        return State(block.copy(), self.schema, output.copy(), pending, model.schema_hash, model.weights_hash)

    def check_state(self, state: State) -> None:
        """Raises StateError unless the state is of this model."""
        if not isinstance(state, State):
            raise StateError(f"a State is expected; {type(state).__name__} was given; State.from_bytes reads bytes")
        if state.schema_hash != self.model.schema_hash:
            raise StateError("the state has another shape: it was made by a model with other layers")
        if state.weights_hash != self.model.weights_hash:
            raise StateError("the state was made by other weights: restore it into the model that made it")
        if state.block.nbytes != len(self.initial) or len(state.output) != self.outputs:
            raise StateError("the state has another shape: its block or output is of another size")
        if state.schema != self.schema:
            raise StateError("the state has another shape: its arrays are not those that its schema_hash stands for")
        self.source.check_pending(state.pending)


def steps_of(block: Bytes) -> int:
    """How many steps a state block has seen."""
    return int(block[:8].view(np.int64)[0])


def chunk(steps: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Steps [T, ...] of one stream as the engine takes them: [T, 1, ...]."""
    return np.ascontiguousarray(steps[:, None])
