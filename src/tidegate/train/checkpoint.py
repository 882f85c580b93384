"""A run's state in one safetensors file, written aside and renamed."""

from __future__ import annotations

import json
import os
from typing import Any

from .. import tensors
from ..errors import ModelFileError, OptionError
from .loop import Run

KEY = "tidegate_checkpoint"
VERSION = 1
KIND = tensors.marked(KEY, "a checkpoint of tidegate fit")


def path_of(out: str) -> str:
    """Where the checkpoint of a run that writes `out` lies."""
    return out + ".checkpoint"


def save(path: str, run: Run, identity: dict[str, Any], force: bool = False) -> None:
    """identity: what must be equal for a run to go on: data, options, threads, versions."""
    arrays, metadata = contents(run, identity)
    tensors.write(path, arrays, metadata, KIND, force)


def contents(run: Run, identity: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """The tensors and the metadata of a checkpoint."""
    arrays, values = run.state()
    return arrays, {KEY: json.dumps({"version": VERSION, "identity": identity, "values": values})}


def load(path: str, run: Run, identity: dict[str, Any]) -> None:
    """Puts a run where the checkpoint left off. Raises when it is damaged or of another run: what differs, and how."""
    arrays, metadata = tensors.read(path)
    if KEY not in metadata:
        raise ModelFileError(f"{path}: no checkpoint of a tidegate run; remove it, or begin anew with --restart")
    document = json.loads(metadata[KEY])
    if document.get("version") != VERSION:
        raise ModelFileError(f"{path}: made by another version of tidegate; begin anew with --restart")
    for key, now in identity.items():
        if (then := document["identity"].get(key)) != now:
            raise OptionError(
                f"{path}: {difference(key, then, now)}; a resumed run must be the same run: "
                "put it back, or begin anew with --restart"
            )
    run.restore(arrays, document["values"])


def difference(key: str, then: Any, now: Any) -> str:
    """What differs, in words."""
    if isinstance(then, dict) and isinstance(now, dict):
        changed = [k for k in sorted({*then, *now}) if then.get(k) != now.get(k)]
        return f"{key} {changed[0]} was {then.get(changed[0])!r} and is {now.get(changed[0])!r} now"
    return f"{key} was {then!r} and is {now!r} now"


def settle(path: str, resume: bool, restart: bool) -> bool:
    """Whether to go on from a checkpoint; nothing of an unfinished run is thrown away unasked."""
    if resume and restart:
        raise OptionError("--resume and --restart exclude each other; give one")
    there = os.path.exists(path)
    if resume and not there:
        raise OptionError(f"{path}: no checkpoint to resume from; leave --resume out to begin")
    if there and not resume and not restart:
        raise OptionError(f"{path}: a run was not finished; go on with --resume, or begin anew with --restart")
    return resume
