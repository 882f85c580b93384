"""One training run. `state()` is all of it at a moment; `restore` puts a new run there, to the last bit."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import DataError
from ..nn import Trainable
from ..tasks._cross_calibration import cross_calibrate
from ..tasks.base import Branch, Calibration, Indices, Predictions, Problem, sort_by_length
from .adamw import AdamW
from .batches import plan
from .forward import NetworkOutputs, join_predictions, match_targets
from .progress import Progress, Report
from .schedule import rate

Tensors = dict[str, npt.NDArray[Any]]
FOLDS = 5  # of held-out rows; each is evaluated with the calibration of the others


@dataclass(frozen=True)
class TrainConfig:
    """The options that the loop itself reads, all decided; a task without `refit_epochs` has none."""

    epochs: int
    refit_rate: float
    batch: int
    rate: float
    decay: float
    average: float
    patience: int
    seed: int
    refit_epochs: int = 0


class Run:
    """A network in training on a problem. `run()` continues from where it stands to the end."""

    def __init__(self, network: Trainable, problem: Problem, report: Report | None = None) -> None:
        self.network, self.problem, self.report, options = network, problem, report, problem.options
        self.config = TrainConfig(
            **{f.name: getattr(options, f.name) for f in fields(TrainConfig) if hasattr(options, f.name)}
        )
        self.rows, self.train_rows, self.valid_rows = problem.rows, problem.train_rows, problem.valid_rows
        self.loss_tensors = make_parameters(problem.loss_tensors)
        self.parameters = {**dict(network.named_parameters()), **self.loss_tensors}
        matrices = network.matrices() + [p for p in self.loss_tensors.values() if p.ndim == 2]
        self.optimiser = AdamW(self.parameters, matrices, self.config.decay)
        self.averaged_network, self.averaged_loss_tensors = (
            copy.deepcopy((network, self.loss_tensors)) if self.config.average else (network, self.loss_tensors)
        )
        self.averaged = {**dict(self.averaged_network.named_parameters()), **self.averaged_loss_tensors}
        self.best = copy_parameters(self.parameters)
        self.epoch = self.offset = self.step = self.since = 0
        self.kept_epoch, self.best_value = 0, (-1e300, 0.0)
        self.calibration: Calibration = {}
        self.kept_figures: dict[str, float] = {}
        self.branch_figures: dict[str, float] = {}
        self.branch: Branch | None = None
        self.loss_sum = 0.0
        self.history: list[dict[str, float]] = []
        self.stopped_early = False

    def tensors(self) -> Tensors:
        """Return float32 copies of all that is trained, by name: the network's tensors, and those of the loss."""
        return {**self.network.tensors(), **{n: p.detach().numpy().copy() for n, p in self.loss_tensors.items()}}

    # ---- state

    def named_tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every tensor of the run's state with its name."""
        for n, p in self.parameters.items():
            kinds = {"weight": p, "m": self.optimiser.mean[n], "v": self.optimiser.square[n], "best": self.best[n]}
            if self.averaged_network is not self.network:
                kinds["average"] = self.averaged[n]
            yield from ((f"{n}/{kind}", t.detach()) for kind, t in kinds.items())

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Return the tensors and plain values that `restore` takes."""
        return {name: t.numpy() for name, t in self.named_tensors()}, {
            name: getattr(self, name) for name in STATE_FIELDS
        }

    @torch.no_grad()
    def restore(self, tensors: Tensors, values: dict[str, Any]) -> None:
        """Restore the state that `state` returned."""
        for name, t in self.named_tensors():
            t.copy_(torch.from_numpy(np.array(tensors[name])))
        for name, value in values.items():
            setattr(self, name, tuple(value) if name == "best_value" else value)

    # ---- the run

    def run(self) -> Iterator[None]:
        """Train to the end; yield wherever a checkpoint may be taken."""
        begun, first = time.monotonic(), self.step
        total = self.count_steps_left()
        while self.epoch < self.config.epochs + self.config.refit_epochs:
            batches = self.batches()
            while self.offset < len(batches):
                self.train_step(batches[self.offset], len(batches))
                self.offset += 1
                self.step += 1
                left = (time.monotonic() - begun) / (self.step - first) * (total - (self.step - first))
                self.report_progress(len(batches), left, False)
                yield
            self.finish_epoch(len(batches))
            yield
        self.use_best()

    def count_steps_left(self) -> int:
        """Count the steps that are left, for the estimate of the time."""
        most = self.problem.rows_per_epoch or len(self.rows.lengths)
        train = -(-min(most, len(self.train_rows)) // self.config.batch)
        refit = -(-min(most, len(self.rows.lengths)) // self.config.batch)
        return train * self.config.epochs + refit * self.config.refit_epochs - self.step

    @property
    def refitting(self) -> bool:
        """Return whether this is a refit epoch, which also trains on the held-out rows."""
        return self.epoch >= self.config.epochs

    def batches(self) -> list[Indices]:
        rows = np.arange(len(self.rows.lengths)) if self.refitting else self.train_rows
        return plan(
            rows, self.rows.lengths, self.config.batch, self.config.seed, self.epoch, self.problem.rows_per_epoch
        )

    def train_step(self, rows: Indices, count: int) -> None:
        """Take one step: loss, gradients, AdamW, average. Every random draw follows from (seed, step)."""
        random = np.random.default_rng([self.config.seed, 3, self.step])
        batch = self.rows.batch(rows, random)
        network = NetworkOutputs(self.network, self.problem, self.loss_tensors)
        loss = self.problem.train_loss(network, batch, random)
        for parameter in self.parameters.values():
            parameter.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        self.clear_frozen()
        self.update(self.current_rate(count))
        self.loss_sum += float(loss.detach())

    def clear_frozen(self) -> None:
        """Set the gradients of rows that are frozen in this epoch to zero, so that the optimiser leaves them."""
        if not any(self.epoch < frozen.epochs for frozen in self.problem.frozen.values()):
            return
        weights = self.network.named_tensors()
        for name, frozen in self.problem.frozen.items():
            if self.epoch < frozen.epochs and (gradient := weights[name].grad) is not None:
                clear_rows(gradient, torch.from_numpy(frozen.rows))

    def current_rate(self, count: int) -> float:
        """Return the learning rate: one schedule over the main epochs, a lower one over the refit epochs."""
        r, done = self.config, self.offset
        if not self.refitting:
            return rate(self.epoch * count + done, r.epochs * count, r.rate)
        return rate((self.epoch - r.epochs) * count + done, r.refit_epochs * count, r.rate * r.refit_rate)

    @torch.no_grad()
    def update(self, rate: float) -> None:
        """Take one step of the optimiser, and update the running average."""
        self.optimiser.step(rate, self.step + 1)
        if self.averaged_network is not self.network:
            keep = min(self.config.average, (self.step + 1) / (self.step + 11))
            for n, p in self.parameters.items():
                self.averaged[n].lerp_(p, 1 - keep)

    # ---- the end of an epoch

    def finish_epoch(self, count: int) -> None:
        """Evaluate on the held-out rows, keep the weights if they are good, and go to the next epoch."""
        figures = self.problem.measure(self.predict(self.valid_rows))
        self.check_finite(figures)
        self.history.append({"loss": self.loss_sum / count, **figures})
        if self.refitting:
            self.keep_best()
        elif self.is_worth_keeping(figures):
            self.kept_epoch = self.epoch
            self.keep_best()
        self.report_progress(count, 0.0, True)
        self.epoch, self.offset, self.loss_sum = self.epoch + 1, 0, 0.0
        if not self.refitting and self.since >= self.config.patience:
            self.stopped_early, self.epoch = True, self.config.epochs
        if self.epoch == self.config.epochs:
            self.finish_judged_epochs()

    def finish_judged_epochs(self) -> None:
        """Load the selected weights into the network, calibrate it, and compute the final held-out figures.

        The linear branch is then judged too, both in the model and alone.
        """
        self.use_best()
        predictions = self.predict(self.valid_rows, branch=self.branch or self.fit_branch())
        self.calibration = self.problem.calibrate(predictions)
        self.kept_figures = self.measure_calibrated(predictions)
        if predictions.branch:
            self.branch_figures = self.measure_calibrated(replace(predictions, outputs=predictions.branch, branch={}))

    def measure_calibrated(self, predictions: Predictions) -> dict[str, float]:
        """Compute the figures of held-out rows, calibrated by rows of other folds if outputs are calibrated."""
        if not self.calibration:  # then nor do the folds have what a calibration reads, such as pairs of rows
            return self.problem.measure(predictions)
        return self.problem.measure(cross_calibrate(self.problem, predictions, self.folds()))

    def fit_branch(self) -> Branch | None:
        """Fit the problem's linear branch, if it has one, to the training rows, and remember it."""
        self.branch = self.problem.fit_branch(self.train_rows)
        return self.branch

    def fit_final_branch(self) -> Branch | None:
        """Fit the branch of the finished model: to all rows that the network has been trained on."""
        if not any("branch" in of for of in self.calibration.values()):
            return None
        if not self.config.refit_epochs:
            return self.branch or self.fit_branch()
        return self.problem.fit_branch(np.arange(len(self.rows.lengths)))

    def folds(self) -> Indices:
        """Assign one of `FOLDS` folds to each held-out row, in the order of `predict`; groups stay whole."""
        order = self.sort_by_length(self.valid_rows)
        group = order if self.problem.groups is None else self.problem.groups[order]
        numbers = np.unique(group, return_inverse=True)[1]
        shuffled = np.random.default_rng([self.config.seed, 4]).permutation(numbers.max() + 1)
        return np.asarray(shuffled[numbers] % FOLDS)

    def check_finite(self, figures: dict[str, float]) -> None:
        """Raises DataError for a figure that is NaN or infinite: it ranks nothing, and no model file can hold it."""
        if wrong := [name for name, value in figures.items() if not math.isfinite(value)]:
            raise DataError(
                f"epoch {self.epoch + 1}: {wrong[0].replace('_', ' ')} of the held-out rows is {figures[wrong[0]]}, so "
                "some outputs are not finite; lower the learning rate (--rate), or look for extreme numbers in the "
                "held-out rows"
            )

    def is_worth_keeping(self, figures: dict[str, float]) -> bool:
        """Check that this epoch is within the tolerance of the best one; the latest such epoch is kept."""
        self.since, value = self.since + 1, self.problem.rank(figures)
        if value > self.best_value:
            self.best_value, self.since = value, 0
        best = self.best_value[0]
        return value[0] >= best - self.problem.tolerance(best, figures)

    @torch.no_grad()
    def keep_best(self) -> None:
        """Keep the current averaged weights as the best ones."""
        for n, t in self.averaged.items():
            self.best[n].copy_(t)

    @torch.no_grad()
    def use_best(self) -> None:
        """Load the best weights into the network."""
        for n, p in self.parameters.items():
            p.copy_(self.best[n])
            self.averaged[n].copy_(self.best[n])

    def sort_by_length(self, rows: Indices) -> Indices:
        """Sort rows by length, so that a batch has rows of similar length."""
        return sort_by_length(rows, self.rows.lengths)

    def predict(self, rows: Indices, batch: int = 128, branch: Branch | None = None) -> Predictions:
        """Return the averaged weights' outputs for rows, sorted by length, their targets, and a branch's numbers."""
        network = NetworkOutputs(self.averaged_network, self.problem, self.averaged_loss_tensors)
        order, parts, first = self.sort_by_length(rows), [], 0
        for k in range(0, len(order), batch):
            one = self.rows.batch(own := order[k : k + batch])
            beside = {} if branch is None else branch.predict(one, own)
            parts.append(match_targets(one, network.predict(one), beside, network.step_outputs, first))
            first += len(one.lengths)
        tensors = {name: t.detach().numpy().copy() for name, t in network.tensors.items()}
        return join_predictions(parts, tensors)

    def report_progress(self, count: int, left: float, evaluated: bool) -> None:
        """Report the progress. count: steps of this epoch; left: seconds, estimated; evaluated: the epoch has ended."""
        if self.report is None:
            return
        name = self.problem.metric
        metric = self.history[-1][name] if self.history else None
        metrics = [h[name] for h in self.history[: self.config.epochs]]
        best = (min(metrics) if self.problem.lower else max(metrics)) if metrics else None
        epochs = self.config.epochs + self.config.refit_epochs
        done = self.offset if not evaluated else count
        self.report(
            Progress(
                "refit" if self.refitting else "train",
                self.epoch + 1,
                epochs,
                done,
                count,
                self.loss_sum / max(1, done),
                name,
                metric,
                best,
                left,
                evaluated,
            )
        )


STATE_FIELDS = (
    "epoch",
    "offset",
    "step",
    "since",
    "kept_epoch",
    "best_value",
    "calibration",
    "kept_figures",
    "branch_figures",
    "loss_sum",
    "history",
    "stopped_early",
)


def make_parameters(arrays: dict[str, npt.NDArray[Any]]) -> dict[str, torch.nn.Parameter]:
    """Return trained tensors of one or more axes with these first values, float32."""
    return {name: torch.nn.Parameter(torch.tensor(array, dtype=torch.float32)) for name, array in arrays.items()}


def clear_rows(gradient: torch.Tensor, rows: torch.Tensor) -> None:
    """Set rows of a gradient to zero, in place. rows: bool, of its first axis."""
    if gradient.is_sparse:
        values, kept = gradient._values(), gradient._indices()[0]
        values[rows[kept]] = 0
    else:
        gradient[rows] = 0


def copy_parameters(parameters: dict[str, torch.nn.Parameter]) -> dict[str, Any]:
    return {n: p.detach().clone() for n, p in parameters.items()}
