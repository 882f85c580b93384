"""Finding the layers of this folder; see README.md for what a layer's file holds."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any

from ..errors import OptionError

FOLDER = os.path.dirname(__file__)
Layer = dict[str, Any]


def kinds() -> list[str]:
    """The layers there are.

    >>> "dense" in kinds()
    True
    """
    return sorted(f[:-3] for f in os.listdir(FOLDER) if f.endswith(".py") and not f.startswith("_"))


def load(kind: Any) -> ModuleType:
    """The module of a layer kind. Raises OptionError when there is none."""
    if not isinstance(kind, str) or kind not in kinds():
        raise OptionError(f"unknown layer {kind!r}; choose one of {', '.join(kinds())}")
    return importlib.import_module(f"{__name__}.{kind}")


def widths(layers: list[Layer], inputs: int | None, tapes: dict[str, Any]) -> list[int]:
    """Each layer's output width, of a chain of valid layers. inputs: the width of its input; None: token ids.

    >>> widths([{"kind": "pool", "size": 3, "over": ["mean", "max"], "tensors": {}}], 3, {})
    [6]
    """
    found, width = list[int](), inputs
    for layer in layers:
        width = load(layer["kind"]).check(layer, width, tapes)
        found.append(width)
    return found


def whole_window(layers: list[Layer]) -> str:
    """Why a chain of valid layers cannot go step by step, in a few words; "" when it can.

    >>> whole_window([{"kind": "conv", "width": 3, "centred": True}])
    'its convolution looks 1 step ahead'
    """
    reasons = [room.whole_window(k) for k in layers if hasattr(room := load(k["kind"]), "whole_window")]
    return " and ".join(dict.fromkeys(filter(None, reasons)))


def is_whole_window(layer: Layer) -> bool:
    """Whether a layer has a `whole` and no `step`."""
    return bool(whole_window([layer]))
