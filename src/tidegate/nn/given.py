"""Layers that read another graph, over whole rows with gradients: what stands there is the same at every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..layers import Layer, choose
from ..layers.cross_attend import CrossAttend
from ..layers.given import Given
from .packed import PackedLayout

Tensor = torch.Tensor
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class GivenRows:
    """What a layer reads of another graph, for each of B rows: `steps` [B, M, width], of which the first `counts` [B].

    The last of them is all that a layer needs which does not keep steps.
    """

    steps: Tensor
    counts: Tensor

    @property
    def last(self) -> Tensor:
        """The last step of each row, [B, width]."""
        return self.steps[torch.arange(len(self.counts)), self.counts - 1]


def append(layer: Given, t: Tensors, x: Tensor, layout: PackedLayout, given: GivenRows) -> Tensor:
    rows = layout.sorted_indices[layout.row]
    return torch.cat([x, given.last[rows]], -1)


def attend(layer: CrossAttend, t: Tensors, x: Tensor, layout: PackedLayout, given: GivenRows) -> Tensor:
    heads, each = layer.heads, layer.size // layer.heads
    query = layout.pad(torch.nn.functional.linear(x, t["weight"], t["bias"]))
    query = query.reshape(*query.shape[:2], heads, each)
    keys, values = given.steps.reshape(*given.steps.shape[:2], 2, heads, each).unbind(2)
    scores = torch.einsum("tbhe,bmhe->tbhm", query, keys) * (1 / math.sqrt(each))
    empty = torch.arange(keys.shape[1]) >= given.counts[:, None]
    weights = scores.masked_fill(empty[:, None], -torch.inf).softmax(-1)
    return layout.pack(torch.einsum("tbhm,bmhe->tbhe", weights, values).flatten(2))


# Functions (layer, t, x [N, ...], layout, given) -> outputs [N, width].
FUNCTIONS: dict[type[Layer], Callable[..., Tensor]] = {Given: append, CrossAttend: attend}


def run_given(layer: Layer, t: Tensors, x: Tensor, layout: PackedLayout, given: GivenRows) -> Tensor:
    """Return the output of a layer that reads another graph, for packed x [N, ...]."""
    function = choose(FUNCTIONS, layer, "has no code in torch for what it reads of another graph")
    return function(layer, t, x, layout, given)
