"""Finding the formats of this folder, and writing a model in one; see README.md for what a format's file holds."""

from __future__ import annotations

import importlib
import inspect
import os
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from ..model import Model

__all__ = ["Answer", "load", "names", "write", "written"]

FOLDER = os.path.dirname(__file__)
COMMON = ("model", "out", "answers", "force")  # arguments of every format
Float = npt.NDArray[np.float64]


class Answer(NamedTuple):
    """What a reader of one case of the check must say: float64, strided as the file stores it.

    output, state: the stored answer. output_bound, state_bound: how far float32 may stray from each number; infinity
    where no bound holds, NaN where none was worked out.
    """

    output: Float
    output_bound: Float
    state: Float
    state_bound: Float


def names() -> list[str]:
    """The formats there are.

    >>> "c" in names()
    True
    """
    found = (f for f in os.listdir(FOLDER) if not f.startswith(("_", ".")))
    return sorted(f.removesuffix(".py") for f in found if f.endswith(".py") or os.path.isfile(package_file(f)))


def package_file(name: str) -> str:
    return os.path.join(FOLDER, name, "__init__.py")


def load(to: str) -> ModuleType:
    """The module of a format. Raises OptionError when there is none."""
    if to not in names():
        raise OptionError(f"unknown format {to!r}; choose one of {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{to}")


def written(module: ModuleType, out: str) -> list[str]:
    """Name the files that a format writes when it is asked to write `out`."""
    files: list[str] = module.files(out) if hasattr(module, "files") else [out]
    return files


def write(
    model: Model,
    to: str,
    out: str | os.PathLike[str],
    answers: list[Answer] | None = None,
    force: bool = False,
    **options: Any,
) -> list[str]:
    """The files that were written for a model in a format, `out` first.

    answers: the check's, one a case; what a format tests itself with. force: replace files that the format did not
    write. options: the format's own.

    Raises: OptionError for an unknown format or option, a value that it cannot take, or a file that may not be
    replaced; ModelFileError for a model that
    the format cannot hold; TidegateError when the disk refuses.
    """
    module = load(to)
    known = [name for name in inspect.signature(module.export).parameters if name not in COMMON]
    if unknown := sorted(set(options) - set(known)):
        raise OptionError(f"unknown option {unknown[0]!r}; {to} has {', '.join(known) or 'none'}")
    files: list[str] = module.export(model, os.fspath(out), answers, force, **options)
    return files
