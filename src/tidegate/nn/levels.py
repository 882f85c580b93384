"""The graphs of a model that has several as one torch module: messages inside a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import torch

from ..errors import ModuleError
from ..layers import INPUT
from ..model import Model, ModelLevel
from . import transforms
from .given import GivenRows
from .layer_functions import Noise
from .network import BodyOutputs, Network, join


class LevelsNetwork(transforms.NotScriptable):
    """The graphs of a model, with gradients: a `Network` each, of which one reads the last values of the one below.

    levels: those of a model, the innermost first, and perhaps one that a decoder drives. Its outputs are those of the
    last graph, and so is its interface to training. Gradients flow through all graphs.
    """

    def __init__(self, levels: Mapping[str, ModelLevel], fused: bool = True, native: bool = True) -> None:
        super().__init__()
        self.levels, self.names = tuple(levels.values()), tuple(levels)
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

    def decoder_tensors(self) -> dict[str, torch.Tensor]:
        """Return the parameters of decoders, which models of several graphs do not have."""
        return {}

    def scale_scores(self, factor: float, part: tuple[int, int] | None = None, node: int | None = None) -> None:
        """Scale the scores of a node of the last graph; see `Network.scale_scores`."""
        self.last.scale_scores(factor, part, node)

    def forward_inputs(
        self, inputs: Mapping[str, torch.Tensor], lengths: Sequence[torch.Tensor], noise: Noise | None = None
    ) -> BodyOutputs:
        """Run all graphs on a packed batch, and of the last one the layers before its pool.

        inputs: by name, the steps of all rows one after another: "x" those of messages, a side input one row for each
        tick of its graph, and what is fed back to a graph that a decoder drives. lengths: for each graph, the innermost
        first, the steps of each of its rows, int64; a driven one has a row for each of the first graph.
        """
        x, bodies = inputs[INPUT], list[BodyOutputs]()
        chain = [one for one in self.levels if not one.decoder]
        for network, one, upper, own in zip(self.networks, chain, [*chain[1:], None], lengths, strict=False):
            bodies.append(network.forward_body(x, own, noise, packed=True))
            if upper is not None:
                (values,) = network.forward_heads(bodies[-1], [own], noise, logits=False)
                x = join([read_below(one, name, values, inputs) for name in upper.reads])
        if len(chain) == len(self.levels):
            return bodies[-1]
        if len(chain) + 1 < len(self.levels):
            raise ModuleError("several graphs are driven by decoders; torch trains a model with one of them")
        (fed,) = set(inputs).difference([INPUT], *(one.reads for one in chain))
        driven = self.levels[-1]
        given = {i: self.read_steps(node, bodies) for i, node in zip(driven.readers, driven.reads, strict=True)}
        return self.last.forward_body(inputs[fed], lengths[-1], noise, packed=True, given=given)

    def read_steps(self, node: str, bodies: Sequence[BodyOutputs]) -> GivenRows:
        """Return what a driven graph reads of a node, for each row of the first graph.

        Of the first graph, these are the steps of the row; of the one above, the ticks of its row up to this one.
        """
        graph, _, index = node.partition(".")
        k = self.names.index(graph)
        network, body, layout = self.networks[k], bodies[k], bodies[k].layout
        if int(index) in body.outputs:
            steps = layout.pad(body.outputs[int(index)])
        else:  # behind a pool
            own = self.levels[k].model.outputs[node]
            steps = layout.pad(layout.pack_rows(own.select(network.forward_steps(body, logits=False))))  # type: ignore[arg-type]
        steps = steps.swapaxes(0, 1)
        if k == 0:
            return GivenRows(steps, layout.lengths)
        row = torch.repeat_interleave(layout.lengths)
        first = layout.lengths.cumsum(0) - layout.lengths
        return GivenRows(steps[row], torch.arange(len(row)) - first[row] + 1)

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
        return LevelsNetwork(model.graphs, fused, native)
    names = [name for decoder in model.decoders.values() for name in decoder.tensors.values()]
    decoders = {name: model.tensors[name].shape for name in names}
    return Network(model.layers, fused, native, model.ports, decoders)
