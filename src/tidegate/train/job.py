"""The main job: a labelled file becomes a model file."""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from .. import layers as layer_rooms
from .. import tasks
from ..data.table import Table
from ..document import state_schema, streams_of
from ..errors import DataError, OptionError
from ..model import Model
from ..nn import Network
from ..tape import Tape
from ..tasks._options import make
from ..verify.check import attach
from . import batches, checkpoint
from .calibration import log_loss
from .loop import Data, Recipe, Run
from .progress import Report

CHECKPOINT_SECONDS = 15.0


def fit(
    task: str,
    data: Any,
    options: Any = None,
    out: str = "",
    *,
    valid: Any = None,
    resume: bool = False,
    restart: bool = False,
    progress: Report | None = None,
    say: Callable[[str], None] | None = None,
    threads: int | None = None,
    **values: Any,
) -> Model:
    """The model learnt from a labelled file or frame; written to `out`, which is only replaced when all went well.

    task: a name of `tidegate.tasks.names()`. data: a path, or a frame of pandas, polars or Arrow (`data.table.read`).
    options: the task's Options, or its fields as keywords. valid: a file or frame that chooses the best weights,
    instead of rows held out. resume, restart: what to do about the checkpoint of an unfinished run beside `out`. say:
    takes a sentence about what each source was taken for. threads: of torch, default 1; results depend on it.

    Raises DataError, OptionError, ModelFileError, MissingExtra; KeyboardInterrupt after Ctrl-C, with the checkpoint
    written.
    """
    room = tasks.load(task)
    options = make(room.Options, values) if options is None else options
    if not out:
        raise OptionError("out is missing; give the path of the model file to write")
    check_folder(out)
    saved = checkpoint.path_of(out)
    going_on = checkpoint.settle(saved, resume, restart)
    table = room.rows(data, options)
    judged = None if valid is None else room.rows(valid, options)
    job = Job(room, options, table, judged, threads or 1)
    for path, taken in job.taken:
        (say or ignore)(f"{path}: {taken}")
    with torch_threads(job.threads):
        run = job.run(progress)
        if going_on:
            checkpoint.load(saved, run, job.identity())
        drive(run, partial(checkpoint.save, saved, run, job.identity()))
        model = job.model(run)
    model.save(out)
    if os.path.exists(saved):
        os.remove(saved)
    return model


