"""Plots a forecast as text: history, median, intervals, a value axis, and steps counted from now."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .axis import format_numbers, make_axis
from .panel import MAX_PANELS, Floats, Panel, hidden_targets_note, make_panels

MIN_WIDTH, MIN_HEIGHT = 40, 8  # a smaller chart would be unreadable
MIN_SHARE: Final = 0.4  # a character is shaded if at least this share of its dots lies in a band

Dots = npt.NDArray[np.bool_]  # [rows of dots, columns of dots]


@dataclass(frozen=True)
class Pen:
    """The characters that draw a chart. dots_across, dots_down: dots in a character; braille has more than one."""

    dots_across: int
    dots_down: int
    shades: str  # of bands, widest first
    now: str
    side: str
    tick: str
    corner: str
    floor: str
    mark: str
    history: str  # in the legend, and in the chart if a character is a single dot
    median: str
    ellipsis: str


BRAILLE: Final = Pen(2, 4, "░▒▓", "┊", "│", "┤", "└", "─", "┴", "⠔⠒⠢", "⠔⠒⠢", "…")
ASCII: Final = Pen(1, 1, ".:%", "|", "|", "+", "+", "-", "+", "*", "o", "~")
BITS: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # dots of a braille character


def plot_forecast(
    history: npt.NDArray[Any],
    forecast: npt.NDArray[Any],
    quantiles: Sequence[float],
    width: int = 80,
    height: int = 16,
    unicode: bool = True,
    names: Sequence[str] | None = None,
) -> str:
    """Plot a forecast as text: `height` lines for each of the first four targets, at most `width` columns wide.

    history: float [T, targets]; the last step is the origin, NaN marks missing values. forecast: float [horizon,
    targets, quantiles]. quantiles: ascending, including 0.5. unicode: draw with braille and shades instead of ASCII.
    names: one for each target.

    Raises: OptionError if the chart is too small; DataError if the arrays do not match or cannot be plotted.

    >>> ahead = np.full((6, 1, 3), [[20, 22, 24]])
    >>> print(plot_forecast(np.arange(24.0)[:, None], ahead, [0.1, 0.5, 0.9], 40, 9, False))
    * history, o median, . 0.1 to 0.9
      |                          ****ooooooo
    20+                     ******  |.......
      |              *******        |
    10+          *****              |
      |   ********                  |
     0+****                         |
      ++----------------------------+------+
       -23                         now    +6
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        least = f"{MIN_WIDTH} x {MIN_HEIGHT}"
        raise OptionError(f"a chart of {width} x {height} is too small; it needs at least {least} characters")
    panels = make_panels(history, forecast, quantiles, names=names)
    pen = BRAILLE if unicode else ASCII
    charts = ["\n".join(draw_chart(panel, pen, width, height)) for panel in panels[:MAX_PANELS]]
    note = hidden_targets_note(len(panels))
    return "\n\n".join([*charts, *([note] if note else [])])


