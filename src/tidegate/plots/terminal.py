"""A forecast as a chart of characters: history, median, intervals, a value axis, and steps from now."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .axis import axis, written
from .panel import MOST, Floats, Panel, left_out, panels

NARROWEST, LOWEST = 40, 8  # a smaller chart shows nothing
BAND: Final = 0.4  # of a character's dots must lie in a band to be shaded

Dots = npt.NDArray[np.bool_]  # [rows of dots, columns of dots]


@dataclass(frozen=True)
class Pen:
    """The characters of a chart. across, down: dots that a character has; one of more than one dot is braille."""

    across: int
    down: int
    shades: str  # of bands, widest first
    now: str
    side: str
    tick: str
    corner: str
    floor: str
    mark: str
    history: str  # in the legend, and what a dot is where a character has only one
    median: str
    cut: str


BRAILLE: Final = Pen(2, 4, "░▒▓", "┊", "│", "┤", "└", "─", "┴", "⠔⠒⠢", "⠔⠒⠢", "…")
ASCII: Final = Pen(1, 1, ".:%", "|", "|", "+", "+", "-", "+", "*", "o", "~")
BITS: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # of the dots of a braille character


def forecast(
    history: npt.NDArray[Any],
    forecast: npt.NDArray[Any],
    quantiles: Sequence[float],
    width: int = 80,
    height: int = 16,
    unicode: bool = True,
    names: Sequence[str] | None = None,
) -> str:
    """A chart of `height` lines for each of the first four targets, no line wider than `width` columns.

    history: float [T, targets], the last step being the origin, NaN where missing. forecast: float [horizon, targets,
    quantiles]. quantiles: ascending, with 0.5. unicode: braille and shades; without, ASCII alone. names: of targets.

    Raises: OptionError for a chart that is too small; DataError for arrays that do not fit or that no plot can show.

    >>> print(forecast(np.arange(24.0)[:, None], np.full((6, 1, 3), [[20, 22, 24]]), [0.1, 0.5, 0.9], 40, 9, False))
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
    if width < NARROWEST or height < LOWEST:
        raise OptionError(f"a chart of {width} x {height} is too small; it needs {NARROWEST} x {LOWEST} characters")
    found = panels(history, forecast, quantiles, names=names)
    pen = BRAILLE if unicode else ASCII
    charts = ["\n".join(chart(panel, pen, width, height)) for panel in found[:MOST]]
    said = left_out(len(found))
    return "\n\n".join([*charts, *([said] if said else [])])


