from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from tidegate.errors import DataError
from tidegate.features.calendar import PERIODS, elapsed_share, encode_times, parse_times

NOON = np.datetime64("2024-02-29T12:00", "us")


@pytest.mark.parametrize(
    "time",
    [
        "2024-02-29T12:00",
        "2024-02-29T12:00Z",
        "2024-02-29T14:00+02:00",
        datetime(2024, 2, 29, 12),
        datetime(2024, 2, 29, 12, tzinfo=UTC),
        datetime(2024, 2, 29, 7, tzinfo=timezone(timedelta(hours=-5))),
        NOON,
        NOON.astype("M8[h]"),
        np.array(NOON),
    ],
)
def test_a_time_in_every_form(time: Any) -> None:
    assert parse_times(time).tolist() == [NOON.item()]
    assert parse_times([parse_times(time)[0], NOON]).dtype == np.dtype("M8[us]")
    assert len(parse_times((NOON, NOON))) == 2


def test_times_in_an_index_keep_their_zone() -> None:
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2024-02-29T13:00", periods=2, tz="Europe/Paris")
    assert parse_times(index, "Europe/Paris").tolist() == [datetime(2024, 2, 29, 12), datetime(2024, 3, 1, 12)]
    with pytest.raises(DataError, match="has a time zone, and the times that the model was fitted on had none"):
        parse_times(index, "")


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("noon", "'noon' is not a time; expected ISO 8601"),
        (1_700_000_000, "a time is a datetime, ISO 8601 text or datetime64; int was given"),
        (None, "NoneType was given"),
        (np.datetime64("NaT"), "a time is missing"),
        ([NOON, np.datetime64("NaT")], "a time is missing"),
        ("0001-01-01T00:00+01:00", "outside of the years 1 to 9999"),
        ("2024-01-31T23:30:00.1234567", "'2024-01-31T23:30:00.1234567' is finer than a microsecond; round the times"),
        (np.datetime64("2024-01-31T23:30:00.123456789"), "2024-01-31T23:30:00.123456789 is finer than a microsecond"),
        (np.array(["2024-01-31T23:30", "2024-01-31T23:30:00.000000001"], "M8[ns]"), "00.000000001 is finer than"),
    ],
)
def test_what_is_no_time_is_refused(time: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_times(time)


def test_a_year_begins_and_ends() -> None:
    times = np.array(["2024-01-01", "2024-07-02", "2024-12-31T23:59"], "M8[us]")
    np.testing.assert_allclose(elapsed_share(times, "year"), [0, 0.5, 1], atol=1e-5)
    assert elapsed_share(times[:1], "month").tolist() == [0]


def test_positions_are_on_the_circle_and_alone_as_together() -> None:
    times = NOON + np.timedelta64(61, "m") * np.arange(500)
    found = encode_times(times, PERIODS)
    np.testing.assert_allclose(found[:, ::2] ** 2 + found[:, 1::2] ** 2, 1, rtol=1e-6)
    assert b"".join(encode_times(times[i : i + 1], PERIODS).tobytes() for i in range(500)) == found.tobytes()
