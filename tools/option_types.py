"""Write the types of `tidegate.fit` for type checkers: an overload for each task, with its options as keywords.

Run it after the options of a task have changed; a test says so.

    python tools/option_types.py
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tidegate import tasks

OUT = Path(__file__).resolve().parents[1] / "src" / "tidegate" / "train" / "typed.pyi"
HEAD = '''\
"""The types of `fit`, made from the options of each task by tools/option_types.py; do not edit."""

import os
from collections.abc import Callable
from typing import Any, Literal, TypedDict, Unpack, overload

from ..model import Model
from .progress import Report

'''
FIT = """\
{decorator}def fit(
    task: {task},
    data: Any,
    options: {options} = None,
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
{values}) -> Model: ...
"""


def render() -> str:
    """Return the text of the file."""
    parts = [HEAD]
    for name in tasks.names():
        fields = [f"    {field.name}: {field.type}" for field in dataclasses.fields(tasks.load(name).Options)]
        parts.append("\n".join([f"class {title(name)}(TypedDict, total=False):", *fields, "", ""]))
    for name in tasks.names():
        values = f"    **values: Unpack[{title(name)}],\n"
        parts.append(FIT.format(decorator="@overload\n", task=f'Literal["{name}"]', options="None", values=values))
    parts.append(FIT.format(decorator="@overload\n", task="str", options="Any", values=""))
    return "".join(parts)


def title(name: str) -> str:
    return f"{name.capitalize()}Options"


if __name__ == "__main__":
    OUT.write_text(render(), "utf-8")
