"""Convolutions and bidirectional recurrences over rows without their padding."""

from __future__ import annotations

from typing import Any

import torch

from ..layers.bidirectional import DIRECTIONS, one_way
from ..layers.conv import activated
from ..tape import Tape
from .entries import Entries
from .ops import TorchOps
from .recurrent import last

Tensors = dict[str, torch.Tensor]
Layer = dict[str, Any]


def convolution(layer: Layer, t: Tensors, x: torch.Tensor, entries: Entries) -> torch.Tensor:
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


def both_ways(
    layer: Layer,
    tape: Tape,
    t: Tensors,
    x: torch.Tensor,
    entries: Entries,
    fused: bool = True,
    native: bool = True,
) -> torch.Tensor:
    """Outputs [N, 2 x outputs] of a bidirectional layer over x [N, inputs]."""
    forward, backward = (one_way(way, t) for way in DIRECTIONS)
    ahead, _ = last(layer, tape, forward, x, entries.sizes, fused=fused, native=native)
    back, _ = last(layer, tape, backward, x, entries.sizes, backward=True, fused=fused, native=native)
    return torch.cat([ahead, back], -1)
