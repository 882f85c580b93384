"""The layers of a model as a torch module over padded batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import ModuleError
from ..layers import INPUT, Layer, Source, name_states, output_delays, reads_of, sources_of, walk, whole_window
from . import transforms
from .embedding import apply_dropout, draw_dropout
from .given import GivenRows, run_given
from .layer_functions import Noise, Run, run_pool, run_rows, run_with_states
from .ops import TorchOps
from .packed import PackedLayout


@dataclass(frozen=True)
class BodyOutputs:
    """How the layers before a pool ran, and the packed outputs [N, width] of each by index, and of inputs by name."""

    how: Run
    outputs: dict[Source, torch.Tensor]
    last: torch.Tensor  # of the last layer, in a model without a pool

    @property
    def layout(self) -> PackedLayout:
        return self.how.layout


class Network(transforms.NotScriptable):
    """The layers of any model, with gradients.

    layers: those of a model. ports: where the columns of each of its ports stand, as in `Model.ports`. fused: False
    runs every tape step by step. native: allow the native engine. decoders: the shapes of the tensors of its decoders,
    by name, which are trained with the layers. Parameters are float32; their names are the tensor names of the model,
    with _ for each dot.

    Source of the equations: the files of the layers; of recurrences, the tapes.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        fused: bool = True,
        native: bool = True,
        ports: Mapping[str, Any] = MappingProxyType({INPUT: ...}),
        decoders: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.layers, self.fused, self.native, self.ports = tuple(layers), fused, native, dict(ports)
        self.whole_window = whole_window(self.layers)
        self.last = len(self.layers) - 1
        self.after_pool = find_after_pool(self.layers)
        self.final = find_final(self.layers)
        self.heads = {find_head(self.layers, i) for i in self.final if not self.layers[i].copies}
        for layer in self.layers:
            for role, shape in layer.shapes().items():
                weight = torch.nn.Parameter(torch.zeros(shape), requires_grad=layer.use(role) != "fixed")
                self.register_parameter(parameter_name(layer.tensors[role]), weight)
        self.decoder_names = list(decoders)
        for name, shape in decoders.items():
            self.register_parameter(parameter_name(name), torch.nn.Parameter(torch.zeros(shape)))

    def weights(self, i: int) -> dict[str, torch.Tensor]:
        return {role: getattr(self, parameter_name(name)) for role, name in self.layers[i].tensors.items()}

    def named_tensors(self) -> dict[str, torch.nn.Parameter]:
        """Return all parameters by tensor name."""
        names = [name for layer in self.layers for name in layer.tensors.values()] + self.decoder_names
        return {name: self.get_parameter(parameter_name(name)) for name in names}

    def decoder_tensors(self) -> dict[str, torch.Tensor]:
        """Return the parameters of decoders by tensor name."""
        return {name: self.get_parameter(parameter_name(name)) for name in self.decoder_names}

    @torch.no_grad()
    def scale_scores(self, factor: float, part: tuple[int, int] | None = None, node: int | None = None) -> None:
        """Multiply the weights of the dense layer that makes a node's scores, and so the logits of a softmax after it.

        node: the index of the layer; None: the last one. part: start and stop of the scaled outputs; None: all.
        """
        i = self.last if node is None else node
        while not self.layers[i].is_affine:
            (source,) = sources_of(i, self.layers[i])
            assert isinstance(source, int)
            i = source
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
        self,
        x: torch.Tensor,
        lengths: torch.Tensor,
        noise: Noise | None = None,
        packed: bool = False,
        given: Mapping[int, GivenRows] = MappingProxyType({}),
    ) -> BodyOutputs:
        """Run the layers before the pool over whole rows. packed: x holds the steps of all rows one after another.

        given: what layers read of another graph, by their index.

        In a model that streams, the outputs of the first steps are also those of a shorter row. With a whole-window
        layer they are not, and with look-ahead those of its last steps are not.
        """
        if transforms.is_jit_tracing():
            transforms.refuse(self, "traced", "the lengths of the example would be frozen")
        how = Run(PackedLayout(lengths), self.fused, self.native, noise)

        def run(i: int, layer: Layer, x: torch.Tensor) -> torch.Tensor:
            if noise and i and i in self.heads:  # of a model without a pool
                x = dropout(x, noise.pool, noise.random)
            if i in given:
                return run_given(layer, self.weights(i), x, how.layout, given[i])
            return run_rows(layer, self.weights(i), x, how)

        x = how.layout.pack_rows(x) if packed else how.layout.pack(x)
        among = set(range(len(self.layers))) - self.after_pool
        outputs = walk(self.layers, self.split_ports(x), run, join, among=among)
        return BodyOutputs(how, outputs, outputs.get(self.last, x))

    def forward_inputs(
        self, inputs: Mapping[str, torch.Tensor], lengths: Sequence[torch.Tensor], noise: Noise | None = None
    ) -> BodyOutputs:
        """Do `forward_body` for the inputs of a packed batch, by name. lengths: int64 [B], one for each graph."""
        (x,), (own,) = inputs.values(), lengths
        return self.forward_body(x, own, noise, packed=True)

    def split_ports(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what each port gives of the input's ids or numbers, by its name."""
        return {name: x if at is Ellipsis else x[at] for name, at in self.ports.items()}

    def forward_steps(self, body: BodyOutputs, noise: Noise | None = None, logits: bool = True) -> torch.Tensor:
        """Return the outputs [N, outputs] after every step, those of all rows one after another.

        logits: as in `forward`. A pool runs at all steps in one call; the layers after it see no padding.
        """
        layout = body.layout
        if self.last not in self.after_pool:
            y = self.run_logits(body) if logits and any(self.gives_logits(i) for i in self.final) else body.last
            return layout.unpack_rows(y)
        ends = torch.arange(1, int(layout.lengths.max()) + 1)[:, None].minimum(layout.lengths)

        def pool(i: int, x: torch.Tensor) -> torch.Tensor:
            pooled = run_pool(self.layers[i], self.weights(i), x, body.how, list(ends))
            return layout.unpack_rows(layout.pack(pooled))

        return self.run_head(body, pool, lambda x: layout.unpack_rows(x), noise, logits)

    def gives_logits(self, i: int) -> bool:
        """Return whether a layer may give logits in place of its output, as no layer needs its probabilities."""
        return i in self.final and bool(self.layers[i].ends_in) and self.layers[i].add is None

    def select_logits(self, body: BodyOutputs, source: Source) -> torch.Tensor:
        """Return the packed output of a layer before a pool, or of an input; as logits where there can be."""
        if isinstance(source, str) or not self.gives_logits(source):
            return body.outputs[source]
        layer = self.layers[source]
        xs = [body.outputs[one] for one in sources_of(source, layer)]
        return torch.as_tensor(layer.logits(TorchOps, self.weights(source), xs[0] if len(xs) == 1 else join(xs)))

    def run_logits(self, body: BodyOutputs) -> torch.Tensor:
        """Return the packed output of a model without a pool, with logits where there can be."""

        def run(i: int, layer: Layer, x: torch.Tensor) -> torch.Tensor:
            return run_rows(layer, self.weights(i), x, body.how)

        raw = {i: self.select_logits(body, i) for i in self.final if self.gives_logits(i)}
        among = self.final.difference(raw)
        earlier = {source: y for source, y in body.outputs.items() if source not in self.final} | raw
        return walk(self.layers, {}, run, join, earlier=earlier, among=among)[self.last]

    def forward_heads(
        self, body: BodyOutputs, ends: list[torch.Tensor], noise: Noise | None = None, logits: bool = True
    ) -> torch.Tensor:
        """Run the pools and the layers after them on the first `ends` steps of each row: [K, B, outputs].

        ends: K tensors int64 [B], each from 1 to the row's length.
        """
        if self.last not in self.after_pool:
            return self.select_ends(body, body.last, ends)

        def pool(i: int, x: torch.Tensor) -> torch.Tensor:
            return run_pool(self.layers[i], self.weights(i), x, body.how, ends)

        return self.run_head(body, pool, lambda x: self.select_ends(body, x, ends), noise, logits)

    def run_head(
        self,
        body: BodyOutputs,
        pool: Callable[[int, torch.Tensor], torch.Tensor],
        select: Callable[[torch.Tensor], torch.Tensor],
        noise: Noise | None,
        logits: bool,
    ) -> torch.Tensor:
        """Run the pools and the layers after them.

        pool: runs pool i on packed steps. select: gives, of the packed outputs of a layer before, those at the same
        steps.
        """
        pools = [i for i in sorted(self.after_pool) if self.layers[i].is_pool]
        earlier: dict[Source, torch.Tensor] = {}
        for i in self.after_pool:
            own = sources_of(i, self.layers[i]) if i in pools else ()
            for source in set(reads_of(i, self.layers[i])).difference(own, self.after_pool, earlier):
                earlier[source] = select(self.select_logits(body, source) if logits else body.outputs[source])
        for i in pools:
            if self.after_pool.intersection(sources := sources_of(i, self.layers[i])):
                raise ModuleError(f"layers[{i}] is a pool behind another pool, which torch has no code for")
            xs = [body.outputs[source] for source in sources]
            y, add = pool(i, xs[0] if len(xs) == 1 else join(xs)), self.layers[i].add
            earlier[i] = y if add is None else y + earlier[add]

        def run(i: int, layer: Layer, x: torch.Tensor) -> torch.Tensor:
            if noise and not set(pools).isdisjoint(sources_of(i, layer)):
                x = dropout(x, noise.pool, noise.random)
            if logits and self.gives_logits(i):
                return torch.as_tensor(layer.logits(TorchOps, self.weights(i), x))
            return run_rows(layer, self.weights(i), x, body.how)

        return walk(self.layers, {}, run, join, earlier=earlier, among=self.after_pool.difference(pools))[self.last]

    def select_ends(self, body: BodyOutputs, y: torch.Tensor, ends: list[torch.Tensor]) -> torch.Tensor:
        """Return packed outputs after the first `ends` steps of each row: [K, B, width]."""
        return torch.stack([body.layout.select_steps(y, end) for end in ends])

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
        return walk(self.layers, self.split_ports(x), run, join)[self.last], states


def join(xs: list[torch.Tensor]) -> torch.Tensor:
    """Put the outputs of several sources side by side."""
    return torch.cat(xs, -1)


def find_after_pool(layers: Sequence[Layer]) -> set[int]:
    """Return the indices of pools, and of the layers that depend on one."""
    found: set[int] = set()
    for i, layer in enumerate(layers):
        if layer.is_pool or not found.isdisjoint(reads_of(i, layer)):
            found.add(i)
    return found


def find_final(layers: Sequence[Layer]) -> set[int]:
    """Return the indices of the layers that give the model's numbers, and of those that only put them together.

    They are the last layer or, where that copies, the layers whose output nothing else reads.
    """
    final = {len(layers) - 1}
    for i in range(len(layers) - 1, -1, -1):
        readers = {k for k, layer in enumerate(layers) if i in reads_of(k, layer)}
        if readers and all(k in final and layers[k].copies for k in readers):
            final.add(i)
    return final


def find_head(layers: Sequence[Layer], i: int) -> int:
    """Return the index of the layer whose weights give what a final layer makes probabilities of; others are it."""
    while layers[i].ends_in and not layers[i].is_affine:
        (source,) = sources_of(i, layers[i])
        if not isinstance(source, int):
            break
        i = source
    return i


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
