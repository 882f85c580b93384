"""The problem of a classifier: its loss, its figures on held-out rows, and its calibration, for each kind of output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..layers import INPUT, Builder, Source
from ._calibration import binary_log_losses, fit_logit_scale, log_losses, weigh_branch
from ._holdout import HoldOut
from ._labels import NO_LABEL, OUT_OF_SCOPE, REMEDY, Cells, Targets, multi_targets, single_targets
from ._linear_text import LinearText, TextCounts
from ._metrics import micro_f1
from ._out_of_scope import check_held_out, choose_threshold, measure_auroc, measure_entropies
from .base import Array, Batch, Branch, Calibration, Dropout, Forward, Indices, Predictions, Problem, Rows, Tensors

if TYPE_CHECKING:
    import torch

SINGLE_REMEDY = f"{REMEDY}, or as out of scope with --out-of-scope"
OUTPUT = "label"  # the name of a classifier's output


@dataclass(frozen=True)
class Prepared:
    """What a kind of input contributes to the problem of a classifier.

    options: decided. rows: the data. part: how it is split. train_rows, valid_rows, groups: of `rows`. train_targets:
    of the training rows. section, arrays: the input's entry in the model file, and its tensors. builder: has the first
    layers. conv_width: the output width of a convolution. texts: as in `Classification`. sides: of conversations, the
    entries of inputs that are read once a message. features, initial, provenance: as in `Problem`.
    """

    options: Any
    rows: Rows
    part: HoldOut
    train_rows: Indices
    valid_rows: Indices
    groups: Indices
    train_targets: Targets
    section: dict[str, Any]
    arrays: dict[str, Array]
    builder: Builder
    conv_width: int
    texts: TextCounts | None = None
    sides: dict[str, dict[str, Any]] | None = None
    features: int | None = None
    initial: dict[str, Array] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Classification(Problem):
    """Rows with labels; a subclass for each kind of output.

    class_weights: of each class in the loss, float32. exposure: the weight of a row out of scope. texts: the n-grams of
    all rows, for a linear model beside the network; None: there is none.
    """

    class_weights: npt.NDArray[np.float32]
    exposure: float = 1.0
    metric: str = ""
    texts: TextCounts | None = None

    @classmethod
    def read_targets(
        cls, cells: Cells, options: Any, labels: list[str] | None, unseen: str, remedy: str
    ) -> tuple[Targets, list[str]]:
        """Turn the label cells of rows into targets, and return them with the labels; see `_labels`.

        remedy: the advice at the end of the error about a label that is not known; "": how `score` can take it.
        """
        raise NotImplementedError

    @classmethod
    def add_head(cls, builder: Builder, classes: int, sources: Sequence[Source] | None = None) -> None:
        """Add the last layers. sources: what they read; None: the layer before."""
        raise NotImplementedError

    def dropout(self, random: np.random.Generator) -> Dropout:
        return Dropout(self.options.drop_embed, self.options.drop_pool, random)

    def train_loss(self, network: Forward, batch: Batch, random: np.random.Generator) -> torch.Tensor:
        """Compute the loss of the whole rows, and of a random prefix of each.

        The prefix teaches the model to answer early, because a stream is scored after every step and not only at its
        end. The body of a model with a whole-window layer has seen all steps, so the prefix gets a body of its own.
        """
        weight, dropout = self.options.prefix, self.dropout(random)
        body = network.run(batch, dropout)
        if not weight:
            return self.loss(network.outputs(body, [batch.lengths], dropout)[0], batch)
        shorter = random.integers(1, batch.lengths + 1)
        if network.whole_window:
            (first,) = network.outputs(body, [batch.lengths], dropout)
            (second,) = network.outputs(network.run(batch.shorten(shorter), dropout), [shorter], dropout)
        else:
            first, second = network.outputs(body, [batch.lengths, shorter], dropout)
        loss: torch.Tensor = (self.loss(first, batch) + weight * self.loss(second, batch)) / (1 + weight)
        return loss

    def rank(self, figures: dict[str, float]) -> tuple[float, float]:
        return figures[self.metric], -figures["log_loss"]

    def losses(self, logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the negative log likelihood of each row, [n]."""
        raise NotImplementedError

    def calibrate(self, predictions: Predictions) -> Calibration:
        """Fit what the network's and the linear model's numbers are multiplied by, before they are added up.

        The linear model is left out where the held-out rows are hardly less likely without it, see `weigh_branch`.
        """
        logits, targets = predictions.outputs[OUTPUT], predictions.targets[OUTPUT]
        factor = fit_logit_scale(logits, targets, self.losses)
        if predictions.branch:
            shares = weigh_branch(factor, logits, predictions.branch[OUTPUT], targets, self.losses)
            if shares is not None:
                return {OUTPUT: dict(zip(("factor", "branch"), shares, strict=True))}
        return {OUTPUT: {"factor": factor}}

    def fit_branch(self, rows: Indices) -> LinearText | None:
        if self.texts is None:
            return None
        return self.texts.fit(rows, self.rows.targets, OUTPUT, self.class_weights)  # type: ignore[attr-defined]

    def join_branch(
        self, branch: Branch, calibration: Calibration, tensors: dict[str, Array]
    ) -> tuple[Problem, dict[str, Array]]:
        assert isinstance(branch, LinearText)
        layers, tensors = branch.join(self.layers, tensors, calibration[OUTPUT]["branch"])
        entry, tables = branch.entry()
        inputs = {**self.inputs, INPUT: {**self.inputs[INPUT], "ngrams": entry}}
        return replace(self, layers=layers, inputs=inputs, arrays={**self.arrays, **tables}), tensors

    def tolerance(self, best: float, figures: dict[str, float]) -> float:
        """Return one standard error.

        With few held-out rows an early epoch can look best by luck, while it is the schedule's small late steps that
        settle a model. An epoch that is really worse still falls outside the tolerance.

        Source: the one-standard-error rule, Breiman et al. 1984, section 3.4.3.
        """
        return float((best * (1 - best) / len(self.valid_rows)) ** 0.5)