def draw_chart(panel: Panel, pen: Pen, width: int, height: int) -> list[str]:
    """Draw the lines of one target: legend, plot, axis, steps."""
    rows = height - 3
    axis = make_axis(*panel.extent, max_ticks=5 if rows >= 9 else 3)
    labels = format_numbers(axis.ticks)
    margin = max(map(len, labels))
    plot = Plot(panel, pen, width - margin - 1, rows, axis.low, axis.high)
    at = {plot.dot_row(value) // pen.dots_down: label for value, label in zip(axis.ticks, labels, strict=True)}
    sides = [f"{at.get(row, ''):>{margin}}{pen.tick if row in at else pen.side}" for row in range(rows)]
    body = [side + line for side, line in zip(sides, plot.draw_lines(), strict=True)]
    floor, steps = plot.step_axis()
    feet = [" " * margin + pen.corner + floor, " " * (margin + 1) + steps]
    return [line.rstrip() for line in [format_legend(panel, pen, width), *body, *feet]]


@dataclass(frozen=True)
class Plot:
    """A panel drawn in `columns` x `rows` characters. low, high: the values at its bottom and top edge."""

    panel: Panel
    pen: Pen
    columns: int
    rows: int
    low: float
    high: float

    @property
    def origin(self) -> int:
        """The step of the origin, counted from the first step shown; -1 without a history."""
        return len(self.panel.history) - 1

    def dot_column(self, step: int) -> int:
        """Return the column of dots of a step, which is counted from the first step shown."""
        last = self.origin + len(self.panel.median)
        return round(step / max(last, 1) * (self.columns * self.pen.dots_across - 1))

    def dot_row(self, value: float) -> int:
        """Return the row of dots of a value."""
        share = (self.high - value) / (self.high - self.low)
        return round(share * (self.rows * self.pen.dots_down - 1))

    def blank_dots(self) -> Dots:
        return np.zeros((self.rows * self.pen.dots_down, self.columns * self.pen.dots_across), bool)

    def line_dots(self, values: Floats, first: int) -> Dots:
        """Return the dots of a line through values that begin at step `first`; missing values break the line."""
        dots, before = self.blank_dots(), None
        for step, value in enumerate(values.tolist(), first):
            here = None if np.isnan(value) else (self.dot_column(step), self.dot_row(value))
            if here:
                x, y = np.linspace(before or here, here, 2 + max(dots.shape)).round().astype(int).T
                dots[y, x] = True
            before = here
        return dots

    def area_dots(self, low: Floats, high: Floats, first: int) -> Dots:
        """Return the dots between two lines that begin at step `first`."""
        dots = self.blank_dots()
        columns = [self.dot_column(step) for step in range(first, first + len(low))]
        inside = np.arange(columns[0], columns[-1] + 1)
        for x, bottom, top in zip(
            inside, np.interp(inside, columns, low), np.interp(inside, columns, high), strict=True
        ):
            dots[self.dot_row(max(bottom, top)) : self.dot_row(min(bottom, top)) + 1, x] = True
        return dots

    def from_origin(self, values: Floats) -> tuple[Floats, int]:
        """Return forecast values, preceded by the value at the origin if known, and the step of the first."""
        anchor = self.panel.anchor
        return (values, self.origin + 1) if anchor is None else (np.concatenate([[anchor], values]), self.origin)

    def draw_lines(self) -> list[str]:
        """Draw the rows of characters: lines on top of bands on top of the mark for now."""
        cells = np.full((self.rows, self.columns), " ")
        if self.origin >= 0:
            cells[:, self.dot_column(self.origin) // self.pen.dots_across] = self.pen.now
        for i, band in enumerate(self.panel.bands):
            low, first = self.from_origin(band.low)
            shade = self.pen.shades[min(i, len(self.pen.shades) - 1)]
            cells[self.dot_share(self.area_dots(low, self.from_origin(band.high)[0], first)) >= MIN_SHARE] = shade
        past, ahead = self.line_dots(self.panel.history, 0), self.line_dots(*self.from_origin(self.panel.median))
        if self.pen.dots_across == 1:
            cells[ahead] = self.pen.median
            cells[past] = self.pen.history
        else:
            code = (self.blocks(past | ahead) * BITS[:, None, :]).sum((1, 3))
            cells = np.where(code > 0, (0x2800 + code).astype(np.uint32).view("U1"), cells)
        return ["".join(row) for row in cells.tolist()]

    def blocks(self, dots: Dots) -> Dots:
        """Group dots by character: [rows, dots_down, columns, dots_across]."""
        return dots.reshape(self.rows, self.pen.dots_down, self.columns, self.pen.dots_across)

    def dot_share(self, dots: Dots) -> Floats:
        return np.asarray(self.blocks(dots).mean((1, 3)))

    def step_axis(self) -> tuple[str, str]:
        """Return the axis and its labels: the first step shown, now, and half and all of the horizon."""
        floor, labels = [self.pen.floor] * self.columns, [" "] * self.columns
        horizon = len(self.panel.median)
        for ahead in dict.fromkeys((0, horizon, -self.origin, horizon // 2)):
            column = self.dot_column(self.origin + ahead) // self.pen.dots_across
            text = "now" if ahead == 0 else f"{ahead:+d}"
            start = min(max(column - len(text) // 2, 0), self.columns - len(text))
            if self.origin + ahead < 0 or "".join(labels[max(start - 1, 0) : start + len(text) + 1]).strip():
                continue
            floor[column] = self.pen.mark
            labels[start : start + len(text)] = text
        return "".join(floor), "".join(labels)


def format_legend(panel: Panel, pen: Pen, width: int) -> str:
    """Format the target's name and the meaning of the characters, truncated to the width."""
    bands = [f"{pen.shades[min(i, len(pen.shades) - 1)]} {band.name}" for i, band in enumerate(panel.bands)]
    two_marks = pen.history != pen.median
    lines = [f"{pen.history} history", f"{pen.median} median"] if two_marks else [f"{pen.history} history and median"]
    key = ", ".join([*lines, *bands])
    name = "".join(c if c.isprintable() and (c.isascii() or pen.dots_across > 1) else "?" for c in panel.name)
    return truncate(f"{name}: {key}" if name else key, width, pen.ellipsis)


def truncate(text: str, width: int, mark: str) -> str:
    """Truncate text to `width` terminal columns, of which some characters take two; `mark` shows where it was cut."""
    used = 0
    for i, c in enumerate(text):
        used += 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        if used > width:
            return truncate(text[:i], width - 1, "") + mark if mark else text[:i]
    return text
