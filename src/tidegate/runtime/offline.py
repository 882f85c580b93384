"""A model with whole-window layers, run natively by stages, each over whole rows before the next begins.

A stage is a stretch of layers that go step by step, in one engine; or one whole-window layer, made of such engines: a
bidirectional one runs its backward half over each row turned round within its own length, a centred convolution is
the causal one some steps later, final states are taken from where they stand. So a row's bits depend on nothing but
the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _native
from ..document import state_schema
from ..errors import OptionError
from ..layers import is_whole_window, whole_window
from ..layers.bidirectional import DIRECTIONS, one_way
from ..model import Model
from .engine import BoundLayer, EngineOptions, Tapes, bind_tensors, build_engine, compile, resolve_options
from .state import initial

MOST_NUMBERS: Final = 1 << 24  # of all stages' outputs of the rows that run together

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Lengths = npt.NDArray[np.int32]


class StepStage:
    """Layers that go step by step, over whole rows."""

    def __init__(self, chain: list[BoundLayer], tapes: Tapes, by: EngineOptions, first: int) -> None:
        schema = state_schema([part.layer for part in chain], tapes)
        self.engine = build_engine(chain, tapes, by, first)
        self.initial = initial(schema["arrays"], schema["bytes"])
        self.outputs = int(self.engine.outputs)
        self.fused_layers = [first + i for i in self.engine.fused_layers]

    def run(self, x: Array, lengths: Lengths, threads: int) -> Floats:
        """Outputs [T, B, outputs] of every step, zero past a row's length. x: ids [T, B] or float32 [T, B, inputs]."""
        states = np.tile(self.initial, (x.shape[1], 1))
        out = np.zeros((*x.shape[:2], self.outputs), np.float32)
        self.engine.run(x, lengths, states, np.empty_like(states), out, True, threads)
        return out


class BidirectionalStage:
    """A bidirectional layer. before: an embed that both directions look up themselves, or nothing."""

    def __init__(self, before: list[BoundLayer], part: BoundLayer, tapes: Tapes, by: EngineOptions, first: int) -> None:
        layer = {key: v for key, v in part.layer.items() if key != "add"} | {"kind": "recurrent"}
        self.directions = [
            StepStage([*before, BoundLayer(layer, one_way(way, part.tensors))], tapes, by, first) for way in DIRECTIONS
        ]
        self.outputs = sum(way.outputs for way in self.directions)
        self.fused_layers = self.directions[0].fused_layers

    def run(self, x: Array, lengths: Lengths, threads: int) -> Floats:
        forward, backward = self.directions
        ahead = forward.run(x, lengths, threads)
        back = backward.run(reverse_rows(x, lengths), lengths, threads)
        return np.concatenate([ahead, reverse_rows(back, lengths)], -1)


class CentredConvStage:
    """A centred convolution: the causal one, read `ahead` steps later, over rows that many zeros longer."""

    def __init__(self, part: BoundLayer, tapes: Tapes, by: EngineOptions, first: int) -> None:
        layer = {key: v for key, v in part.layer.items() if key != "add"} | {"centred": False}
        self.causal = StepStage([BoundLayer(layer, part.tensors)], tapes, by, first)
        self.ahead: int = layer["width"] // 2
        self.outputs, self.fused_layers = self.causal.outputs, self.causal.fused_layers

    def run(self, x: Array, lengths: Lengths, threads: int) -> Floats:
        T, B, inputs = x.shape
        longer = np.zeros((T + self.ahead, B, inputs), np.float32)
        on = np.arange(T)[:, None] < lengths
        longer[:T][on] = x[on]
        return self.causal.run(longer, lengths + np.int32(self.ahead), threads)[self.ahead :]


class FinalStatesStage:
    """The final states of both directions: numbers moved, none worked out."""

    def __init__(self, part: BoundLayer) -> None:
        self.outputs: int = part.layer["size"]
        self.fused_layers: list[int] = []

    def run(self, x: Array, lengths: Lengths, threads: int) -> Floats:
        H, rows = self.outputs // 2, np.arange(x.shape[1])
        found = np.concatenate([x[np.maximum(lengths - 1, 0), rows, :H], x[0, :, H:]], -1)
        on = np.arange(len(x))[:, None] < lengths
        return np.where(on[..., None], found, np.float32(0))


Stage = StepStage | BidirectionalStage | CentredConvStage | FinalStatesStage


class StageOutput(NamedTuple):
    """A stage, its last layer's index, and the index of the layer whose output is added to it here."""

    stage: Stage
    last: int
    add: int | None


