"""The layers of a model as a torch module over padded batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..layers import Layer, name_states, output_delays, walk, whole_window
from . import transforms
from .embedding import apply_dropout, draw_dropout
from .layer_functions import Noise, Run, run_pool, run_rows, run_with_states
from .ops import TorchOps
from .packed import PackedLayout


@dataclass(frozen=True)
class BodyOutputs:
    """How the layers before the pool ran, and the packed output [N, width] of each by index; at -1, the input."""

    how: Run
    outputs: dict[int, torch.Tensor]

    @property
    def layout(self) -> PackedLayout:
        return self.how.layout

    @property
    def last(self) -> torch.Tensor:
        """The output of the last of these layers."""
        return self.outputs[max(self.outputs)]


class Network(transforms.NotScriptable):
    """The layers of any model, with gradients.

    layers: those of a model. fused: False runs every tape step by step. native: allow the native engine. Parameters are
    float32; their names are the tensor names of the model, with _ for each dot.

    Source of the equations: the files of the layers; of recurrences, the tapes.
    """

    def __init__(self, layers: Sequence[Layer], fused: bool = True, native: bool = True) -> None:
        super().__init__()
        self.layers, self.fused, self.native = tuple(layers), fused, native
        self.whole_window = whole_window(self.layers)
        self.pool_index = next((i for i, layer in enumerate(self.layers) if layer.is_pool), len(self.layers))
        for layer in self.layers:
            for role, shape in layer.shapes().items():
                weight = torch.nn.Parameter(torch.zeros(shape), requires_grad=layer.use(role) != "fixed")
                self.register_parameter(parameter_name(layer.tensors[role]), weight)

    def weights(self, i: int) -> dict[str, torch.Tensor]:
        return {role: getattr(self, parameter_name(name)) for role, name in self.layers[i].tensors.items()}

    def named_tensors(self) -> dict[str, torch.nn.Parameter]:
        """Return all parameters by tensor name."""
        names = [name for layer in self.layers for name in layer.tensors.values()]
        return {name: self.get_parameter(parameter_name(name)) for name in names}

    @torch.no_grad()
    def scale_scores(self, factor: float, part: tuple[int, int] | None = None) -> None:
        """Multiply the weights of the last dense layer by a factor, and so the logits of a softmax after it.

        part: start and stop of the outputs that are scaled; None: all.
        """
        i = max(k for k, layer in enumerate(self.layers) if layer.is_affine)
        for weight in self.weights(i).values():
            weight[slice(*part or (None,))].mul_(factor)

    def matrices(self) -> list[torch.nn.Parameter]:
        """Return the parameters with weight decay: matrices that multiply, not tables, gains or biases."""
        return [
            self.get_parameter(parameter_name(name))
            for layer in self.layers
            for role, name in layer.tensors.items()
            if layer.use(role) == "matrix"
        ]

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return float32 copies of all weights, by tensor name."""
        return {name: v.detach().numpy().copy() for name, v in self.named_tensors().items()}

    def load_tensors(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        with torch.no_grad():
            for name, weight in self.named_tensors().items():
                weight.copy_(torch.from_numpy(np.array(tensors[name])))

    def forward(
        self,
        x: torch.Tensor,
        lengths: torch.Tensor,
        noise: Noise | None = None,
        logits: bool = True,
        per_step: bool = False,
    ) -> torch.Tensor:
        """Return the output [B, outputs] after the last step of each row.

        x: ids [T, B] or [T, B, ids], or numbers [T, B, features]. lengths: int64 [B], 1 to T; padding is not read.
        noise: the dropout of a training step. logits: leave out a final softmax, or the sigmoid of a final dense layer.
        per_step: return the outputs [longest, B, outputs] after every step instead, padded with zeros; for a model
        without a pool.
        """
        body = self.forward_body(x, lengths, noise)
        if per_step:
            return body.layout.pad(body.last)
        return self.forward_heads(body, [lengths], noise, logits)[0]

    def forward_body(
        self, x: torch.Tensor, lengths: torch.Tensor, noise: Noise | None = None, packed: bool = False
    ) -> BodyOutputs:
        """Run the layers before the pool over whole rows. packed: x holds the steps of all rows one after another.

        In a model that streams, the outputs of the first steps are also those of a shorter row. With a whole-window
        layer they are not, and with look-ahead those of its last steps are not.
        """
        if transforms.is_jit_tracing():
            transforms.refuse(self, "traced", "the lengths of the example would be frozen")
        how = Run(PackedLayout(lengths), self.fused, self.native, noise)

        def run(i: int, layer: Layer, x: torch.Tensor) -> torch.Tensor:
            if noise and i and i == len(self.layers) - 1:  # the head of a model without a pool
                x = dropout(x, noise.pool, noise.random)
            return run_rows(layer, self.weights(i), x, how)

        x = how.layout.pack_rows(x) if packed else how.layout.pack(x)
        return BodyOutputs(how, walk(self.layers[: self.pool_index], x, run, earlier={-1: x}))

    def forward_steps(self, body: BodyOutputs, noise: Noise | None = None, logits: bool = True) -> torch.Tensor:
        """Return the outputs [N, outputs] after every step, those of all rows one after another.

        logits: as in `forward`. A pool runs at all steps in one call; the layers after it see no padding.
        """
        layout, last = body.layout, len(self.layers) - 1
        if self.pool_index > last:
            layer = self.layers[last]
            if logits and layer.ends_in and layer.add is None:
                y = layer.logits(TorchOps, self.weights(last), body.outputs[last - 1])
                return layout.unpack_rows(torch.as_tensor(y))
            return layout.unpack_rows(body.last)
        ends = torch.arange(1, int(layout.lengths.max()) + 1)[:, None].minimum(layout.lengths)
        pooled = run_pool(self.layers[self.pool_index], self.weights(self.pool_index), body.last, body.how, list(ends))
        x = layout.unpack_rows(layout.pack(pooled))
        return self.run_head(body, x, lambda i: layout.unpack_rows(body.outputs[i]), noise, logits)

    def forward_heads(
        self, body: BodyOutputs, ends: list[torch.Tensor], noise: Noise | None = None, logits: bool = True
    ) -> torch.Tensor:
        """Run the pool and the layers after it on the first `ends` steps of each row: [K, B, outputs].

        ends: K tensors int64 [B], each from 1 to the row's length.
        """
        if self.pool_index == len(self.layers):
            return self.select_outputs(body, self.pool_index - 1, ends)
        x = run_pool(self.layers[self.pool_index], self.weights(self.pool_index), body.last, body.how, ends)
        return self.run_head(body, x, lambda i: self.select_outputs(body, i, ends), noise, logits)

    def run_head(
        self,
        body: BodyOutputs,
        x: torch.Tensor,
        select: Callable[[int], torch.Tensor],
        noise: Noise | None,
        logits: bool,
    ) -> torch.Tensor:
        """Run the layers after the pool on its output x. select: gives the output of a layer before it at the same
        steps.
        """
        first, last = self.pool_index, len(self.layers) - 1

        def run(i: int, layer: Layer, x: torch.Tensor) -> torch.Tensor:
            if noise and i == first + 1:
                x = dropout(x, noise.pool, noise.random)
            if logits and i == last and layer.ends_in and layer.add is None:
                return torch.as_tensor(layer.logits(TorchOps, self.weights(i), x))
            return run_rows(layer, self.weights(i), x, body.how)

        added = {layer.add for layer in self.layers[first:] if layer.add is not None and layer.add < first}
        earlier = {i: select(i) for i in sorted(added)}
        add = self.layers[first].add
        pooled = x if add is None else x + earlier[add]
        return walk(self.layers, pooled, run, earlier={**earlier, first: pooled})[last]

    def select_outputs(self, body: BodyOutputs, i: int, ends: list[torch.Tensor]) -> torch.Tensor:
        """Return the output of layer i after the first `ends` steps of each row: [K, B, width]."""
        return torch.stack([body.layout.select_steps(body.outputs[i], end) for end in ends])

    def run(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the outputs [T, B, outputs] and the states [T, B, ...] after every step.

        The states have the names of a stream's state, `layers.I.NAME`. The pool runs step by step, as in a stream, and
        the layers before it over the whole sequence, as in training. Behind layers that look ahead, states are those of
        a stream, which are late; outputs are not.
        """
        delays = output_delays(self.layers)
        states: dict[str, torch.Tensor] = {}
        how = Run(PackedLayout(lengths), self.fused, self.native)

        def run(i: int, layer: Layer, x: torch.Tensor) -> torch.Tensor:
            y, own = run_with_states(layer, self.weights(i), x, how)
            if not self.whole_window:
                late = delays[i] - layer.look_ahead
                states.update(name_states(i, delay_states(layer, own, late) if late else own))
            return y

        x = how.layout.pad(how.layout.pack(x))
        return walk(self.layers, x, run)[len(self.layers) - 1], states


def delay_states(layer: Layer, states: Mapping[str, torch.Tensor], late: int) -> dict[str, torch.Tensor]:
    """Return states [T, B, ...] after every step as those of a stream whose layer is so many steps late."""
    found = {}
    for name, (_, first) in layer.state().items():
        initial = torch.as_tensor(first, dtype=states[name].dtype).expand_as(states[name][:1])
        found[name] = torch.cat([initial.repeat(late, *[1] * (initial.dim() - 1)), states[name]])[: len(states[name])]
    return found


def parameter_name(tensor: str) -> str:
    """Convert a tensor name to a parameter name, which must not contain dots.

    >>> parameter_name("layers.2.p.alpha")
    'layers_2_p_alpha'
    """
    return tensor.replace(".", "_")


def dropout(x: torch.Tensor, rate: float, random: np.random.Generator) -> torch.Tensor:
    """Apply dropout from an explicit generator, so that the masks of a step depend only on its seed."""
    return apply_dropout(x, *draw_dropout(x.numel(), rate, random))
