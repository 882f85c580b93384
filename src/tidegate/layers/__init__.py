"""Find and load the layers of this folder; README.md describes what a layer's file contains."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any

from ..errors import OptionError

FOLDER = os.path.dirname(__file__)
Layer = dict[str, Any]


def kinds() -> list[str]:
    """List the kinds of layers, sorted.

    >>> "dense" in kinds()
    True
    """
    return sorted(f[:-3] for f in os.listdir(FOLDER) if f.endswith(".py") and not f.startswith("_"))


def load(kind: Any) -> ModuleType:
    """Import the module of a layer kind. Raises OptionError for an unknown kind.

    >>> load("dense").ACTIVATIONS
    ('none', 'relu', 'tanh', 'sigmoid')
    """
    if not isinstance(kind, str) or kind not in kinds():
        raise OptionError(f"unknown layer {kind!r}; choose one of {', '.join(kinds())}")
    return importlib.import_module(f"{__name__}.{kind}")


def output_widths(layers: list[Layer], inputs: int | None, tapes: dict[str, Any]) -> list[int]:
    """Return the output width of each layer, for a list of valid layers.

    inputs: the width of the first layer's input; None: token ids.

    >>> output_widths([{"kind": "pool", "size": 3, "over": ["mean", "max"], "tensors": {}}], 3, {})
    [6]
    """
    outputs, width = list[int](), inputs
    for layer in layers:
        width = load(layer["kind"]).check(layer, width, tapes)
        outputs.append(width)
    return outputs


def whole_window(layers: list[Layer]) -> str:
    """Say in a few words why valid layers cannot run step by step; "" if they can.

    >>> whole_window([{"kind": "conv", "width": 3, "centred": True}])
    'its convolution looks 1 step ahead'
    """
    reasons = [module.whole_window(k) for k in layers if hasattr(module := load(k["kind"]), "whole_window")]
    return " and ".join(dict.fromkeys(filter(None, reasons)))


def is_whole_window(layer: Layer) -> bool:
    """Tell whether a layer needs whole rows: it has a `whole` and no `step`.

    >>> is_whole_window({"kind": "softmax", "size": 2})
    False
    """
    return bool(whole_window([layer]))
