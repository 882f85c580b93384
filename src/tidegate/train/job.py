"""The main job: a labelled file becomes a model file."""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from .. import atomic, cells, tasks
from .. import layers as layer_modules
from .. import model as model_file
from ..data.series import Collection
from ..data.table import Table
from ..document import state_schema, streams_of
from ..errors import OptionError, TidegateError, error_context
from ..model import Model
from ..nn import Network
from ..nn.native import target_name
from ..runtime.compiled_model import threads_of
from ..tape import Tape
from ..tasks._options import make
from ..tasks._problem import Problem
from ..verify.check import attach
from . import checkpoint
from .loop import Run, TrainConfig
from .progress import Report

CHECKPOINT_SECONDS = 15.0
LONGEST = -1.2345678901234567e-300  # no float takes more characters in JSON
NO_FILE = "these options make no model file"
STOPS = ("SIGINT", "SIGTERM", "SIGHUP")


def fit(
    task: str,
    data: Any,
    options: Any = None,
    out: str | os.PathLike[str] = "",
    *,
    valid: Any = None,
    resume: bool = False,
    restart: bool = False,
    force: bool = False,
    progress: Report | None = None,
    say: Callable[[str], None] | None = None,
    threads: int | None = None,
    **values: Any,
) -> Model:
    """The model learnt from a labelled file or frame; written to `out`, which is only replaced when all went well.

    task: a name of `tidegate.tasks.names()`. data: a path, or a frame of pandas, polars or Arrow (`data.table.read`).
    options: the task's Options, or its fields as keywords. valid: a file or frame that chooses the best weights,
    instead of rows held out. resume, restart: what to do about the checkpoint of an unfinished run beside `out`. force:
    replace a file at `out` that is no model file. say: takes a sentence about what each source was taken for. threads:
    1 to 1024, else TIDEGATE_THREADS, else 1; results depend on it.

    What can be known to fail at the end is tried before the first epoch. One process at a time fits to one `out`.

    Raises DataError, OptionError, ModelFileError, MissingExtra, TidegateError; KeyboardInterrupt after Ctrl-C, SIGTERM
    or SIGHUP, with the checkpoint written. Where the model cannot be made or written, the checkpoint is kept too.
    """
    task_module = tasks.load(task)
    options = make(task_module.Options, values) if options is None else options
    if not out:
        raise OptionError("out is missing; give the path of the model file to write")
    out, threads = os.fspath(out), threads_of(threads, 1)
    saved, read = checkpoint.path_of(out), inputs(data, valid, options)
    atomic.check(out, model_file.KIND, read, force)
    atomic.check(saved, checkpoint.KIND, read, force)
    with atomic.locked(out), torch_threads(threads):
        going_on = checkpoint.settle(saved, resume, restart)
        source = task_module.rows(data, options)
        judged = None if valid is None else task_module.rows(valid, options)
        job = TrainingJob(task_module, options, source, judged, threads)
        for path, taken in job.summaries:
            (say or ignore)(f"{path}: {taken}")
        for path, note in job.notes:
            (say or ignore)(f"{path}: {note}")
        run = job.run(progress)
        if going_on:
            checkpoint.load(saved, run, job.identity())
        job.rehearse(run, out)
        return finish(job, run, out, force)


def inputs(data: Any, valid: Any, options: Any) -> list[str]:
    """List the files and folders that a run reads: its data, given as paths or read already, and a cell's own file."""
    found = [one.path if isinstance(one, Table | Collection) and one.form else one for one in (data, valid)]
    found += [] if options.cell in cells.names() else [options.cell]
    return [os.fspath(one) for one in found if isinstance(one, str | os.PathLike)]


