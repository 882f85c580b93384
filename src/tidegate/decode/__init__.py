"""Find the decoders of this folder, and parse the entries of a document's key `decoders`; see README.md."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from ..errors import ModelFileError
from ..expect import check_object
from ..strictjson import show
from ..tensors import Array
from .base import Decoder as Decoder

CONTRACT = "base"  # the module that is no kind


def kinds() -> list[str]:
    """List the kinds of decoders, sorted: the modules in this package's folders whose names have no _ in front.

    >>> "viterbi" in kinds()
    True
    """
    files = [name for folder in __path__ for name in os.listdir(folder)]
    return sorted({f[:-3] for f in files if f.endswith(".py") and not f.startswith("_")} - {CONTRACT})


def parse(place: str, entry: Any, width: int, tensors: Mapping[str, Array]) -> Decoder:
    """Check the entry of a decoder and return the decoder that it describes.

    place: of the entry in the document, by which errors and saved states name it. width: how many numbers its node has.
    tensors: those of the model. `reads` is left to the caller, who knows the graphs. Raises ModelFileError with the
    place, what was found and what was expected.

    >>> entry = {"kind": "threshold", "reads": "layers.0", "options": {"on": 0.75, "off": 0.25, "least": 1}}
    >>> parse("decoders.active", entry, 2, {}).width
    2
    """
    check_object(place, entry)
    if (kind := entry.get("kind")) not in kinds():
        raise ModelFileError(f"{place}.kind: is {show(kind)}; expected one of {', '.join(kinds())}")
    decoder: Decoder = importlib.import_module(f"{__name__}.{kind}").parse(place, entry, width, tensors)
    return decoder
