"""Find the formats in this folder, and write a model in one of them. README.md says what a format's file contains."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from ..model import Model

__all__ = ["ExpectedValues", "load", "names", "output_files", "write"]

FOLDER = os.path.dirname(__file__)
COMMON = ("model", "out", "expected", "force", "notes")  # arguments of every format
Float = npt.NDArray[np.float64]


class ExpectedValues(NamedTuple):
    """The expected values of one case of the check: float64, every stride-th number as in the file.

    output, state: the stored values. output_bound, state_bound: how far float32 may deviate from each number; infinite
    if no bound holds, NaN if none was computed.
    """

    output: Float
    output_bound: Float
    state: Float
    state_bound: Float


def names() -> list[str]:
    """Return the names of all formats.

    >>> "c" in names()
    True
    """
    files = (f for f in os.listdir(FOLDER) if not f.startswith(("_", ".")))
    return sorted(f.removesuffix(".py") for f in files if f.endswith(".py") or os.path.isfile(package_file(f)))


def package_file(name: str) -> str:
    return os.path.join(FOLDER, name, "__init__.py")


def load(to: str) -> ModuleType:
    """Return the module of a format. Raises OptionError for an unknown format."""
    if to not in names():
        raise OptionError(f"unknown format {to!r}; choose one of {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{to}")


def output_files(module: ModuleType, out: str) -> list[str]:
    """Return the files that a format writes for `out`."""
    files: list[str] = module.files(out) if hasattr(module, "files") else [out]
    return files


def write(
    model: Model,
    to: str,
    out: str | os.PathLike[str],
    expected: list[ExpectedValues] | None = None,
    force: bool = False,
    notes: Sequence[str] = (),
    **options: Any,
) -> list[str]:
    """Write a model in a format; return the files written, `out` first.

    expected: the values of the check, one for each case, for a format with a self-test. force: replace files that the
    format did not write. notes: sentences that the file has for people who use it. options: the format's own.

    Raises: OptionError for an unknown format or option, an invalid value, or a file that may not be replaced;
    ModelFileError for a model that the format cannot represent; TidegateError if the files cannot be written.
    """
    module = load(to)
    known = [name for name in inspect.signature(module.export).parameters if name not in COMMON]
    if unknown := sorted(set(options) - set(known)):
        raise OptionError(f"unknown option {unknown[0]!r}; {to} has {', '.join(known) or 'none'}")
    files: list[str] = module.export(model, os.fspath(out), expected, force, notes=notes, **options)
    return files
