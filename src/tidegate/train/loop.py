"""One training run. `state()` is all of it at a moment; `restore` puts a new run there, to the last bit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import DataError
from ..nn import Network, Noise
from ..tasks._problem import Evaluator, Indices, Rows
from .adamw import AdamW
from .batches import plan
from .progress import Progress, Report
from .schedule import rate

Tensors = dict[str, npt.NDArray[Any]]
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
FOLDS = 5  # of held-out rows; each is evaluated with the calibration of the others


@dataclass(frozen=True)
class TrainConfig:
    """The configuration of a run: the decided options of the task that the loop needs, and the task's own loss.

    evaluator: how held-out rows select the weights. weights: of each class. prefix: weight of the loss of a random
    prefix of each row. per_step: the loss covers the outputs of all steps. rows_per_epoch: drawn anew for each epoch;
    None: all. groups: the number of each row's group; None: each is by itself.
    """

    epochs: int
    refit_epochs: int
    refit_rate: float
    batch: int
    rate: float
    decay: float
    average: float
    patience: int
    seed: int
    evaluator: Evaluator
    weights: npt.NDArray[np.float32]
    loss: Loss
    drop_embed: float = 0.0
    drop_pool: float = 0.0
    prefix: float = 0.0
    per_step: bool = False
    rows_per_epoch: int | None = None
    groups: Indices | None = None


class Run:
    """A network in training. `run()` continues from where it stands to the end."""

    def __init__(
        self,
        network: Network,
        rows: Rows,
        train_rows: Indices,
        valid_rows: Indices,
        config: TrainConfig,
        report: Report | None = None,
    ) -> None:
        self.network, self.rows, self.train_rows, self.valid_rows = network, rows, train_rows, valid_rows
        self.config, self.report, self.evaluator = config, report, config.evaluator
        self.parameters = dict(network.named_parameters())
        self.optimiser = AdamW(self.parameters, network.matrices(), config.decay)
        self.averaged = self.parameters if not config.average else copy_parameters(self.parameters)
        self.best = copy_parameters(self.parameters)
        self.epoch = self.offset = self.step = self.since = 0
        self.kept_epoch, self.best_value = 0, (-1e300, 0.0)
        self.adjustment: list[float] = []
        self.kept_figures: dict[str, float] = {}
        self.loss_sum = 0.0
        self.history: list[dict[str, float]] = []
        self.stopped_early = False

    # ---- state

    def named_tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every tensor of the run's state with its name."""
        for n, p in self.parameters.items():
            kinds = {"weight": p, "m": self.optimiser.mean[n], "v": self.optimiser.square[n], "best": self.best[n]}
            if self.averaged is not self.parameters:
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
        most = self.config.rows_per_epoch or len(self.rows.lengths)
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
            rows, self.rows.lengths, self.config.batch, self.config.seed, self.epoch, self.config.rows_per_epoch
        )

    def train_step(self, rows: Indices, count: int) -> None:
        """Take one step: loss, gradients, AdamW, average. Every random draw follows from (seed, step)."""
        r = self.config
        rng = np.random.default_rng([r.seed, 3, self.step])
        noise = Noise(r.drop_embed, r.drop_pool, rng)
        x, lengths, targets = self.rows.batch(rows, rng)
        loss = self.loss(torch.from_numpy(x), lengths, torch.from_numpy(targets), noise, rng)
        self.network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.update(self.current_rate(count))
        self.loss_sum += float(loss.detach())

    def loss(
        self,
        x: torch.Tensor,
        lengths: npt.NDArray[np.int64],
        targets: torch.Tensor,
        noise: Noise,
        rng: np.random.Generator,
    ) -> torch.Tensor:
        """Compute the loss of a batch: of the whole rows, and of a random prefix of each.

        The prefix teaches the model to answer early, because a stream is scored after every step and not only at its
        end. The body of a model with a whole-window layer has seen all steps, so the prefix gets a body of its own.
        """
        r, whole = self.config, torch.from_numpy(lengths)
        weights, body = torch.from_numpy(r.weights), self.network.forward_body(x, whole, noise)
        if r.per_step:
            return r.loss(body.layout.pad(body.last), targets, weights)
        if not r.prefix:
            return r.loss(self.network.forward_heads(body, [whole], noise)[0], targets, weights)
        shorter = torch.from_numpy(rng.integers(1, lengths + 1))
        if self.network.whole_window:
            first = self.network.forward_heads(body, [whole], noise)[0]
            second = self.network.forward_heads(self.network.forward_body(x, shorter, noise), [shorter], noise)[0]
        else:
            first, second = self.network.forward_heads(body, [whole, shorter], noise)
        return (r.loss(first, targets, weights) + r.prefix * r.loss(second, targets, weights)) / (1 + r.prefix)

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
        if self.averaged is not self.parameters:
            keep = min(self.config.average, (self.step + 1) / (self.step + 11))
            for n, p in self.parameters.items():
                self.averaged[n].lerp_(p, 1 - keep)

    # ---- the end of an epoch

    def finish_epoch(self, count: int) -> None:
        """Evaluate on the held-out rows, keep the weights if they are good, and go to the next epoch."""
        outputs, targets = self.predict(self.valid_rows)
        figures = self.evaluator.figures(outputs, targets)
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
        """Load the selected weights into the network, fit the adjustment, and compute the final held-out figures."""
        self.use_best()
        outputs, targets = self.predict(self.valid_rows)
        self.adjustment = self.evaluator.fit_adjustment(outputs, targets)
        self.kept_figures = self.evaluator.figures(self.evaluator.cross_adjust(outputs, targets, self.folds()), targets)

    def folds(self) -> Indices:
        """Assign one of `FOLDS` folds to each held-out row, in the order of `predict`; groups stay whole."""
        order = self.sort_by_length(self.valid_rows)
        group = order if self.config.groups is None else self.config.groups[order]
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
        self.since, value = self.since + 1, self.evaluator.value(figures)
        if value > self.best_value:
            self.best_value, self.since = value, 0
        best = self.best_value[0]
        return value[0] >= best - self.evaluator.tolerance(best, figures, len(self.valid_rows))

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
        return np.asarray(rows[np.argsort(self.rows.lengths[rows], kind="stable")])

    @torch.no_grad()
    def predict(self, rows: Indices, batch: int = 128) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
        """Return the averaged weights' outputs [n, outputs] for rows, and their targets [n, ...], sorted by length.

        With `per_step`, n counts the steps that have a target.
        """
        order = self.sort_by_length(rows)
        predictions, truth = [], []
        for k in range(0, len(order), batch):
            x, lengths, targets = self.rows.batch(order[k : k + batch])
            inputs = (torch.from_numpy(x), torch.from_numpy(lengths))
            outputs = torch.func.functional_call(
                self.network, dict(self.averaged), inputs, {"per_step": self.config.per_step}
            )
            y = outputs.double().numpy()
            if self.config.per_step:
                known = ~np.isnan(targets).all(tuple(range(2, targets.ndim)))
                y, targets = y[known], targets[known]
            predictions.append(y)
            truth.append(targets)
        return np.concatenate(predictions), np.concatenate(truth)

    def report_progress(self, count: int, left: float, evaluated: bool) -> None:
        """Report the progress. count: steps of this epoch; left: seconds, estimated; evaluated: the epoch has ended."""
        if self.report is None:
            return
        name = self.evaluator.metric
        metric = self.history[-1][name] if self.history else None
        metrics = [h[name] for h in self.history[: self.config.epochs]]
        best = (min(metrics) if self.evaluator.lower_is_better else max(metrics)) if metrics else None
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
    "adjustment",
    "kept_figures",
    "loss_sum",
    "history",
    "stopped_early",
)


def copy_parameters(parameters: dict[str, torch.nn.Parameter]) -> dict[str, Any]:
    return {n: p.detach().clone() for n, p in parameters.items()}
