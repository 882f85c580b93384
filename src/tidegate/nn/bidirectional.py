"""Convolutions and recurrences, in one direction or both, over rows without their padding."""

from __future__ import annotations

from typing import Any

import torch

from ..layers.bidirectional import DIRECTIONS, one_way
from ..layers.conv import activated
from ..tape import Tape
from . import packing
from .ops import TorchOps
from .packed import Packed
from .recurrent import engine, last, sequence

Tensors = dict[str, torch.Tensor]
Layer = dict[str, Any]


def convolution(layer: Layer, t: Tensors, x: torch.Tensor, entries: Packed) -> torch.Tensor:
    """Outputs [N, size] of a conv layer over x [N, inputs]; outside of its row every step counts as zeros."""
    k = layer["width"]
    back, ahead = ((k - 1) // 2, k // 2) if layer["centred"] else (k - 1, 0)
    nothing = x.new_zeros(1, x.shape[1])
    windows = torch.nn.functional.embedding(entries.around(back, ahead), torch.cat([x, nothing])).flatten(1)
    return torch.as_tensor(activated(TorchOps, layer, TorchOps.affine(windows, t["weight"], t["bias"])))


def pasts(layer: Layer, x: torch.Tensor) -> Tensors:
    """The state after every step of a causal conv layer over x [T, B, inputs]: `past` [T, B, k - 1, inputs]; none where
    it has none."""
    k, T = layer["width"], x.shape[0]
    if layer["centred"] or k == 1:
        return {}
    longer = torch.nn.functional.pad(x, (0, 0, 0, 0, k - 2, 0))
    return {"past": torch.stack([longer[j : j + T] for j in range(k - 1)], 2)}


def one_way_round(
    layer: Layer,
    tape: Tape,
    t: Tensors,
    x: torch.Tensor,
    entries: Packed,
    fused: bool = True,
    native: bool = True,
    backward: bool = False,
) -> torch.Tensor:
    """Outputs [N, outputs] of a recurrent layer over x [N, inputs]; backward: from each row's last step to its first.

    torch's kernels get padded rows: over packed ones, gradients take time that grows with the square of the steps.
    """
    if not (fused and engine(tape, x.dtype, x.device.type, native).startswith("torch")):
        return last(layer, tape, t, x, entries.sizes, backward=backward, fused=fused, native=native)[0]
    given = packing.reversed_in_time(x, entries.sizes) if backward else x
    y, _ = sequence(layer, tape, t, entries.longest_first(given), fused, native=native)
    y = y.flatten(0, 1).index_select(0, entries.longest_first_place)
    return packing.reversed_in_time(y, entries.sizes) if backward else y


def both_ways(
    layer: Layer,
    tape: Tape,
    t: Tensors,
    x: torch.Tensor,
    entries: Packed,
    fused: bool = True,
    native: bool = True,
) -> torch.Tensor:
    """Outputs [N, 2 x outputs] of a bidirectional layer over x [N, inputs]."""
    forward, backward = (one_way(way, t) for way in DIRECTIONS)
    ahead = one_way_round(layer, tape, forward, x, entries, fused, native)
    back = one_way_round(layer, tape, backward, x, entries, fused, native, backward=True)
    return torch.cat([ahead, back], -1)