def finish(job: TrainingJob, run: Run, out: str, force: bool) -> Model:
    """Drive a run to its end and write its model to `out`; where that fails, leave a checkpoint to go on from."""
    saved = checkpoint.path_of(out)
    save = partial(checkpoint.save, saved, run, job.identity(), force)
    with on_stop() as asked:
        run_with_checkpoints(run, save, asked)
        try:
            model = job.model(run)
            model.save(out, force)
        except BaseException as error:
            with suppress(TidegateError):  # of a full disk too; then an older one may be there
                save()
            if isinstance(error, TidegateError) and os.path.exists(saved):
                kept = f"what was learnt lies in {saved}: run again with --resume (resume=True in Python) to finish"
                raise type(error)(f"{error}; {kept}") from error
            raise
        if os.path.exists(saved):
            os.remove(saved)
    return model


class TrainingJob:
    """What a run is made of, and what its model is made of: data, options as decided, document, first weights."""

    def __init__(self, task_module: Any, options: Any, source: Any, judged: Any, threads: int) -> None:
        self.task_module, self.source, self.judged, self.threads = task_module, source, judged, threads
        self.problem: Problem = task_module.problem(options, source, judged)
        self.options = self.problem.options
        self.tapes = {name: Tape.from_json(tape) for name, tape in self.problem.tapes.items()}
        sources = [source] if judged is None else [source, judged]
        self.summaries = [(each.path, said) for each, said in zip(sources, self.problem.summaries, strict=True)]
        self.notes = [
            (each.path, note) for each, notes in zip(sources, self.problem.notes, strict=False) for note in notes
        ]

    def run(self, progress: Report | None) -> Run:
        made = self.problem
        layer_modules.widths(made.layers, made.features, self.tapes)  # raises where a layer does not fit
        network = Network(made.layers, self.tapes)
        network.load_tensors(self.task_module.init_weights(made, network.shapes()))
        with error_context(NO_FILE):
            self.draft(network, {})  # costs less than what `rehearse` does
        return Run(network, made.rows, made.train_rows, made.valid_rows, self.config(), progress)

    def config(self) -> TrainConfig:
        made = self.problem
        of_options = {
            f.name: getattr(self.options, f.name) for f in fields(TrainConfig) if hasattr(self.options, f.name)
        }
        return TrainConfig(
            **of_options,
            evaluator=made.evaluator,
            weights=made.weights,
            per_step=made.per_step,
            rows_per_epoch=made.rows_per_epoch,
            groups=made.groups,
            loss=partial(self.task_module.loss, self.options),
        )

    def identity(self) -> dict[str, Any]:
        """What must not change between a run and its resumption: all that bits depend on."""
        instructions = {"native": target_name(), "torch": torch.backends.cpu.get_cpu_capability()}
        files = {"data": self.source.sha256, "valid": self.judged.sha256 if self.judged else None}
        return {
            **files,
            "options": asdict(self.options),
            "threads": self.threads,
            "versions": versions(),
            "instructions": instructions,
            "tapes": self.problem.tapes,
        }

    def rehearse(self, run: Run, out: str) -> None:
        """Make the model file of the weights as they are, but for writing it, and try whether there is room for it.

        Raises what the end of the run would raise: ModelFileError for options, labels or names that no model file can
        hold; TidegateError when there is no room for the model and the checkpoints beside it.
        """
        outputs, targets = run.answers(run.valid_rows)
        figures = dict.fromkeys(run.evaluator.figures(outputs, targets), LONGEST)
        done = copy(run)  # as far as provenance tells of it, with the longest numbers that there may be
        done.adjustment = run.evaluator.adjustment(outputs, targets)
        done.kept_epoch = run.config.epochs + run.config.refit_epochs
        done.kept_figures, done.history = figures, [{"loss": LONGEST, **figures}] * done.kept_epoch
        with error_context(NO_FILE):
            made = attach(self.draft(run.network, self.provenance(done, figures))).file_bytes
            kept = checkpoint.size(run, self.identity())
        atomic.rehearse(out, [kept, max(kept, made)])

    def model(self, run: Run) -> Model:
        outputs, targets = run.answers(run.valid_rows)
        final = run.evaluator.figures(run.evaluator.adjusted(outputs, run.adjustment), targets)
        run.evaluator.adjust(run.network, run.adjustment)
        return attach(self.draft(run.network, self.provenance(run, final)))

    def draft(self, network: Network, provenance: dict[str, Any]) -> Model:
        """The model without its check. Raises ModelFileError for one that no file can hold."""
        made = self.problem
        document = {
            "format": 1,
            "task": {"kind": self.task_module.KIND, "options": self.recorded()},
            "input": made.input,
            "layers": made.layers,
            "tapes": made.tapes,
            "state": state_schema(made.layers, self.tapes),
            "labels": made.labels,
            "streams": streams_of(made.layers, made.input),
            "provenance": provenance,
            "check": None,
        }
        return Model(document, {**network.tensors(), **made.arrays})

    def recorded(self) -> dict[str, Any]:
        """The options as the file keeps them: a user's cell by its name, not by where it lay."""
        return asdict(replace(self.options, cell=os.path.basename(self.options.cell).removesuffix(".py")))

    def provenance(self, run: Run, final: dict[str, float]) -> dict[str, Any]:
        held = f"held-out rows, which chose the weights{' and their calibration' * bool(run.adjustment)}"
        held += "; the last epochs learnt from them too" * bool(run.config.refit_epochs)
        return {
            "data": describe_source(self.source, self.summaries[0][1]),
            "valid": describe_source(self.judged, self.summaries[1][1]) if self.judged else None,
            "rows": {"trained": len(run.train_rows), "held_out": len(run.valid_rows)},
            "epochs": {"planned": run.config.epochs, "kept": run.kept_epoch + 1, "stopped_early": run.stopped_early},
            "metrics": {"held_out": run.kept_figures},
            "final": {**final, "on": held},
            "calibration": run.evaluator.provenance(run.adjustment),
            "history": run.history,
            "seed": self.options.seed,
            "threads": self.threads,
            "versions": versions(),
            **({"notes": [note for _, note in self.notes]} if self.notes else {}),
            **self.problem.provenance,
        }


