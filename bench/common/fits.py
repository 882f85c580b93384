"""Fit models on the training splits of public sets with a task's defaults, and time it."""

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


def options(name: str, **values: Any) -> Any:
    """Return the default options of a set's task, with the flags that its files need, and with `values`."""
    known = catalogue.get(name)
    kind = load(known.task).Options
    parser = argparse.ArgumentParser()
    _flags.add_options(parser, kind)
    return kind(**(_flags.typed_values(parser.parse_args(shlex.split(known.flags)), kind) | values))


def fit_set(name: str, train: Path, out: str, label: str = "", **values: Any) -> dict[str, float]:
    """Fit a set's model, write it to `out`, and return the seconds. label: what the lines of progress begin with."""
    wall, cpu = time.perf_counter(), time.process_time()
    settings = options(name, **values)
    fit(
        catalogue.get(name).task,
        str(train),
        settings,
        out,
        progress=print_epochs(f"{label or name} seed {settings.seed}"),
    )
    return {"wall_seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def print_epochs(what: str) -> Any:
    """Make a progress report that prints a line per epoch."""

    def line(progress: Progress) -> None:
        if progress.evaluated:
            print(f"{what} epoch {progress.epoch}/{progress.epochs} held out {progress.metric:.4f}", flush=True)

    return line


def classified(metrics: dict[str, Any], model: Any) -> dict[str, Any]:
    """Return what results keep of a classifier's figures: of the test split, and of the rows that selected it."""
    weighted = sum(of["f1"] * of["support"] for of in metrics["labels"].values()) / metrics["rows"]
    return {
        **{key: metrics[key] for key in ("rows", "accuracy", "macro_f1", "log_loss", "unseen")},
        "weighted_f1": weighted,
        "validation": model.document["provenance"]["metrics"]["held_out"],
    }