class Staged:
    """A model that does not stream, on one target. Never changes; `run` is that of an engine, from zero states only."""

    __slots__ = ("_stages", "_reason", "fused_layers", "outputs", "target")

    def __init__(
        self,
        model: Model,
        target: str | None = None,
        fused: bool = True,
        weights: str | None = None,
        compute: str | None = None,
    ) -> None:
        by = resolve_options(target, fused, weights, compute)
        self.target, self._reason = by.target, whole_window(model.layers)
        self._stages = list(build_stages(bind_tensors(model), model.tapes, by))
        self.outputs = self._stages[-1].stage.outputs
        self.fused_layers = sorted(i for made in self._stages for i in made.stage.fused_layers)

    def run(
        self,
        x: Array,
        lengths: Lengths,
        state_in: npt.NDArray[np.uint8],
        state_out: npt.NDArray[np.uint8],
        out: Floats,
        per_step: bool,
        threads: int,
    ) -> None:
        """As `_native.Engine.run`; a state is the number of steps alone.

        Raises OptionError for a state that has seen a step.
        """
        if state_in.any():
            raise OptionError(f"the model goes on from no state, because {self._reason}; run it whole")
        state_out[:, :8] = lengths.astype(np.int64)[:, None].view(np.uint8)
        for rows in self.split_rows(*x.shape[:2]):
            y = self.run_stages(np.ascontiguousarray(x[:, rows]), lengths[rows].copy(), threads)
            on = np.arange(len(y))[:, None] < lengths[rows]
            if per_step:
                out[:, rows][on] = y[on]
            else:
                some = np.flatnonzero(lengths[rows])
                out[rows][some] = y[lengths[rows][some] - 1, some]

    def split_rows(self, T: int, B: int) -> Iterator[slice]:
        """Rows that run together: as many as keep the stages' outputs within bounds."""
        count = max(1, MOST_NUMBERS // max(1, T * sum(made.stage.outputs for made in self._stages)))
        return (slice(first, min(first + count, B)) for first in range(0, B, count))

    def run_stages(self, x: Array, lengths: Lengths, threads: int) -> Floats:
        """Outputs [T, B, outputs] of every step, zero past a row's length."""
        outputs: dict[int, Floats] = {}
        for stage, last, add in self._stages:
            x = stage.run(x, lengths, threads)
            outputs[last] = x = x if add is None else x + outputs[add]
        return x


def runner(
    model: Model, target: str | None = None, fused: bool = True, weights: str | None = None, compute: str | None = None
) -> _native.Engine | Staged:
    """What runs a model natively: its engine, or its stages when it does not stream. Arguments and errors as
    `engine.compile` has them.
    """
    how = Staged if whole_window(model.layers) else compile
    return how(model, target, fused, weights, compute)


def build_stages(chain: list[BoundLayer], tapes: Tapes, by: EngineOptions) -> Iterator[StageOutput]:
    """The stages of a chain in order."""
    for first, end in split_stages([part.layer for part in chain]):
        *before, part = chain[first:end]
        add = part.layer.get("add")
        stage: Stage
        if part.layer["kind"] == "bidirectional":
            stage = BidirectionalStage(before, part, tapes, by, first)
        elif part.layer["kind"] == "final":
            stage = FinalStatesStage(part)
        elif is_whole_window(part.layer):
            stage = CentredConvStage(part, tapes, by, first)
        else:
            stage = StepStage([rebase_add(part, first) for part in chain[first:end]], tapes, by, first)
        yield StageOutput(stage, end - 1, add if add is not None and add < first else None)


def rebase_add(part: BoundLayer, first: int) -> BoundLayer:
    """The part of a chain that begins at `first`: what it adds is counted from there, or left to the stages."""
    layer, add = {key: v for key, v in part.layer.items() if key != "add"}, part.layer.get("add", -1)
    return BoundLayer(layer if add < first else {**layer, "add": add - first}, part.tensors)


def split_stages(layers: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """First layer and end of each stage.

    A stage gives the output of its last layer only, so it ends where another one adds that, or where it adds one.
    An embed goes into the bidirectional layer behind it, which then looks up what it would multiply.
    """
    cuts = {0, len(layers)} | {j for i, k in enumerate(layers) if is_whole_window(k) for j in (i, i + 1)}
    adds = [(k["add"], i) for i, k in enumerate(layers) if k.get("add") is not None]
    while more := {j + 1 for pair in adds if any(pair[0] < c <= pair[1] for c in cuts) for j in pair} - cuts:
        cuts |= more
    kinds = [k["kind"] for k in layers]
    if kinds[:2] == ["embed", "bidirectional"] and not any(add == 0 for add, _ in adds):
        cuts.remove(1)
    return list(pairwise(sorted(cuts)))


def reverse_rows(x: Array, lengths: Lengths) -> Array:
    """Each row x [T, B, ...] in reverse within its own length; what stands behind stays there."""
    t = np.arange(len(x))[:, None]
    return np.ascontiguousarray(x[np.where(t < lengths, lengths - 1 - t, t), np.arange(x.shape[1])])
