"""The graphs of a model that has several as one torch module: messages inside a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import torch

from ..layers import INPUT
from ..model import Model, ModelLevel
from . import transforms
from .layer_functions import Noise
from .network import BodyOutputs, Network, join


class LevelsNetwork(transforms.NotScriptable):
    """The graphs of a model, with gradients: a `Network` each, of which one reads the last values of the one below.

    levels: those of a model, the innermost first. Its outputs are those of the last graph, and so is its interface to
    training. Gradients flow through all graphs.
    """

    def __init__(self, levels: Mapping[str, ModelLevel], fused: bool = True, native: bool = True) -> None:
        super().__init__()
        self.levels = tuple(levels.values())
        self.networks = [Network(one.model.layers, fused, native, one.model.ports) for one in self.levels]
        self.graphs = torch.nn.ModuleDict(dict(zip(levels, self.networks, strict=True)))

    @property
    def last(self) -> Network:
        """The network of the last graph."""
        return self.networks[-1]

    @property
    def whole_window(self) -> str:
        """Why a row is read as a whole; "" here, as graphs that tick on others never do."""
        return self.last.whole_window

    def named_tensors(self) -> dict[str, torch.nn.Parameter]:
        """Return the parameters of all graphs by tensor name."""
        return {name: weight for network in self.networks for name, weight in network.named_tensors().items()}

    def matrices(self) -> list[torch.nn.Parameter]:
        """Return the parameters of all graphs with weight decay."""
        return [weight for network in self.networks for weight in network.matrices()]

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return float32 copies of the weights of all graphs, by tensor name."""
        return {name: array for network in self.networks for name, array in network.tensors().items()}

    def load_tensors(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        """Set the weights of all graphs."""
        for network in self.networks:
            network.load_tensors(tensors)

    def scale_scores(self, factor: float, part: tuple[int, int] | None = None, node: int | None = None) -> None:
        """Scale the scores of a node of the last graph; see `Network.scale_scores`."""
        self.last.scale_scores(factor, part, node)

    def forward_inputs(
        self, inputs: Mapping[str, torch.Tensor], lengths: Sequence[torch.Tensor], noise: Noise | None = None
    ) -> BodyOutputs:
        """Run all graphs on a packed batch, and of the last one the layers before its pool.

        inputs: by name, the steps of all rows one after another: "x" those of messages, a side input one row for each
        tick of its graph. lengths: for each graph, the innermost first, the steps of each of its rows, int64.
        """
        x = inputs[INPUT]
        for network, one, upper, own in zip(self.networks, self.levels, self.levels[1:], lengths, strict=False):
            body = network.forward_body(x, own, noise, packed=True)
            (values,) = network.forward_heads(body, [own], noise, logits=False)
            x = join([read_below(one, name, values, inputs) for name in upper.reads])
        return self.last.forward_body(x, lengths[-1], noise, packed=True)

    def forward_heads(
        self, body: BodyOutputs, ends: list[torch.Tensor], noise: Noise | None = None, logits: bool = True
    ) -> torch.Tensor:
        """Run the rest of the last graph at the first `ends` ticks of each row; see `Network.forward_heads`."""
        return self.last.forward_heads(body, ends, noise, logits)

    def forward_steps(self, body: BodyOutputs, noise: Noise | None = None, logits: bool = True) -> torch.Tensor:
        """Run the rest of the last graph after every tick; see `Network.forward_steps`."""
        return self.last.forward_steps(body, noise, logits)


Trainable = Network | LevelsNetwork


def read_below(below: ModelLevel, name: str, values: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return what a graph reads under a name: a node of the graph below, a part of its values, or a side input."""
    output = below.model.outputs.get(name)
    if output is None:
        return inputs[name]
    return values if output.part is None else values[..., output.part]


def make_network(model: Model, fused: bool = True, native: bool = True) -> Trainable:
    """Make the network of a model, with weights of zero. fused, native: see `Network`.

    >>> from tidegate.verify.samples import sample
    >>> [layer.kind for layer in make_network(sample(size=4)).layers]
    ['embed', 'recurrent', 'pool', 'dense', 'softmax']
    """
    if model.levels:
        return LevelsNetwork(model.levels, fused, native)
    names = [name for decoder in model.decoders.values() for name in decoder.tensors.values()]
    decoders = {name: model.tensors[name].shape for name in names}
    return Network(model.layers, fused, native, model.ports, decoders)
