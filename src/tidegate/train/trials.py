"""Trials of `fit --folds` and `fit --search`, in a file beside the model until that is written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from .. import atomic, files
from ..errors import ModelFileError, OptionError, error_context
from ..strictjson import canonical, parse
from . import checkpoint

KEY: Final = "tidegate_trials"
VERSION: Final = 1
KIND: Final = atomic.kind_from_start("a file of trials of tidegate fit", f'{{"{KEY}"'.encode())
RUNNING, FINISHED, PRUNED, FAILED = "running", "finished", "pruned", "failed"


@dataclass
class Trial:
    """A trial of options.

    number: from 0, which is that of the defaults. options: the values that differ from the user's options, by name.
    state: RUNNING where folds are missing, FINISHED, PRUNED or FAILED. figures: of held-out rows by name, once for each
    fold that is done, or once without folds. epochs: how the epochs of the first fold rank, higher is better. reason:
    why it failed or was pruned, in a sentence.
    """

    number: int
    options: dict[str, Any]
    state: str = RUNNING
    figures: list[dict[str, float]] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)
    reason: str = ""


class Trials:
    """The trials of a run, in its file. identity: what their results depend on; it must not change in between."""

    def __init__(self, path: str, identity: dict[str, Any], force: bool = False) -> None:
        self.path, self.identity, self.force = path, json.loads(json.dumps(identity)), force
        self.list: list[Trial] = []

    def save(self) -> None:
        """Replace the file by one with all trials. Raises OptionError, TidegateError."""
        trials = [asdict(one) for one in self.list]
        document = {KEY: VERSION, "identity": self.identity, "trials": trials, "sha256": self.checksum(trials)}
        with atomic.replace(self.path, KIND, self.force) as file:
            file.write(json.dumps(document, allow_nan=False).encode())

    def load(self) -> None:
        """Read the trials of the file.

        Raises ModelFileError if it is damaged, OptionError if it is of another run.
        """
        try:
            text = files.read(self.path, ModelFileError).decode("utf-8", "replace")
            with error_context(self.path):
                document = parse(text)
                if not isinstance(document, dict) or document.get(KEY) != VERSION:
                    raise ModelFileError("made by another version of tidegate")
                if set(document) != {KEY, "identity", "trials", "sha256"} or not isinstance(document["identity"], dict):
                    raise ModelFileError("its parts are not those of a file of trials")
                checkpoint.check_same(document["identity"], self.identity)
                if document["sha256"] != self.checksum(document["trials"]):
                    raise ModelFileError("is damaged: its checksum is wrong")
                self.list = [Trial(**one) for one in document["trials"]]
        except ModelFileError as error:
            raise ModelFileError(f"{error}; start again with --restart") from error

    def checksum(self, trials: list[dict[str, Any]]) -> str:
        """Return the SHA-256 of the file's contents, in hexadecimal."""
        return hashlib.sha256(canonical([self.identity, trials])).hexdigest()


def path_of(out: str) -> str:
    """Return the path of the trials of a run that writes `out`."""
    return out + ".trials"


def decide_resume(out: str, choosing: bool, resume: bool, restart: bool) -> bool:
    """Decide whether to resume a run that writes `out`. choosing: whether it has trials of folds or of a search.

    Raises OptionError where an unfinished run would be thrown away, or was not of this kind.
    """
    path, saved = path_of(out), checkpoint.path_of(out)
    if not os.path.exists(path):
        if choosing and resume and not restart and os.path.exists(saved):
            raise OptionError(
                f"{saved}: was begun without --folds and --search; leave them out, or start again with --restart"
            )
        return checkpoint.decide_resume(saved, resume, restart)
    if not choosing and not restart:
        raise OptionError(
            f"{path}: a run with --folds or --search was not finished; give them again with --resume, or start again "
            "with --restart"
        )
    return checkpoint.decide_resume(path, resume, restart)


Say = Callable[[str], None]
