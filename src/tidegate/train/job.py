"""The training job: from a labelled file to a model file."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from .. import atomic, cells, tasks
from .. import model as model_file
from ..data.series import Collection
from ..data.table import Table
from ..data.word_vectors import list_files as list_vector_files
from ..document import assemble, assemble_levels, scoring
from ..errors import OptionError, TidegateError, error_context
from ..model import Model
from ..nn import make_network
from ..nn.native import target_name
from ..runtime.threads import resolve_threads
from ..tasks._calibration import record_calibration
from ..tasks._options import make_options
from ..tasks.base import Calibration, Problem
from ..verify.check import attach
from . import checkpoint
from .loop import Run, Tensors
from .origin import decode_name, describe_calibration, describe_source, versions
from .progress import Report
from .warm_start import adopt_options, list_given, load_earlier, take_loss_tensors, take_over
from .word_vectors import choose_width, decide_freezing, start_embedding

CHECKPOINT_SECONDS = 15.0
LONGEST_FLOAT = -1.2345678901234567e-300  # no float takes more characters in JSON
NO_FILE = "these options make no model file"
STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


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
    """Train a model on a labelled file or frame, write it to `out`, and return it.

    task: a name of `tidegate.tasks.names()`. data: a path, or a frame of pandas, polars or Arrow (`data.table.read`).
    options: the task's Options; or give its fields as keywords. out: only replaced once training has succeeded. valid:
    a file or frame that selects the best weights, instead of held-out rows. resume, restart: what to do with the
    checkpoint of an unfinished run next to `out`. force: replace a file at `out` that is not a model file. progress:
    called with a `Progress` after every step. say: called with a sentence about how each source was read. threads: 1 to
    1024, else TIDEGATE_THREADS, else 1; results depend on it.

    What would fail at the end is checked before the first epoch. Only one process at a time can train to one `out`.

    Raises DataError, OptionError, ModelFileError, MissingExtra, TidegateError; KeyboardInterrupt after Ctrl-C, SIGTERM
    or SIGHUP, once the checkpoint is written. Where the model cannot be made or written, a checkpoint is kept too.
    """
    task_module = tasks.load(task)
    given = set(values) if options is None else list_given(options)
    options = make_options(task_module.Options, values) if options is None else options
    if not out:
        raise OptionError("out is missing; give the path of the model file to write")
    out, threads = os.fspath(out), resolve_threads(threads, 1)
    saved, read = checkpoint.path_of(out), list_inputs(data, valid, options)
    atomic.check(out, model_file.KIND, read, force)
    atomic.check(saved, checkpoint.KIND, read, force)
    with atomic.lock(out), torch_threads(threads):
        resuming = checkpoint.decide_resume(saved, resume, restart)
        earlier = load_earlier(options)
        options = choose_width(options if earlier is None else adopt_options(options, given, earlier))
        source = task_module.read(data, options)
        valid_source = None if valid is None else task_module.read(valid, options)
        job = TrainingJob(task_module, options, source, valid_source, threads, earlier)
        for path, summary in job.summaries:
            (say or discard)(f"{path}: {summary}")
        for path, note in job.notes:
            (say or discard)(f"{path}: {note}")
        run = job.run(progress)
        for path, note in job.first_notes:
            (say or discard)(f"{path}: {note}")
        if resuming:
            checkpoint.load(saved, run, job.identity(), type(options))
        job.rehearse(run, out)
        return finish(job, run, out, force)


def list_inputs(data: Any, valid: Any, options: Any) -> list[str]:
    """List the files and folders that a run reads: its data, as paths or already read, a user's cell and layer, and
    vectors of words, and the model that it starts from.
    """
    sources = [one.path if isinstance(one, Table | Collection) and one.form else one for one in (data, valid)]
    sources += [] if options.cell in cells.names() else [options.cell]
    sources += [] if options.layer is None else [options.layer]
    sources += [] if options.from_model is None else [options.from_model]
    vectors = getattr(options, "vectors", None)  # of texts alone
    sources += [] if vectors is None else list_vector_files(vectors)
    return [os.fspath(one) for one in sources if isinstance(one, str | os.PathLike)]


def finish(job: TrainingJob, run: Run, out: str, force: bool) -> Model:
    """Train to the end and write the model to `out`; where that fails, leave a checkpoint to resume from."""
    saved = checkpoint.path_of(out)
    save = partial(checkpoint.save, saved, run, job.identity(), force)
    with catch_stop_signals() as signals:
        run_with_checkpoints(run, save, signals)
        try:
            model = job.model(run)
            model.save(out, force)
        except BaseException as error:
            with suppress(TidegateError):  # the disk may be full; then an older checkpoint may still be there
                save()
            if isinstance(error, TidegateError) and os.path.exists(saved):
                advice = f"the progress is saved in {saved}: run again with --resume (resume=True in Python) to finish"
                raise type(error)(f"{error}; {advice}") from error
            raise
        if os.path.exists(saved):
            os.remove(saved)
    return model


class TrainingJob:
    """A training job: the data, the decided options, and all that its run and its model are made of."""

    def __init__(
        self, task_module: Any, options: Any, source: Any, valid: Any, threads: int, earlier: Model | None = None
    ) -> None:
        self.earlier, self.task_module, self.source, self.valid, self.threads = (
            earlier,
            task_module,
            source,
            valid,
            threads,
        )
        self.problem: Problem = task_module.prepare(source, valid, options)
        self.options = self.problem.options
        self.first_files: dict[str, str] = {}  # option -> the SHA-256 of a file that weights begin by
        self.first_notes: list[tuple[str, str]] = []
        sources = [source] if valid is None else [source, valid]
        self.summaries = [(each.path, text) for each, text in zip(sources, self.problem.summaries, strict=True)]
        self.notes = [
            (each.path, note) for each, notes in zip(sources, self.problem.notes, strict=False) for note in notes
        ]

    def run(self, progress: Report | None) -> Run:
        """Make a run with initial weights. Raises for layers that do not fit together, and as `draft` does."""
        problem = self.problem
        weights = {name: np.asarray(value, np.float32) for name, value in problem.init_weights().items()}
        with error_context(NO_FILE):  # cheaper than `rehearse`, so it goes first
            model = self.draft({**weights, **problem.loss_tensors}, {}, problem.provenance)
        weights |= self.start(model)
        network = make_network(model)
        network.load_tensors(weights)
        return Run(network, self.problem, progress)

    def start(self, model: Model) -> Tensors:
        """Return the first values of tensors that come from a file of the options. model: with random first values."""
        options, problem = self.options, self.problem
        if self.earlier is not None:
            taken = take_over(options.from_model, model, self.earlier)
            parent = {"parent": taken.entry(options.from_model, self.earlier)}
            loss_tensors = {**problem.loss_tensors, **take_loss_tensors(problem, model, self.earlier)}
            provenance = {**problem.provenance, **parent}
            self.problem = replace(problem, provenance=provenance, loss_tensors=loss_tensors)
            self.first_files["from_model"] = self.earlier.weights_hash
            self.first_notes = [(options.from_model, taken.note())]
            return taken.tensors
        if (path := getattr(options, "vectors", None)) is None:
            return {}
        options = self.options = decide_freezing(options)
        first = start_embedding(path, options.freeze_vectors, model, options.seed)
        self.problem = replace(
            problem, options=options, frozen=first.frozen, provenance={**problem.provenance, **first.entry}
        )
        self.first_files["vectors"] = first.entry["vectors"]["sha256"]
        self.first_notes = [(path, first.note)]
        return first.tensors

    def identity(self) -> dict[str, Any]:
        """Return all that the results' bits depend on, which must not change before a run is resumed."""
        instructions = {"native": target_name(), "torch": torch.backends.cpu.get_cpu_capability()}
        files = {"data": self.source.sha256, "valid": self.valid.sha256 if self.valid else None}
        return {
            **files,
            **self.first_files,
            "options": asdict(self.options),
            "threads": self.threads,
            "versions": versions(),
            "instructions": instructions,
            "tapes": {name: tape.to_json() for layer in self.problem.all_layers for name, tape in layer.tapes.items()},
        }

    def rehearse(self, run: Run, out: str) -> None:
        """Make the model file of the current weights without writing it, and check that there is room for it.

        Raises what the end of the run would raise: ModelFileError for options, labels or names that no model file can
        hold; TidegateError where there is no room for the model and the checkpoint.
        """
        branch = run.fit_branch()
        predictions = run.predict(run.valid_rows, branch=branch)
        figures = dict.fromkeys(self.problem.measure(predictions), LONGEST_FLOAT)
        done = copy(run)  # finished, as far as the provenance describes it, with the longest possible numbers
        done.calibration = self.problem.calibrate(predictions)
        done.branch_figures = figures if branch else {}
        done.kept_epoch = run.config.epochs + run.config.refit_epochs
        done.kept_figures, done.history = figures, [{"loss": LONGEST_FLOAT, **figures}] * done.kept_epoch
        with error_context(NO_FILE):
            most = {**done.calibration}  # the branch may be worth nothing yet, and is in the way of no file without it
            most |= {name: {**most.get(name, {}), "branch": 1.0} for name in predictions.branch}
            problem, tensors = self.problem.complete(branch, predictions, most, run.tensors())
            draft = self.draft(tensors, done.calibration, self.provenance(done, figures, problem), problem)
            model_bytes = attach(draft).file_bytes
            checkpoint_bytes = checkpoint.size(run, self.identity())
        atomic.check_space(out, [checkpoint_bytes, max(checkpoint_bytes, model_bytes)])

    def model(self, run: Run) -> Model:
        """Make the model of a finished run, with its check."""
        branch, problem = run.fit_final_branch(), self.problem
        predictions = run.predict(run.valid_rows, branch=branch)
        final = problem.measure(problem.apply_calibration(predictions, run.calibration))
        for name, of in run.calibration.items():
            if "factor" in of:
                entry, node = problem.node_outputs()[name], problem.output_nodes()[name]
                run.network.scale_scores(of["factor"], entry.get("part"), node)
        problem, tensors = problem.complete(branch, predictions, run.calibration, run.tensors())
        return attach(self.draft(tensors, run.calibration, self.provenance(run, final, problem), problem))

    def draft(
        self,
        weights: Mapping[str, Any],
        calibration: Calibration,
        provenance: dict[str, Any],
        problem: Problem | None = None,
    ) -> Model:
        """Make the model without its check. Raises ModelFileError for one that no file can hold.

        weights: all that is trained. Of the tensors of the loss, the file has those that are kept for `score`. problem:
        that with its linear branch; None: the job's.
        """
        problem = problem or self.problem
        entry, kept = scoring.store({name: weights[name] for name in problem.kept})
        provenance, weights = (
            {**provenance, **entry},
            {n: a for n, a in weights.items() if n not in problem.loss_tensors},
        )
        outputs = {
            name: record_calibration(entry, calibration[name])
            if calibration.get(name) and "calibration" in entry
            else entry
            for name, entry in problem.outputs.items()
        }
        kind, options = self.task_module.KIND, self.options_to_json()
        if problem.graphs:
            document = assemble_levels(
                kind, options, problem.inputs, problem.graphs, outputs, provenance, problem.decoders
            )
        else:
            document = assemble(kind, options, problem.inputs, problem.layers, outputs, provenance, problem.decoders)
        return Model(document, {**weights, **problem.arrays, **kept})

    def options_to_json(self) -> dict[str, Any]:
        """Return the options as the model file records them: files by name, without their paths."""
        paths = {"cell": self.options.cell, "layer": self.options.layer}
        names = {key: path and os.path.basename(path).removesuffix(".py") for key, path in paths.items()}
        for key in ("vectors", "from_model"):
            if path := getattr(self.options, key, None):
                names[key] = decode_name(os.path.basename(path))
        return asdict(replace(self.options, **names))

    def provenance(self, run: Run, final: dict[str, float], problem: Problem) -> dict[str, Any]:
        """Describe how a model came about. final: figures of its held-out rows. problem: that of the finished model."""
        on = f"held-out rows, which selected the weights{' and their calibration' * bool(run.calibration)}"
        on += "; the last epochs trained on them too" * bool(run.config.refit_epochs)
        return {
            "data": describe_source(self.source, self.summaries[0][1]),
            "valid": describe_source(self.valid, self.summaries[1][1]) if self.valid else None,
            "rows": {"trained": len(run.train_rows), "held_out": len(run.valid_rows)},
            "epochs": {"planned": run.config.epochs, "kept": run.kept_epoch + 1, "stopped_early": run.stopped_early},
            "metrics": {"held_out": run.kept_figures},
            **({"linear_model": run.branch_figures} if run.branch_figures else {}),
            "final": {**final, "on": on},
            "calibration": describe_calibration(run.calibration),
            "history": run.history,
            "seed": self.options.seed,
            "threads": self.threads,
            "versions": versions(),
            **({"notes": [note for _, note in self.notes]} if self.notes else {}),
            **problem.provenance,
        }


