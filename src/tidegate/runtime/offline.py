"""Run a model with whole-window layers in stages, each over whole rows before the next begins.

A stage is a run of consecutive layers that go step by step, each on the one before, in one engine; or one whole-window
layer made of such engines: a bidirectional layer runs its backward half over each row in reverse, and final states are
copied. The bits of a row therefore depend on nothing but the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _native
from ..document import state_schema
from ..errors import OptionError, error_context
from ..layers import Layer, Source, choose, final, reads_of, sources_of
from ..layers.bidirectional import DIRECTIONS, Bidirectional, select_direction
from ..layers.conv import Conv
from ..model import Model
from .engine import BoundLayer, EngineOptions, Tensors, bind_tensors, build_engine, compile, resolve_options
from .state import make_initial

MOST_NUMBERS: Final = 1 << 24  # of all stages' outputs of the rows that run together

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int32]


class StepStage:
    """Layers that run step by step, over whole rows. first: the index of the first of them in the model."""

    def __init__(self, layers: list[BoundLayer], options: EngineOptions, first: int) -> None:
        schema = state_schema([bound.layer for bound in layers])
        self.engine = build_engine(layers, options, first)
        self.initial = make_initial(schema["arrays"], schema["bytes"])
        self.outputs, self.look_ahead = int(self.engine.outputs), int(self.engine.look_ahead)
        self.fused_layers = [first + i for i in self.engine.fused_layers]

    def run(self, x: Array, lengths: Lengths, threads: int) -> Floats:
        """Return the outputs [T, B, outputs] of every step, zero past a row's length.

        x: ids [T, B] or [T, B, ids], or float32 [T, B, inputs].
        """
        states = self.initial[None].repeat(x.shape[1], 0)
        out = np.zeros((len(x) + self.look_ahead, x.shape[1], self.outputs), np.float32)
        self.engine.run(x, lengths, states, np.empty_like(states), out, True, threads, True)
        return out[self.look_ahead :]

    def run_last(self, x: Array, lengths: Lengths, threads: int) -> Floats:
        """Return the output [B, outputs] of the last step of each row, where no output is late."""
        states = self.initial[None].repeat(x.shape[1], 0)
        out = np.empty((x.shape[1], self.outputs), np.float32)
        self.engine.run(x, lengths, states, np.empty_like(states), out, False, threads, True)
        return out


class BidirectionalStage:
    """A bidirectional layer. before: an embed layer that both directions look up by themselves, or nothing."""

    def __init__(
        self, before: list[BoundLayer], layer: Bidirectional, tensors: Tensors, options: EngineOptions, first: int
    ) -> None:
        halves = [BoundLayer(layer.direction(way), select_direction(way, tensors)) for way in DIRECTIONS]
        self.directions = [StepStage([*before, half], options, first) for half in halves]
        self.outputs = sum(stage.outputs for stage in self.directions)
        self.fused_layers = self.directions[0].fused_layers

    def run(self, x: Array, lengths: Lengths, threads: int) -> Floats:
        forward, backward = (stage.run for stage in self.directions)
        reversed_outputs = backward(reverse_rows(x, lengths), lengths, threads)
        return np.concatenate([forward(x, lengths, threads), reverse_rows(reversed_outputs, lengths)], -1)


class FinalStatesStage:
    """The final states of both directions: copies numbers, computes none."""

    def __init__(
        self, before: list[BoundLayer], layer: final.Final, tensors: Tensors, options: EngineOptions, first: int
    ) -> None:
        self.outputs = layer.size
        self.fused_layers: list[int] = []

    def run(self, x: Array, lengths: Lengths, threads: int) -> Floats:
        H, rows = self.outputs // 2, np.arange(x.shape[1])
        states = np.concatenate([x[np.maximum(lengths - 1, 0), rows, :H], x[0, :, H:]], -1)
        valid = np.arange(len(x))[:, None] < lengths
        return np.where(valid[..., None], states, np.float32(0))


def make_conv_stage(
    before: list[BoundLayer], layer: Conv, tensors: Tensors, options: EngineOptions, first: int
) -> StepStage:
    """Make the stage of a centred convolution, which is one that looks ahead."""
    ahead = replace(layer, centred=False, add=None, sources=None)
    return StepStage([*before, BoundLayer(ahead, tensors)], options, first)


Stage = StepStage | BidirectionalStage | FinalStatesStage
WHOLE: dict[type[Layer], Callable[..., Stage]] = {
    Bidirectional: BidirectionalStage,
    Conv: make_conv_stage,
    final.Final: FinalStatesStage,
}


class StageOutput(NamedTuple):
    """A stage and its output.

    sources: what its first layer reads. last: the index of its last layer. add: that of an earlier layer to add, or
    None.
    """

    stage: Stage
    sources: tuple[Source, ...]
    last: int
    add: int | None


class OfflineEngine:
    """A model that reads whole rows, compiled for one target. It never changes.

    `run` takes the arguments of `_native.Engine.run`, but starts from initial states only, and each row ends: no output
    is late.
    """

    __slots__ = ("_ports", "_reason", "_stages", "fused_layers", "look_ahead", "outputs", "target")

    def __init__(
        self,
        model: Model,
        target: str | None = None,
        fused: bool | None = None,
        weights: str | None = None,
        compute: str | None = None,
    ) -> None:
        options = resolve_options(target, fused, weights, compute)
        self.target, self._reason, self._ports = options.target, model.whole_window, model.ports
        self._stages = list(build_stages(bind_tensors(model), options))
        self.outputs, self.look_ahead = self._stages[-1].stage.outputs, 0
        self.fused_layers = sorted(i for entry in self._stages for i in entry.stage.fused_layers)

    def run(
        self,
        x: Array,
        lengths: Lengths,
        state_in: npt.NDArray[np.uint8],
        state_out: npt.NDArray[np.uint8],
        out: Floats,
        per_step: bool,
        threads: int,
        ends: bool = True,
    ) -> None:
        """Run whole rows, as `_native.Engine.run` does. A state only counts steps.

        Raises OptionError for a state that has seen a step.
        """
        if state_in.any():
            raise OptionError(f"this model cannot continue from a state, because {self._reason}; run the whole input")
        state_out[:, :8] = lengths.astype(np.int64)[:, None].view(np.uint8)
        for rows in self.split_rows(*x.shape[:2]):
            y = self.run_stages(np.ascontiguousarray(x[:, rows]), lengths[rows].copy(), threads)
            if per_step:
                valid = np.arange(len(y))[:, None] < lengths[rows]
                out[:, rows][valid] = y[valid]
            else:
                nonempty = np.flatnonzero(lengths[rows])
                out[rows][nonempty] = y[lengths[rows][nonempty] - 1, nonempty]

    def split_rows(self, T: int, B: int) -> Iterator[slice]:
        """Split rows into blocks that run together, small enough to bound the memory of the stages' outputs."""
        count = max(1, MOST_NUMBERS // max(1, T * sum(entry.stage.outputs for entry in self._stages)))
        return (slice(first, min(first + count, B)) for first in range(0, B, count))

    def run_stages(self, x: Array, lengths: Lengths, threads: int) -> Floats:
        """Return the outputs [T, B, outputs] of every step, zero past a row's length."""
        outputs: dict[Source, Array] = {name: np.ascontiguousarray(x[at]) for name, at in self._ports.items()}
        for stage, sources, last, add in self._stages:
            xs = [outputs[source] for source in sources]
            y = stage.run(xs[0] if len(xs) == 1 else np.concatenate(xs, -1), lengths, threads)
            outputs[last] = y if add is None else y + outputs[add]
        return outputs[self._stages[-1].last]


def make_runner(
    model: Model,
    target: str | None = None,
    fused: bool | None = None,
    weights: str | None = None,
    compute: str | None = None,
    spare: int = 0,
) -> _native.Engine | OfflineEngine:
    """Compile a model: to one engine if its layers run step by step, else to stages; see `compile`."""
    if model.whole_window:
        return OfflineEngine(model, target, fused, weights, compute)
    return compile(model, target, fused, weights, compute, spare)


def build_stages(layers: list[BoundLayer], options: EngineOptions) -> Iterator[StageOutput]:
    """Build the stages of a model's layers, in order."""
    for first, end in split_stages([bound.layer for bound in layers]):
        *before, (last, tensors) = layers[first:end]
        stage: Stage
        if last.whole_window:
            with error_context(f"layers[{end - 1}]"):
                make = choose(WHOLE, last, "has no code in the native engine")
            stage = make(before, last, tensors, options, first)
        else:
            stage = StepStage([rebase(bound, first) for bound in layers[first:end]], options, first)
        sources = sources_of(first, layers[first].layer)
        yield StageOutput(stage, sources, end - 1, last.add if last.add is not None and last.add < first else None)


def rebase(bound: BoundLayer, first: int) -> BoundLayer:
    """Return a layer as it stands in a stage that begins at `first`: in a chain, without what is added from outside."""
    add = bound.layer.add
    add = None if add is None or add < first else add - first
    return bound._replace(layer=replace(bound.layer, sources=None, add=add))


def split_stages(layers: Sequence[Layer]) -> list[tuple[int, int]]:
    """Split layers into stages: the first layer and the end of each.

    A stage only gives the output of its last layer, so it ends at a layer whose output another stage reads or adds, and
    at a layer that adds the output of another stage. A layer that looks ahead is one too, as outputs of stages are
    never late. A layer that takes ids joins a bidirectional layer behind it, which then looks up rows instead of
    multiplying.
    """
    cuts = {0, len(layers)} | {j for i, layer in enumerate(layers) if alone(layer) for j in (i, i + 1)}
    for i, layer in enumerate(layers):
        if (sources := sources_of(i, layer)) != (i - 1,):
            cuts |= {i, *(j + 1 for j in sources if isinstance(j, int))}
    adds = [(layer.add, i) for i, layer in enumerate(layers) if layer.add is not None]
    while more := {j + 1 for pair in adds if any(pair[0] < c <= pair[1] for c in cuts) for j in pair} - cuts:
        cuts |= more
    looks_up = len(layers) > 1 and layers[0].ids > 0 and layers[1].both_directions
    if looks_up and layers[1].add is None and all(0 not in reads_of(i, layers[i]) for i in range(2, len(layers))):
        cuts.remove(1)
    return list(pairwise(sorted(cuts)))


def alone(layer: Layer) -> bool:
    """Return whether a layer is a stage of its own."""
    return bool(layer.whole_window or layer.look_ahead)


def reverse_rows(x: Array, lengths: Lengths) -> Array:
    """Reverse each row of x [T, B, ...] within its own length; the padding behind it stays in place."""
    if lengths.min(initial=len(x)) == len(x):  # no padding
        return np.ascontiguousarray(x[::-1])
    t = np.arange(len(x))[:, None]
    return np.ascontiguousarray(x[np.where(t < lengths, lengths - 1 - t, t), np.arange(x.shape[1])])
