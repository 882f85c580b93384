"""Trials of options: what is trained for each fold of the data, or with rows held out once, and the figures of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..errors import OptionError, error_context
from ..model import Model
from ..tasks.base import Fold, Problem
from .progress import Progress, Report
from .training_job import TrainingJob
from .trials import FINISHED, Say, Trial, Trials

LEAST, MOST = 2, 20  # folds
AfterEpoch = Callable[[int, int, dict[str, float]], None]  # its number from 1, of how many, and its figures


@dataclass(frozen=True)
class Recipe:
    """All that a trial is made of: the task, the data, and the options that trials change. folds: perhaps none."""

    task_module: Any
    options: Any
    source: Any
    valid: Any
    threads: int
    earlier: Model | None
    folds: Sequence[Fold] = ()

    def make_job(self, options: dict[str, Any]) -> TrainingJob:
        """Make the job of these options as `fit` does without folds. Raises DataError, OptionError."""
        changed = replace(self.options, **options)
        return TrainingJob(self.task_module, changed, self.source, self.valid, self.threads, self.earlier)

    def make_part(self, options: dict[str, Any], k: int) -> TrainingJob:
        """Make the job whose figures are those of fold k, or the only one without folds. Raises as `make_job`.

        The held-out rows of a fold are a file's for the job: no refit reads them, not even for its vocabulary.
        """
        if not self.folds:
            return self.make_job(options)
        changed, fold = replace(self.options, **options), self.folds[k]
        if any(field.name == "refit_epochs" for field in fields(changed)):
            changed = replace(changed, refit_epochs=0)
        return TrainingJob(self.task_module, changed, fold.source, fold.valid, self.threads, self.earlier)

    @property
    def parts(self) -> int:
        """How many jobs a trial has."""
        return len(self.folds) or 1

    def name_part(self, k: int) -> str:
        """Name a fold; "" without folds."""
        return f"fold {k + 1} of {len(self.folds)}" if self.folds else ""


def check_folds(count: int | None) -> None:
    """Raise OptionError for a number of folds that is out of range.

    >>> check_folds(1)
    Traceback (most recent call last):
        ...
    tidegate.errors.OptionError: folds is 1; it must be 2 to 20
    """
    if count is not None and (type(count) is not int or not LEAST <= count <= MOST):
        raise OptionError(f"folds is {count!r}; it must be {LEAST} to {MOST}")


def run_trial(
    recipe: Recipe,
    trial: Trial,
    trials: Trials,
    name: str,
    report: Report | None,
    signals: list[int],
    after_epoch: AfterEpoch | None = None,
    say: Say | None = None,
) -> None:
    """Train what is missing of a trial, which is then finished; save the trials after each fold.

    name: of the trial, "" if it is the only one. after_epoch: called in the first fold alone. say: called after each
    fold. Raises KeyboardInterrupt after a signal; whatever a job raises, with the name of the fold before it.
    """
    for k in range(len(trial.figures), recipe.parts):
        part = ", ".join(filter(None, (name, recipe.name_part(k))))
        with error_context(recipe.name_part(k)) if recipe.folds else nullcontext():
            job = recipe.make_part(trial.options, k)
            figures = judge(job, part, report, signals, None if k else after_epoch)
        trial.figures.append(figures)
        if say is not None and recipe.folds:
            say(f"{part}: {format_figure(job.problem, figures)}")
        if k + 1 == recipe.parts:
            trial.state = FINISHED
        trials.save()


def judge(
    job: TrainingJob, part: str, report: Report | None, signals: list[int], after_epoch: AfterEpoch | None = None
) -> dict[str, float]:
    """Train a job until its weights are selected, and return their held-out figures; nothing is written.

    They are those of a model that `fit` writes. part: what the progress calls the job. Raises KeyboardInterrupt after a
    signal.
    """

    def report_part(progress: Progress) -> None:
        if report is not None:
            report(replace(progress, part=part))

    run, judged = job.run(report_part), 0
    for _ in run.run():
        if signals:
            raise KeyboardInterrupt
        if len(run.history) > judged:
            judged = len(run.history)
            if after_epoch is not None:
                after_epoch(judged, run.config.epochs, run.history[-1])
        if run.refitting:
            break
    run.check_finite(run.kept_figures)
    return dict(run.kept_figures)


def rank_trial(problem: Problem, trial: Trial) -> tuple[float, float]:
    """Rank a finished trial, higher is better: the mean over its folds."""
    first, second = np.mean([problem.compare(one) for one in trial.figures], axis=0)
    return float(first), float(second)


def measure_trial(problem: Problem, trial: Trial) -> float:
    """Return the figure of a finished trial by which it is compared: the mean over its folds."""
    return float(np.mean([one[problem.compared] for one in trial.figures]))


def describe_folds(problem: Problem, recipe: Recipe, trial: Trial) -> dict[str, Any]:
    """Return the entry `folds` of the provenance: the figures of each, with their mean and standard deviation."""
    names = [name for name in trial.figures[0] if all(name in one for one in trial.figures)]
    columns = {name: np.array([one[name] for one in trial.figures]) for name in names}
    return {
        "count": len(recipe.folds),
        "metric": problem.compared,
        "mean": {name: float(values.mean()) for name, values in columns.items()},
        "deviation": {name: float(values.std(ddof=1)) for name, values in columns.items()},
        "held_out": [fold.held_out for fold in recipe.folds],
        "figures": {name: values.tolist() for name, values in columns.items()},
    }


def format_figure(problem: Problem, figures: dict[str, float]) -> str:
    """Format the figure by which models are compared: `accuracy 0.9312`."""
    return f"{problem.compared.replace('_', ' ')} {figures[problem.compared]:.4f}"
