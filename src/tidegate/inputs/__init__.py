"""Find the inputs of this folder, and parse the entries of a document's key `inputs`; see README.md."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ..errors import ModelFileError
from ..expect import check_object
from ..strictjson import show
from ..tensors import Array
from .base import Input

CONTRACT = "base"  # the module that is no kind


def kinds() -> list[str]:
    """List the kinds of inputs, sorted: the modules in this package's folders whose names have no _ in front.

    >>> "text" in kinds()
    True
    """
    files = [name for folder in __path__ for name in os.listdir(folder)]
    return sorted({f[:-3] for f in files if f.endswith(".py") and not f.startswith("_")} - {CONTRACT})


def parse(name: str, entry: Any, tensors: Mapping[str, Array]) -> Input:
    """Check an entry of `inputs` and return the input that it describes.

    name: that of the entry. tensors: those of the file, by name. Raises ModelFileError with the place, what was found
    and what was expected.

    >>> parse("x", {"kind": "ids", "size": 9}, {}).size
    9
    """
    place = f"inputs.{name}"
    check_object(place, entry)
    if (kind := entry.get("kind")) not in kinds():
        raise ModelFileError(f"{place}.kind: is {show(kind)}; expected one of {', '.join(kinds())}")
    source: Input = load(kind).parse(name, entry, tensors)
    return source


def load(kind: str) -> ModuleType:
    """Import the module of a kind."""
    return importlib.import_module(f"{__name__}.{kind}")


def starts_anew(entry: Mapping[str, Any]) -> bool:
    """Return whether a valid entry's graph starts anew for each answer, over whole rows.

    >>> starts_anew({"kind": "ids", "size": 9})
    False
    """
    module = load(entry["kind"])
    return hasattr(module, "starts_anew") and bool(module.starts_anew(entry))
