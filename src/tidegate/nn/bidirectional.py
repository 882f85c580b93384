"""Run convolutions and recurrences, in one direction or both, over packed rows."""

from __future__ import annotations

import torch

from ..layers.bidirectional import DIRECTIONS, Bidirectional, select_direction
from ..layers.conv import Conv
from ..layers.recurrent import Recurrent
from . import packing
from .ops import TorchOps
from .packed import PackedLayout
from .recurrent import engine, run_all_states, run_final_states

Tensors = dict[str, torch.Tensor]


def convolve(layer: Conv, t: Tensors, x: torch.Tensor, layout: PackedLayout) -> torch.Tensor:
    """Return the outputs [N, size] of a conv layer over x [N, inputs]; steps outside a row count as zeros."""
    before, after = layer.window - 1 - layer.ahead, layer.ahead
    with_zeros = torch.cat([x, x.new_zeros(1, x.shape[1])])
    windows = torch.nn.functional.embedding(layout.window_indices(before, after), with_zeros).flatten(1)
    return torch.as_tensor(layer.apply(TorchOps, t, windows))


def compute_past(layer: Conv, x: torch.Tensor) -> Tensors:
    """Return the state of a conv layer after every step of x [T, B, inputs]: `past` [T, B, k - 1, inputs].

    Empty for a layer without a state. One that looks ahead remembers the same, however late its outputs are.
    """
    k, T = layer.window, x.shape[0]
    if not layer.state():
        return {}
    longer = torch.nn.functional.pad(x, (0, 0, 0, 0, k - 2, 0))
    return {"past": torch.stack([longer[j : j + T] for j in range(k - 1)], 2)}


def run_direction(
    layer: Recurrent,
    t: Tensors,
    x: torch.Tensor,
    layout: PackedLayout,
    fused: bool = True,
    native: bool = True,
    backward: bool = False,
) -> torch.Tensor:
    """Return the outputs [N, outputs] of a recurrent layer over x [N, inputs].

    backward: go from each row's last step to its first. torch's kernels run on padded rows, because with packed rows
    the time of their gradients grows with the square of the steps.
    """
    if not (fused and engine(layer.tape, x.dtype, x.device.type, native).startswith("torch")):
        return run_final_states(layer, t, x, layout.batch_sizes, backward=backward, fused=fused, native=native)[0]
    ordered = packing.reverse_time(x, layout.batch_sizes) if backward else x
    y, _ = run_all_states(layer, t, layout.pad_longest_first(ordered), fused, native=native)
    y = y.flatten(0, 1).index_select(0, layout.longest_first_indices)
    return packing.reverse_time(y, layout.batch_sizes) if backward else y


def run_both_directions(
    layer: Bidirectional,
    t: Tensors,
    x: torch.Tensor,
    layout: PackedLayout,
    fused: bool = True,
    native: bool = True,
) -> torch.Tensor:
    """Return the outputs [N, 2 x outputs] of a bidirectional layer over x [N, inputs]."""
    halves = [
        run_direction(layer.direction(way), select_direction(way, t), x, layout, fused, native, way == "backward")
        for way in DIRECTIONS
    ]
    return torch.cat(halves, -1)
