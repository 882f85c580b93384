"""Detection of the season."""

from __future__ import annotations

import numpy as np
import pytest

from tidegate.tasks._seasons import candidate_seasons, find_season

RANDOM = np.random.default_rng(5)
STEPS = np.arange(480)
SHAPE = RANDOM.standard_normal(24) * 3
RUGGED = (SHAPE[STEPS % 24] + 0.3 * RANDOM.standard_normal(480))[:, None]


def hours(count: int) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    return (np.datetime64("2024-01-01") + np.arange(count) * np.timedelta64(1, "h")).astype("M8[us]")


def test_a_season_is_found() -> None:
    assert find_season([RUGGED], 6, [hours(480)]) == 24
    assert find_season([RUGGED, RUGGED * 1e6], 6, [hours(480), None]) == 24


def test_noise_and_walks_have_none() -> None:
    assert find_season([RANDOM.standard_normal((400, 1)).cumsum(0)], 6, [None]) == 0
    assert find_season([np.ones((400, 1))], 6, [None]) == 0


@pytest.mark.parametrize("length", [1, 2, 5, 20, 60])
def test_a_season_fits_three_times(length: int) -> None:
    assert find_season([RUGGED[:length]], 3, [None]) * 3 <= length


def test_what_is_missing_everywhere_or_here_and_there_breaks_nothing() -> None:
    holed = RUGGED.copy()
    holed[::7] = np.nan
    assert find_season([holed], 12, [None]) in (0, 24)
    assert find_season([holed * np.nan], 12, [None]) == 0


def test_candidates_are_whole_periods_of_the_times() -> None:
    assert candidate_seasons([hours(9)]) == [24, 168, 8766]
    assert candidate_seasons([hours(2)]) == candidate_seasons([None])
    days = np.arange("2024-01-01", "2024-03-01", dtype="M8[D]").astype("M8[us]")
    assert candidate_seasons([days, None]) == [7, 365]
