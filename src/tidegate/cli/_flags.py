"""Makes flags from a dataclass of options: the field `batch_size: int` becomes `--batch-size N`."""

from __future__ import annotations

import argparse
import dataclasses
import types
import typing
from typing import Any, get_args, get_origin, get_type_hints

from .. import tasks
from ..errors import OptionError, error_context
from ..tasks import _options
from ..tasks._options import renamed_fields
from ..tasks.base import Flag
from ._parser import CountAndPath, FilePath, Renamed

METAVARS = {int: "N", float: "X", str: "NAME"}


def add_options(parser: argparse.ArgumentParser, options: type) -> None:
    """Add one flag for each field; a flag that is not typed is absent from the parsed arguments."""
    hints = get_type_hints(options)
    group = parser.add_argument_group("task options")
    for field in dataclasses.fields(options):
        add_option(group, field, base_type(hints[field.name]))
    for name, field in renamed_fields(options).items():
        group.add_argument(flag_of(name), action=Renamed, now=_options.flag_of(field))


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add --force, the flag of every command that writes files."""
    parser.add_argument("--force", action="store_true", help="overwrite a file even if this command did not write it")


def add_task_flags(parser: argparse.ArgumentParser, command: str) -> None:
    """Add the flags that tasks add to a command, each once, grouped by what they are for. command: see `Task`."""
    flags = find_task_flags(command)
    for subject in dict.fromkeys(flag.subject for flag in flags.values()):
        group = parser.add_argument_group(f"for {subject}")
        for flag in flags.values():
            if flag.subject == subject:
                add_task_flag(group, flag)


def find_task_flags(command: str) -> dict[str, Flag]:
    """Return the flags that tasks add to a command, by name; one of several tasks says what it is for in each."""
    found: dict[str, Flag] = {}
    for task in tasks.names():
        for flag in getattr(tasks.load(task), command):
            known = found.setdefault(flag.name, flag)
            if flag.subject not in known.subject.split(" and "):
                subject, help = f"{known.subject} and {flag.subject}", f"{known.help}; of {flag.subject}: {flag.help}"
                found[flag.name] = dataclasses.replace(known, subject=subject, help=help)
    return found


def add_task_flag(group: Any, flag: Flag) -> None:
    if flag.kind is bool:
        group.add_argument(flag_of(flag.name), action="store_true", default=None, help=flag.help)
    elif flag.counted:
        group.add_argument(flag_of(flag.name), metavar=(flag.metavar, "FILE"), action=CountAndPath, help=flag.help)
    elif flag.file:
        group.add_argument(flag_of(flag.name), metavar="FILE", action=FilePath, help=flag.help)
    else:
        group.add_argument(
            flag_of(flag.name), metavar=flag.metavar, type=flag.kind, choices=flag.choices, help=flag.help
        )
    if flag.old_name:
        group.add_argument(flag_of(flag.old_name), action=Renamed, now=flag_of(flag.name))


def task_values(args: argparse.Namespace, command: str) -> dict[str, Any]:
    """Return the values of the flags of all tasks that were typed."""
    return {name: value for name in sorted(find_task_flags(command)) if (value := getattr(args, name)) is not None}


def read_files(args: argparse.Namespace, command: str) -> list[str]:
    """Return the files that typed flags of tasks read."""
    typed = (getattr(args, name) for name, flag in find_task_flags(command).items() if flag.counted)
    return [value[1] for value in typed if value is not None]


def refuse_flags(task: Any, command: str, typed: dict[str, Any]) -> None:
    """Raise OptionError for a typed flag that is not of this task."""
    own = {flag.name for flag in getattr(task, command)}
    for name, flag in find_task_flags(command).items():
        if name in typed and name not in own:
            raise OptionError(f"{flag_of(name)} is for {flag.subject}, but this model {task.VERB}; {flag.remedy}")


def check_plot(path: str, read: list[str], force: bool) -> None:
    """Check early that the picture of --plot can be written."""
    from ..plots import png

    with error_context("--plot"):
        png.check_path(path, read, force)
        png.check_matplotlib()


def typed_values(args: argparse.Namespace, options: type) -> dict[str, Any]:
    """Return the values of the fields whose flags were typed."""
    return {f.name: getattr(args, f.name) for f in dataclasses.fields(options) if hasattr(args, f.name)}


def add_option(group: Any, field: dataclasses.Field[Any], kind: type) -> None:
    flag = _options.flag_of(field)
    help = help_of(field)
    if kind is bool:
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=help)
        return
    choices = field.metadata.get("choices")
    metavar = None if choices else field.metadata.get("metavar") or METAVARS[kind]
    group.add_argument(
        flag,
        dest=field.name,
        type=kind,
        choices=choices,
        metavar=metavar,
        default=argparse.SUPPRESS,
        required=is_required(field),
        help=help,
    )


def flag_of(name: str) -> str:
    """Spell an option's name as its flag.

    >>> flag_of("batch_size")
    '--batch-size'
    """
    return "--" + name.replace("_", "-")


def is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def help_of(field: dataclasses.Field[Any]) -> str:
    """Return the help text of a field, with its default and that of each preset which has another one."""
    text, presets = str(field.metadata.get("help", "")).replace("%", "%%"), field.metadata.get("presets") or {}
    default = presets.get(_options.USUAL_PRESET, None if is_required(field) else field.default)
    words = [] if default in (None, "") else [f"default {show(default)}"]
    words += [f"{show(value)} with --preset {name}" for name, value in presets.items() if value != default]
    return f"{text} ({', '.join(words)})" if words else text


def show(value: Any) -> str:
    """Spell the value of an option.

    >>> show(True), show(0.5)
    ('yes', '0.5')
    """
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def base_type(hint: Any) -> type:
    """Return the type of a field's values: `int | None` and `int` give int.

    >>> base_type(float | None)
    <class 'float'>
    """
    if get_origin(hint) in (types.UnionType, typing.Union):
        return base_type(next(arg for arg in get_args(hint) if arg is not type(None)))
    if get_origin(hint) is typing.Literal:
        return type(get_args(hint)[0])
    assert hint in (bool, int, float, str), f"cannot make a flag from the type {hint}"
    return typing.cast(type, hint)