def describe_source(table: Table | Collection, taken: str) -> dict[str, Any]:
    """A source as the model file keeps it: by its name, not by where it lay, and what it was taken for."""
    source = "series" if isinstance(table, Collection) else "file" if table.form else "frame"
    return {source: in_utf8(os.path.basename(table.path)), "sha256": table.sha256, "rows": len(table), "taken": taken}


def in_utf8(name: str) -> str:
    """Spell out the bytes of a file's name that are not UTF-8.

    >>> in_utf8(os.fsdecode(b"caf\\xe9.csv"))
    'caf\\\\xe9.csv'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def ignore(sentence: str) -> None:
    """Say nothing."""


def versions() -> dict[str, str]:
    from importlib.metadata import version

    return {
        "tidegate": version("tidegate"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": str(torch.__version__),
    }


def run_with_checkpoints(run: Run, save: Callable[[], None], signals: list[int]) -> None:
    """Go on to the end with a checkpoint now and then; once a stop is asked for one more, then KeyboardInterrupt."""
    newest = time.monotonic()
    for _ in run.run():
        if signals or time.monotonic() - newest > CHECKPOINT_SECONDS:
            save()
            newest = time.monotonic()
        if signals:
            raise KeyboardInterrupt


@contextmanager
def on_stop() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and SIGHUP become notes that the loop reads between steps; a second Ctrl-C acts at once.

    A terminal that closes sends more than one SIGHUP. What the process ignores, as under nohup, stays ignored.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    there = [getattr(signal, name) for name in STOPS if hasattr(signal, name)]
    former = {s: signal.getsignal(s) for s in there if signal.getsignal(s) not in (signal.SIG_IGN, None)}

    def note(number: int, frame: Any) -> None:
        asked.append(number)
        if number == signal.SIGINT:
            signal.signal(number, former[signal.SIGINT])

    for s in former:
        signal.signal(s, note)
    try:
        yield asked
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
