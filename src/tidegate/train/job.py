"""The training job: from a labelled file to a model file."""

from __future__ import annotations

import os
import signal
import threading
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
from .loop import Run
from .progress import Report
from .training_job import TrainingJob
from .warm_start import adopt_options, list_given, load_earlier
from .word_vectors import choose_width

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
