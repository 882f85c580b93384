"""What streams and pools of one model share: the engine, the input and the state's first value. Never
changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import OptionError, StateError
from ..model import Model
from .forecast import Forecast, ordered
from .inputs import Input
from .scores import Scores
from .stages import Staged
from .state import State, initial

if TYPE_CHECKING:
    from ..features.series import Frame
    from .series import Series

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
WINDOW_NUMBERS: Final = 1 << 21  # of the windows that run together


class Session:
    """A model ready to stream.

    runner: runs whole inputs. engine: goes step by step; the runner itself, of a model that streams, and otherwise
    not there. initial: uint8 [state_bytes], the state before a message's first step. series: the source, of a model of
    series. windowed: each answer is a run afresh over a window, and a block keeps the count of steps alone. rolls:
    forecasts are made step by step, each fed back.
    """

    __slots__ = (
        "engine", "initial", "labels", "model", "multi_label", "outputs", "rolls", "runner", "schema", "series",
        "source", "threads", "windowed",
    )  # fmt: skip
    engine: _native.Engine

    def __init__(self, model: Model, runner: _native.Engine | Staged, source: Input, threads: int) -> None:
        self.model, self.runner, self.source, self.threads = model, runner, source, threads
        if isinstance(runner, _native.Engine):
            self.engine = runner
        self.labels, self.schema, self.outputs = model.labels, model.state_schema, int(runner.outputs)
        self.initial, self.multi_label = initial(self.schema, model.state_bytes), model.multi_label
        self.series = cast("Series", source) if source.kind == "series" else None
        self.windowed = self.series is not None and self.series.reach > 0
        self.rolls = self.series is not None and self.series.rolls

    def check_streams(self) -> None:
        """Raises OptionError, in the file's own sentence, when the model cannot stream."""
        yes, because = self.model.streams
        if not yes:
            raise OptionError(f"streams: no, because {because}; predict takes whole inputs")

    def needs_series(self) -> Series:
        """The source of a model that forecasts. Raises OptionError for another."""
        if self.series is None or self.series.intake.answer is None:
            raise OptionError("this model does not forecast; use predict, which gives its outputs")
        return self.series

    def afresh(self, rows: Floats, lengths: npt.NDArray[np.int64]) -> Floats:
        """The last outputs [B, outputs] of windows [B, K, features], each run from the first state. lengths: how many
        of the rows count [B].
        """
        B, K, F = rows.shape
        out = np.empty((B, self.outputs), np.float32)
        for at in range(0, B, most := max(1, WINDOW_NUMBERS // (K * F))):
            x = np.ascontiguousarray(rows[at : at + most].swapaxes(0, 1))
            states = self.initial[None].repeat(x.shape[1], 0)
            counts = lengths[at : at + most].astype(np.int32)
            self.runner.run(x, counts, states, np.empty_like(states), out[at : at + most], False, self.threads)
        return out

    def answer(
        self, output: Floats, steps: int, pending: Any, block: Bytes, whole: bool = False, frame: Frame | None = None
    ) -> Scores | Forecast:
        """What the model says of one stream after `steps` steps.

        output: float32 [outputs], of the last step. pending: what the input keeps. block: the state. whole: the message
        has ended. frame: of the output, where it is at hand.
        """
        source, why = self.source, ""
        ready = source.warm(steps)
        if not ready:
            why = f"the message has {source.nothing}" if whole and not steps else source.why(steps)
        if self.series is None or self.series.intake.answer is None:
            return Scores(output.copy() if ready else None, self.labels, why, self.multi_label)
        if self.rolls and ready:
            why = self.series.obstacle(pending)
        answer, columns = self.series.intake.answer, self.series.targets
        if why:
            return Forecast(None, answer.quantiles, columns, why)
        if self.rolls:
            from .roll import rolled

            here = block[None].copy(), output[None].copy(), [pending]
            return Forecast(lambda: rolled(self, *here, answer.horizon)[0], answer.quantiles, columns)
        frame = self.series.frames([pending]) if frame is None else frame
        return Forecast(self.restored(output[None], frame)[0], answer.quantiles, columns)

    def restored(self, outputs: Floats, frame: Frame) -> npt.NDArray[np.float64]:
        """Outputs [B, outputs] as forecasts in the data's units: [B, chain horizon, targets, quantiles], ascending."""
        assert self.series is not None
        assert self.series.intake.answer is not None
        return ordered(frame.restored(outputs, len(self.series.intake.answer.quantiles)))

    def state(self, block: Bytes, output: Floats, pending: Any) -> State:
        """A copy of what a stream holds, as a value."""
        model, kept = self.model, self.source.stored(pending)
        return State(block.copy(), self.schema, output.copy(), kept, model.schema_hash, model.weights_hash)

    def revived(self, state: State) -> Any:
        """What the input keeps beside the block of a state of this model. Raises StateError for another's."""
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
        return self.source.revived(state.pending, state.steps)


def steps_of(block: Bytes) -> int:
    """How many steps a state block has seen."""
    return int(block[:8].view(np.int64)[0])


def chunk(steps: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Steps [T, ...] of one stream as the engine takes them: [T, 1, ...]."""
    return np.ascontiguousarray(steps[:, None])
