"""A run's state in one safetensors file with a sum, written aside and renamed."""

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
from .loop import PLAIN, Run

KEY = "tidegate_checkpoint"
VERSION = 2
KIND = tensors.marked(KEY, "a checkpoint of tidegate fit")
MOST = 1 << 53  # of a count
MOST_SHOWN = 70  # characters: a SHA-256 is whole


def path_of(out: str) -> str:
    """Where the checkpoint of a run that writes `out` lies."""
    return out + ".checkpoint"


def save(path: str, run: Run, identity: dict[str, Any], force: bool = False) -> None:
    """identity: what must be equal for a run to go on: data, options, threads, versions."""
    with error_context(path):
        arrays, document = contents(run, identity)
    tensors.save(path, arrays, KEY, document, KIND, force)


def contents(run: Run, identity: dict[str, Any]) -> tuple[Any, str]:
    """The tensors and the document of a checkpoint."""
    arrays, values = run.state()
    document = {"version": VERSION, "identity": identity, "values": values}
    try:
        return arrays, json.dumps(document, allow_nan=False)
    except ValueError as error:
        raise ModelFileError("the loss or a figure is NaN or infinite; choose a lower rate") from error


def size(run: Run, identity: dict[str, Any]) -> int:
    """Count the bytes that `save` would write. Raises ModelFileError as it does."""
    arrays, document = contents(run, identity)
    return tensors.size(arrays, KEY, document)


def load(path: str, run: Run, identity: dict[str, Any]) -> None:
    """Puts a run where the checkpoint left off. Raises when it is damaged or of another run: what differs, and how."""
    try:
        arrays, text, said = tensors.load(path, KEY)
        with error_context(path):
            document = parse(text)
            check_parts(document, said)
            then = document["identity"]
            if isinstance(options := then.get("options"), dict):
                then = {**then, "options": rename_options(options)}
            check_same(then, json.loads(json.dumps(identity)))
            check_values(document["values"], run)
            check_tensors(arrays, run)
    except ModelFileError as error:
        raise ModelFileError(f"{error}; begin anew with --restart") from error
    run.restore(arrays, document["values"])


def check_parts(document: Any, said: str | None) -> None:
    """Raises ModelFileError unless the document has the parts of this version, and the file a sum."""
    if not isinstance(document, dict) or said is None or document.get("version") != VERSION:
        raise ModelFileError("made by another version of tidegate")
    if set(document) != {"version", "identity", "values"} or not isinstance(document["identity"], dict):
        raise ModelFileError("its document has other parts than version, identity and values")


def check_same(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises OptionError for what is not as it was when the run began."""
    for key in (*now, *then):
        if then.get(key) != now.get(key):
            raise OptionError(
                f"{difference(key, then.get(key), now.get(key))}; a resumed run must be the same run: "
                "put it back, or begin anew with --restart"
            )


def check_values(values: Any, run: Run) -> None:
    """Raises ModelFileError for a value that a run cannot have."""
    if not isinstance(values, dict) or set(values) != set(PLAIN):
        raise ModelFileError(f"its values must be {', '.join(PLAIN)}")
    metric = run.evaluator.metric
    kinds: dict[str, Callable[[Any], bool]] = {
        "best_value": lambda v: is_list(v, is_number) and len(v) == 2,
        "adjustment": lambda v: is_list(v, is_number) and fits(run, v, values["epoch"]),
        "kept_figures": is_figures,
        "loss_sum": is_number,
        "history": lambda v: is_list(v, lambda one: is_figures(one) and {"loss", metric} <= set(one)),
        "stopped_early": lambda v: type(v) is bool,
    }
    for name in sorted(values, key=list(kinds).__contains__):  # counts, and then what is looked at with others
        if not kinds.get(name, is_count)(values[name]):
            raise ModelFileError(f"its value {name} is {show(values[name])}, which a run cannot have")


def check_tensors(arrays: dict[str, Any], run: Run) -> None:
    """Raises ModelFileError unless the tensors are those of the run, and finite."""
    wanted = {name: t.numpy() for name, t in run.named()}
    if other := sorted(set(wanted) ^ set(arrays)):
        raise ModelFileError(f"the tensor {show(other[0])} is {'missing' if other[0] in wanted else 'not of this run'}")
    for name, now in wanted.items():
        then = arrays[name]
        if (then.dtype, then.shape) != (now.dtype, now.shape):
            found, expected = (f"{a.dtype} {list(a.shape)}" for a in (then, now))
            raise ModelFileError(f"tensor {show(name)}: is {found}; expected {expected}")
        if not np.isfinite(then).all():
            raise ModelFileError(f"tensor {show(name)}: has values that are NaN or infinite")


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST


def is_number(value: Any) -> bool:
    return type(value) in (int, float)


def is_list(value: Any, each: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(each, value))


def is_figures(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_number, value.values()))


def fits(run: Run, adjustment: list[float], epoch: int) -> bool:
    """Whether the task's judge can use an adjustment; until the last epoch that is judged there is none."""
    if epoch < run.config.epochs:
        return not adjustment
    try:
        return bool([run.evaluator.provenance(adjustment)])
    except IndexError:
        return False


def difference(key: str, then: Any, now: Any) -> str:
    """What differs, in words."""
    if isinstance(then, dict) and isinstance(now, dict):
        changed = [k for k in sorted({*then, *now}) if then.get(k) != now.get(k)]
        then, now, key = then.get(changed[0]), now.get(changed[0]), f"{key} {changed[0]}"
    return f"{key} was {show(then, MOST_SHOWN)} and is {show(now, MOST_SHOWN)} now"


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
