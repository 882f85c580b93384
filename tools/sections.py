"""How a section of figures is written: its paragraph, its table, and what made it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

Found = dict[str, Any]


def section(title: str, said: str, *parts: str) -> str:
    """A paragraph that begins with the title, in lines of 120, and what follows it."""
    first = textwrap.fill(f"**{title}.** {said}", 120, break_long_words=False, break_on_hyphens=False)
    return "\n\n".join([first, *(part for part in parts if part)]) + "\n"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def listed(numbers: Sequence[int]) -> str:
    """
    >>> listed([1, 2, 33])
    '1, 2 and 33'
    """
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last


def span(quartiles: list[float], digits: int) -> str:
    return " to ".join(f"{value:.{digits}f}" for value in quartiles)


def unique(values: Iterable[Any]) -> list[Any]:
    """Each value once, in the order of its first."""
    return list(dict.fromkeys(values))


def made(*results: Found) -> str:
    """The commands and what they ran on; those that ran on the same stand together."""
    together: dict[str, list[str]] = {}
    for of in results:
        together.setdefault(", ".join([of["cpu"], *on(of)]), []).append(f"`{of['command']}`")
    return "\n\n".join(f"{', '.join(unique(commands))}; {place}" for place, commands in together.items())


def on(result: Found) -> list[str]:
    return [*(f"{name} {number}" for name, number in result["versions"].items()), result["date"]]
