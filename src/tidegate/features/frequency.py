"""How the steps of a series follow each other in time: a calendar that explains every gap, or none.

A wall clock is what people in the source's zone read; times are moments, in UTC where the source has a zone. A zone is
"" (none), an offset such as "+01:00", or a name such as "Europe/Paris".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from ..errors import DataError

UNITS: Final = ("microseconds", "days", "weekdays", "months", "business months")
BUSINESS: Final = "1111100"
NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
DAY: Final = 86_400_000_000  # microseconds
END: Final = int(np.datetime64("9999-12-31", "us").astype(np.int64))  # Python's dates end there
BEYOND: Final = "a step ahead lies beyond the year 9999, where dates end; ask for fewer"
LAST: Final = 31  # the last day of a month
OFFSET: Final = re.compile(r"([+-])([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")
LENGTHS: Final = (
    ("day", DAY),
    ("hour", DAY // 24),
    ("minute", 60_000_000),
    ("second", 1_000_000),
    ("millisecond", 1000),
    ("microsecond", 1),
)

Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Frequency:
    """The rule by which one step follows another.

    Args:
        unit: "microseconds" (between moments), or of the wall clock, whose time of day stays: "days"; "weekdays", each
            of some days of the week; "months", a day of the month; "business months", its first or last day of Monday
            to Friday.
        every: how many microseconds, days or months lie between two steps; 1 for weekdays.
        weekdays: for Monday to Sunday 1 where it is a step, else 0; "" for other units.
        day: of the month, 1 to 31, or its last day where it has fewer; of business months 1 or 31; 0 for other units.

    >>> business = Frequency("weekdays", weekdays="1111100")
    >>> business.after(np.array(["2024-03-01T09:00"], "M8[us]"), 1).tolist(), str(business)
    ([datetime.datetime(2024, 3, 4, 9, 0)], 'each business day (Monday to Friday)')
    """

    unit: str
    every: int = 1
    weekdays: str = ""
    day: int = 0

    def shift(self, times: Any, steps: Any) -> Times:
        """The times so many steps after these, broadcast: moments for "microseconds", else wall clocks.

        A time that is no step itself goes on from the step before it.
        """
        if self.unit in ("microseconds", "days"):
            length = self.every * (DAY if self.unit == "days" else 1)
            return np.asarray(times + np.asarray(steps * np.int64(length), "m8[us]"))
        date = times.astype("M8[D]")
        if self.unit == "weekdays":
            found = np.busday_offset(date, steps, roll="backward", weekmask=self.weekdays)
        else:
            found = self._find_days(date.astype("M8[M]") + np.asarray(self.every * steps, "m8[M]"))
        return np.asarray(found.astype("M8[us]") + (times - date.astype("M8[us]")))

    def _find_days(self, month: Any) -> Any:
        """The day that is the step in each month."""
        first, end = month.astype("M8[D]"), (month + 1).astype("M8[D]")
        if self.unit == "months":
            return np.minimum(first + (self.day - 1), end - 1)
        return np.busday_offset(end, -1, "forward") if self.day == LAST else np.busday_offset(first, 0, "forward")

    def explains(self, times: Times, local: Times | None = None) -> bool:
        """Whether each of these times is one step after the one before. local: the wall clocks of times with a zone."""
        seen = times if local is None or self.unit == "microseconds" else local
        return np.array_equal(self.shift(seen[:1], np.arange(len(seen))), seen)

    @property
    def seconds(self) -> float:
        """How far steps lie apart in the mean."""
        if self.unit == "weekdays":
            return 7 * 86_400 / self.weekdays.count("1")
        months = self.unit in ("months", "business months")
        return self.every * (365.25 / 12 * 86_400 if months else 86_400 if self.unit == "days" else 1e-6)

    def __str__(self) -> str:
        """The rule in words, as they stand behind `one step`."""
        if self.unit == "weekdays":
            found = [name for name, on in zip(NAMES, self.weekdays, strict=True) if on == "1"]
            if self.weekdays == BUSINESS:
                return "each business day (Monday to Friday)"
            return f"each {', '.join(found[:-1])} and {found[-1]}" if len(found) > 1 else f"each {found[0]}"
        if self.unit in ("microseconds", "days"):
            length = self.every * (DAY if self.unit == "days" else 1)
            name, size = next(pair for pair in LENGTHS if length % pair[1] == 0)
            return format_every(length // size, name)
        day = f"day {self.day}" if 1 < self.day < LAST else f"its {'last' if self.day == LAST else 'first'}"
        kind = " business day" if self.unit == "business months" else " day" if self.day in (1, LAST) else ""
        return f"{format_every(self.every, 'month')}, on {day}{kind}"

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


def format_every(count: int, name: str) -> str:
    """How often a step comes.

    >>> counted(1, "hour"), counted(30, "minute")
    ('every hour', 'every 30 minutes')
    """
    return f"every {name}" if count == 1 else f"every {count:,} {name}s"


def inferred(times: Times, local: Times | None = None) -> Frequency | None:
    """The simplest frequency that explains every gap; None where none does, or there are fewer than two times.

    Args:
        times: datetime64[us] [T], ascending, in UTC where they have a zone.
        local: their wall clocks [T] where they have a zone.

    >>> str(inferred(np.array(["2024-02-29", "2024-03-01", "2024-03-04", "2024-03-05"], "M8[us]")))
    'each business day (Monday to Friday)'
    >>> print(inferred(np.array(["2024-01-01", "2024-01-02", "2024-01-05"], "M8[us]")))
    None
    """
    if len(times) < 2:
        return None
    found = list_candidates(times, times if local is None else local)
    return next((one for one in found if one.explains(times, local)), None)


def list_candidates(times: Times, wall: Times) -> Iterator[Frequency]:
    """Frequencies that may explain times, the simplest first."""
    date = wall.astype("M8[D]")
    month = date.astype("M8[M]")
    daily = bool((wall - date == wall[0] - date[0]).all())
    months = int((month[1] - month[0]).astype(np.int64))
    if daily and months > 0:
        into = (date - month.astype("M8[D]")).astype(np.int64) + 1
        last = (date + 1).astype("M8[M]") != month
        yield Frequency("months", months, day=LAST if last.all() else int(into.max()))
    gap, apart = (int((one[1] - one[0]).astype(np.int64)) for one in (wall, times))
    if daily and gap > 0:
        yield Frequency("days", gap // DAY)
    yield Frequency("microseconds", apart)
    if daily and months > 0 and len(times) > 2:  # of two times, some days apart is as likely
        yield Frequency("business months", months, day=LAST)
        yield Frequency("business months", months, day=1)
    if daily:
        yield Frequency("weekdays", weekdays=BUSINESS)
        if date[-1] - date[0] >= np.timedelta64(7, "D"):  # a week shows which days there are
            seen = set(((date.astype(np.int64) + 3) % 7).tolist())  # 1970-01-01 was a Thursday
            yield Frequency("weekdays", weekdays="".join("01"[k in seen] for k in range(7)))


def following(
    times: Times, count: int, frequency: Frequency | None, local: Times | None = None, zone: str = ""
) -> tuple[Times, Times | None] | None:
    """The `count` times after the last one and their wall clocks; None where there is no frequency to go by.

    Args:
        times: datetime64[us] [T], in UTC where they have a zone.
        local, zone: the wall clocks [T] and the zone of times that have one.

    Raises:
        DataError: a zone whose rules are not installed.

    >>> noon = np.array(["2024-03-30T12:00"], "M8[us]")
    >>> following(noon - np.timedelta64(1, "h"), 1, Frequency("days"), noon, "Europe/Paris")[0].tolist()
    [datetime.datetime(2024, 3, 31, 10, 0)]
    """
    if frequency is None or not len(times):
        return None
    if int(times[-1].astype(np.int64)) + (count + 1) * int(frequency.seconds * 1e6) > END - 400 * DAY:
        return None
    ahead = np.arange(1, count + 1)
    if local is None:
        return frequency.shift(times[-1], ahead), None
    if frequency.unit == "microseconds":
        found = frequency.shift(times[-1], ahead)
    else:
        found = universal(frequency.shift(local[-1], ahead), zone)
    return found, to_wall_clock(found, zone)


def next_times(times: Times, frequency: Frequency, zone: str) -> Times:
    """The time one step after each of these, in UTC where there is a zone. Raises DataError beyond the year 9999."""
    if frequency.unit == "microseconds" or not zone:
        found = frequency.shift(times, 1)
    else:
        found = universal(frequency.shift(to_wall_clock(times, zone), 1), zone)
    if (found.astype(np.int64) > END).any():
        raise DataError(BEYOND)
    return found


# ---- zones


def to_wall_clock(times: Times, zone: str) -> Times:
    """What clocks in a zone show at these moments. Raises DataError for a zone that is not known."""
    known = known_zone(zone)
    return map_times(times, lambda moment: moment.replace(tzinfo=UTC).astimezone(known).replace(tzinfo=None))


def universal(local: Times, zone: str) -> Times:
    """The moments of these wall clocks. One that a clock skips is as far behind the skip as it is into it; of one that
    comes twice the first counts. Raises DataError for a zone that is not known.
    """
    known = known_zone(zone)
    return map_times(local, lambda moment: moment.replace(tzinfo=known).astimezone(UTC).replace(tzinfo=None))


def map_times(times: Times, change: Callable[[datetime], datetime]) -> Times:
    try:
        return np.array([change(moment) for moment in times.tolist()], "M8[us]").reshape(times.shape)
    except (AttributeError, OverflowError, ValueError) as error:  # NumPy gives integers where Python has no date
        raise DataError(BEYOND) from error


def known_zone(zone: str) -> tzinfo:
    """The rules of a zone that is an offset or a name. Raises DataError where Python does not know it.

    >>> known_zone("-05:30")
    datetime.timezone(datetime.timedelta(days=-1, seconds=66600))
    """
    if found := OFFSET.fullmatch(zone):
        sign, hours, minutes, seconds = found.groups("0")
        length = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds))
        return timezone(-length if sign == "-" else length)
    if zone == "UTC":
        return UTC
    try:
        return ZoneInfo(zone)
    except (ValueError, OSError) as error:  # also ZoneInfoNotFoundError, and a name that leaves the folder of zones
        raise DataError(f"the time zone {zone!r} is not known here; install its rules: pip install tzdata") from error
    except KeyError as error:
        raise DataError(f"the time zone {zone!r} is not known here; install its rules: pip install tzdata") from error


def format_offset(offset: timedelta) -> str:
    """An offset from UTC as ISO 8601 has it.

    >>> written(timedelta(hours=-5, minutes=-30))
    '-05:30'
    """
    return datetime(2000, 1, 1, tzinfo=timezone(offset)).isoformat()[19:]


def shown(times: Times, local: Times | None = None, zone: str = "") -> list[str]:
    """Times as ISO 8601 text: to the second, or as finely as they are; with the offset where they have a zone.

    >>> shown(np.array(["2024-01-01T06:00", "2024-01-01T06:00:00.5"], "M8[us]"))
    ['2024-01-01T06:00:00', '2024-01-01T06:00:00.500000']
    """
    clock = times if local is None else local
    found = [str(t).removesuffix(".000000") for t in clock.astype("M8[us]")]
    if local is None:
        return found
    if zone == "UTC":
        return [f"{t}Z" for t in found]
    return [f"{t}{format_offset(gap)}" for t, gap in zip(found, (local - times).astype("m8[us]").tolist(), strict=True)]
