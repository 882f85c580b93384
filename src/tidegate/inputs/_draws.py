"""Rows for the check in a model file, from draws of 0 to 2^64 - 1."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt

from ..limits import MAX_IDS
from .base import Port


def standard_normal(draw: int) -> float:
    """Turn a draw into a roughly normal number, exact in float32.

    >>> standard_normal(0), standard_normal((1 << 64) - 1)
    (-3.4999465942382812, 3.4999465942382812)
    """
    parts = (draw & 0xFFFF) + (draw >> 16 & 0xFFFF) + (draw >> 32 & 0xFFFF) + (draw >> 48)
    return (parts - 131070) * 7 / (1 << 18)


def draw_ids(draws: Iterator[int], steps: int, size: int, each: int = 1) -> npt.NDArray[np.int32]:
    """Make ids of 0 to size - 1: int32 [T], or [T, each] if a step has several."""
    ids = np.array([next(draws) * size >> 64 for _ in range(steps * each)], np.int32)
    return ids if each == 1 else ids.reshape(steps, each)


def draw_port_ids(
    draws: Iterator[int], steps: int, ports: Collection[Port], most: int = MAX_IDS
) -> npt.NDArray[np.int32]:
    """Make ids for each port, side by side: int32 [T, ids]. A port that may lack ids has any number of them.

    most: how many such a port has at most.
    """
    rows = np.empty((steps, sum(port.ids for port in ports)), np.int32)
    for row in rows:
        for port in ports:
            own = row[port.first : port.first + port.ids]
            own[:] = draw_ids(draws, port.ids, port.size)
            if port.may_lack:
                own[draw_ids(draws, 1, min(port.ids, most) + 1)[0] :] = -1
    return rows


def draw_numbers(draws: Iterator[int], steps: int, features: int) -> npt.NDArray[np.float32]:
    """Make roughly normal numbers: float32 [T, features]."""
    return np.array([[standard_normal(next(draws)) for _ in range(features)] for _ in range(steps)], np.float32)
