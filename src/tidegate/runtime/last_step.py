"""Run rows of which only the last output counts: layers that remember nothing run once, at the last step.

A window that is run anew for each answer has many steps, and its last layers, such as the one that makes all numbers of
a forecast, read nothing but the last of them. So the layers with states, and those that they read, run over all steps
in one engine, and the rest over one. The bits are those of one engine, as a layer computes each row by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .. import _native
from ..document.graph import join_outputs
from ..errors import OptionError
from ..layers import INPUT, Layer, Source, reads_of, sources_of, walk
from ..model import Model
from .engine import BoundLayer, bind_tensors, resolve_options
from .offline import OfflineEngine, StepStage, make_runner

MOST_REPEATED: Final = 1 << 20  # multiplications that take no longer than further calls of engines

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int32]


class LastStepEngine:
    """A model without whole-window layers and look-ahead, compiled for the last outputs of rows. It never changes.

    `run` takes the arguments of `_native.Engine.run`, but starts from initial states, and gives the last outputs alone.
    """

    __slots__ = ("_body", "_gathered", "_layers", "_starts", "_tail", "fused_layers", "look_ahead", "outputs", "target")

    def __init__(
        self, model: Model, target: str | None = None, weights: str | None = None, compute: str | None = None
    ) -> None:
        options = resolve_options(target, None, weights, compute)
        bound, self._layers, self.target = bind_tensors(model), model.layers, options.target
        once = find_last_step_layers(model.layers)
        body = [i for i in range(len(bound)) if i not in once]
        place = {old: new for new, old in enumerate(body)}
        moved = [move(bound[i].layer, sources_of(i, bound[i].layer), place) for i in body]
        read = {source for i in once for source in reads_of(i, model.layers[i]) if source in place}
        joined, starts = join_outputs(moved, [place[i] for i in read if isinstance(i, int)])
        tensors = [bound[i].tensors for i in body] + [{} for _ in joined[len(body) :]]
        self._body = StepStage([BoundLayer(*pair) for pair in zip(joined, tensors, strict=True)], options, 0)
        self._starts = {old: starts[new] for old, new in place.items() if new in starts}
        self._gathered = [i for i in sorted(once) if bound[i].layer.gathers]
        self._tail = {
            i: None
            if is_copy(bound[i].layer)
            else StepStage([bound[i]._replace(layer=replace(bound[i].layer, sources=None, add=None))], options, i)
            for i in sorted(once.difference(self._gathered))
        }
        fused = [body[i] for i in self._body.fused_layers if i < len(body)]
        fused += [i for i, stage in self._tail.items() if stage is None and options.fused]
        self.fused_layers = sorted(fused + [i for one in self._tail.values() if one for i in one.fused_layers])
        self.outputs, self.look_ahead = model.layers[-1].width, 0

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
        """Run rows of one or more steps. Raises OptionError for a state that has seen a step, or outputs per step."""
        if per_step or state_in[:, :8].any():
            raise OptionError("rows that are run anew give their last output, from the initial state alone")
        state_out[:, :8] = lengths.astype(np.int64)[:, None].view(np.uint8)
        one, rows = np.ones(x.shape[1], np.int32), np.arange(x.shape[1])
        before = self._body.run_last(x, lengths, threads)
        earlier: dict[Source, Array] = {i: self._layers[i].gather(x, lengths) for i in self._gathered}
        for i, start in self._starts.items():
            earlier[i] = before[:, start : start + self._layers[i].width]

        def run(i: int, layer: Layer, values: Array) -> Array:
            stage = self._tail[i]
            return values if stage is None else stage.run_last(np.ascontiguousarray(values[None]), one, threads)

        inputs = {INPUT: x[lengths - 1, rows]}
        out[...] = walk(self._layers, inputs, run, join, earlier=earlier, among=self._tail)[len(self._layers) - 1]


def make_last_runner(
    model: Model,
    steps: int | None,
    target: str | None = None,
    weights: str | None = None,
    compute: str | None = None,
    spare: int = 0,
) -> _native.Engine | OfflineEngine | LastStepEngine:
    """Compile a model as `make_runner` does, or for last outputs where that saves much.

    steps: how many a row has, if only the last output of rows counts that are run anew each time; else None.
    """
    once = find_last_step_layers(model.layers) if steps and not model.whole_window and not model.look_ahead else set()
    work = sum(math.prod(shape) for i in once for shape in model.layers[i].shapes().values())
    if len(once) in (0, len(model.layers)) or work * ((steps or 1) - 1) < MOST_REPEATED:
        return make_runner(model, target, None, weights, compute, spare)
    return LastStepEngine(model, target, weights, compute)


def find_last_step_layers(layers: Sequence[Layer]) -> set[int]:
    """Return the indices of layers whose last output depends on no earlier step but through the layers that they read.

    A layer that copies numbers of the latest steps of the input is one too.

    >>> from ..layers import Builder
    >>> builder = Builder(2)
    >>> _ = builder.add("dense", size=3, activation="relu"), builder.add("pool", over=["max"])
    >>> _ = builder.add("dense", size=4, activation="none")
    >>> find_last_step_layers(builder.layers)
    {2}
    """
    copied = {i for i, layer in enumerate(layers) if layer.gathers and reads_of(i, layer) == (INPUT,)}
    by_steps = {i for i, layer in enumerate(layers) if layer.program.runs_by_steps} - copied
    for i in range(len(layers) - 1, -1, -1):
        if i in by_steps:
            by_steps |= {source for source in reads_of(i, layers[i]) if isinstance(source, int)}
    return set(range(len(layers))) - by_steps


def is_copy(layer: Layer) -> bool:
    """Return whether a layer's operations only give its input, as a pool over the last step does."""
    return [ins.name for ins in layer.program.instructions] == ["input"]


def move(layer: Layer, sources: tuple[Source, ...], place: dict[int, int]) -> Layer:
    """Return a layer as it stands in a graph where layers have other indices."""
    moved = tuple(place[source] if isinstance(source, int) else source for source in sources)
    return replace(layer, sources=moved, add=None if layer.add is None else place[layer.add])


def join(xs: list[Array]) -> Array:
    """Put the outputs of several sources side by side."""
    return np.concatenate(xs, -1)
