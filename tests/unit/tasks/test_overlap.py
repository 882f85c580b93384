"""Held-out forecasts are of steps that are not trained on, whatever the series are called and wherever they are."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate.data.series import Collection, from_arrays
from tidegate.errors import DataError
from tidegate.tasks._overlap import StepIndex
from tidegate.tasks.base import Problem
from tidegate.tasks.forecast import Options, prepare, read

WAVE = np.sin(np.arange(120) / 3) + np.random.default_rng(3).standard_normal(120) / 9
DAY = np.timedelta64(1, "D")


def make_problem(source: Collection, judged: Collection | None = None, **options: Any) -> Problem:
    given = Options(**{"horizon": 2, "hidden": 2, "lookback": 4, "season": 0, **options})
    return prepare(read(source, given), None if judged is None else read(judged, given), given)


def daily(values: Any, first: int) -> Collection:
    """Make a series with one value per day from day `first` on."""
    found = from_arrays([values])
    times = np.datetime64("2024-01-01", "us") + (first + np.arange(len(values))) * DAY
    return replace(found, series=[replace(found.series[0], times=times)])


def test_the_beginning_of_a_longer_series_judges_nothing_that_this_learns() -> None:
    """Of 100 steps the last 25 are held out; training on 90 steps of the longer copy covers 15 of them."""
    alone = make_problem(from_arrays([WAVE[:100], WAVE[::-1]], ids=["x", "y"]), hold_out=0.25)
    twice = make_problem(from_arrays([WAVE[:100], WAVE], ids=["x", "y"]), hold_out=0.25)
    assert alone.provenance["rows"]["held_out"] - twice.provenance["rows"]["held_out"] == 15
    assert twice.provenance["rows"]["trained"] == alone.provenance["rows"]["trained"]
    assert twice.notes == [["15 of 53 held-out forecasts are of steps that are also trained on, and are left out"]]
    assert make_problem(from_arrays([WAVE, WAVE], ids=["x", "y"])).notes == [[]]  # their ends are held out alike


def test_a_file_to_judge_by_that_goes_on_after_the_learnt_steps_judges_by_those() -> None:
    made = make_problem(from_arrays([WAVE[:80]]), from_arrays([WAVE]))
    assert made.provenance["rows"]["held_out"] == 40 - 1  # origins 79 to 117
    assert made.notes[1][0].startswith("76 of 115 held-out forecasts")


def test_learnt_steps_are_found_wherever_they_stand() -> None:
    for made in (
        make_problem(from_arrays([WAVE[:80]]), from_arrays([WAVE[60:]])),
        make_problem(from_arrays([WAVE[40:80], WAVE[::-1]], ids=["x", "y"]), from_arrays([WAVE[60:]], ids=["z"])),
        make_problem(daily(WAVE[:80], 0), daily(WAVE[60:], 60)),
    ):
        assert made.provenance["rows"]["held_out"] == 40 - 1
    assert make_problem(from_arrays([WAVE[:80]]), from_arrays([WAVE[60:] + 1])).notes == [
        [],
        [],
    ]  # other numbers, other steps
    with pytest.raises(DataError, match="every held-out forecast"):
        make_problem(from_arrays([WAVE]), from_arrays([WAVE[90:]]))  # the end of the training series
    twice = make_problem(from_arrays([WAVE[:90], WAVE[50:]], ids=["x", "y"]), hold_out=0.2)
    assert twice.notes == [["17 of 30 held-out forecasts are of steps that are also trained on, and are left out"]]


def test_a_season_that_repeats_at_other_times_is_not_the_same_steps() -> None:
    repeating = np.arange(80) % 7.0
    assert make_problem(daily(repeating, 0), daily(repeating, 84)).notes == [[], []]
    with pytest.raises(DataError, match="every held-out forecast"):
        make_problem(daily(repeating, 0), daily(repeating, 0))


def test_a_million_steps_are_compared_in_a_moment() -> None:
    x = np.random.default_rng(0).normal(size=(1_000_000, 1))
    begun = time.process_time()
    known = StepIndex.build([x[:500_000], x[500_000:]], 60)
    assert known.find(x[700_000:700_100], 70) == [(1, 200_000)]
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("judged", [WAVE, WAVE[:50]])
def test_a_file_to_judge_by_of_learnt_steps_alone_is_refused(judged: Any) -> None:
    with pytest.raises(DataError, match="arrays: every held-out forecast is of steps that are also trained on"):
        make_problem(from_arrays([WAVE]), from_arrays([judged]))
