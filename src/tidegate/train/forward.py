"""Runs packed batches through a network and gives each output by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..document.graph import join_outputs
from ..nn import Noise, Trainable
from ..nn.network import BodyOutputs
from ..tasks.base import Batch, Dropout, Indices, Predictions, Problem


class NetworkOutputs:
    """A network and the outputs of a problem, parts of its last layer; see `tasks.base.Forward`.

    loss_tensors: those of the problem, with gradients.
    """

    def __init__(self, network: Trainable, problem: Problem, loss_tensors: Mapping[str, torch.Tensor]) -> None:
        self.network, self.entries, self.whole_window = network, problem.node_outputs(), network.whole_window
        self.tensors: dict[str, torch.Tensor] = {**network.named_tensors(), **loss_tensors}
        self.step_outputs = problem.step_outputs()
        self.nodes = problem.output_nodes()
        _, self.starts = join_outputs(problem.layers, self.nodes.values())
        self.widths = {name: problem.layers[node].width for name, node in self.nodes.items()}

    def run(self, batch: Batch, dropout: Dropout | None = None) -> BodyOutputs:
        """Run the layers before the pool, those of the last graph if there are several."""
        inputs = {name: torch.from_numpy(x) for name, x in batch.inputs.items()}
        lengths = [torch.from_numpy(each) for each in (*batch.inner, batch.lengths, *batch.written.values())]
        return self.network.forward_inputs(inputs, lengths, to_noise(dropout))

    def outputs(
        self, body: BodyOutputs, ends: Sequence[Indices], dropout: Dropout | None = None
    ) -> list[dict[str, torch.Tensor]]:
        """Return the outputs by name, once for each of `ends`."""
        tensors = [torch.from_numpy(end) for end in ends]
        if not self.step_outputs:
            values = self.network.forward_heads(body, tensors, to_noise(dropout))
            return [{name: self.part_of(name, y) for name in self.entries} for y in values]
        steps = self.network.forward_steps(body, to_noise(dropout))
        first = body.layout.lengths.cumsum(0) - body.layout.lengths
        return [
            {
                name: self.part_of(name, steps if name in self.step_outputs else steps.index_select(0, first + end - 1))
                for name in self.entries
            }
            for end in tensors
        ]

    def part_of(self, name: str, y: torch.Tensor) -> torch.Tensor:
        """Select the numbers of an output."""
        start, stop = self.entries[name].get("part", (0, self.widths[name]))
        first = self.starts[self.nodes[name]]
        return y[..., first + start : first + stop]

    @torch.no_grad()
    def predict(self, batch: Batch) -> dict[str, Any]:
        """Return the outputs of whole rows by name, float64 [B or N, ...]."""
        (outputs,) = self.outputs(self.run(batch), [batch.lengths])
        return {name: np.asarray(y.double().numpy()) for name, y in outputs.items()}


def to_noise(dropout: Dropout | None) -> Noise | None:
    """Return a task's dropout as the network takes it."""
    return None if dropout is None else Noise(dropout.embed, dropout.head, dropout.random)


def match_targets(
    batch: Batch, outputs: Mapping[str, Any], branch: Mapping[str, Any], step_outputs: set[str], first: int
) -> Predictions:
    """Pair the outputs of a batch with the targets that count. first: the number of the batch's first row.

    branch: the numbers of a linear branch, or empty. An output that is trained at every step has no entry where its
    mask leaves a target out. Outputs without targets are left out.
    """
    outputs = {name: outputs[name] for name in outputs if name in batch.targets}
    row = {name: np.repeat(first + np.arange(len(batch.lengths)), batch.count_targets(name)) for name in outputs}
    parts: list[dict[str, Any]] = [dict(outputs), dict(batch.targets), row, dict(batch.mask), dict(branch)]
    for name, mask in batch.mask.items():
        if name in step_outputs:
            counts = mask.reshape(len(mask), -1).any(1)
            for part in parts:
                if name in part:
                    part[name] = part[name][counts]
    *known, own = parts
    return replace(Predictions(len(batch.lengths), *known), branch=own)


def join_predictions(parts: Sequence[Predictions], tensors: dict[str, Any]) -> Predictions:
    """Join the predictions of batches. tensors: see `Predictions`."""

    def join(dictionaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {name: np.concatenate([one[name] for one in dictionaries]) for name in dictionaries[0]}

    return Predictions(
        sum(one.rows for one in parts),
        join([one.outputs for one in parts]),
        join([one.targets for one in parts]),
        join([one.row for one in parts]),
        join([one.mask for one in parts]),
        tensors,
        join([one.branch for one in parts]),
    )
