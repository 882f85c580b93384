"""Search of options: trials on the same rows with the same seed, which Optuna proposes and stops early.

A trial is a function of the seed, its number and the trials before it, so a search that is interrupted and resumed
gives the same trials. Pruning compares figures of the same epoch, and no times.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import fields
from types import ModuleType
from typing import Any, Final

import numpy as np

from ..errors import DataError, MissingExtra, ModelFileError, OptionError
from ..tasks._options import flag_of
from ..tasks._search_space import Choices, Numbers, Space
from ..tasks.base import Problem
from .folds import Recipe, format_figure, measure_trial, rank_trial, run_trial
from .progress import Report
from .trials import FAILED, FINISHED, PRUNED, RUNNING, Say, Trial, Trials

LEAST, MOST = 2, 500  # trials
LEAST_ROWS: Final = 100
FLATTERY: Final = 0.1  # what the best of all trials may owe to luck
RANDOM_TRIALS: Final = 5  # before the sampler learns from them
JUDGED_TRIALS: Final = 4  # finished ones, before a trial is stopped early
WARM_UP: Final = 1 / 3  # of the epochs, in which no trial is stopped: figures say little while rates are high
TRIALS_FOR_IMPORTANCE: Final = 10


def check_search(count: int | None) -> None:
    """Raise OptionError for a number of trials that is out of range, MissingExtra where Optuna is not installed."""
    if count is None:
        return
    if type(count) is not int or not LEAST <= count <= MOST:
        raise OptionError(f"search is {count!r}; it must be {LEAST} to {MOST}, the number of trials")
    load_optuna()


def load_optuna() -> ModuleType:
    """Import Optuna without its own messages. Raises MissingExtra."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingExtra('--search needs Optuna, which is not installed; pip install "tidegate[search]"') from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def count_needed(trials: int) -> int:
    """Count the held-out rows that a search takes.

    The best of N figures that differ by noise alone lies sqrt(2 ln N) standard errors above their mean, and the
    standard error of an accuracy over n rows is at most 0.5 / sqrt(n). Their product may be 0.1, and rows at least 100.

    >>> count_needed(2), count_needed(20), count_needed(100)
    (100, 150, 231)
    """
    return max(LEAST_ROWS, math.ceil(0.25 * 2 * math.log(trials) / FLATTERY**2))


def check_size(recipe: Recipe, problem: Problem, trials: int) -> None:
    """Raise DataError for a file whose held-out rows are so few that the best trial would be best by luck."""
    rows = sum(fold.held_out for fold in recipe.folds) if recipe.folds else problem.count_held_out()
    if rows < (needed := count_needed(trials)):
        path = (recipe.source if recipe.valid is None else recipe.valid).path
        advice = "hold out more (--hold-out), or give a larger file with --valid"
        advice = "add rows" if recipe.folds else f"measure on all rows with --folds, {advice}"
        raise DataError(
            f"{path}: {rows:,} held-out rows or forecasts are too few to choose between {trials} trials, which take "
            f"{needed:,}: the best one would be best by luck; {advice}"
        )


# ---- the trials


def search(
    recipe: Recipe,
    problem: Problem,
    space: Space,
    count: int,
    trials: Trials,
    say: Say,
    report: Report | None,
    signals: list[int],
) -> Trial:
    """Run the trials that are missing, and return the best one: of equal ones the first.

    problem: that of the defaults, which are the first trial. space: what the others choose. Raises KeyboardInterrupt
    after a signal, and what the defaults raise; a trial that raises an error of its options or data is a failed one.
    """
    while len(trials.list) < count or trials.list[-1].state == RUNNING:
        run_next(recipe, problem, space, count, trials, say, report, signals)
    return find_best(problem, trials.list)


def run_next(
    recipe: Recipe,
    problem: Problem,
    space: Space,
    count: int,
    trials: Trials,
    say: Say,
    report: Report | None,
    signals: list[int],
) -> None:
    """Run the next trial, or what is missing of the one that was interrupted."""
    done = [one for one in trials.list if one.state != RUNNING]
    number, optuna = len(done), load_optuna()
    asked = propose(problem, space, done)
    drawn = {} if not number else {name: tidy(space[name], value) for name, value in asked.params.items()}
    trial = trials.list[number] if len(trials.list) > number else Trial(number, drawn)
    name = f"trial {number + 1} of {count}"

    def after_epoch(epoch: int, epochs: int, figures: dict[str, float]) -> None:
        trial.epochs.append(problem.compare(figures)[0])
        asked.report(trial.epochs[-1], epoch)
        if number and WARM_UP * epochs < epoch < epochs and asked.should_prune():
            trial.reason = f"stopped after epoch {epoch} of {epochs}, at {format_figure(problem, figures)}"
            raise optuna.TrialPruned

    trials.list[number:] = [trial]
    own = choices_of(problem, space, trial)
    if (twin := next((one for one in done if choices_of(problem, space, one) == own), None)) is not None:
        trial.state, trial.figures, trial.epochs = twin.state, twin.figures, twin.epochs
        trial.reason = twin.reason or f"has the options of trial {twin.number + 1}"
    else:
        try:
            run_trial(recipe, trial, trials, name, report, signals, after_epoch)
        except optuna.TrialPruned:
            trial.state = PRUNED
        except (OptionError, DataError, ModelFileError) as error:
            if not number:
                raise
            trial.state, trial.reason = FAILED, f"failed: {error}"
    trials.save()
    say(f"{name}: {describe_trial(problem, trial)}, {describe_options(problem, space, trial)}")


