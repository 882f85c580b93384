"""Softmax: turn scores into probabilities."""

from __future__ import annotations

from typing import Any

from . import _options as options


def check(layer: dict[str, Any], width: int | None, tapes: dict[str, Any]) -> int:
    options.check_keys(layer, "size")
    return options.check_width(layer, "size", width)


def tensors(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {}


def state(layer: dict[str, Any], tapes: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], float]]:
    return {}


def step(
    xp: Any, layer: dict[str, Any], tapes: dict[str, Any], t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any
) -> tuple[Any, dict[str, Any]]:
    e = xp.exp(x - xp.peak(x))
    return e / xp.sum(e), {}
