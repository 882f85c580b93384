"""Layer normalisation over the width of each step, with gain and bias.

Source: Ba et al. 2016 (arXiv:1607.06450), equation 4, with the biased variance.
"""

from __future__ import annotations

from typing import Any

from ..errors import OptionError
from . import _options as options


def check(layer: dict[str, Any], width: int | None, tapes: dict[str, Any]) -> int:
    options.check_keys(layer, "size", "eps")
    if type(layer["eps"]) is not float or not 1e-12 <= layer["eps"] <= 1.0:
        raise OptionError(f"eps is {layer['eps']!r}; expected a number of 1e-12 to 1")
    return options.check_width(layer, "size", width)


def tensors(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {"gain": (layer["size"],), "bias": (layer["size"],)}


def state(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], float]]:
    return {}


def step(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Any], t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any
) -> tuple[Any, dict[str, Any]]:
    d = x - xp.mean(x)
    return d / xp.sqrt(xp.mean(d * d) + layer["eps"]) * t["gain"] + t["bias"], {}
