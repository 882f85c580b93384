"""Checkpoints: a run's state in one safetensors file with a checksum, replaced as a whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tensors
from ..errors import ModelFileError, OptionError, error_context
from ..strictjson import parse, show
from ..tasks._options import rename_options
from .loop import STATE_FIELDS, Run

KEY = "tidegate_checkpoint"
VERSION = 4
KIND = tensors.kind_from_key(KEY, "a checkpoint of tidegate fit")
MAX_COUNT = 1 << 53  # of a count
MAX_CHARACTERS = 70  # characters: a SHA-256 is whole


def path_of(out: str) -> str:
    """Return the path of the checkpoint of a run that writes `out`."""
    return out + ".checkpoint"


def save(path: str, run: Run, identity: dict[str, Any], force: bool = False) -> None:
    """Write a checkpoint. identity: what must be the same when the run resumes: data, options, threads, versions."""
    with error_context(path):
        arrays, document = contents(run, identity)
    tensors.save(path, arrays, KEY, document, KIND, force)


def contents(run: Run, identity: dict[str, Any]) -> tuple[Any, str]:
    """Return the tensors and the document of a checkpoint."""
    arrays, values = run.state()
    document = {"version": VERSION, "identity": identity, "values": values}
    try:
        return arrays, json.dumps(document, allow_nan=False)
    except ValueError as error:
        raise ModelFileError(
            "the loss or a metric is NaN or infinite; choose a lower learning rate (--rate)"
        ) from error


def size(run: Run, identity: dict[str, Any]) -> int:
    """Count the bytes that `save` would write. Raises ModelFileError as it does."""
    arrays, document = contents(run, identity)
    return tensors.size(arrays, KEY, document)


def load(path: str, run: Run, identity: dict[str, Any], options: type) -> None:
    """Restore a run from a checkpoint. options: the task's class, which knows names in older versions.

    Raises ModelFileError if the checkpoint is damaged, OptionError if it is of another run.
    """
    try:
        arrays, text, checksum = tensors.load(path, KEY)
        with error_context(path):
            document = parse(text)
            check_parts(document, checksum)
            then = document["identity"]
            if isinstance(recorded := then.get("options"), dict):
                then = {**then, "options": rename_options(options, recorded)}
            check_same(then, json.loads(json.dumps(identity)))
            check_values(document["values"], run)
            check_tensors(arrays, run)
    except ModelFileError as error:
        raise ModelFileError(f"{error}; start again with --restart") from error
    run.restore(arrays, document["values"])


def check_parts(document: Any, checksum: str | None) -> None:
    """Raises ModelFileError unless the document has the parts of this version, and the file a checksum."""
    if not isinstance(document, dict) or checksum is None or document.get("version") != VERSION:
        raise ModelFileError("made by another version of tidegate")
    if set(document) != {"version", "identity", "values"} or not isinstance(document["identity"], dict):
        raise ModelFileError("its document has parts other than version, identity and values")


def check_same(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises OptionError for anything that has changed since the run began."""
    for key in (*now, *then):
        if then.get(key) != now.get(key):
            raise OptionError(
                f"{describe_difference(key, then.get(key), now.get(key))}; a resumed run must be the same run: "
                "change it back, or start again with --restart"
            )


def check_values(values: Any, run: Run) -> None:
    """Raises ModelFileError for a value that a run cannot have."""
    if not isinstance(values, dict) or set(values) != set(STATE_FIELDS):
        raise ModelFileError(f"its values must be {', '.join(STATE_FIELDS)}")
    metric = run.problem.metric
    kinds: dict[str, Callable[[Any], bool]] = {
        "best_value": lambda v: is_list(v, is_number) and len(v) == 2,
        "calibration": lambda v: is_calibration(run, v, values["epoch"]),
        "kept_figures": is_figures,
        "branch_figures": is_figures,
        "loss_sum": is_number,
        "history": lambda v: is_list(v, lambda one: is_figures(one) and {"loss", metric} <= set(one)),
        "stopped_early": lambda v: type(v) is bool,
    }
    for name in sorted(values, key=list(kinds).__contains__):  # counts first: `calibration` is checked by `epoch`
        if not kinds.get(name, is_count)(values[name]):
            raise ModelFileError(f"its value {name} is {show(values[name])}, which a run cannot have")


def check_tensors(arrays: dict[str, Any], run: Run) -> None:
    """Raises ModelFileError unless the tensors are those of the run, and finite."""
    wanted = {name: t.numpy() for name, t in run.named_tensors()}
    if other := sorted(set(wanted) ^ set(arrays)):
        raise ModelFileError(f"the tensor {show(other[0])} is {'missing' if other[0] in wanted else 'not of this run'}")
    for name, now in wanted.items():
        then = arrays[name]
        if (then.dtype, then.shape) != (now.dtype, now.shape):
            stored, expected = (f"{a.dtype} {list(a.shape)}" for a in (then, now))
            raise ModelFileError(f"tensor {show(name)}: is {stored}; expected {expected}")
        if not np.isfinite(then).all():
            raise ModelFileError(f"tensor {show(name)}: has values that are NaN or infinite")


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_COUNT


def is_number(value: Any) -> bool:
    return type(value) in (int, float)


def is_list(value: Any, each: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(each, value))


def is_figures(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_number, value.values()))


def is_calibration(run: Run, value: Any, epoch: int) -> bool:
    """Check that the outputs of a run can have a calibration; there is none before the refit epochs."""
    if epoch < run.config.epochs:
        return isinstance(value, dict) and not value
    return isinstance(value, dict) and set(value) <= set(run.problem.outputs) and all(map(is_figures, value.values()))


def describe_difference(key: str, then: Any, now: Any) -> str:
    """Describe in words what differs."""
    if isinstance(then, dict) and isinstance(now, dict):
        changed = [k for k in sorted({*then, *now}) if then.get(k) != now.get(k)]
        then, now, key = then.get(changed[0]), now.get(changed[0]), f"{key} {changed[0]}"
    return f"{key} was {show(then, MAX_CHARACTERS)} and is {show(now, MAX_CHARACTERS)} now"


def decide_resume(path: str, resume: bool, restart: bool) -> bool:
    """Decide whether to resume from a checkpoint. Raises OptionError where an unfinished run would be thrown away."""
    if resume and restart:
        raise OptionError("--resume and --restart exclude each other; give one")
    exists = os.path.exists(path)
    if resume and not exists:
        raise OptionError(f"{path}: no checkpoint to resume from; leave --resume out to start")
    if exists and not resume and not restart:
        raise OptionError(f"{path}: a run was not finished; continue with --resume, or start again with --restart")
    return resume
