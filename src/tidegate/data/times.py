"""The times of steps: timestamps or a counter, strictly ascending within a series."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.data import cells
from tidegate.data.collection import Times
from tidegate.errors import DataError

Place = Callable[[int], str]
COUNTER = re.compile(r"[+-]?[0-9]+")
FINER = re.compile(r"[.,][0-9]{6}0*[1-9]")
SHORTEST_FINER = len("20200101T000000.0000001")
ISO = (
    "expected an ISO 8601 date or time such as 2020-01-31 or 2020-01-31T23:30:00+01:00, or an integer that counts steps"
)


class Clock:
    """The column of times of a table, read once and then asked for the steps of every series.

    Args:
        found: the cells, text, integers or dates; None where missing.
        name: of the column, for messages.
        place: the place of a row, counted from 0.
        apart: series are told apart already, so that no column is missing for that.

    Raises:
        DataError: a cell that is missing, no time, finer than a microsecond; times with a zone among some without.

    >>> clock = Clock(["2020-01-01T01:00+01:00", "2020-01-01T01:00Z"], "at", lambda row: f"t.csv:{row + 2}")
    >>> clock.steps([0, 1])
    array(['2020-01-01T00:00:00.000000', '2020-01-01T01:00:00.000000'],
          dtype='datetime64[us]')
    """

    def __init__(self, found: Sequence[Any], name: str, place: Place, apart: bool = False) -> None:
        self._cells, self._name, self._place = found, name, place
        self._or = "" if apart else ", or name the column that tells series apart as id"
        for row, cell in enumerate(found):
            if cell is None or cell == "":
                raise DataError(f"{place(row)}: no time in column {name!r}; fill it or leave the row out")
        self.counts = self._are_counts()
        self._values: npt.NDArray[Any] = self._counted() if self.counts else self._parsed()

    def steps(self, rows: npt.ArrayLike) -> Times | None:
        """The times of one series, datetime64[us] [T]; None if they are a counter.

        Args:
            rows: those of the series, in order.

        Raises:
            DataError: a time that is not later than the one before it.
        """
        index = np.asarray(rows, np.int64)
        values = self._values[index]
        late = np.flatnonzero(values[1:] <= values[:-1])
        if late.size:
            before, row = index[late[0]], index[late[0] + 1]
            raise DataError(f"{self._place(int(row))}: {self._disorder(int(before), int(row))}")
        return None if self.counts else values

    def _disorder(self, before: int, row: int) -> str:
        shown, earlier = self._shown(row), f"{self._shown(before)} ({self._place(before)})"
        if self._values[before] == self._values[row]:
            remedy = f"a series has each time once; leave one out{self._or}"
            return f"column {self._name!r} is {shown}, as it was before: {earlier}; {remedy}"
        return f"column {self._name!r} is {shown}, after {earlier}; sort the rows by time{self._or}"

    def _shown(self, row: int) -> str:
        cell = self._cells[row]
        return repr(cell) if isinstance(cell, str) else str(cell)

    def _are_counts(self) -> bool:
        first = self._cells[0]
        if isinstance(first, str):
            return all(map(COUNTER.fullmatch, self._cells))
        if isinstance(first, datetime.date):
            return False
        if type(first) is not int:
            kind = cells.KINDS[type(first)]
            raise DataError(f"{self._place(0)}: column {self._name!r} holds {kind}, as {cells.shown(first)}; {ISO}")
        return True

    def _counted(self) -> npt.NDArray[np.int64]:
        try:
            return np.array(list(map(int, self._cells)), np.int64)
        except (OverflowError, ValueError):
            row = next(row for row, cell in enumerate(self._cells) if len(str(cell)) > 18)
            fault = f"column {self._name!r} is {cells.shown(self._cells[row])}; a counter has 18 digits at most"
            raise DataError(f"{self._place(row)}: {fault}; start it nearer to 0") from None

    def _parsed(self) -> Times:
        moments = [self._moment(row, cell) for row, cell in enumerate(self._cells)]
        zoned = [moment.tzinfo is not None for moment in moments]
        if any(zoned) and not all(zoned):
            row = zoned.index(not zoned[0])
            has, other = ("has a zone", "has none") if zoned[row] else ("has no zone", "has one")
            fault = f"column {self._name!r} is {self._shown(row)}, which {has}, but {self._shown(0)} {other}"
            raise DataError(f"{self._place(row)}: {fault} ({self._place(0)}); write all of them in one way")
        if any(zoned):
            moments = [self._universal(row, moment) for row, moment in enumerate(moments)]
        return np.array(moments, "datetime64[us]")

    def _moment(self, row: int, cell: Any) -> datetime.datetime:
        if isinstance(cell, str):
            try:
                moment = datetime.datetime.fromisoformat(cell)
            except ValueError as error:
                if COUNTER.fullmatch(cell):  # then the fault is the one that is no integer
                    row = next(row for row, other in enumerate(self._cells) if not COUNTER.fullmatch(other))
                    cell = self._cells[row]
                fault = f"column {self._name!r} is {cells.shown(cell)}; {ISO}"
                raise DataError(f"{self._place(row)}: {fault}") from error
            finer = len(cell) >= SHORTEST_FINER and FINER.search(cell) is not None
        else:
            at_midnight = not isinstance(cell, datetime.datetime)
            moment = datetime.datetime(cell.year, cell.month, cell.day) if at_midnight else cell
            finer = getattr(cell, "nanosecond", 0) != 0
        if finer:
            fault = f"column {self._name!r} is {self._shown(row)}, finer than a microsecond"
            raise DataError(f"{self._place(row)}: {fault}; round the times")
        return moment

    def _universal(self, row: int, moment: datetime.datetime) -> datetime.datetime:
        try:
            return moment.astimezone(datetime.UTC).replace(tzinfo=None)
        except OverflowError as error:
            fault = f"column {self._name!r} is {self._shown(row)}, outside of the years 1 to 9999 in UTC"
            raise DataError(f"{self._place(row)}: {fault}; correct it") from error