def propose(problem: Problem, space: Space, done: list[Trial]) -> Any:
    """Return Optuna's trial that follows those that are done, with its options chosen.

    The median pruner compares the best figure of a trial so far with the median of finished trials after the same
    epoch: all trials have the same rows, seed and schedule. With folds it judges the first one; a test over folds, such
    as Optuna's by Wilcoxon, could tell trials apart after most of them at the earliest, and successive halving takes
    more trials than a search of 20 has.
    """
    optuna, seed = load_optuna(), [problem.options.seed, 6, len(done)]
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(
            n_startup_trials=RANDOM_TRIALS, seed=int(np.random.default_rng(seed).integers(2**31))
        ),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=JUDGED_TRIALS),
    )
    study.add_trials(to_optuna(problem, space, done))
    asked = study.ask()
    for name, of in space.items():
        if isinstance(of, Numbers):
            asked.suggest_float(name, of.low, of.high, log=of.log)
        else:
            asked.suggest_categorical(name, of.values)
    return asked


def to_optuna(problem: Problem, space: Space, trials: list[Trial]) -> list[Any]:
    """Return trials as Optuna knows them."""
    optuna = load_optuna()
    states, kinds = optuna.trial.TrialState, optuna.distributions
    state = {FINISHED: states.COMPLETE, PRUNED: states.PRUNED, FAILED: states.FAIL}
    distributions = {
        name: kinds.FloatDistribution(of.low, of.high, log=of.log)
        if isinstance(of, Numbers)
        else kinds.CategoricalDistribution(of.values)
        for name, of in space.items()
    }
    return [
        optuna.create_trial(
            state=state[one.state],
            value=rank_trial(problem, one)[0] if one.state == FINISHED else None,
            params=choices_of(problem, space, one),
            distributions=distributions,
            intermediate_values=dict(enumerate(one.epochs, 1)),
        )
        for one in trials
    ]


def choices_of(problem: Problem, space: Space, trial: Trial) -> dict[str, Any]:
    """Return what a trial has of each option that is searched: the decided default, or another value."""
    return {name: trial.options.get(name, getattr(problem.options, name)) for name in space}


def tidy(space: Numbers | Choices, value: Any) -> Any:
    """Round a number that was drawn; leave one of several values as it is."""
    return space.tidy(value) if isinstance(space, Numbers) else value


def find_best(problem: Problem, trials: list[Trial]) -> Trial:
    """Return the best of the trials that are finished; of equal ones the first."""
    finished = [one for one in trials if one.state == FINISHED]
    return max(finished, key=lambda one: (rank_trial(problem, one), -one.number))


# ---- what is said and recorded


def describe_trial(problem: Problem, trial: Trial) -> str:
    """Describe in words how a trial ended."""
    if trial.state == FINISHED:
        return f"{problem.compared.replace('_', ' ')} {measure_trial(problem, trial):.4f}"
    return trial.reason


def describe_options(problem: Problem, space: Space, trial: Trial) -> str:
    """Describe in words what a trial has other than the defaults, as flags, so that it can be typed."""
    flags = {field.name: flag_of(field) for field in fields(problem.options)}
    changed = {name: v for name, v in choices_of(problem, space, trial).items() if v != getattr(problem.options, name)}
    return " ".join(f"{flags[name]} {value}" for name, value in changed.items()) or "the defaults"


def find_importance(problem: Problem, space: Space, trials: list[Trial]) -> dict[str, float]:
    """Return how much of the differences between trials each option explains; empty for few trials.

    Source: PED-ANOVA, Watanabe et al. 2023 (arXiv:2304.10255), as Optuna has it.
    """
    optuna = load_optuna()
    if sum(one.state == FINISHED for one in trials) < TRIALS_FOR_IMPORTANCE:
        return {}
    from optuna.importance import get_param_importances

    study = optuna.create_study(direction="maximize")
    study.add_trials(to_optuna(problem, space, trials))
    return {name: float(share) for name, share in get_param_importances(study).items()}


def find_noise(problem: Problem, first: Trial, best: Trial) -> dict[str, Any]:
    """Return one standard error, None where the task does not know it, and what it is of.

    Over folds, that is the gain of the best trial over the first one: how folds differ from each other counts for both.
    """
    own, other = (np.array([one[problem.compared] for one in trial.figures]) for trial in (best, first))
    if len(own) == 1:
        return {"standard_error": problem.noise(best.figures[0]), "of": "the figure"}
    values, what = (own, "the figure") if best is first else (own - other, "the gain")
    return {"standard_error": float(np.std(values, ddof=1) / len(values) ** 0.5), "of": what}


def describe_search(problem: Problem, space: Space, trials: list[Trial], best: Trial) -> dict[str, Any]:
    """Return the entry `search` of the provenance."""
    states = Counter(one.state for one in trials)
    return {
        "trials": len(trials),
        "pruned": states[PRUNED],
        "failed": states[FAILED],
        "metric": problem.compared,
        "lower": problem.lower,
        "default": measure_trial(problem, trials[0]),
        "best": {"trial": best.number + 1, "figure": measure_trial(problem, best), "options": best.options},
        "noise": find_noise(problem, trials[0], best),
        "searched": {
            name: [of.low, of.high] if isinstance(of, Numbers) else list(of.values) for name, of in space.items()
        },
        "importance": find_importance(problem, space, trials),
        "optuna": load_optuna().__version__,
        "each": [
            {
                "trial": one.number + 1,
                "state": one.state,
                "figure": measure_trial(problem, one) if one.state == FINISHED else None,
                "options": choices_of(problem, space, one),
                **({"reason": one.reason} if one.reason else {}),
            }
            for one in trials
        ],
    }
