"""What streams and pools of one model share: the engine, the input and the state's first value. Never
changes.
"""

from __future__ import annotations

import os
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import OptionError, StateError, error_context
from ..model import Model
from .engine import target_name
from .forecast import sort_quantiles
from .input_kinds import make_input
from .offline import runner
from .precision import precision_of
from .state import State, initial

if TYPE_CHECKING:
    from ..features.series import Scaling
    from .series import SeriesInput

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
WINDOW_NUMBERS: Final = 1 << 21  # of the windows that run together
STEPS: Final = Struct("=q")
MOST_THREADS: Final = 16


def threads_of(threads: int | None, default: int | None = None) -> int:
    """The argument, else TIDEGATE_THREADS, else the default, else the cores this process may use, at most 16.

    Raises OptionError.

    >>> threads_of(3)
    3
    """
    if threads is None:
        text = os.environ.get("TIDEGATE_THREADS")
        if text is None:
            return default or min(MOST_THREADS, count_cores())
        if not text.isascii() or not text.isdigit():
            raise OptionError(f"TIDEGATE_THREADS is {text[:40]!r}; expected an integer of 1 to 1024")
        threads = int(text[:9])
    if type(threads) is not int or not 1 <= threads <= 1024:
        raise OptionError(f"threads is {threads!r}; expected an integer of 1 to 1024")
    return threads


def count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class CompiledModel:
    """A model ready to stream, made from what `Predictor` is asked for. Copies are the compiled itself; a pickle holds
    the model and what was asked for, so that a target that nobody named is chosen anew where the pickle is opened.

    runner: runs whole inputs. engine: goes step by step; the runner itself, of a model that streams, and otherwise
    not there. initial: uint8 [state_bytes], the state before a message's first step. series: the source, of a model of
    series. windowed: each answer is a run afresh over a window, and a block keeps the count of steps alone. rolls:
    forecasts are made step by step, each fed back.
    """

    __slots__ = (
        "arguments",
        "autoregressive",
        "engine",
        "initial",
        "labels",
        "model",
        "multi_label",
        "outputs",
        "precision",
        "runner",
        "schema",
        "series",
        "source",
        "target",
        "threads",
        "windowed",
    )
    engine: _native.Engine

    def __init__(
        self,
        model: Model,
        target: str | None = None,
        threads: int | None = None,
        weights: str | None = None,
        compute: str | None = None,
    ) -> None:
        self.arguments = target, threads, weights, compute
        self.model, self.precision = model, precision_of(weights, compute)
        self.target = target_name(target, self.precision)
        self.runner = runner(model, self.target, True, weights, compute)
        self.source, self.threads = make_input(model), threads_of(threads)
        if isinstance(self.runner, _native.Engine):
            self.engine = self.runner
        self.labels, self.schema, self.outputs = model.labels, model.state_schema, int(self.runner.outputs)
        self.initial, self.multi_label = initial(self.schema, model.state_bytes), model.multi_label
        self.initial.flags.writeable = False  # streams share it
        self.series = cast("SeriesInput", self.source) if self.source.kind == "series" else None
        self.windowed = self.series is not None and self.series.reach > 0
        self.autoregressive = self.series is not None and self.series.autoregressive

    def __copy__(self) -> CompiledModel:
        return self

    def __deepcopy__(self, memo: Any) -> CompiledModel:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return recompile, (self.model, *self.arguments)

    def require_streams(self) -> None:
        """Raises OptionError, in the file's own sentence, when the model cannot stream."""
        yes, because = self.model.streams
        if not yes:
            raise OptionError(f"streams: no, because {because}; predict takes whole inputs")

    def require_forecaster(self) -> SeriesInput:
        """The source of a model that forecasts. Raises OptionError for another."""
        if self.series is None or self.series.transform.forecast is None:
            raise OptionError("this model does not forecast; use predict, which gives its outputs")
        return self.series

    def run_windows(self, rows: Floats, lengths: npt.NDArray[np.int64]) -> Floats:
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

    def forecasts(self, outputs: Floats, scaling: Scaling) -> npt.NDArray[np.float64]:
        """Outputs [B, outputs] as forecasts in the data's units: [B, chain horizon, targets, quantiles], ascending."""
        assert self.series is not None
        assert self.series.transform.forecast is not None
        return sort_quantiles(scaling.invert(outputs, len(self.series.transform.forecast.quantiles)))

    def state(self, block: Bytes, output: Floats, input_state: Any) -> State:
        """A copy of what a stream holds, as a value."""
        model, kept = self.model, self.source.to_bytes(input_state)
        return State(block.copy(), self.schema, output.copy(), kept, model.schema_hash, model.weights_hash)

    def read_input_state(self, state: State) -> Any:
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
        return self.source.from_bytes(state.input_state, state.steps)


def recompile(model: Model, *arguments: Any) -> CompiledModel:
    """The compiled that was pickled."""
    with error_context("the pickled model"):
        return CompiledModel(model, *arguments)


def read_step_count(block: Any) -> int:
    """How many steps a state block, uint8 [state_bytes], has seen."""
    return int(STEPS.unpack_from(block)[0])


def as_batch(steps: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Steps [T, ...] of one stream as the engine takes them: [T, 1, ...]."""
    return np.ascontiguousarray(steps[:, None])
