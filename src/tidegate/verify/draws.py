"""Draws from a seed that any language can repeat: splitmix64 (Steele, Lea and Flood 2014); see `check.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_MASK: Final = (1 << 64) - 1


def splitmix64(seed: int) -> Iterator[int]:
    """Generate draws from 0 to 2^64 - 1.

    >>> [hex(draw) for draw, _ in zip(splitmix64(0), range(2))]
    ['0xe220a8397b1dcdaf', '0x6e789e6aa1b965f4']
    """
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        z = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
        yield z ^ z >> 31
