"""Choosing: the trials of folds and of a search before the model itself is trained, and what is recorded of them."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from typing import Any, NamedTuple

from ..errors import OptionError
from ..tasks._search_space import find_space
from . import checkpoint
from .folds import Recipe, describe_folds, run_trial
from .progress import Report
from .search import check_size, describe_search, load_optuna, search
from .signals import catch_stop_signals
from .training_job import TrainingJob
from .trials import Say, Trial, Trials


class Chosen(NamedTuple):
    """What was chosen. options: those that differ from the user's, by name. entry: of the provenance."""

    options: dict[str, Any]
    entry: dict[str, Any]


def list_fixed(typed: Any, options: Any, given: set[str]) -> set[str]:
    """Return the names of the options that a search leaves as they are.

    typed: the options as the user gave them. options: those of the run, some of which a file of vectors or an earlier
    model decides. given: names of what the user chose.
    """
    changed = {f.name for f in fields(options) if getattr(typed, f.name) != getattr(options, f.name)}
    adopted = {f.name for f in fields(options) if f.metadata.get("earlier")}
    return given | changed | (set() if options.from_model is None else adopted)


def split(recipe: Recipe, job: TrainingJob, folds: int | None, count: int | None) -> Recipe:
    """Return the recipe with its source in folds, if there are to be some.

    Raises DataError where it cannot be split, or has too few held-out rows for a search of `count` trials.
    """
    if folds is not None:
        recipe = replace(recipe, folds=recipe.task_module.split_folds(recipe.source, recipe.options, folds))
    if count is not None:
        check_size(recipe, job.problem, count)
    return recipe


def choose(
    recipe: Recipe,
    job: TrainingJob,
    fixed: set[str],
    count: int | None,
    trials: Trials,
    resuming: bool,
    say: Say,
    report: Report | None,
) -> Chosen:
    """Run the trials: `count` of a search, or one of the user's options for folds alone.

    job: of the user's options. trials: their file, whose trials are done where `resuming`. Raises KeyboardInterrupt
    after Ctrl-C, SIGTERM or SIGHUP, and as `fit` does.
    """
    problem, space = job.problem, {}
    if count is not None:
        space = find_space(problem.options, {entry["kind"] for entry in problem.inputs.values()}, fixed)
        if not space:
            raise OptionError("--search has no option left to choose, as all are given; leave some out, or --search")
        trials.identity["versions"]["optuna"] = load_optuna().__version__
        trials.identity["searched"] = sorted(space)
    if resuming:
        trials.load()
    else:
        for path in (trials.path, checkpoint.path_of(trials.path.removesuffix(".trials"))):
            if os.path.exists(path):  # of a run that is started over
                os.remove(path)
    with catch_stop_signals() as signals:
        if count is not None:
            best = search(recipe, problem, space, count, trials, say, report, signals)
        else:
            best = trials.list[0] if trials.list else Trial(0, {})
            trials.list = [best]
            run_trial(recipe, best, trials, "", report, signals, say=say)
    entry = {"folds": describe_folds(problem, recipe, best)} if recipe.folds else {}
    if count is not None:
        entry["search"] = describe_search(problem, space, trials.list, best)
    return Chosen(best.options, entry)
