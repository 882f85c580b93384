"""Formats tables, sizes and bars as plain text."""

from __future__ import annotations

import itertools
import textwrap
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

GAP = 2  # spaces between columns
MIN_COLUMN = 8  # characters down to which words are broken


def format_table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    left: int = 1,
    words_last: bool = False,
    width: int | None = None,
) -> str:
    """Format a table. The first `left` columns are aligned left, and with `words_last` the last one too; others right.

    width: of the terminal; cells are broken into several lines so that the table fits it. None: no limit.

    >>> print(format_table(["label", "rows"], [["spam", 12], ["ham", 1034]]))
    label  rows
    spam     12
    ham    1034
    >>> print(format_table(["label", "rows"], [["lost or stolen card", 12]], width=18))
    label        rows
    lost or        12
    stolen card
    """
    cells = [[escape_breaks(str(cell)) for cell in row] for row in (head, *rows)]
    flush = {*range(left), *([len(head) - 1] if words_last else [])}
    widths, gap = fit_columns(cells, flush, width)
    lines = (line for row in cells for line in break_row(row, widths))
    return "\n".join((" " * gap).join(align_cells(line, widths, flush)).rstrip() for line in lines)


def fit_columns(cells: Sequence[Sequence[str]], flush: set[int], width: int | None) -> tuple[list[int], int]:
    """Return the width of each column and of the gap between two of them, so that a row fits the terminal if it can.

    Columns get narrower where that breaks the fewest cells, the widest one first: between words, then also with one
    space between the columns, and at last inside the words of columns that are aligned left, down to MIN_COLUMN.
    """
    columns = list(zip(*cells, strict=True))
    lengths = [sorted(map(len, column)) for column in columns]
    widths = [ascending[-1] for ascending in lengths]
    if width is None:
        return widths, GAP

    def cost(i: int) -> tuple[int, int]:
        return len(lengths[i]) - bisect_left(lengths[i], widths[i]), -widths[i]

    words = [max(len(word) for cell in column for word in cell.split() or [""]) for column in columns]
    least = [min(longest, MIN_COLUMN) if i in flush else longest for i, longest in enumerate(words)]
    for gap, limits in ((GAP, words), (1, words), (1, least)):
        room = width - 1 - gap * (len(widths) - 1)
        while sum(widths) > room:
            wide = [i for i, limit in enumerate(limits) if widths[i] > limit]
            if not wide:
                break
            widths[min(wide, key=cost)] -= 1
        if sum(widths) <= room:
            return widths, gap
    return widths, gap


def break_row(row: Sequence[str], widths: Sequence[int]) -> list[tuple[str, ...]]:
    """Break the cells of a row into as many lines as they need.

    >>> break_row(["lost card", "12"], [5, 2])
    [('lost', '12'), ('card', '')]
    """
    parts = [[cell] if len(cell) <= w else textwrap.wrap(cell, w) for cell, w in zip(row, widths, strict=True)]
    return list(itertools.zip_longest(*parts, fillvalue=""))


def align_cells(row: Sequence[str], widths: Sequence[int], left: set[int]) -> list[str]:
    return [
        cell.ljust(width) if i in left else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def format_pairs(rows: Iterable[tuple[str, object]], width: int | None = None) -> str:
    """Format `name  value` lines with the values in one column; they are broken to fit a terminal of that width.

    >>> print(format_pairs([("task", "classify"), ("labels", 8)]))
    task    classify
    labels  8
    """
    cells = [(name, escape_breaks(str(value))) for name, value in rows]
    indent = max((len(name) for name, _ in cells), default=0) + GAP
    room = 10_000 if width is None else max(MIN_COLUMN, width - 1 - indent)
    lines = [(name, textwrap.wrap(value, room) or [""]) for name, value in cells]
    joint = "\n" + " " * indent
    return "\n".join(f"{name:<{indent}}{joint.join(parts)}".rstrip() for name, parts in lines)


def join_items(items: Iterable[str], width: int, gap: str = "  ") -> str:
    """Join items into lines that fit a terminal; an item is broken only if it is longer than a line.

    >>> print(join_items(["80 rows", "accuracy 0.9125", "log loss 0.25"], 30))
    80 rows  accuracy 0.9125
    log loss 0.25
    """
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(gap) + len(item) < width:
            lines[-1] += gap + item
        else:
            lines += textwrap.wrap(item, width - 1)
    return "\n".join(lines)


def escape_breaks(text: str) -> str:
    """Escape tabs and line breaks, so that the text stays on one line.

    >>> escape_breaks("a\\nb")
    'a\\\\nb'
    """
    return text.translate({9: "\\t", 10: "\\n", 13: "\\r"})


def format_count(count: int, noun: str) -> str:
    """Format a number of things.

    >>> format_count(1, "row"), format_count(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'s'[: count != 1]}"


def join_names(names: Sequence[str], most: int = 12) -> str:
    """Join names by commas; of more than `most`, the first ones.

    >>> join_names(["a", "b", "c"], 2)
    'a, b, ...'
    """
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


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
