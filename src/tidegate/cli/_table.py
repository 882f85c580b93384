"""Formats tables, sizes and bars as plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def format_table(head: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1, words_last: bool = False) -> str:
    """Format a table. The first `left` columns are aligned left, and with `words_last` the last one too; others right.

    >>> print(format_table(["label", "rows"], [["spam", 12], ["ham", 1034]]))
    label  rows
    spam     12
    ham    1034
    """
    cells = [[escape_breaks(str(cell)) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    flush = {*range(left), *([len(head) - 1] if words_last else [])}
    return "\n".join("  ".join(align_cells(row, widths, flush)).rstrip() for row in cells)


def align_cells(row: Sequence[str], widths: Sequence[int], left: set[int]) -> list[str]:
    return [
        cell.ljust(width) if i in left else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def format_pairs(rows: Iterable[tuple[str, object]], wrapped: bool = False) -> str:
    """Format `name  value` lines with the values in one column; `wrapped` breaks lines to fit 80 columns.

    >>> print(format_pairs([("task", "classify"), ("labels", 8)]))
    task    classify
    labels  8
    """
    cells = [(name, escape_breaks(str(value))) for name, value in rows]
    indent = max((len(name) for name, _ in cells), default=0) + 2
    room = 79 - indent if wrapped else 10_000
    lines = [(name, textwrap.wrap(value, room) or [""]) for name, value in cells]
    joint = "\n" + " " * indent
    return "\n".join(f"{name:<{indent}}{joint.join(parts)}".rstrip() for name, parts in lines)


def escape_breaks(text: str) -> str:
    """Escape tabs and line breaks, so that the text stays on one line.

    >>> escape_breaks("a\\nb")
    'a\\\\nb'
    """
    return text.translate({9: "\\t", 10: "\\n", 13: "\\r"})


def format_size(count: int) -> str:
    """Format a number of bytes for people.

    >>> format_size(812), format_size(25_300), format_size(3_354_455)
    ('812 bytes', '25.3 KB', '3.4 MB')
    """
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e3:.1f} KB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def format_number(value: float, digits: int = 4) -> str:
    """Format a number with its significant digits.

    >>> format_number(231.4159), format_number(0.35503), format_number(21671.3), format_number(1.5e16)
    ('231.4', '0.355', '21,671', '1.5e+16')
    >>> format_number(98765432.1234, 10)
    '98,765,432.12'
    """
    if 1000 <= abs(value) < 1e15 and abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:,.{digits}g}"


def draw_bar(share: float, width: int = 20) -> str:
    """Draw a share between 0 and 1 as a bar of fixed width.

    >>> draw_bar(0.5, 4)
    '##..'
    """
    full = round(share * width)
    return "#" * full + "." * (width - full)


def shorten(text: str, width: int) -> str:
    """Shorten a text to one line of at most `width` characters.

    >>> shorten("one  two three", 9)
    'one tw...'
    """
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 3] + "..."


def shortest_decimal(value: Any) -> float:
    """Return the shortest decimal that reads back as the same float32.

    >>> shortest_decimal(np.float32(0.1)), float(np.float32(0.1))
    (0.1, 0.10000000149011612)
    """
    return float(str(np.float32(value)))