def discard(sentence: str) -> None:
    """Discard a sentence."""


def run_with_checkpoints(run: Run, save: Callable[[], None], signals: list[int]) -> None:
    """Run to the end with a checkpoint now and then; after a signal write one more, then raise KeyboardInterrupt."""
    newest = time.monotonic()
    for _ in run.run():
        if signals or time.monotonic() - newest > CHECKPOINT_SECONDS:
            save()
            newest = time.monotonic()
        if signals:
            raise KeyboardInterrupt


@contextmanager
def catch_stop_signals() -> Iterator[list[int]]:
    """Collect Ctrl-C, SIGTERM and SIGHUP in a list that the loop reads between steps; a second Ctrl-C acts at once.

    A closing terminal sends more than one SIGHUP. Signals that the process ignores, as under nohup, stay ignored.
    """
    signals: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    available = [getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)]
    former = {s: signal.getsignal(s) for s in available if signal.getsignal(s) not in (signal.SIG_IGN, None)}

    def note(number: int, frame: Any) -> None:
        signals.append(number)
        if number == signal.SIGINT:
            signal.signal(number, former[signal.SIGINT])

    for s in former:
        signal.signal(s, note)
    try:
        yield signals
    finally:
        for s, handler in former.items():
            signal.signal(s, handler)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set torch's number of threads, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
