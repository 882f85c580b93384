"""The layers of a model as a torch module over padded batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .. import layers
from ..tape import Tape
from . import transforms
from .bidirectional import compute_past, convolve, run_both_directions, run_direction
from .embedding import apply_dropout, draw_dropout, embed
from .final import select_final_states
from .ops import TorchOps
from .packed import PackedLayout
from .pooling import pool
from .recurrent import run_all_states


@dataclass(frozen=True)
class Noise:
    """The dropout of one training step: the probabilities after an embedding and before the head, and a generator."""

    embed: float
    pool: float
    random: np.random.Generator


@dataclass(frozen=True)
class BodyOutputs:
    """The packed outputs [N, width] of each layer before the pool."""

    layout: PackedLayout
    outputs: list[torch.Tensor]


class Network(transforms.NotScriptable):
    """The layers of any model, with gradients.

    document_layers, tapes: `layers` and `tapes` of a model. fused: False runs every tape step by step. native: allow
    the native engine. Parameters are float32; their names are the tensor names of the model, with _ for each dot.

    Source of the equations: the files of the layers; of recurrences, the tapes.
    """

    def __init__(
        self, document_layers: list[dict[str, Any]], tapes: dict[str, Tape], fused: bool = True, native: bool = True
    ) -> None:
        super().__init__()
        self.layers, self.tapes, self.fused, self.native = document_layers, tapes, fused, native
        self.layer_modules = [layers.load(layer["kind"]) for layer in document_layers]
        self.tensor_names: list[dict[str, str]] = [dict(layer["tensors"]) for layer in document_layers]
        kinds = [layer["kind"] for layer in document_layers]
        self.whole_window = layers.whole_window(document_layers)
        self.pool_index = kinds.index("pool") if "pool" in kinds else len(kinds)
        for layer, module in zip(document_layers, self.layer_modules, strict=True):
            for role, shape in module.tensors(layer, tapes).items():
                key = parameter_name(layer["tensors"][role])
                trainable = is_trainable(layer, role)
                self.register_parameter(key, torch.nn.Parameter(torch.zeros(shape), requires_grad=trainable))

    def __getstate__(self) -> dict[str, Any]:
        # Python modules cannot be pickled
        return {name: value for name, value in self.__dict__.items() if name != "layer_modules"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.layer_modules = [layers.load(layer["kind"]) for layer in self.layers]

    def weights(self, i: int) -> dict[str, torch.Tensor]:
        return {role: getattr(self, parameter_name(name)) for role, name in self.tensor_names[i].items()}

    @torch.no_grad()
    def scale_scores(self, factor: float, part: tuple[int, int] | None = None) -> None:
        """Multiply the weights of the last dense layer by a factor, and so the logits of a softmax after it.

        part: start and stop of the outputs that are scaled; None: all.
        """
        i = max(k for k, layer in enumerate(self.layers) if layer["kind"] == "dense")
        for weight in self.weights(i).values():
            weight[slice(*part or (None,))].mul_(factor)

    def matrices(self) -> list[torch.nn.Parameter]:
        """Return the parameters with weight decay: matrices that multiply, not tables, gains or biases."""
        return [
            self.get_parameter(parameter_name(name))
            for layer, names in zip(self.layers, self.tensor_names, strict=True)
            for role, name in names.items()
            if is_matrix(layer["kind"], role)
        ]

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Return float32 copies of all weights, by tensor name."""
        return {
            name: self.get_parameter(parameter_name(name)).detach().numpy().copy()
            for names in self.tensor_names
            for name in names.values()
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all weights, by tensor name."""
        return {name: value.shape for name, value in self.tensors().items()}

    def load_tensors(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        with torch.no_grad():
            for names in self.tensor_names:
                for name in names.values():
                    self.get_parameter(parameter_name(name)).copy_(torch.from_numpy(np.array(tensors[name])))

    def forward(
        self,
        x: torch.Tensor,
        lengths: torch.Tensor,
        noise: Noise | None = None,
        logits: bool = True,
        per_step: bool = False,
    ) -> torch.Tensor:
        """Return the output [B, outputs] after the last step of each row.

        x: ids [T, B] or numbers [T, B, features]. lengths: int64 [B], 1 to T; padding is not read. noise: the dropout
        of a training step. logits: leave out a final softmax, or the sigmoid of a final dense layer. per_step: return
        the outputs [longest, B, outputs] after every step instead, padded with zeros; for a model without a pool.
        """
        body = self.forward_body(x, lengths, noise)
        if per_step:
            return body.layout.pad(body.outputs[-1])
        return self.forward_heads(body, [lengths], noise, logits)[0]

    def forward_body(
        self, x: torch.Tensor, lengths: torch.Tensor, noise: Noise | None = None, packed: bool = False
    ) -> BodyOutputs:
        """Run the layers before the pool over whole rows. packed: x holds the steps of all rows one after another.

        In a model that streams, the outputs of the first steps are also those of a shorter row. With a whole-window
        layer they are not.
        """
        if transforms.is_jit_tracing():
            transforms.refuse(self, "traced", "the lengths of the example would be frozen")
        body = BodyOutputs(PackedLayout(lengths), [])
        x, outputs = body.layout.pack_rows(x) if packed else body.layout.pack(x), body.outputs
        for i in range(self.pool_index):
            if noise and i and i == len(self.layers) - 1:  # the head of a model without a pool
                outputs[-1] = dropout(outputs[-1], noise.pool, noise.random)
            if noise and self.layers[i]["kind"] == "embed":
                y = embed(self.weights(i)["weight"], x, noise.embed, noise.random, self.native)
            else:
                y = self.run_layer(i, outputs[-1] if outputs else x, body.layout)
            outputs.append(y if (add := self.layers[i].get("add")) is None else y + outputs[add])
        return body

    def forward_steps(self, body: BodyOutputs, noise: Noise | None = None, logits: bool = True) -> torch.Tensor:
        """Return the outputs [N, outputs] after every step, those of all rows one after another.

        logits: as in `forward`. A pool runs at all steps in one call; the layers after it see no padding.
        """
        if self.pool_index == len(self.layers):
            y = self.compute_logits(body.outputs[-2]) if logits and len(body.outputs) > 1 else None
            return body.layout.unpack_rows(body.outputs[-1] if y is None else y)
        layer, lengths = self.layers[self.pool_index], body.layout.lengths
        ends = torch.arange(1, int(lengths.max()) + 1)[:, None].minimum(lengths)
        pooled = pool(layer, self.weights(self.pool_index), body.outputs[-1], body.layout, list(ends), self.native)
        x = body.layout.unpack_rows(body.layout.pack(pooled))
        return self.run_head(body, x, lambda i: body.layout.unpack_rows(body.outputs[i]), noise, logits)

    def forward_heads(
        self, body: BodyOutputs, ends: list[torch.Tensor], noise: Noise | None = None, logits: bool = True
    ) -> torch.Tensor:
        """Run the pool and the layers after it on the first `ends` steps of each row: [K, B, outputs].

        ends: K tensors int64 [B], each from 1 to the row's length.
        """
        if self.pool_index == len(self.layers):
            return self.select_outputs(body, -1, ends)
        layer, t = self.layers[self.pool_index], self.weights(self.pool_index)
        x = pool(layer, t, body.outputs[-1], body.layout, ends, self.native)
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
        if (add := self.layers[self.pool_index].get("add")) is not None:
            x = x + select(add)
        outputs = {self.pool_index: dropout(x, noise.pool, noise.random) if noise else x}
        for i in range(self.pool_index + 1, len(self.layers)):
            if logits and i == len(self.layers) - 1 and (y := self.compute_logits(outputs[i - 1])) is not None:
                return y
            outputs[i] = self.run_layer(i, outputs[i - 1], body.layout)
            if (add := self.layers[i].get("add")) is not None:
                outputs[i] = outputs[i] + (outputs[add] if add in outputs else select(add))
        return outputs[len(self.layers) - 1]

    def select_outputs(self, body: BodyOutputs, i: int, ends: list[torch.Tensor]) -> torch.Tensor:
        """Return the output of layer i after the first `ends` steps of each row: [K, B, width]."""
        return torch.stack([body.layout.select_steps(body.outputs[i], end) for end in ends])

    def compute_logits(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return what a final softmax or sigmoid would turn into probabilities; None for another last layer."""
        layer, t = self.layers[-1], self.weights(len(self.layers) - 1)
        if layer["kind"] == "softmax":
            return x
        if layer["kind"] == "dense" and layer["activation"] == "sigmoid" and "add" not in layer:
            return torch.as_tensor(TorchOps.affine(x, t["weight"], t["bias"]))
        return None

    def run_layer(self, i: int, x: torch.Tensor, layout: PackedLayout) -> torch.Tensor:
        """Return the output of layer i, without `add`, for packed x [N, ...] or, after a pool, x [..., width]."""
        layer, t = self.layers[i], self.weights(i)
        if layer["kind"] == "recurrent":
            return run_direction(layer, self.tapes[layer["tape"]], t, x, layout, self.fused, self.native)
        if layer["kind"] == "bidirectional":
            return run_both_directions(layer, self.tapes[layer["tape"]], t, x, layout, self.fused, self.native)
        if layer["kind"] == "final":
            return select_final_states(x, layout)
        if layer["kind"] == "conv":
            return convolve(layer, t, x, layout)
        y, _ = self.layer_modules[i].step(TorchOps, layer, self.tapes, t, {}, x, None)
        return torch.as_tensor(y)

    def run(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the outputs [T, B, outputs] and the states [T, B, ...] after every step.

        The states have the names of a stream's state, `layers.I.NAME`. The pool runs step by step, as in a stream, and
        the layers before it over the whole sequence, as in training.
        """
        states: dict[str, torch.Tensor] = {}
        outputs: list[torch.Tensor] = []
        layout = PackedLayout(lengths)
        x = layout.pad(layout.pack(x))
        for i, layer in enumerate(self.layers):
            x, layer_states = self.run_layer_with_states(i, x, layout)
            if layer.get("add") is not None:
                x = x + outputs[layer["add"]]
            outputs.append(x)
            if not self.whole_window:
                states.update({f"layers.{i}.{name}": v for name, v in layer_states.items()})
        return x, states

    def run_layer_with_states(
        self, i: int, x: torch.Tensor, layout: PackedLayout
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """Return the output of layer i, without `add`, for x [T, B, ...], and its states after every step."""
        layer, t = self.layers[i], self.weights(i)
        if layer["kind"] == "recurrent":
            return run_all_states(layer, self.tapes[layer["tape"]], t, x, self.fused, native=self.native)
        if layer["kind"] == "pool":
            return run_pool_steps(self.layer_modules[i], layer, t, x)
        y = layout.pad(self.run_layer(i, layout.pack(x), layout))
        return y, compute_past(layer, x) if layer["kind"] == "conv" else {}


def is_matrix(kind: str, role: str) -> bool:
    """Return whether a tensor of a layer is a matrix that multiplies.

    >>> is_matrix("bidirectional", "backward.R"), is_matrix("recurrent", "p.W"), is_matrix("embed", "weight")
    (True, False, False)
    """
    *prefix, name = role.split(".")
    return kind in ("dense", "conv") if name == "weight" else name in ("W", "R", "Q") and "p" not in prefix


def is_trainable(layer: dict[str, Any], role: str) -> bool:
    """Return whether training changes a tensor: not the statistics of a scale, nor biases that the dialect lacks."""
    if layer["kind"] == "scale":
        return False
    return role.split(".")[-1] not in ("b", "c") or layer["dialect"].get("bias") != "no"


def parameter_name(tensor: str) -> str:
    """Convert a tensor name to a parameter name, which must not contain dots.

    >>> parameter_name("layers.2.p.alpha")
    'layers_2_p_alpha'
    """
    return tensor.replace(".", "_")


def dropout(x: torch.Tensor, rate: float, random: np.random.Generator) -> torch.Tensor:
    """Apply dropout from an explicit generator, so that the masks of a step depend only on its seed."""
    return apply_dropout(x, *draw_dropout(x.numel(), rate, random))


def run_pool_steps(
    module: Any, layer: dict[str, Any], t: dict[str, torch.Tensor], x: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the output of a pool after every step of x [T, B, ...], and its states after every step."""
    declared = module.state(layer, {})
    s = {name: x.new_full((x.shape[1], *shape), fill) for name, (shape, fill) in declared.items()}
    outputs, states = [], []
    for k in range(x.shape[0]):
        y, s = module.step(TorchOps, layer, {}, t, s, x[k], k + 1)
        outputs.append(y)
        states.append(s)
    return torch.stack(outputs), {n: torch.stack([s[n] for s in states]) for n in s}
