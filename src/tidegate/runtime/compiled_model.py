"""What the streams and pools of one model share: the engine, the input and the initial state. It never changes."""

from __future__ import annotations

import os
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import OptionError, StateError, error_context
from ..model import Model
from .engine import resolve_target
from .forecast import sort_quantiles
from .input_kinds import make_input
from .offline import make_runner
from .precision import resolve_precision
from .state import State, make_initial

if TYPE_CHECKING:
    from ..features.series import Scaling
    from .series import SeriesInput

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
WINDOW_NUMBERS: Final = 1 << 21  # of the windows that run together
STEPS: Final = Struct("=q")
MOST_THREADS: Final = 16


def resolve_threads(threads: int | None, default: int | None = None) -> int:
    """Return how many threads to use: `threads`, else TIDEGATE_THREADS, else the default, else one for each core.

    Cores are those that this process may use, at most 16. Raises OptionError for anything but 1 to 1024.

    >>> resolve_threads(3)
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
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class CompiledModel:
    """A model compiled for one target and precision, from the arguments of `Predictor`.

    A copy is the same object. A pickle contains the model and the arguments, so a target that was not named is
    selected again when the pickle is loaded.

    runner: runs whole inputs. engine: runs step by step; it is the runner if the model streams, and missing otherwise.
    initial: uint8 [state_bytes], the state before the first step. source: the input. series: the input as well, if it
    is a series, else None. windowed: each answer comes from a new run over a window, and the state block only counts
    steps. autoregressive: forecasts are made one step at a time and fed back.
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
        self.model, self.precision = model, resolve_precision(weights, compute)
        self.target = resolve_target(target, self.precision)
        self.runner = make_runner(model, self.target, True, weights, compute)
        self.source, self.threads = make_input(model), resolve_threads(threads)
        if isinstance(self.runner, _native.Engine):
            self.engine = self.runner
        self.labels, self.schema, self.outputs = model.labels, model.state_schema, int(self.runner.outputs)
        self.initial, self.multi_label = make_initial(self.schema, model.state_bytes), model.multi_label
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
        """Raise OptionError, with the reason that the file gives, if the model cannot stream."""
        yes, because = self.model.streams
        if not yes:
            raise OptionError(f"streams: no, because {because}; predict takes whole inputs")

    def require_forecaster(self) -> SeriesInput:
        """Return the input of a model that forecasts. Raises OptionError for other models."""
        if self.series is None or self.series.transform.forecast is None:
            raise OptionError("this model does not forecast; use predict, which gives its outputs")
        return self.series

    def run_windows(self, rows: Floats, lengths: npt.NDArray[np.int64]) -> Floats:
        """Run windows [B, K, features], each from the initial state, and return the last outputs [B, outputs].

        lengths: how many rows of each window to run [B].
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
        """Convert outputs [B, outputs] to the data's units: [B, output horizon, targets, quantiles], in order."""
        assert self.series is not None
        assert self.series.transform.forecast is not None
        return sort_quantiles(scaling.invert(outputs, len(self.series.transform.forecast.quantiles)))

    def make_state(self, block: Bytes, output: Floats, input_state: Any) -> State:
        """Copy what a stream remembers into a State."""
        model, data = self.model, self.source.to_bytes(input_state)
        return State(block.copy(), self.schema, output.copy(), data, model.schema_hash, model.weights_hash)

    def read_input_state(self, state: State) -> Any:
        """Return the input's part of a state of this model. Raises StateError for a state of another model."""
        if not isinstance(state, State):
            raise StateError(f"expected a State, got {type(state).__name__}; State.from_bytes reads one from bytes")
        if state.schema_hash != self.model.schema_hash:
            raise StateError(
                "the state has another shape: it comes from a model with other layers; use it with that model"
            )
        if state.weights_hash not in (self.model.weights_hash, self.model.former_weights_hash):
            raise StateError("the state comes from a model with other weights; use it with that model")
        if state.block.nbytes != len(self.initial) or len(state.output) != self.outputs:
            raise StateError("the state has another shape: the size of its block or output is not this model's")
        if state.schema != self.schema:
            raise StateError("the state has another shape: its arrays do not match its schema_hash")
        return self.source.from_bytes(state.input_state, state.steps)


def recompile(model: Model, *arguments: Any) -> CompiledModel:
    """Compile a model from a pickle."""
    with error_context("the pickled model"):
        return CompiledModel(model, *arguments)


def read_step_count(block: Any) -> int:
    """Return how many steps a state block, uint8 [state_bytes], has seen."""
    return int(STEPS.unpack_from(block)[0])


def as_batch(steps: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return steps [T, ...] of one stream as a batch of one, [T, 1, ...], for the engine."""
    return np.ascontiguousarray(steps[:, None])