class Job:
    """What a run is made of, and what its model is made of: data, options as decided, document, first weights."""

    def __init__(self, room: Any, options: Any, table: Table, judged: Table | None, threads: int) -> None:
        self.room, self.table, self.judged, self.threads = room, table, judged, threads
        found = room.examples(table, options)
        room.check_classes(found, table.path, options)
        self.labels: list[str] = found.labels
        self.taken = [(table.path, f"{table.described()}; {room.taken(table, options, found)}")]
        if judged is not None and options.refit_epochs is None:
            options = replace(options, refit_epochs=0)  # a file given to judge by is not learnt from unasked
        self.options = room.resolved(options, found)
        tokens, targets = found.tokens, found.targets
        if judged is None:
            self.kept, self.held = batches.split(targets, self.options.hold_out, self.options.seed)
        else:
            remedy = f"leave the row out, or add rows of that label to {table.path}"
            other = room.examples(judged, options, self.labels, remedy=remedy)
            self.taken.append((judged.path, f"{judged.described()}; {room.taken(judged, options, other)}"))
            self.kept, self.held = np.arange(len(tokens)), len(tokens) + np.arange(len(other.tokens))
            tokens, targets = tokens + other.tokens, np.concatenate([targets, other.targets])
        if not len(self.held):
            raise DataError(f"{table.path}: too few rows to hold some out; each class needs two or more rows")
        learnt = tokens if self.options.refit_epochs else [tokens[i] for i in self.kept]
        self.input, self.arrays, vocabulary, self.hide = room.inputs(self.options, learnt)
        self.data = Data([vocabulary.ids(t) for t in tokens], targets, self.kept, self.held)
        self.layers, self.tapes = room.layers(self.options, len(vocabulary), len(self.labels))

    def run(self, progress: Report | None) -> Run:
        read_tapes = {name: Tape.from_json(tape) for name, tape in self.tapes.items()}
        layer_rooms.widths(self.layers, None, read_tapes)  # raises where a layer does not fit
        network = Network(self.layers, read_tapes)
        network.load_tensors(self.room.start(self.options, {"layers": self.layers}, network.shapes()))
        return Run(network, self.data, self.recipe(), progress)

    def recipe(self) -> Recipe:
        of_options = {f.name: getattr(self.options, f.name) for f in fields(Recipe) if hasattr(self.options, f.name)}
        targets = self.data.targets[self.kept]
        return Recipe(
            **of_options,
            metric=self.room.METRIC,
            hide=self.hide,
            weights=self.room.weights_of_classes(self.options, targets, len(self.labels)),
            loss=partial(self.room.loss, self.options),
        )

    def identity(self) -> dict[str, Any]:
        """What must not change between a run and its resumption."""
        files = {"data": self.table.sha256, "valid": self.judged.sha256 if self.judged else None}
        return {**files, "options": asdict(self.options), "threads": self.threads, "versions": versions(),
                "tapes": self.tapes}  # fmt: skip

    def model(self, run: Run) -> Model:
        logits, targets = run.answers(self.held)
        final = {
            run.recipe.metric: float((logits.argmax(1) == targets).mean()),
            "log_loss": log_loss(logits, targets, run.scale),
        }
        run.network.scale_scores(run.scale)
        read_tapes = {name: Tape.from_json(tape) for name, tape in self.tapes.items()}
        document = {
            "format": 1,
            "task": {"kind": self.room.KIND, "options": self.recorded()},
            "input": self.input,
            "layers": self.layers,
            "tapes": self.tapes,
            "state": state_schema(self.layers, read_tapes),
            "labels": self.labels,
            "streams": streams_of(self.layers),
            "provenance": self.provenance(run, final),
            "check": None,
        }
        return attach(Model(document, {**run.network.tensors(), **self.arrays}))

    def recorded(self) -> dict[str, Any]:
        """The options as the file keeps them: a user's cell by its name, not by where it lay."""
        return asdict(replace(self.options, cell=os.path.basename(self.options.cell).removesuffix(".py")))

    def provenance(self, run: Run, final: dict[str, float]) -> dict[str, Any]:
        kept = run.history[run.kept_epoch]
        held = "held-out rows, which the last epochs also learnt from" if run.recipe.refit_epochs else "held-out rows"
        return {
            "data": described(self.table, self.taken[0][1]),
            "valid": described(self.judged, self.taken[1][1]) if self.judged else None,
            "rows": {"trained": len(self.kept), "held_out": len(self.held)},
            "epochs": {"planned": run.recipe.epochs, "kept": run.kept_epoch + 1, "stopped_early": run.stopped_early},
            "metrics": {"held_out": {**{k: kept[k] for k in final}, "log_loss": run.kept_log_loss}},
            "final": {**final, "on": held},
            "calibration": {"factor": run.scale, "of": "the last layer's weights, fitted on the held-out rows"},
            "history": run.history,
            "seed": self.options.seed,
            "threads": self.threads,
            "versions": versions(),
        }


def described(table: Table, taken: str) -> dict[str, Any]:
    """A source as the model file keeps it: by its name, not by where it lay, and what it was taken for."""
    source = "file" if table.form else "frame"
    return {source: os.path.basename(table.path), "sha256": table.sha256, "rows": len(table), "taken": taken}


def ignore(sentence: str) -> None:
    """Say nothing."""


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"tidegate": version("tidegate"), "python": platform.python_version(), "numpy": np.__version__,
            "torch": str(torch.__version__)}  # fmt: skip


def check_folder(out: str) -> None:
    """Raises OptionError now if the result could not be written at the end."""
    folder = os.path.dirname(os.path.abspath(out))
    if not os.path.isdir(folder):
        raise OptionError(f"{out}: there is no folder {folder}; make it first")
    if os.path.isdir(out):
        raise OptionError(f"{out}: is a folder; give the path of a file")
    if not os.access(folder, os.W_OK):
        raise OptionError(f"{out}: the folder {folder} cannot be written to; choose another")


def drive(run: Run, save: Any) -> None:
    """Runs to the end with a checkpoint now and then; on Ctrl-C one more, then KeyboardInterrupt."""
    asked: list[int] = []
    with on_interrupt(asked.append):
        newest = time.monotonic()
        for _ in run.run():
            if asked or time.monotonic() - newest > CHECKPOINT_SECONDS:
                save()
                newest = time.monotonic()
            if asked:
                raise KeyboardInterrupt


@contextmanager
def on_interrupt(note: Any) -> Iterator[None]:
    """Ctrl-C and SIGTERM become a note that the loop reads between steps; a second one acts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: Any) -> None:
        note(number)
        for s, handler in former.items():
            signal.signal(s, handler)

    for s in former:
        signal.signal(s, handle)
    try:
        yield
    finally:
        for s, handler in former.items():
            signal.signal(s, handler)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """torch with a fixed number of threads, and as it was before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
