"""Find the layers of this folder and parse them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from ..errors import OptionError
from ..tape import Tape
from ._layer import Layer

FOLDER = os.path.dirname(__file__)


@cache
def kinds() -> tuple[str, ...]:
    """List the kinds of layers, sorted.

    >>> "dense" in kinds()
    True
    """
    return tuple(sorted(f[:-3] for f in os.listdir(FOLDER) if f.endswith(".py") and not f.startswith("_")))


def load(kind: Any) -> type[Layer]:
    """Return the class of a layer kind. Raises OptionError for an unknown kind.

    >>> load("dense").kind
    'dense'
    """
    if not isinstance(kind, str) or kind not in kinds():
        raise OptionError(f"unknown layer {kind!r}; choose one of {', '.join(kinds())}")
    return _find_class(kind)


@cache
def _find_class(kind: str) -> type[Layer]:
    module = importlib.import_module(f"{__package__}.{kind}")
    own = (v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__)
    return next(cls for cls in own if issubclass(cls, Layer))


def parse(kind: Any, node: dict[str, Any], width: int | None, tapes: Mapping[str, Tape]) -> Layer:
    """Return the layer that a JSON object describes.

    kind: the layer's kind. node: its options, and `tensors` and `add`, which are taken as they are. width: of its
    input; None: token ids. tapes: those of the file.

    Raises: OptionError for an unknown kind, and for options that are missing, unknown or do not fit.

    >>> parse("pool", {"size": 3, "over": ["mean", "max"]}, 3, {}).width
    6
    """
    return load(kind).parse(node, width, tapes)
