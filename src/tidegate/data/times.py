"""Read the times of steps: timestamps or a counter, strictly increasing within a series."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tidegate.data.collection import Times
from tidegate.data.table_cells import KINDS, Locate, format_cell
from tidegate.errors import DataError

USUAL_NAME = "ds"  # the name of the column of times in other forecasting libraries
COUNTER = re.compile(r"[+-]?[0-9]+")
SUBMICROSECOND = re.compile(r"[.,][0-9]{6}0*[1-9]")
SHORTEST_SUBMICROSECOND = len("20200101T000000.0000001")
EXPECTED = (
    "expected an ISO 8601 date or time such as 2020-01-31 or 2020-01-31T23:30:00+01:00, or an integer that counts steps"
)


def find_time_column(columns: Mapping[str, Sequence[Any]], path: str) -> str | None:
    """Return the column that holds the times of steps, if none was named; None if there is none.

    Args:
        columns: cells by name, of all columns without another role.
        path: the source, in messages.

    Raises:
        DataError: there are several, and none is named `ds`.

    >>> find_time_column({"day": ["2024-01-01", "2024-01-02"], "x": ["1", "2"]}, "t.csv")
    'day'
    """
    if USUAL_NAME in columns:
        return USUAL_NAME
    names = [name for name, cells in columns.items() if is_time(next((c for c in cells if c not in (None, "")), None))]
    if len(names) > 1:
        listed = ", ".join(map(repr, names))
        raise DataError(f"{path}: the columns {listed} all hold times; name the one to use, or keep only that one")
    return names[0] if names else None


def is_time(cell: Any) -> bool:
    """Return whether a cell is a date, or text that is one; the text of a number is not.

    >>> is_time("2024-01-31"), is_time("20240131"), is_time("8796093022200.0"), is_time(1.5)
    (True, False, False, False)
    """
    if not isinstance(cell, str):
        return isinstance(cell, datetime.date)
    with suppress(ValueError):
        float(cell)  # ISO 8601 has compact forms that are decimal numbers too
        return False
    with suppress(ValueError):
        return bool(datetime.datetime.fromisoformat(cell))
    return False


class TimeIndex(NamedTuple):
    """The times of the steps of a series, or their counts; the fields are those of `Series`."""

    times: Times | None = None
    local: Times | None = None
    zone: str = ""
    counts: npt.NDArray[np.int64] | None = None

    def select(self, steps: Any) -> TimeIndex:
        """Return the times of some steps. steps: an index array or a slice."""
        times, local, counts = (None if v is None else v[steps] for v in (self.times, self.local, self.counts))
        return TimeIndex(times, local, self.zone, counts)

    @property
    def ticks(self) -> npt.NDArray[np.int64] | None:
        """The steps as int64 [T]: times in microseconds, or counts; None if there are neither."""
        return self.counts if self.times is None else self.times.astype("M8[us]").astype(np.int64)


class TimeColumn:
    """The column of times of a table, parsed once for all series.

    Args:
        cells: text, integers or dates; None if missing.
        name: of the column, in messages.
        locate: returns the place of a row, counted from 0, for messages.
        has_id: the series are identified, so messages need not suggest an id.

    Raises:
        DataError: a cell that is missing, not a time, or finer than a microsecond; times with and without a zone.

    >>> column = TimeColumn(["2020-01-01T01:00+01:00", "2020-01-01T01:00Z"], "at", lambda row: f"t.csv:{row + 2}")
    >>> index = column.index([0, 1])
    >>> index.times.astype(str).tolist(), index.zone
    (['2020-01-01T00:00:00.000000', '2020-01-01T01:00:00.000000'], 'UTC')
    """

    def __init__(self, cells: Sequence[Any], name: str, locate: Locate, has_id: bool = False) -> None:
        self._cells, self._name, self._locate = cells, name, locate
        self._id_hint = "" if has_id else ", or set id to the column that identifies the series"
        for row, cell in enumerate(cells):
            if cell is None or cell == "":
                raise DataError(f"{locate(row)}: no time in column {name!r}; fill it in, or remove the row")
        self.counts = self._is_counter()
        self._local: Times | None = None
        self._values: npt.NDArray[Any] = self._parse_counts() if self.counts else self._parse_times()

    def index(self, rows: npt.ArrayLike) -> TimeIndex:
        """Return the times or counts of a series.

        Args:
            rows: the rows of the series, in order.

        Raises:
            DataError: a time that is not later than the previous one.
        """
        index = np.asarray(rows, np.int64)
        values = self._values[index]
        late = np.flatnonzero(values[1:] <= values[:-1])
        if late.size:
            before, row = index[late[0]], index[late[0] + 1]
            raise DataError(f"{self._locate(int(row))}: {self._explain_disorder(int(before), int(row))}")
        if self.counts:
            return TimeIndex(counts=values)
        return (
            TimeIndex(values)
            if self._local is None
            else TimeIndex(values, self._local[index], self._find_zone(int(index[-1])))
        )

    def _find_zone(self, row: int) -> str:
        cell = self._cells[row]
        if isinstance(cell, str):
            return "UTC" if cell[-1] in "Zz" else format_offset(self._parse_time(row, cell))
        return find_zone(cell)

    def _explain_disorder(self, before: int, row: int) -> str:
        shown, earlier = self._format_cell(row), f"{self._format_cell(before)} ({self._locate(before)})"
        if self._values[before] == self._values[row]:
            remedy = f"expected each time once in a series; remove one{self._id_hint}"
            return f"column {self._name!r} is {shown}, the same time as {earlier}; {remedy}"
        return f"column {self._name!r} is {shown}, after {earlier}; sort the rows by time{self._id_hint}"

    def _format_cell(self, row: int) -> str:
        cell = self._cells[row]
        return repr(cell) if isinstance(cell, str) else str(cell)

    def _is_counter(self) -> bool:
        first = self._cells[0]
        if isinstance(first, str):
            return all(map(COUNTER.fullmatch, self._cells))
        if isinstance(first, datetime.date):
            return False
        if type(first) is not int:
            kind = KINDS[type(first)]
            raise DataError(
                f"{self._locate(0)}: column {self._name!r} holds {kind}, such as {format_cell(first)}; {EXPECTED}"
            )
        return True

    def _parse_counts(self) -> npt.NDArray[np.int64]:
        try:
            return np.array(list(map(int, self._cells)), np.int64)
        except (OverflowError, ValueError):
            row = next(row for row, cell in enumerate(self._cells) if len(str(cell)) > 18)
            fault = f"column {self._name!r} is {format_cell(self._cells[row])}; a counter may have at most 18 digits"
            raise DataError(f"{self._locate(row)}: {fault}; start it closer to 0") from None

    def _parse_times(self) -> Times:
        moments = [self._parse_time(row, cell) for row, cell in enumerate(self._cells)]
        with_zone = [moment.tzinfo is not None for moment in moments]
        if any(with_zone) and not all(with_zone):
            row = with_zone.index(not with_zone[0])
            has, other = ("has a zone", "has none") if with_zone[row] else ("has no zone", "has one")
            fault = (
                f"column {self._name!r} is {self._format_cell(row)}, which {has}, but {self._format_cell(0)} {other}"
            )
            raise DataError(f"{self._locate(row)}: {fault} ({self._locate(0)}); write all of them in the same way")
        if any(with_zone):
            self._local = np.array([moment.replace(tzinfo=None) for moment in moments], "datetime64[us]")
            moments = [self._to_utc(row, moment) for row, moment in enumerate(moments)]
        return np.array(moments, "datetime64[us]")

    def _parse_time(self, row: int, cell: Any) -> datetime.datetime:
        if isinstance(cell, str):
            try:
                moment = datetime.datetime.fromisoformat(cell)
            except ValueError as error:
                if COUNTER.fullmatch(cell):  # a counter, so the wrong cell is the one that is not an integer
                    row = next(row for row, other in enumerate(self._cells) if not COUNTER.fullmatch(other))
                    cell = self._cells[row]
                fault = f"column {self._name!r} is {format_cell(cell)}; {EXPECTED}"
                raise DataError(f"{self._locate(row)}: {fault}") from error
            finer = len(cell) >= SHORTEST_SUBMICROSECOND and SUBMICROSECOND.search(cell) is not None
        else:
            at_midnight = not isinstance(cell, datetime.datetime)
            moment = datetime.datetime(cell.year, cell.month, cell.day) if at_midnight else cell
            finer = getattr(cell, "nanosecond", 0) != 0
        if finer:
            fault = f"column {self._name!r} is {self._format_cell(row)}, finer than a microsecond"
            raise DataError(f"{self._locate(row)}: {fault}; round the times")
        return moment

    def _to_utc(self, row: int, moment: datetime.datetime) -> datetime.datetime:
        try:
            return moment.astimezone(datetime.UTC).replace(tzinfo=None)
        except OverflowError as error:
            fault = f"column {self._name!r} is {self._format_cell(row)}, outside of the years 1 to 9999 in UTC"
            raise DataError(f"{self._locate(row)}: {fault}; correct it") from error


def find_zone(moment: datetime.datetime) -> str:
    """Return the zone of a time that has one: its name if it has one, else its offset.

    >>> find_zone(datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC))
    'UTC'
    """
    name = getattr(moment.tzinfo, "key", None) or getattr(moment.tzinfo, "zone", None)  # of zoneinfo, of pytz
    return "UTC" if moment.tzinfo is datetime.UTC else name or format_offset(moment)


def format_offset(moment: datetime.datetime) -> str:
    """Return the offset of a time that has a zone, as in ISO 8601.

    >>> format_offset(datetime.datetime.fromisoformat("2024-01-01T00:00Z"))
    '+00:00'
    """
    return moment.isoformat()[len(moment.replace(tzinfo=None).isoformat()) :]
