"""The training job: from a labelled file to a model file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import torch

from .. import atomic, cells, tasks
from .. import model as model_file
from ..data.series import Collection
from ..data.table import Table
from ..data.word_vectors import list_files as list_vector_files
from ..errors import OptionError, TidegateError
from ..model import Model
from ..runtime.threads import resolve_threads
from ..tasks._options import make_options
from . import checkpoint
from .choosing import choose, list_fixed, split
from .folds import Recipe, check_folds
from .loop import Run
from .progress import Report
from .search import check_search
from .signals import catch_stop_signals
from .training_job import TrainingJob
from .trials import KIND, Say, Trials, decide_resume, path_of
from .warm_start import adopt_options, list_given, load_earlier
from .word_vectors import choose_width

CHECKPOINT_SECONDS = 15.0
LONGEST_FLOAT = -1.2345678901234567e-300  # no float takes more characters in JSON
NO_FILE = "these options make no model file"


def fit(
    task: str,
    data: Any,
    options: Any = None,
    out: str | os.PathLike[str] = "",
    *,
    valid: Any = None,
    folds: int | None = None,
    search: int | None = None,
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
    a file or frame that selects the best weights, instead of held-out rows. folds: first train as many models for
    cross-validation, whose figures the provenance has. search: first train as many models with other options, and take
    the best ones, by held-out rows or by folds; options that are given stay as they are. resume, restart: what to do
    with the checkpoint, or the trials, of an unfinished run next to `out`. force: replace a file at `out` that is not a
    model file. progress: called with a `Progress` after every step. say: called with a sentence about how each source
    was read, and about each trial. threads: 1 to 1024, else TIDEGATE_THREADS, else 1; results depend on it.

    What would fail at the end is checked before the first epoch. Only one process at a time can train to one `out`.

    Raises DataError, OptionError, ModelFileError, MissingExtra, TidegateError; KeyboardInterrupt after Ctrl-C, SIGTERM
    or SIGHUP, once the checkpoint is written. Where the model cannot be made or written, a checkpoint is kept too.
    """
    check_folds(folds)
    check_search(search)
    task_module = tasks.load(task)
    given = set(values) if options is None else list_given(options)
    options = make_options(task_module.Options, values) if options is None else options
    if not out:
        raise OptionError("out is missing; give the path of the model file to write")
    out, threads = os.fspath(out), resolve_threads(threads, 1)
    saved, read, speak = checkpoint.path_of(out), list_inputs(data, valid, options), say or discard
    atomic.check(out, model_file.KIND, read, force)
    atomic.check(saved, checkpoint.KIND, read, force)
    atomic.check(path_of(out), KIND, read, force)
    with atomic.lock(out), torch_threads(threads):
        resuming = decide_resume(out, bool(folds or search), resume, restart)
        earlier = load_earlier(options)
        typed, options = options, choose_width(options if earlier is None else adopt_options(options, given, earlier))
        source = task_module.read(data, options)
        valid_source = None if valid is None else task_module.read(valid, options)
        recipe = Recipe(task_module, options, source, valid_source, threads, earlier)
        job, run = begin(recipe, {}, speak, progress)
        if folds or search:
            recipe = split(recipe, job, folds, search)
            job.rehearse(run, out)
            trials = Trials(path_of(out), {**job.identity(), "folds": folds, "search": search}, force)
            fixed = list_fixed(typed, options, given)
            chosen = choose(recipe, job, fixed, search, trials, resuming, speak, progress)
            if chosen.options:
                job, run = begin(recipe, chosen.options, speak, progress, before=job)
            job.chosen = chosen.entry
        elif restart:
            remove(path_of(out))
        if resuming and os.path.exists(saved):
            checkpoint.load(saved, run, job.identity(), type(options))
        job.rehearse(run, out)
        return finish(job, run, out, force)


def begin(
    recipe: Recipe, options: dict[str, Any], say: Say, progress: Report | None, before: TrainingJob | None = None
) -> tuple[TrainingJob, Run]:
    """Begin the job of a recipe with these options, and say how the data were read.

    before: a job whose sentences were said, and are not said again. Raises as `fit` does.
    """
    job = recipe.make_job(options)
    said = [] if before is None else [*before.summaries, *before.notes, *before.first_notes]
    for path, sentence in (*job.summaries, *job.notes):
        if (path, sentence) not in said:
            say(f"{path}: {sentence}")
    run = job.run(progress)
    for path, note in job.first_notes:
        if (path, note) not in said:
            say(f"{path}: {note}")
    return job, run


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
        remove(saved)
        remove(path_of(out))
    return model


def remove(path: str) -> None:
    """Remove a file, if there is one."""
    if os.path.exists(path):
        os.remove(path)


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
def torch_threads(count: int) -> Iterator[None]:
    """Set torch's number of threads, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
