"""Convolutions and bidirectional recurrences over padded batches; what stands behind a row's length is never read."""

from __future__ import annotations

from typing import Any

import torch

from ..layers.bidirectional import DIRECTIONS, one_way
from ..layers.conv import activated
from ..tape import Tape
from .ops import TorchOps
from .recurrent import sequence

Tensors = dict[str, torch.Tensor]
Layer = dict[str, Any]


def past(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Which steps of x [T, B, ...] stand behind their row's length: bool [T, B, 1 ...]."""
    behind = torch.arange(x.shape[0], device=x.device)[:, None] >= lengths
    return behind.reshape(*behind.shape, *[1] * (x.ndim - 2))


def convolution(layer: Layer, t: Tensors, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Outputs [T, B, size] of a conv layer over x [T, B, inputs]; outside of its row every step counts as zeros."""
    k, T = layer["width"], x.shape[0]
    back, ahead = k - 1, 0
    if layer["centred"]:
        x, back, ahead = x.masked_fill(past(x, lengths), 0.0), (k - 1) // 2, k // 2
    longer = torch.nn.functional.pad(x, (0, 0, 0, 0, back, ahead))
    windows = torch.cat([longer[j : j + T] for j in range(k)], -1)
    return torch.as_tensor(activated(TorchOps, layer, TorchOps.affine(windows, t["weight"], t["bias"])))


def pasts(layer: Layer, x: torch.Tensor) -> Tensors:
    """The state after every step of a causal conv layer: `past` [T, B, k - 1, inputs]; none where it has none."""
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
    lengths: torch.Tensor,
    fused: bool = True,
    native: bool = True,
) -> torch.Tensor:
    """Outputs [T, B, 2 x outputs] of a bidirectional layer over x [T, B, inputs]."""
    forward, backward = (one_way(way, t) for way in DIRECTIONS)
    ahead, _ = sequence(layer, tape, forward, x, fused, native=native)
    back, _ = sequence(layer, tape, backward, turned(x, lengths), fused, native=native)
    return torch.cat([ahead, turned(back, lengths)], -1)


def turned(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Each row of x [T, B, width] in reverse within its own length; what stands behind stays there."""
    T, B = x.shape[:2]
    t = torch.arange(T, device=x.device)[:, None]
    steps = torch.where(t < lengths, lengths - 1 - t, t)
    entries = steps * B + torch.arange(B, device=x.device)
    return x.flatten(0, 1).index_select(0, entries.flatten()).reshape(x.shape)
