"""Finds the tasks in this folder; README.md says what a task's module holds."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from ..errors import OptionError

CONTRACT = "base"  # the module that is no task


def names() -> list[str]:
    """List the names of all tasks: the modules in this package's folders whose names have no _ in front.

    >>> "classify" in names()
    True
    """
    files = [name for folder in __path__ for name in os.listdir(folder)]
    return sorted({f[:-3] for f in files if f.endswith(".py") and not f.startswith("_")} - {CONTRACT})


def load(name: str) -> ModuleType:
    """Import a task's module. Raises OptionError if there is no task of that name."""
    if name not in names():
        raise OptionError(f"unknown task {name!r}; choose one of {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")
