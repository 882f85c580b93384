"""What torch has for single layers: fast code over packed rows. Other layers run by their own equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..layers import Layer, choose
from ..layers.bag import Bag
from ..layers.bidirectional import Bidirectional
from ..layers.conv import Conv
from ..layers.delay import Delay
from ..layers.embed import Embed
from ..layers.final import Final
from ..layers.pool import Pool
from ..layers.recurrent import Recurrent
from .bidirectional import compute_past, convolve, run_both_directions, run_direction
from .embedding import apply_dropout, draw_dropout, embed
from .final import select_final_states
from .ops import TorchOps
from .packed import PackedLayout
from .pooling import pool
from .recurrent import run_all_states

Tensor = torch.Tensor
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Noise:
    """The dropout of one training step: the probabilities after an embedding and before the head, and a generator."""

    embed: float
    pool: float
    random: np.random.Generator


@dataclass(frozen=True)
class Run:
    """How layers run: the layout of their rows, which code is allowed, and the dropout of a training step."""

    layout: PackedLayout
    fused: bool = True
    native: bool = True
    noise: Noise | None = None


def look_up(layer: Embed, t: Tensors, x: Tensor, how: Run) -> Tensor:
    if how.noise is None:
        return run_equation(layer, t, x, how)
    return embed(t["weight"], x, how.noise.embed, how.noise.random, how.native)


def sum_bags(layer: Bag, t: Tensors, x: Tensor, how: Run) -> Tensor:
    """Sum the rows of each bag, [N, most]; a bag that several steps have, such as the parts of a word, is summed once.

    In training, the sums get the dropout of embeddings. By its equation, a bag takes memory for all rows that it sums.
    """
    if not how.native:
        return run_equation(layer, t, x, how)
    used = (x >= 0).any(0)  # most columns are for longer bags than there are
    bags, place = unique_rows(x[:, used] if used.any() else x)
    known = bags >= 0
    starts = known.sum(1).cumsum(0) - known.sum(1)
    sums = torch.nn.functional.embedding_bag(bags[known], t["weight"], starts, mode="sum", sparse=how.noise is not None)
    y = sums.index_select(0, place)
    if how.noise is None:
        return y
    return apply_dropout(y, *draw_dropout(y.numel(), how.noise.embed, how.noise.random))


def unique_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the different rows of integers [N, K], and for each row which of them it is, int64 [N]."""
    array = np.ascontiguousarray(x.numpy())
    whole = array.view(np.dtype((np.void, array.dtype.itemsize * array.shape[1]))).ravel()
    places: dict[bytes, int] = {}
    place = np.fromiter((places.setdefault(one.tobytes(), len(places)) for one in whole), np.int64, len(whole))
    first = np.zeros(len(places), np.int64)
    first[place[::-1]] = np.arange(len(place))[::-1]
    return x[torch.from_numpy(first)], torch.from_numpy(place)


def run_equation(layer: Layer, t: Tensors, x: Tensor, how: Run) -> Tensor:
    """Run the layer's own equation: over all steps at once, or one by one if it has states or reads their number."""
    if layer.state() or layer.program.runs_by_steps:
        return how.layout.pack(run_steps(layer, t, how.layout.pad(x))[0])
    leading = x.shape[: x.ndim - (layer.ids != 1)]
    if len(leading) > 1 and layer.reshapes:
        y = torch.as_tensor(layer.step(TorchOps, t, {}, x.flatten(0, len(leading) - 1), None)[0])
        return y.reshape(*leading, layer.width)
    return torch.as_tensor(layer.step(TorchOps, t, {}, x, None)[0])


# Functions (layer, t, x [N, ...], how) -> outputs [N, width].
OVER_ROWS: dict[type[Layer], Callable[[Any, Tensors, Tensor, Run], Tensor]] = {
    Embed: look_up,
    Bag: sum_bags,
    Conv: lambda layer, t, x, how: convolve(layer, t, x, how.layout),
    Delay: lambda layer, t, x, how: x,
    Final: lambda layer, t, x, how: select_final_states(x, how.layout),
    Recurrent: lambda layer, t, x, how: run_direction(layer, t, x, how.layout, how.fused, how.native),
    Bidirectional: lambda layer, t, x, how: run_both_directions(layer, t, x, how.layout, how.fused, how.native),
}
# Functions (layer, t, x [T, B, ...], how) -> states [T, B, ...] after every step, by name, and the outputs or None.
OVER_STEPS: dict[type[Layer], Callable[[Any, Tensors, Tensor, Run], tuple[Tensor, Mapping[str, Tensor]]]] = {
    Conv: lambda layer, t, x, how: (run_padded(layer, t, x, how), compute_past(layer, x)),
    Delay: lambda layer, t, x, how: (x, run_steps(layer, t, x)[1]),
    Recurrent: lambda layer, t, x, how: run_all_states(layer, t, x, how.fused, native=how.native),
}
# Functions (layer, t, x [N, width], layout, ends, native) -> pooled [K, B, width].
POOLS: dict[type[Layer], Callable[..., Tensor]] = {Pool: pool}


def run_rows(layer: Layer, t: Tensors, x: Tensor, how: Run) -> Tensor:
    """Return the output of a layer for packed x [N, ...] or, if it has no states, for any x [..., width]."""
    return OVER_ROWS.get(type(layer), run_equation)(layer, t, x, how)


def run_with_states(layer: Layer, t: Tensors, x: Tensor, how: Run) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Return the output of a layer for x [T, B, ...], and its states after every step."""
    if (function := OVER_STEPS.get(type(layer))) is not None:
        return function(layer, t, x, how)
    return run_steps(layer, t, x) if layer.state() else (run_padded(layer, t, x, how), {})


def run_padded(layer: Layer, t: Tensors, x: Tensor, how: Run) -> Tensor:
    return how.layout.pad(run_rows(layer, t, how.layout.pack(x), how))


def run_pool(layer: Layer, t: Tensors, x: Tensor, how: Run, ends: list[Tensor]) -> Tensor:
    """Return the output of a pool after the first `ends` steps of each row, [K, B, width]. x: packed [N, width]."""
    return choose(POOLS, layer, "has no code in torch for prefixes of rows")(layer, t, x, how.layout, ends, how.native)


def run_steps(layer: Layer, t: Tensors, x: Tensor) -> tuple[Tensor, Tensors]:
    """Return the output of a layer after every step of x [T, B, ...], and its states after every step."""
    like = x if x.is_floating_point() else next(iter(t.values()))  # ids come with a table
    s: dict[str, Any] = {n: like.new_tensor(first) for n, first in layer.initial_state(x.shape[1]).items()}
    outputs, states = [], []
    for k in range(x.shape[0]):
        y, s = layer.step(TorchOps, t, s, x[k], like.new_full((x.shape[1], 1), k + 1))
        outputs.append(y)
        states.append(s)
    return torch.stack(outputs), {n: torch.stack([s[n] for s in states]) for n in s}
