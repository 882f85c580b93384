"""One training run. All that it is at a moment is `state()`; `restore` puts a new run there, to the last bit."""

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
FOLDS = 5  # of held-out rows, each judged by what the others calibrate


@dataclass(frozen=True)
class TrainConfig:
    """How a run learns: the task's options that the loop needs, decided, and the task's own loss.

    judge: how held-out rows choose the weights. prefix: weight of the loss of a random prefix of each row. weights: of
    each class. every: the outputs of all steps are learnt from. most: rows of an epoch, None: all. groups: for each
    row, the number of those that it stays with; None: each is by itself.
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
    """A network in training: `run()` goes on from wherever it stands until the end."""

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
        self.averaged = self.parameters if not config.average else copied(self.parameters)
        self.best = copied(self.parameters)
        self.epoch = self.offset = self.step = self.since = 0
        self.kept_epoch, self.best_value = 0, (-1e300, 0.0)
        self.adjustment: list[float] = []
        self.kept_figures: dict[str, float] = {}
        self.loss_sum = 0.0
        self.history: list[dict[str, float]] = []
        self.stopped_early = False

    # ---- where a run stands

    def named(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Every tensor that the run remembers, by name."""
        for n, p in self.parameters.items():
            kinds = {"weight": p, "m": self.optimiser.mean[n], "v": self.optimiser.square[n], "best": self.best[n]}
            if self.averaged is not self.parameters:
                kinds["average"] = self.averaged[n]
            yield from ((f"{n}/{kind}", t.detach()) for kind, t in kinds.items())

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Tensors and plain values that `restore` takes."""
        return {name: t.numpy() for name, t in self.named()}, {name: getattr(self, name) for name in PLAIN}

    @torch.no_grad()
    def restore(self, tensors: Tensors, values: dict[str, Any]) -> None:
        for name, t in self.named():
            t.copy_(torch.from_numpy(np.array(tensors[name])))
        for name, value in values.items():
            setattr(self, name, tuple(value) if name == "best_value" else value)

    # ---- the run

    def run(self) -> Iterator[None]:
        """Goes on to the end; yields wherever a checkpoint may be taken."""
        begun, first = time.monotonic(), self.step
        total = self.epochs_left_to_plan()
        while self.epoch < self.config.epochs + self.config.refit_epochs:
            batches = self.batches()
            while self.offset < len(batches):
                self.learn(batches[self.offset], len(batches))
                self.offset += 1
                self.step += 1
                left = (time.monotonic() - begun) / (self.step - first) * (total - (self.step - first))
                self.report_progress(len(batches), left, False)
                yield
            self.finish_epoch(len(batches))
            yield
        self.use_best()

    def epochs_left_to_plan(self) -> int:
        """How many steps are left, for the estimate of the time."""
        most = self.config.rows_per_epoch or len(self.rows.lengths)
        full = -(-min(most, len(self.train_rows)) // self.config.batch)
        again = -(-min(most, len(self.rows.lengths)) // self.config.batch)
        return full * self.config.epochs + again * self.config.refit_epochs - self.step

    @property
    def refitting(self) -> bool:
        """Past the epochs that the held-out rows judge: they are learnt from too."""
        return self.epoch >= self.config.epochs

    def batches(self) -> list[Indices]:
        rows = np.arange(len(self.rows.lengths)) if self.refitting else self.train_rows
        return plan(
            rows, self.rows.lengths, self.config.batch, self.config.seed, self.epoch, self.config.rows_per_epoch
        )

    def learn(self, rows: Indices, count: int) -> None:
        """One step: loss, gradients, AdamW, average. Every draw follows from (seed, step)."""
        r = self.config
        rng = np.random.default_rng([r.seed, 3, self.step])
        noise = Noise(r.drop_embed, r.drop_pool, rng)
        x, lengths, targets = self.rows.batch(rows, rng)
        loss = self.loss(torch.from_numpy(x), lengths, torch.from_numpy(targets), noise, rng)
        self.network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.update(self.rate_now(count))
        self.loss_sum += float(loss.detach())

    def loss(
        self,
        x: torch.Tensor,
        lengths: npt.NDArray[np.int64],
        targets: torch.Tensor,
        noise: Noise,
        rng: np.random.Generator,
    ) -> torch.Tensor:
        """The loss of a batch: of the whole rows, and of a random prefix of each.

        The prefix teaches the model to answer early: a stream is scored after every step, not at its end alone. A
        model with a whole-window layer has seen the rest in the body, so its prefix gets a body of its own.
        """
        r, whole = self.config, torch.from_numpy(lengths)
        weights, body = torch.from_numpy(r.weights), self.network.body(x, whole, noise)
        if r.per_step:
            return r.loss(body.entries.padded(body.outputs[-1]), targets, weights)
        if not r.prefix:
            return r.loss(self.network.heads(body, [whole], noise)[0], targets, weights)
        shorter = torch.from_numpy(rng.integers(1, lengths + 1))
        if self.network.whole_window:
            first = self.network.heads(body, [whole], noise)[0]
            second = self.network.heads(self.network.body(x, shorter, noise), [shorter], noise)[0]
        else:
            first, second = self.network.heads(body, [whole, shorter], noise)
        return (r.loss(first, targets, weights) + r.prefix * r.loss(second, targets, weights)) / (1 + r.prefix)

    def rate_now(self, count: int) -> float:
        """The learning rate: one schedule over the judged epochs, a lower one while refitting."""
        r, done = self.config, self.offset
        if not self.refitting:
            return rate(self.epoch * count + done, r.epochs * count, r.rate)
        return rate((self.epoch - r.epochs) * count + done, r.refit_epochs * count, r.rate * r.refit_rate)

    @torch.no_grad()
    def update(self, rate: float) -> None:
        """One step of the optimiser, and of the running average."""
        self.optimiser.step(rate, self.step + 1)
        if self.averaged is not self.parameters:
            keep = min(self.config.average, (self.step + 1) / (self.step + 11))
            for n, p in self.parameters.items():
                self.averaged[n].lerp_(p, 1 - keep)

    # ---- what an epoch ends with

    def finish_epoch(self, count: int) -> None:
        outputs, targets = self.answers(self.valid_rows)
        figures = self.evaluator.figures(outputs, targets)
        self.check_finite(figures)
        self.history.append({"loss": self.loss_sum / count, **figures})
        if self.refitting:
            self.keep_best()
        elif self.judged_worth_keeping(figures):
            self.kept_epoch = self.epoch
            self.keep_best()
        self.report_progress(count, 0.0, True)
        self.epoch, self.offset, self.loss_sum = self.epoch + 1, 0, 0.0
        if not self.refitting and self.since >= self.config.patience:
            self.stopped_early, self.epoch = True, self.config.epochs
        if self.epoch == self.config.epochs:
            self.settle()

    def settle(self) -> None:
        """The weights that the held-out rows chose become the network's, and are judged for good."""
        self.use_best()
        outputs, targets = self.answers(self.valid_rows)
        self.adjustment = self.evaluator.adjustment(outputs, targets)
        self.kept_figures = self.evaluator.figures(
            self.evaluator.cross_adjusted(outputs, targets, self.folds()), targets
        )

    def folds(self) -> Indices:
        """The fold of each held-out row in the order of `answers`, of `FOLDS`; groups stay whole."""
        order = self.ordered(self.valid_rows)
        group = order if self.config.groups is None else self.config.groups[order]
        numbers = np.unique(group, return_inverse=True)[1]
        drawn = np.random.default_rng([self.config.seed, 4]).permutation(numbers.max() + 1)
        return np.asarray(drawn[numbers] % FOLDS)

    def check_finite(self, figures: dict[str, float]) -> None:
        """Raises DataError for a figure that is NaN or infinite: it judges nothing, and no model file can hold it."""
        if wrong := [name for name, value in figures.items() if not math.isfinite(value)]:
            raise DataError(
                f"epoch {self.epoch + 1}: {wrong[0].replace('_', ' ')} of the held-out rows is {figures[wrong[0]]}, so "
                "some answers are no finite numbers; lower the learning rate (--rate), or look for extreme numbers in "
                "the held-out rows"
            )

    def judged_worth_keeping(self, figures: dict[str, float]) -> bool:
        """Whether this epoch is no further below the best than the judge's slack; the latest such epoch is kept."""
        self.since, value = self.since + 1, self.evaluator.value(figures)
        if value > self.best_value:
            self.best_value, self.since = value, 0
        best = self.best_value[0]
        return value[0] >= best - self.evaluator.tolerance(best, figures, len(self.valid_rows))

    @torch.no_grad()
    def keep_best(self) -> None:
        for n, t in self.averaged.items():
            self.best[n].copy_(t)

    @torch.no_grad()
    def use_best(self) -> None:
        """The weights that the held-out rows chose become the network's."""
        for n, p in self.parameters.items():
            p.copy_(self.best[n])
            self.averaged[n].copy_(self.best[n])

    def ordered(self, rows: Indices) -> Indices:
        """Rows by length, so that those that stand together in a batch are alike."""
        return np.asarray(rows[np.argsort(self.rows.lengths[rows], kind="stable")])

    @torch.no_grad()
    def answers(self, rows: Indices, batch: int = 128) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
        """Outputs [n, outputs] of the averaged weights, and the targets [n, ...], of rows in an order of its own.

        Where every step is learnt from, n counts the steps that have a target.
        """
        order = self.ordered(rows)
        found, truth = [], []
        for k in range(0, len(order), batch):
            x, lengths, targets = self.rows.batch(order[k : k + batch])
            inputs = (torch.from_numpy(x), torch.from_numpy(lengths))
            outputs = torch.func.functional_call(
                self.network, dict(self.averaged), inputs, {"every": self.config.per_step}
            )
            y = outputs.double().numpy()
            if self.config.per_step:
                some = ~np.isnan(targets).all(tuple(range(2, targets.ndim)))
                y, targets = y[some], targets[some]
            found.append(y)
            truth.append(targets)
        return np.concatenate(found), np.concatenate(truth)

    def report_progress(self, count: int, left: float, evaluated: bool) -> None:
        if self.report is None:
            return
        name = self.evaluator.metric
        metric = self.history[-1][name] if self.history else None
        seen = [h[name] for h in self.history[: self.config.epochs]]
        best = (min(seen) if self.evaluator.lower else max(seen)) if seen else None
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


PLAIN = (
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


def copied(parameters: dict[str, torch.nn.Parameter]) -> dict[str, Any]:
    return {n: p.detach().clone() for n, p in parameters.items()}
