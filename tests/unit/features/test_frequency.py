"""The frequency that explains the times of a series, and the times that follow by it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError
from tidegate.features.frequency import (
    Frequency,
    extend_times,
    format_times,
    infer_frequency,
    load_zone,
    next_times,
    to_utc,
)

DAYS = np.arange("2024-01-01", "2024-03-02", dtype="M8[D]")  # a Monday to a Friday
BUSINESS = DAYS[np.is_busday(DAYS)]


def ahead(times: Any, count: int = 2, local: Any = None, zone: str = "") -> list[str] | None:
    times = np.asarray(times, "M8[us]")
    local = None if local is None else np.asarray(local, "M8[us]")
    found = extend_times(times, count, infer_frequency(times, local), local, zone)
    return None if found is None else [t.removesuffix("T00:00:00") for t in format_times(*found, zone)]


@pytest.mark.parametrize(
    ("times", "words", "expected"),
    [
        (BUSINESS, "each business day (Monday to Friday)", ["2024-03-04", "2024-03-05"]),
        (DAYS[np.is_busday(DAYS, "1010100")], "each Monday, Wednesday and Friday", ["2024-03-04", "2024-03-06"]),
        (DAYS[::7], "every 7 days", ["2024-03-04", "2024-03-11"]),
        (
            ["2023-10-31", "2023-11-30", "2023-12-29"],
            "every month, on its last business day",
            ["2024-01-31", "2024-02-29"],
        ),
        (
            ["2024-05-01", "2024-06-03", "2024-07-01"],
            "every month, on its first business day",
            ["2024-08-01", "2024-09-02"],
        ),
        (["2023-11-30", "2023-12-31", "2024-01-31"], "every month, on its last day", ["2024-02-29", "2024-03-31"]),
        (["2023-12-01", "2024-01-01"], "every month, on its first day", ["2024-02-01", "2024-03-01"]),
        (["2023-12-30", "2024-01-30", "2024-02-29"], "every month, on day 30", ["2024-03-30", "2024-04-30"]),
        (["2023-07-15", "2023-10-15", "2024-01-15"], "every 3 months, on day 15", ["2024-04-15", "2024-07-15"]),
        (["2022-06-30", "2023-06-30"], "every 12 months, on its last day", ["2024-06-30", "2025-06-30"]),
        (["2023-12-31T23:30", "2024-01-01T00:00"], "every 30 minutes", ["2024-01-01T00:30:00", "2024-01-01T01:00:00"]),
        (
            ["2024-01-01T00:00", "2024-01-01T00:00:00.25"],
            "every 250 milliseconds",
            ["2024-01-01T00:00:00.500000", "2024-01-01T00:00:00.750000"],
        ),
        (["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"], "None", None),
        (np.delete(BUSINESS, 20), "None", None),  # a holiday
        (["2024-01-04", "2024-01-06", "2024-01-07"], "None", None),  # no whole week shows which days have steps
        (["2024-01-01"], "None", None),
    ],
)
def test_times_go_on_by_a_calendar_that_explains_every_gap(times: Any, words: str, expected: list[str] | None) -> None:
    assert str(infer_frequency(np.asarray(times, "M8[us]"))) == words
    assert ahead(times) == expected


def test_local_midnights_go_on_across_a_clock_change() -> None:
    local = np.arange("2024-03-25", "2024-03-30", dtype="M8[D]").astype("M8[us]")
    times = to_utc(local, "Europe/Paris")
    assert ahead(times, 3, local, "Europe/Paris") == [
        "2024-03-30T00:00:00+01:00",
        "2024-03-31T00:00:00+01:00",
        "2024-04-01T00:00:00+02:00",
    ]
    offset = np.timedelta64(1, "h")
    assert ahead(times, 3, times + offset, "+01:00")[-1] == "2024-04-01T00:00:00+01:00"
    across = np.arange("2024-03-28", "2024-04-02", dtype="M8[D]").astype("M8[us]")
    assert ahead(to_utc(across, "Europe/Paris"), 1, across, "+02:00") == ["2024-04-02T00:00:00+02:00"]


def test_hours_go_on_as_moments() -> None:
    times = np.arange("2024-03-30T22", "2024-03-31T01", dtype="M8[h]").astype("M8[us]")
    local = times + np.timedelta64(1, "h")
    assert ahead(times, 2, local, "Europe/Paris") == ["2024-03-31T03:00:00+02:00", "2024-03-31T04:00:00+02:00"]
    assert ahead(times, 1, times, "UTC") == ["2024-03-31T01:00:00Z"]
    assert ahead(times, 1, times, "+00:00") == ["2024-03-31T01:00:00+00:00"]


def test_a_step_later_is_the_next_that_follows() -> None:
    friday = np.array(["2024-03-29T23:00"], "M8[us]")  # midnight in Paris of the Saturday
    business = Frequency("weekdays", weekdays="1111100")
    assert next_times(friday, business, "").tolist() == [datetime(2024, 4, 1, 23)]
    assert next_times(friday - np.timedelta64(1, "D"), business, "Europe/Paris").tolist() == [datetime(2024, 3, 31, 22)]
    assert business.shift(np.array(["2024-03-02"], "M8[us]"), 1).tolist() == [datetime(2024, 3, 4)]


def test_the_end_of_all_dates_is_no_date() -> None:
    assert ahead(["9998-12-30", "9998-12-31"], 3000) is None
    for zone in ("", "+01:00"):
        with pytest.raises(DataError, match="beyond the year 9999"):
            next_times(np.array(["2024-01-01"], "M8[us]"), Frequency("months", 120_000, day=1), zone)


def test_a_zone_that_is_not_installed_is_an_error() -> None:
    for name in ("Atlantis/Poseidonis", "../passwd", "/etc/passwd"):
        with pytest.raises(DataError, match="is not known here; install its rules: pip install tzdata"):
            load_zone(name)
