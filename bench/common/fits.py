"""A model fitted on the training split of a public set with a task's defaults, and what that took."""

from __future__ import annotations

import argparse
import shlex
import time
from pathlib import Path
from typing import Any

from tidegate.cli import _flags
from tidegate.data import catalogue
from tidegate.tasks import load
from tidegate.train import Progress, fit


def options(name: str, **given: Any) -> Any:
    """The defaults of a set's task, with the flags that tell how its files are read, and what is given."""
    known = catalogue.get(name)
    kind = load(known.task).Options
    parser = argparse.ArgumentParser()
    _flags.add(parser, kind)
    return kind(**(_flags.values(parser.parse_args(shlex.split(known.flags)), kind) | given))


def fit_set(name: str, train: Path, out: str, label: str = "", **given: Any) -> dict[str, float]:
    """Fits a set's model, writes it to `out` and says what that took. called: what the lines of progress begin with."""
    wall, cpu = time.perf_counter(), time.process_time()
    chosen = options(name, **given)
    fit(catalogue.get(name).task, str(train), chosen, out, progress=print_epochs(f"{label or name} seed {chosen.seed}"))
    return {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def print_epochs(what: str) -> Any:
    """A report that prints a line an epoch."""

    def line(progress: Progress) -> None:
        if progress.evaluated:
            print(f"{what} epoch {progress.epoch}/{progress.epochs} held out {progress.metric:.4f}", flush=True)

    return line