def chart(panel: Panel, pen: Pen, width: int, height: int) -> list[str]:
    """The lines of one target: legend, plot, axis, steps."""
    rows = height - 3
    found = axis(*panel.extent, most=5 if rows >= 9 else 3)
    labels = written(found.marks)
    margin = max(map(len, labels))
    plot = Plot(panel, pen, width - margin - 1, rows, found.low, found.high)
    at = {plot.down(value) // pen.down: label for value, label in zip(found.marks, labels, strict=True)}
    sides = [f"{at.get(row, ''):>{margin}}{pen.tick if row in at else pen.side}" for row in range(rows)]
    body = [side + line for side, line in zip(sides, plot.lines(), strict=True)]
    floor, steps = plot.steps()
    feet = [" " * margin + pen.corner + floor, " " * (margin + 1) + steps]
    return [line.rstrip() for line in [legend(panel, pen, width), *body, *feet]]


@dataclass(frozen=True)
class Plot:
    """The drawing of a panel in `columns` x `rows` characters; low and high: the values of its edges."""

    panel: Panel
    pen: Pen
    columns: int
    rows: int
    low: float
    high: float

    @property
    def now(self) -> int:
        """The step of the origin, counted from the first one shown; -1 without a history."""
        return len(self.panel.history) - 1

    def across(self, step: int) -> int:
        """The column of dots of a step, counted from the first one shown."""
        last = self.now + len(self.panel.median)
        return round(step / max(last, 1) * (self.columns * self.pen.across - 1))

    def down(self, value: float) -> int:
        """The row of dots of a value."""
        share = (self.high - value) / (self.high - self.low)
        return round(share * (self.rows * self.pen.down - 1))

    def blank(self) -> Dots:
        return np.zeros((self.rows * self.pen.down, self.columns * self.pen.across), bool)

    def line(self, values: Floats, first: int) -> Dots:
        """Dots of a line through values, the first of which is at step `first`; a missing one breaks it."""
        dots, before = self.blank(), None
        for step, value in enumerate(values.tolist(), first):
            here = None if np.isnan(value) else (self.across(step), self.down(value))
            if here:
                x, y = np.linspace(before or here, here, 2 + max(dots.shape)).round().astype(int).T
                dots[y, x] = True
            before = here
        return dots

    def area(self, low: Floats, high: Floats, first: int) -> Dots:
        """Dots between two lines that start at step `first`."""
        dots = self.blank()
        columns = [self.across(step) for step in range(first, first + len(low))]
        inside = np.arange(columns[0], columns[-1] + 1)
        for x, bottom, top in zip(
            inside, np.interp(inside, columns, low), np.interp(inside, columns, high), strict=True
        ):
            dots[self.down(max(bottom, top)) : self.down(min(bottom, top)) + 1, x] = True
        return dots

    def ahead(self, values: Floats) -> tuple[Floats, int]:
        """Values of the forecast with the anchor before them where there is one, and the step of the first."""
        anchor = self.panel.anchor
        return (values, self.now + 1) if anchor is None else (np.concatenate([[anchor], values]), self.now)

    def lines(self) -> list[str]:
        """The characters: lines over bands over the mark of now."""
        cells = np.full((self.rows, self.columns), " ")
        if self.now >= 0:
            cells[:, self.across(self.now) // self.pen.across] = self.pen.now
        for i, band in enumerate(self.panel.bands):
            low, first = self.ahead(band.low)
            shade = self.pen.shades[min(i, len(self.pen.shades) - 1)]
            cells[self.share(self.area(low, self.ahead(band.high)[0], first)) >= BAND] = shade
        past, ahead = self.line(self.panel.history, 0), self.line(*self.ahead(self.panel.median))
        if self.pen.across == 1:
            cells[ahead] = self.pen.median
            cells[past] = self.pen.history
        else:
            code = (self.blocks(past | ahead) * BITS[:, None, :]).sum((1, 3))
            cells = np.where(code > 0, (0x2800 + code).astype(np.uint32).view("U1"), cells)
        return ["".join(row) for row in cells.tolist()]

    def blocks(self, dots: Dots) -> Dots:
        """The dots of each character: [rows, down, columns, across]."""
        return dots.reshape(self.rows, self.pen.down, self.columns, self.pen.across)

    def share(self, dots: Dots) -> Floats:
        return np.asarray(self.blocks(dots).mean((1, 3)))

    def steps(self) -> tuple[str, str]:
        """The axis with its marks, and what they say: the first step shown, now, half of the horizon, all of it."""
        floor, said = [self.pen.floor] * self.columns, [" "] * self.columns
        horizon = len(self.panel.median)
        for ahead in dict.fromkeys((0, horizon, -self.now, horizon // 2)):
            column = self.across(self.now + ahead) // self.pen.across
            text = "now" if ahead == 0 else f"{ahead:+d}"
            start = min(max(column - len(text) // 2, 0), self.columns - len(text))
            if self.now + ahead < 0 or "".join(said[max(start - 1, 0) : start + len(text) + 1]).strip():
                continue
            floor[column] = self.pen.mark
            said[start : start + len(text)] = text
        return "".join(floor), "".join(said)


def legend(panel: Panel, pen: Pen, width: int) -> str:
    """The target's name and what the characters mean, cut to the width."""
    bands = [f"{pen.shades[min(i, len(pen.shades) - 1)]} {band.name}" for i, band in enumerate(panel.bands)]
    apart = pen.history != pen.median
    lines = [f"{pen.history} history", f"{pen.median} median"] if apart else [f"{pen.history} history and median"]
    said = ", ".join([*lines, *bands])
    name = "".join(c if c.isprintable() and (c.isascii() or pen.across > 1) else "?" for c in panel.name)
    return cut(f"{name}: {said}" if name else said, width, pen.cut)


def cut(text: str, width: int, mark: str) -> str:
    """Text of at most `width` columns of a terminal, where some characters take two; `mark` ends what was cut."""
    taken = 0
    for i, c in enumerate(text):
        taken += 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        if taken > width:
            return cut(text[:i], width - 1, "") + mark if mark else text[:i]
    return text