@dataclass(frozen=True, kw_only=True)
class SingleLabel(Classification):
    """Rows with one label each: targets int64 [n], outputs [n, classes]."""

    metric: str = "accuracy"

    @classmethod
    def read_targets(
        cls, cells: Cells, options: Any, labels: list[str] | None, unseen: str, remedy: str
    ) -> tuple[Targets, list[str]]:
        may_lack, outside = options.conversation is not None, options.out_of_scope
        return single_targets(cells, options.label, labels, unseen, remedy or SINGLE_REMEDY, may_lack, outside)

    @classmethod
    def add_head(cls, builder: Builder, classes: int, sources: Sequence[Source] | None = None) -> None:
        builder.add("dense", sources, size=classes, activation="none")
        builder.add("softmax")

    def loss(self, outputs: Tensors, batch: Batch) -> torch.Tensor:
        """Compute the cross-entropy with label smoothing; rows out of scope are to have all labels alike.

        Source of the latter: outlier exposure, Hendrycks et al. 2019 (arXiv:1812.04606).
        """
        import torch
        from torch.nn.functional import cross_entropy, log_softmax

        targets, weights = torch.from_numpy(batch.targets[OUTPUT]), torch.from_numpy(self.class_weights)
        smoothing, values = self.options.smoothing, outputs[OUTPUT]
        if self.options.out_of_scope is None:
            return cross_entropy(values, targets, weights, ignore_index=NO_LABEL, label_smoothing=smoothing)
        known, outside, weight = targets >= 0, targets == OUT_OF_SCOPE, self.exposure
        one = cross_entropy(values[known], targets[known], weights, label_smoothing=smoothing, reduction="sum")
        other = -log_softmax(values[outside], 1).mean(1).sum()
        total: torch.Tensor = (one + weight * other) / (weights[targets[known]].sum() + weight * outside.sum())
        return total

    def measure(self, predictions: Predictions) -> dict[str, float]:
        outputs, targets = predictions.outputs[OUTPUT], predictions.targets[OUTPUT]
        if self.options.out_of_scope is None:
            return measure_labels(outputs, targets)
        check_held_out(targets, self.options)
        outside = targets == OUT_OF_SCOPE
        found = measure_labels(outputs[~outside], targets[~outside])
        auroc = {"out_of_scope_auroc": measure_auroc(measure_entropies(outputs), outside)} if outside.any() else {}
        return {**found, **auroc}

    def losses(self, logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return log_losses(logits, targets)

    def calibrate(self, predictions: Predictions) -> Calibration:
        known = predictions.targets[OUTPUT] != OUT_OF_SCOPE
        found = super().calibrate(select_rows(predictions, known)) if known.any() else {OUTPUT: {"factor": 1.0}}
        if "reject" in self.outputs[OUTPUT]:
            outputs = self.apply_calibration(predictions, found).outputs[OUTPUT]
            found[OUTPUT] |= choose_threshold(outputs, predictions.targets[OUTPUT], self.options.reject)
        return found


@dataclass(frozen=True, kw_only=True)
class MultiLabel(Classification):
    """Rows with any number of labels: targets float32 [n, labels] of 0 and 1, outputs [n, labels]."""

    metric: str = "micro_f1"

    @classmethod
    def read_targets(
        cls, cells: Cells, options: Any, labels: list[str] | None, unseen: str, remedy: str
    ) -> tuple[Targets, list[str]]:
        return multi_targets(cells, options.label, options.label_separator, labels, unseen, remedy or REMEDY)

    @classmethod
    def add_head(cls, builder: Builder, classes: int, sources: Sequence[Source] | None = None) -> None:
        builder.add("dense", sources, size=classes, activation="sigmoid")

    def loss(self, outputs: Tensors, batch: Batch) -> torch.Tensor:
        """Compute the binary cross-entropy with label smoothing, the mean over labels."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        targets, weights = torch.from_numpy(batch.targets[OUTPUT]), torch.from_numpy(self.class_weights)
        smooth = targets * (1 - self.options.smoothing) + self.options.smoothing / 2
        return binary_cross_entropy_with_logits(outputs[OUTPUT], smooth, pos_weight=weights)

    def measure(self, predictions: Predictions) -> dict[str, float]:
        return measure_label_sets(predictions.outputs[OUTPUT], predictions.targets[OUTPUT])

    def losses(self, logits: npt.NDArray[Any], targets: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return binary_log_losses(logits, targets)


class InConversations:
    """What differs where a row is a conversation, and its messages have the labels, targets and outputs."""

    rows: Rows
    valid_rows: Indices

    def step_outputs(self) -> set[str]:
        return {OUTPUT}

    def train_loss(self, network: Forward, batch: Batch, random: np.random.Generator) -> torch.Tensor:
        """Compute the loss of whole messages: half a message is a preview, on which no other message depends."""
        assert isinstance(self, Problem)
        return Problem.train_loss(self, network, batch, random)

    def tolerance(self, best: float, figures: dict[str, float]) -> float:
        """Return one standard error of the messages, as for messages alone."""
        return float((best * (1 - best) / self.count_held_out()) ** 0.5)

    def count_held_out(self) -> int:
        """Count the messages."""
        return int(self.rows.lengths[self.valid_rows].sum())


@dataclass(frozen=True, kw_only=True)
class SingleLabelInConversations(InConversations, SingleLabel):
    """Conversations whose messages have one label each, or none."""


@dataclass(frozen=True, kw_only=True)
class MultiLabelInConversations(InConversations, MultiLabel):
    """Conversations whose messages have any number of labels."""


def select_rows(predictions: Predictions, kept: npt.NDArray[np.bool_]) -> Predictions:
    """Return the predictions of a classifier for some rows, bool [n]."""
    outputs, targets, branch = (
        {name: values[kept] for name, values in part.items()}
        for part in (predictions.outputs, predictions.targets, predictions.branch)
    )
    return replace(predictions, outputs=outputs, targets=targets, branch=branch)


def measure_labels(outputs: npt.NDArray[Any], targets: npt.NDArray[np.int64]) -> dict[str, float]:
    """Compute accuracy and log loss of outputs [n, classes] before the softmax."""
    return {
        "accuracy": float((outputs.argmax(1) == targets).mean()),
        "log_loss": float(log_losses(outputs, targets).mean()),
    }


def measure_label_sets(outputs: npt.NDArray[Any], targets: npt.NDArray[Any]) -> dict[str, float]:
    """Compute micro F1, and the log loss as the mean over labels, of outputs [n, labels] before the sigmoid."""
    loss = float(binary_log_losses(outputs, targets).mean()) / targets.shape[1]
    return {"micro_f1": micro_f1(outputs >= 0, targets > 0), "log_loss": loss}
