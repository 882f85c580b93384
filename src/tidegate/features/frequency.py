"""The frequency of a series: a rule, such as "every business day", that explains every gap between its steps.

Times are in UTC if the source has a time zone; its wall clock is the local time there. A time zone is "" (none), an
offset such as "+01:00", or a name such as "Europe/Paris".
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
        unit: "microseconds" of elapsed time; or, of the wall clock, at the same time of day: "days"; "weekdays", some
            days of the week; "months", a day of the month; "business months", the first or last day of a month that is
            Monday to Friday.
        every: how many microseconds, days or months lie between two steps; 1 for weekdays.
        weekdays: for Monday to Sunday 1 if there is a step, else 0; "" for other units.
        day: of the month, 1 to 31, or the last day of a shorter month; 1 or 31 for business months; 0 for other units.

    >>> business = Frequency("weekdays", weekdays="1111100")
    >>> business.shift(np.array(["2024-03-01T09:00"], "M8[us]"), 1).tolist(), str(business)
    ([datetime.datetime(2024, 3, 4, 9, 0)], 'each business day (Monday to Friday)')
    """

    unit: str
    every: int = 1
    weekdays: str = ""
    day: int = 0

    def shift(self, times: Any, steps: Any) -> Times:
        """Return the times so many steps after these, broadcast: of wall clocks, unless the unit is "microseconds".

        A time that is not a step itself counts as the step before it.
        """
        if self.unit in ("microseconds", "days"):
            length = self.every * (DAY if self.unit == "days" else 1)
            return np.asarray(times + np.asarray(steps * np.int64(length), "m8[us]"))
        date = times.astype("M8[D]")
        if self.unit == "weekdays":
            shifted = np.busday_offset(date, steps, roll="backward", weekmask=self.weekdays)
        else:
            shifted = self._find_days(date.astype("M8[M]") + np.asarray(self.every * steps, "m8[M]"))
        return np.asarray(shifted.astype("M8[us]") + (times - date.astype("M8[us]")))

    def _find_days(self, month: Any) -> Any:
        """Return the day of the step in each month."""
        first, end = month.astype("M8[D]"), (month + 1).astype("M8[D]")
        if self.unit == "months":
            return np.minimum(first + (self.day - 1), end - 1)
        return np.busday_offset(end, -1, "forward") if self.day == LAST else np.busday_offset(first, 0, "forward")

    def explains(self, times: Times, local: Times | None = None) -> bool:
        """Return whether each time is one step after the one before. local: wall clocks of times with a time zone."""
        clock = times if local is None or self.unit == "microseconds" else local
        return np.array_equal(self.shift(clock[:1], np.arange(len(clock))), clock)

    @property
    def seconds(self) -> float:
        """The mean time between steps."""
        if self.unit == "weekdays":
            return 7 * 86_400 / self.weekdays.count("1")
        months = self.unit in ("months", "business months")
        return self.every * (365.25 / 12 * 86_400 if months else 86_400 if self.unit == "days" else 1e-6)

    def __str__(self) -> str:
        """Describe the rule in words that can follow "one step"."""
        if self.unit == "weekdays":
            if self.weekdays == BUSINESS:
                return "each business day (Monday to Friday)"
            *days, last = (name for name, is_step in zip(NAMES, self.weekdays, strict=True) if is_step == "1")
            return f"each {', '.join(days)} and {last}" if days else f"each {last}"
        if self.unit in ("microseconds", "days"):
            length = self.every * (DAY if self.unit == "days" else 1)
            name, size = next(pair for pair in LENGTHS if length % pair[1] == 0)
            return format_every(length // size, name)
        day = f"day {self.day}" if 1 < self.day < LAST else f"its {'last' if self.day == LAST else 'first'}"
        kind = " business day" if self.unit == "business months" else " day" if self.day in (1, LAST) else ""
        return f"{format_every(self.every, 'month')}, on {day}{kind}"

    def to_json(self) -> dict[str, Any]:
        """Return the fields, as a model file stores them."""
        return dict(vars(self))


def format_every(count: int, name: str) -> str:
    """Say how often a step comes.

    >>> format_every(1, "hour"), format_every(30, "minute")
    ('every hour', 'every 30 minutes')
    """
    return f"every {name}" if count == 1 else f"every {count:,} {name}s"


def infer_frequency(times: Times, local: Times | None = None) -> Frequency | None:
    """Find the simplest frequency that explains every gap; None if none does, or for fewer than two times.

    Args:
        times: datetime64[us] [T], ascending, in UTC if they have a time zone.
        local: their wall clocks [T], if they have a time zone.

    >>> str(infer_frequency(np.array(["2024-02-29", "2024-03-01", "2024-03-04", "2024-03-05"], "M8[us]")))
    'each business day (Monday to Friday)'
    >>> print(infer_frequency(np.array(["2024-01-01", "2024-01-02", "2024-01-05"], "M8[us]")))
    None
    """
    if len(times) < 2:
        return None
    candidates = list_candidates(times, times if local is None else local)
    return next((frequency for frequency in candidates if frequency.explains(times, local)), None)


def list_candidates(times: Times, wall: Times) -> Iterator[Frequency]:
    """List frequencies that may explain times, the simplest first."""
    date = wall.astype("M8[D]")
    month = date.astype("M8[M]")
    daily = bool((wall - date == wall[0] - date[0]).all())
    months = int((month[1] - month[0]).astype(np.int64))
    if daily and months > 0:
        days = (date - month.astype("M8[D]")).astype(np.int64) + 1
        is_last = (date + 1).astype("M8[M]") != month
        yield Frequency("months", months, day=LAST if is_last.all() else int(days.max()))
    wall_gap, gap = (int((clock[1] - clock[0]).astype(np.int64)) for clock in (wall, times))
    if daily and wall_gap > 0:
        yield Frequency("days", wall_gap // DAY)
    yield Frequency("microseconds", gap)
    if daily and months > 0 and len(times) > 2:  # for two times, a number of days is as likely
        yield Frequency("business months", months, day=LAST)
        yield Frequency("business months", months, day=1)
    if daily:
        yield Frequency("weekdays", weekdays=BUSINESS)
        if date[-1] - date[0] >= np.timedelta64(7, "D"):  # a whole week shows which days have steps
            weekdays = set(((date.astype(np.int64) + 3) % 7).tolist())  # 1970-01-01 was a Thursday
            yield Frequency("weekdays", weekdays="".join("01"[k in weekdays] for k in range(7)))


def extend_times(
    times: Times, count: int, frequency: Frequency | None, local: Times | None = None, zone: str = ""
) -> tuple[Times, Times | None] | None:
    """Return the `count` times after the last one and their wall clocks; None without a frequency.

    Args:
        times: datetime64[us] [T], in UTC if they have a time zone.
        local, zone: the wall clocks [T] and the time zone, if they have one.

    Raises:
        DataError: a time zone whose rules are not installed.

    >>> noon = np.array(["2024-03-30T12:00"], "M8[us]")
    >>> extend_times(noon - np.timedelta64(1, "h"), 1, Frequency("days"), noon, "Europe/Paris")[0].tolist()
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
        later = frequency.shift(times[-1], ahead)
    else:
        later = to_utc(frequency.shift(local[-1], ahead), zone)
    return later, to_wall_clock(later, zone)


def next_times(times: Times, frequency: Frequency, zone: str) -> Times:
    """Return the time one step after each, in UTC if there is a time zone. Raises DataError beyond the year 9999."""
    if frequency.unit == "microseconds" or not zone:
        later = frequency.shift(times, 1)
    else:
        later = to_utc(frequency.shift(to_wall_clock(times, zone), 1), zone)
    if (later.astype(np.int64) > END).any():
        raise DataError(BEYOND)
    return later


# ---- time zones


def to_wall_clock(times: Times, zone: str) -> Times:
    """Convert UTC to the wall clock of a time zone. Raises DataError for an unknown zone."""
    rules = load_zone(zone)
    return map_times(times, lambda time: time.replace(tzinfo=UTC).astimezone(rules).replace(tzinfo=None))


def to_utc(local: Times, zone: str) -> Times:
    """Convert wall clocks of a time zone to UTC. Raises DataError for an unknown zone.

    A time that the clock skips in spring is moved forward by the length of the skip; of a time that comes twice in
    autumn, the first one counts.
    """
    rules = load_zone(zone)
    return map_times(local, lambda time: time.replace(tzinfo=rules).astimezone(UTC).replace(tzinfo=None))


def map_times(times: Times, change: Callable[[datetime], datetime]) -> Times:
    """Apply a function of datetimes to each time. Raises DataError where it leaves the years of Python's dates."""
    try:
        return np.array([change(time) for time in times.tolist()], "M8[us]").reshape(times.shape)
    except (AttributeError, OverflowError, ValueError) as error:  # NumPy gives integers where Python has no date
        raise DataError(BEYOND) from error


def load_zone(zone: str) -> tzinfo:
    """Load the rules of a time zone, an offset or a name. Raises DataError if they are not installed.

    >>> load_zone("-05:30")
    datetime.timezone(datetime.timedelta(days=-1, seconds=66600))
    """
    if match := OFFSET.fullmatch(zone):
        sign, hours, minutes, seconds = match.groups("0")
        length = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds))
        return timezone(-length if sign == "-" else length)
    if zone == "UTC":
        return UTC
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:  # KeyError: not found; ValueError: a name outside of the folder
        raise DataError(f"the time zone {zone!r} is not known here; install its rules: pip install tzdata") from error


def format_offset(offset: timedelta) -> str:
    """Format an offset from UTC as in ISO 8601.

    >>> format_offset(timedelta(hours=-5, minutes=-30))
    '-05:30'
    """
    return datetime(2000, 1, 1, tzinfo=timezone(offset)).isoformat()[19:]


def format_times(times: Times, local: Times | None = None, zone: str = "") -> list[str]:
    """Format times as ISO 8601 text: to the second, or finer if needed; with the offset if they have a time zone.

    >>> format_times(np.array(["2024-01-01T06:00", "2024-01-01T06:00:00.5"], "M8[us]"))
    ['2024-01-01T06:00:00', '2024-01-01T06:00:00.500000']
    """
    clock = times if local is None else local
    texts = [str(time).removesuffix(".000000") for time in clock.astype("M8[us]")]
    if local is None:
        return texts
    if zone == "UTC":
        return [f"{text}Z" for text in texts]
    offsets = (local - times).astype("m8[us]").tolist()
    return [f"{text}{format_offset(offset)}" for text, offset in zip(texts, offsets, strict=True)]
