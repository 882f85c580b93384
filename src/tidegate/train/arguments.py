"""Errors of training for users of Python: messages are written with flags, and here they get the names of arguments."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from .. import tasks
from ..errors import TidegateError
from ..tasks._options import flag_of

P = ParamSpec("P")
R = TypeVar("R")

FLAG: Final = re.compile(r"(?<![^\s(])--([a-z][a-z-]*)(?: ('[^']*'|\w[\w.,-]*\w|\w))?")
QUOTE: Final = "'"
SWITCHES: Final = ("resume", "restart", "force")
COLUMNS: Final = ("text", "label", "time", "values")  # the next word, if there is one, is a name of columns
OTHERS: Final = (
    "valid",
    "threads",
    "out",
    "folds",
    "search",
)  # further arguments of `fit`, no options of a task


def name_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function that trains, whose first argument is a task, so that its errors name arguments and not flags."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **values: P.kwargs) -> R:
        try:
            return function(*args, **values)
        except TidegateError as error:
            task = args[0] if args else values.get("task")
            if task not in tasks.names():
                raise
            message = spell_arguments(str(error), tasks.load(str(task)).Options)
            raise error if message == str(error) else type(error)(message) from error

    return wrapped


def spell_arguments(message: str, options: type) -> str:
    """Spell flags in a message as arguments. options: the task's, whose choices tell a value from the next word.

    >>> from tidegate.tasks.forecast import Options
    >>> spell_arguments("shorten --horizon, hold out more (--hold-out), or choose --missing drop", Options)
    "shorten horizon=, hold out more (hold_out=), or choose missing='drop'"
    >>> spell_arguments("continue with --resume, or leave --valid out", Options)
    'continue with resume=True, or leave valid= out'
    >>> spell_arguments("add --id with a name, or use --time 'my day' --values a,b", Options)
    "add id= with a name, or use time='my day' values='a,b'"
    >>> spell_arguments("choose the same sizes, or leave --from out", Options)
    'choose the same sizes, or leave from_model= out'
    """
    choices: dict[str, Any] = {f.name: f.metadata.get("choices") or () for f in dataclasses.fields(options)}
    choices |= dict.fromkeys(OTHERS, ())
    names = {flag_of(f).removeprefix("--"): f.name for f in dataclasses.fields(options)}

    def spell(found: re.Match[str]) -> str:
        name, word = names.get(found[1], found[1].replace("-", "_")), found[2]
        rest = f" {word}" if word else ""
        if name in SWITCHES:
            return f"{name}=True{rest}"
        if name not in choices:
            return found[0]
        is_value = word and (word in choices[name] or name in COLUMNS)
        return f"{name}={word.strip(QUOTE)!r}" if is_value else f"{name}={rest}"

    return FLAG.sub(spell, message.replace(" (resume=True in Python)", "").replace(" (force=True in Python)", ""))
