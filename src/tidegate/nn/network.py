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
from . import transforms
from .bidirectional import both_ways, convolution, one_way_round, pasts
from .embedding import drawn, dropped, embedded
from .final import of_entries
from .ops import TorchOps
from .packed import Packed
from .pooling import pool
from .recurrent import sequence


@dataclass(frozen=True)
class Noise:
    """What one training step leaves out at random: probabilities, and where the randomness comes from."""

    embed: float
    pool: float
    random: np.random.Generator


@dataclass(frozen=True)
class Body:
    """The outputs [N, width] of every layer up to the pool, over whole rows."""

    entries: Packed
    outputs: list[torch.Tensor]


class Network(transforms.Unscripted):
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
        self.layer_modules = [layers.load(layer["kind"]) for layer in document_layers]
        self.names: list[dict[str, str]] = [dict(layer["tensors"]) for layer in document_layers]
        kinds = [layer["kind"] for layer in document_layers]
        self.whole_window = layers.whole_window(document_layers)
        self.pooled = kinds.index("pool") if "pool" in kinds else len(kinds)
        for layer, module in zip(document_layers, self.layer_modules, strict=True):
            for role, shape in module.tensors(layer, tapes).items():
                key = parameter_name(layer["tensors"][role])
                learnt = is_learnt(layer, role)
                self.register_parameter(key, torch.nn.Parameter(torch.zeros(shape), requires_grad=learnt))

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value for name, value in self.__dict__.items() if name != "layer_modules"
        }  # no module can be pickled

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.layer_modules = [layers.load(layer["kind"]) for layer in self.layers]

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

        x: ids [T, B] or numbers [T, B, features]; lengths: int64 [B], 1 to T; what stands behind them is not read.
        noise: for training. logits: leave out a softmax, or the sigmoid of a dense layer, at the end. every: the
        outputs [longest, B, outputs] after all steps, of a model without a pool; zeros behind a row's length.
        """
        body = self.body(x, lengths, noise)
        if every:
            return body.entries.padded(body.outputs[-1])
        return self.heads(body, [lengths], noise, logits)[0]

    def body(self, x: torch.Tensor, lengths: torch.Tensor, noise: Noise | None = None) -> Body:
        """Every layer over each whole row, up to the pool.

        Of a model that streams, the first steps are those of any shorter row; with a whole-window layer they are not.
        """
        if transforms.tracing():
            transforms.refuse(self, "traced", "the lengths of the example would be those of every later input")
        body = Body(Packed(lengths), [])
        x, outputs = body.entries.taken(x), body.outputs
        for i in range(self.pooled):
            if noise and i and i == len(self.layers) - 1:  # the last layer, where no pool stands before it
                outputs[-1] = drop(outputs[-1], noise.pool, noise.random)
            if noise and self.layers[i]["kind"] == "embed":
                y = embedded(self.weights(i)["weight"], x, noise.embed, noise.random, self.native)
            else:
                y = self.plain(i, outputs[-1] if outputs else x, body.entries)
            outputs.append(y if (add := self.layers[i].get("add")) is None else y + outputs[add])
        return body

    def heads(
        self, body: Body, ends: list[torch.Tensor], noise: Noise | None = None, logits: bool = True
    ) -> torch.Tensor:
        """What the pool and the layers behind it make of the first `ends` steps of each row: [K, B, outputs].

        ends: K times int64 [B], each from 1 to the row's length.
        """
        if self.pooled == len(self.layers):
            return self.at(body, -1, ends)
        layer, t = self.layers[self.pooled], self.weights(self.pooled)
        x = pool(layer, t, body.outputs[-1], body.entries, ends, self.native)
        if (add := layer.get("add")) is not None:
            x = x + self.at(body, add, ends)
        found = {self.pooled: drop(x, noise.pool, noise.random) if noise else x}
        for i in range(self.pooled + 1, len(self.layers)):
            if logits and i == len(self.layers) - 1 and (end := self.before_squashing(found[i - 1])) is not None:
                return end
            found[i] = self.plain(i, found[i - 1], body.entries)
            if (add := self.layers[i].get("add")) is not None:
                found[i] = found[i] + (found[add] if add in found else self.at(body, add, ends))
        return found[len(self.layers) - 1]

    def at(self, body: Body, i: int, ends: list[torch.Tensor]) -> torch.Tensor:
        """Layer i's output [K, B, width] at each row's step number `ends`."""
        return torch.stack([body.entries.last(body.outputs[i], end) for end in ends])

    def before_squashing(self, x: torch.Tensor) -> torch.Tensor | None:
        """What the last layer turns into probabilities, by a softmax or a dense layer's sigmoid; None: neither."""
        layer, t = self.layers[-1], self.weights(len(self.layers) - 1)
        if layer["kind"] == "softmax":
            return x
        if layer["kind"] == "dense" and layer["activation"] == "sigmoid" and "add" not in layer:
            return torch.as_tensor(TorchOps.affine(x, t["weight"], t["bias"]))
        return None

    def plain(self, i: int, x: torch.Tensor, entries: Packed) -> torch.Tensor:
        """Layer i's own output, over entries x [N, ...] or, behind a pool, over x [..., width]."""
        layer, t = self.layers[i], self.weights(i)
        if layer["kind"] == "recurrent":
            return one_way_round(layer, self.tapes[layer["tape"]], t, x, entries, self.fused, self.native)
        if layer["kind"] == "bidirectional":
            return both_ways(layer, self.tapes[layer["tape"]], t, x, entries, self.fused, self.native)
        if layer["kind"] == "final":
            return of_entries(x, entries)
        if layer["kind"] == "conv":
            return convolution(layer, t, x, entries)
        y, _ = self.layer_modules[i].step(TorchOps, layer, self.tapes, t, {}, x, None)
        return torch.as_tensor(y)

    def run(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The output after every step [T, B, outputs] and the states after every step [T, B, ...], by layer array name.

        The pool runs step by step, as in a stream; everything before it over the whole sequence, as in training.
        """
        states: dict[str, torch.Tensor] = {}
        outputs: list[torch.Tensor] = []
        entries = Packed(lengths)
        x = entries.padded(entries.taken(x))
        for i, layer in enumerate(self.layers):
            x, every = self.with_states(i, x, entries)
            if layer.get("add") is not None:
                x = x + outputs[layer["add"]]
            outputs.append(x)
            if not self.whole_window:
                states.update({f"layers.{i}.{name}": v for name, v in every.items()})
        return x, states

    def with_states(self, i: int, x: torch.Tensor, entries: Packed) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        """Layer i's own output over x [T, B, ...], and its states after every step."""
        layer, t = self.layers[i], self.weights(i)
        if layer["kind"] == "recurrent":
            return sequence(layer, self.tapes[layer["tape"]], t, x, self.fused, native=self.native)
        if layer["kind"] == "pool":
            return pool_steps(self.layer_modules[i], layer, t, x)
        y = entries.padded(self.plain(i, entries.taken(x), entries))
        return y, pasts(layer, x) if layer["kind"] == "conv" else {}


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
    """Dropout from an explicit generator, so that a step's masks depend on nothing but its seed."""
    return dropped(x, *drawn(x.numel(), rate, random))


def pool_steps(
    module: Any, layer: dict[str, Any], t: dict[str, torch.Tensor], x: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The pool after every step, and its states after every step."""
    declared = module.state(layer, {})
    s = {name: x.new_full((x.shape[1], *shape), fill) for name, (shape, fill) in declared.items()}
    outputs, states = [], []
    for k in range(x.shape[0]):
        y, s = module.step(TorchOps, layer, {}, t, s, x[k], k + 1)
        outputs.append(y)
        states.append(s)
    return torch.stack(outputs), {n: torch.stack([s[n] for s in states]) for n in s}
