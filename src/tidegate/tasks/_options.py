"""Declaration of a task's options: default, help, choices and range in one place."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from ..errors import OptionError

T = TypeVar("T")

PRESETS: Final = ("tiny", "small", "base")  # sizes of a model, in ascending order
USUAL_PRESET: Final = "small"


def option(
    default: Any,
    help: str,
    choices: tuple[Any, ...] | None = None,
    least: float | None = None,
    most: float | None = None,
    old_name: str = "",
    old_values: Mapping[str, str] | None = None,
    metavar: str = "",
    flag: str = "",
    earlier: str = "",
    beside: str = "",
    absent: Any = None,
    search: Any = None,
    presets: Mapping[str, Any] | None = None,
) -> Any:
    """Declare a dataclass field with all that a command line and a validator need.

    choices: the values that are allowed. least, most: the range that is allowed, bounds included. old_name: its name in
    older versions, "" if it had none. old_values: values under that name that are spelled differently now. metavar:
    what stands for its value in a command's help; "": a word for its type. flag: its flag, where it is not spelt like
    its name. earlier: what becomes of it in a model that starts from another one: "kept", it has the other one's value
    and no other; "default", it has that value unless the user gives another; "": nothing. beside: the option without
    which it has no meaning; "" if there is none. absent: its value in models of tasks and versions without it. search:
    what `fit --search` may choose of it (`_search_space.py`), None if nothing. presets: its value in each of the
    PRESETS unless the user gives one, for a default of None; the data decide what a preset lacks.
    """
    metadata: dict[str, Any] = {"help": help, "choices": choices, "least": least, "most": most}
    metadata |= {"old_name": old_name, "old_values": old_values or {}, "metavar": metavar}
    metadata |= {"flag": flag, "earlier": earlier, "beside": beside, "absent": absent}
    metadata |= {"search": search, "presets": presets or {}}
    return dataclasses.field(default=default, metadata=metadata)


def check_options(options: Any) -> None:
    """Raises OptionError at the first field whose value is outside its choices or its range."""
    for field in dataclasses.fields(options):
        value, meta = getattr(options, field.name), field.metadata
        if value is None and "None" in str(field.type):
            continue
        check_type(field.name, str(field.type).split(" |")[0], value)
        if meta["choices"] and value not in meta["choices"]:
            raise OptionError(f"{field.name} is {value!r}; choose one of {', '.join(map(str, meta['choices']))}")
        least, most = meta["least"], meta["most"]
        if (least is not None and value < least) or (most is not None and value > most):
            bounds = f"at least {least}" if most is None else f"{least} to {most}"
            raise OptionError(f"{field.name} is {value}; it must be {bounds}")


def apply_preset(options: T) -> T:
    """Return the options with the values of their preset where the user gives none; what data decide stays None.

    >>> from tidegate.tasks.classify import Options
    >>> made = apply_preset(Options(preset="tiny", depth=3))
    >>> made.hidden, made.depth, made.epochs
    (32, 3, None)
    """
    preset, values = getattr(options, "preset", USUAL_PRESET), {}
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        beside = field.metadata.get("beside")
        if getattr(options, field.name) is None and not (beside and getattr(options, beside) is None):
            values[field.name] = field.metadata.get("presets", {}).get(preset)
    return dataclasses.replace(options, **values)  # type: ignore[type-var]


def check_type(name: str, kind: str, value: Any) -> None:
    wanted: Any = {"int": int, "float": (int, float), "str": str, "bool": bool}[kind]
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "bool"):
        raise OptionError(f"{name} is {value!r}; expected {kind}")


def flag_of(field: dataclasses.Field[Any]) -> str:
    """Spell an option as its flag."""
    return str(field.metadata.get("flag") or "--" + field.name.replace("_", "-"))


def renamed_fields(kind: type) -> dict[str, dataclasses.Field[Any]]:
    """Return the options that had another name in older versions, by that name, unless another one has it now."""
    now = {f.name for f in dataclasses.fields(kind)}
    old = {f.metadata.get("old_name"): f for f in dataclasses.fields(kind)}
    return {name: f for name, f in old.items() if name and name not in now}


def rename_options(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Rename options of this kind that an older version recorded.

    >>> from tidegate.tasks.classify import Options
    >>> rename_options(Options, {"tokens": "char", "seed": 3})
    {'unit': 'character', 'seed': 3}
    """
    fields, renamed = renamed_fields(kind), {}
    for name, value in values.items():
        if field := fields.get(name):
            renamed[field.name] = field.metadata["old_values"].get(value, value) if isinstance(value, str) else value
        else:
            renamed[name] = value
    return renamed


def restore_options(kind: type[T], values: dict[str, Any]) -> T:
    """Restore the options recorded in a model file; options that no longer exist are dropped.

    >>> from tidegate.tasks.classify import Options
    >>> restore_options(Options, {"text": "message", "of_long_ago": 3}).text
    'message'
    """
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in rename_options(kind, values).items() if name in known})


def make_options(kind: type[T], values: dict[str, Any]) -> T:
    """Make a task's options from names and values. Raises OptionError for an unknown name, and suggests a near one."""
    known = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            if field := renamed_fields(kind).get(name):
                raise OptionError(f"the option {name} is now {field.name}")
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise OptionError(f"unknown option {name!r}; {hint}the options are {', '.join(known)}")
    return kind(**values)
