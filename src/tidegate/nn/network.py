"""A model's layers as a torch module over whole padded batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .. import layers
from ..tape import Tape
from .ops import TorchOps
from .recurrent import sequence
from .windows import both_ways, convolution, past, pasts


@dataclass(frozen=True)
class Noise:
    """What one training step leaves out at random: probabilities, and where the randomness comes from."""

    embed: float
    pool: float
    random: np.random.Generator


class Network(torch.nn.Module):
    """The layers of a model document, differentiable.

    document: `layers` and `tapes` are read. fused, native: as in `recurrent.sequence`. Parameters are float32, named by
    the document's tensor names.

    Source of the equations: the layers' own files; recurrence by the tapes.
    """

    def __init__(
        self, document_layers: list[dict[str, Any]], tapes: dict[str, Tape], fused: bool = True, native: bool = True
    ) -> None:
        super().__init__()
        self.layers, self.tapes, self.fused, self.native = document_layers, tapes, fused, native
        self.rooms = [layers.load(layer["kind"]) for layer in document_layers]
        self.names: list[dict[str, str]] = [dict(layer["tensors"]) for layer in document_layers]
        kinds = [layer["kind"] for layer in document_layers]
        self.whole_window = layers.whole_window(document_layers)
        self.pooled = kinds.index("pool") if "pool" in kinds else len(kinds)
        for layer, room in zip(document_layers, self.rooms, strict=True):
            for role, shape in room.tensors(layer, tapes).items():
                key = parameter_name(layer["tensors"][role])
                learnt = is_learnt(layer, role)
                self.register_parameter(key, torch.nn.Parameter(torch.zeros(shape), requires_grad=learnt))

    def weights(self, i: int) -> dict[str, torch.Tensor]:
        return {role: getattr(self, parameter_name(name)) for role, name in self.names[i].items()}

    @torch.no_grad()
    def scale_scores(self, factor: float) -> None:
        """Multiplies the weights of the last dense layer, and so the scores that a softmax turns into probabilities."""
        i = max(k for k, layer in enumerate(self.layers) if layer["kind"] == "dense")
        for weight in self.weights(i).values():
            weight.mul_(factor)

    def matrices(self) -> list[torch.nn.Parameter]:
        """The weights that decay is for: matrices that multiply, not tables, gains or biases."""
        return [
            self.get_parameter(parameter_name(name))
            for layer, names in zip(self.layers, self.names, strict=True)
            for role, name in names.items()
            if multiplies(layer["kind"], role)
        ]

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Every weight by tensor name, as float32 copies."""
        return {
            name: self.get_parameter(parameter_name(name)).detach().numpy().copy()
            for names in self.names
            for name in names.values()
        }

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every weight, by tensor name."""
        return {name: value.shape for name, value in self.tensors().items()}

    def load_tensors(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        with torch.no_grad():
            for names in self.names:
                for name in names.values():
                    self.get_parameter(parameter_name(name)).copy_(torch.from_numpy(np.array(tensors[name])))

    def forward(
        self,
        x: torch.Tensor,
        lengths: torch.Tensor,
        noise: Noise | None = None,
        logits: bool = True,
        every: bool = False,
    ) -> torch.Tensor:
        """The model's output after each row's last step [B, outputs].

        x: ids [T, B] or numbers [T, B, features]; lengths: int64 [B], 1 to T. noise: for training. logits: leave out
        a softmax, or the sigmoid of a dense layer, at the end. every: the outputs [T, B, outputs] after all steps, of a
        model without a pool.
        """
        if every:
            return self.body(x, lengths, noise)[-1]
        return self.head(self.body(x, lengths, noise), lengths, noise, logits)

    def body(self, x: torch.Tensor, lengths: torch.Tensor, noise: Noise | None = None) -> list[torch.Tensor]:
        """Every layer's output [T, B, width] over each whole row, up to the pool.

        Of a model that streams, the first steps are those of any shorter row; with a whole-window layer they are not.
        """
        x = unpadded(x, lengths)
        outputs: list[torch.Tensor] = []
        for i in range(self.pooled):
            if noise and i and i == len(self.layers) - 1:  # the last layer, where no pool stands before it
                outputs[-1] = drop(outputs[-1], noise.pool, noise.random)
            outputs.append(self.layer(i, outputs[-1] if outputs else x, lengths, outputs, noise))
        return outputs

    def head(
        self,
        body: list[torch.Tensor],
        lengths: torch.Tensor,
        noise: Noise | None = None,
        logits: bool = True,
    ) -> torch.Tensor:
        """What the pool and the layers behind it make of the first `lengths` steps of a body's output."""
        if self.pooled == len(self.layers):
            return last(body[-1], lengths)
        x = pool(self.layers[self.pooled], self.weights(self.pooled), body[-1], lengths)
        outputs = [*body, drop(x, noise.pool, noise.random) if noise else x]
        for i in range(self.pooled + 1, len(self.layers)):
            if logits and i == len(self.layers) - 1 and (end := self.before_squashing(outputs[-1])) is not None:
                return end
            outputs.append(self.layer(i, outputs[-1], lengths, outputs, noise))
        return outputs[-1]

    def before_squashing(self, x: torch.Tensor) -> torch.Tensor | None:
        """What the last layer turns into probabilities, by a softmax or a dense layer's sigmoid; None: neither."""
        layer, t = self.layers[-1], self.weights(len(self.layers) - 1)
        if layer["kind"] == "softmax":
            return x
        if layer["kind"] == "dense" and layer["activation"] == "sigmoid" and "add" not in layer:
            return torch.as_tensor(TorchOps.affine(x, t["weight"], t["bias"]))
        return None

    def layer(
        self, i: int, x: torch.Tensor, lengths: torch.Tensor, outputs: list[torch.Tensor], noise: Noise | None
    ) -> torch.Tensor:
        """Layer i's output, with what it adds and, after an embedding, its noise."""
        x = self.plain(i, x, lengths)
        if noise and self.layers[i]["kind"] == "embed":
            x = drop(x, noise.embed, noise.random)
        return x if self.layers[i].get("add") is None else x + outputs[self.layers[i]["add"]]

    def plain(self, i: int, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Layer i's own output, over whole rows x [T, B, ...] or, behind a pool, over x [B, ...]."""
        layer, t = self.layers[i], self.weights(i)
        if layer["kind"] == "recurrent":
            return sequence(layer, self.tapes[layer["tape"]], t, x, self.fused, native=self.native)[0]
        if layer["kind"] == "bidirectional":
            return both_ways(layer, self.tapes[layer["tape"]], t, x, lengths, self.fused, self.native)
        if layer["kind"] == "conv":
            return convolution(layer, t, x, lengths)
        y, _ = self.rooms[i].step(TorchOps, layer, self.tapes, t, {}, x, None)
        return torch.as_tensor(y)

    def run(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The output after every step [T, B, outputs] and the states after each row's last step, by layer array name.

        The pool runs step by step, as in a stream; everything before it over the whole sequence, as in training.
        """
        states: dict[str, torch.Tensor] = {"steps": lengths.clone()}
        outputs: list[torch.Tensor] = []
        x = unpadded(x, lengths)
        for i, layer in enumerate(self.layers):
            x, every = self.with_states(i, x, lengths)
            if layer.get("add") is not None:
                x = x + outputs[layer["add"]]
            outputs.append(x)
            if not self.whole_window:
                states.update({f"layers.{i}.{name}": last(v, lengths) for name, v in every.items()})
        return x, states

    def with_states(
        self, i: int, x: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """Layer i's own output over x [T, B, ...], and its states after every step."""
        layer, t = self.layers[i], self.weights(i)
        if layer["kind"] == "recurrent":
            return sequence(layer, self.tapes[layer["tape"]], t, x, self.fused, native=self.native)
        if layer["kind"] == "pool":
            return pool_steps(self.rooms[i], layer, t, x)
        return self.plain(i, x, lengths), pasts(layer, x) if layer["kind"] == "conv" else {}


def unpadded(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """x with zeros for numbers behind a row's length: a NaN there would reach gradients, as 0 x NaN is NaN."""
    return x.masked_fill(past(x, lengths), 0.0) if x.is_floating_point() else x


def multiplies(kind: str, role: str) -> bool:
    """Whether a layer's tensor is a matrix that multiplies.

    >>> multiplies("bidirectional", "backward.R"), multiplies("recurrent", "p.W"), multiplies("embed", "weight")
    (True, False, False)
    """
    *place, name = role.split(".")
    return kind in ("dense", "conv") if name == "weight" else name in ("W", "R", "Q") and "p" not in place


def is_learnt(layer: dict[str, Any], role: str) -> bool:
    """Whether training changes a tensor: not the statistics of a scale, and not the biases of a cell without."""
    if layer["kind"] == "scale":
        return False
    return role.split(".")[-1] not in ("b", "c") or layer["dialect"].get("bias") != "no"


def parameter_name(tensor: str) -> str:
    """torch's parameter names have no dots.

    >>> parameter_name("layers.2.p.alpha")
    'layers_2_p_alpha'
    """
    return tensor.replace(".", "_")


def drop(x: torch.Tensor, rate: float, random: np.random.Generator) -> torch.Tensor:
    """Inverted dropout from an explicit generator, so that a step's masks depend on nothing but its seed.

    One random byte decides an entry, four times as fast as a float; so the rate is rounded to 256ths.
    """
    if not (level := round(rate * 256)):
        return x
    kept = torch.from_numpy(np.frombuffer(random.bytes(x.numel()), np.uint8) >= level).view(x.shape)
    return x * kept * (256 / (256 - level))


def last(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """x [T, B, ...] at each row's last step: [B, ...]."""
    return x[lengths - 1, torch.arange(x.shape[1])]


def pool(layer: dict[str, Any], t: dict[str, torch.Tensor], x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The pool over each whole row; what the layer's steps arrive at, in closed form. Masks select, never blend."""
    behind = past(x, lengths)
    x = x.masked_fill(behind, 0.0)
    out = []
    for kind in layer["over"]:
        if kind == "last":
            out.append(last(x, lengths))
        elif kind == "mean":
            out.append(x.sum(0) / lengths[:, None])
        elif kind == "max":
            out.append(x.masked_fill(behind, -torch.inf).amax(0))
        else:
            e = TorchOps.affine(x, t["score"].reshape(1, -1), t["score_bias"]).masked_fill(behind, -torch.inf)
            out.append((e.softmax(0) * x).sum(0))
    return torch.cat(out, -1)


def pool_steps(
    room: Any, layer: dict[str, Any], t: dict[str, torch.Tensor], x: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The pool after every step, and its states after every step."""
    declared = room.state(layer, {})
    s = {name: x.new_full((x.shape[1], *shape), fill) for name, (shape, fill) in declared.items()}
    outputs, states = [], []
    for k in range(x.shape[0]):
        y, s = room.step(TorchOps, layer, {}, t, s, x[k], k + 1)
        outputs.append(y)
        states.append(s)
    return torch.stack(outputs), {n: torch.stack([s[n] for s in states]) for n in s}
