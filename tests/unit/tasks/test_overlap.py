"""Forecasts that judge are of steps that nothing learns from, whatever a series is called and wherever it stands."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tidegate.data.series import Collection, of_arrays
from tidegate.errors import DataError
from tidegate.tasks._overlap import Known
from tidegate.tasks._problem import Problem
from tidegate.tasks.forecast import Options, problem, rows

WAVE = np.sin(np.arange(120) / 3) + np.random.default_rng(3).standard_normal(120) / 9
DAY = np.timedelta64(1, "D")


def learnt(source: Collection, judged: Collection | None = None, **options: Any) -> Problem:
    given = Options(**{"horizon": 2, "hidden": 2, "lookback": 4, "season": 0, **options})
    return problem(given, rows(source, given), None if judged is None else rows(judged, given))


def timed(values: Any, first: int) -> Collection:
    """A series with a value a day from day `first` on."""
    found = of_arrays([values])
    times = np.datetime64("2024-01-01", "us") + (first + np.arange(len(values))) * DAY
    return replace(found, series=[replace(found.series[0], times=times)])


def test_the_beginning_of_a_longer_series_judges_nothing_that_this_learns() -> None:
    """Of 100 steps the last 25 are held out; the longer copy learns 90 steps: of those 25 it knows 15."""
    alone = learnt(of_arrays([WAVE[:100], WAVE[::-1]], ids=["x", "y"]), hold_out=0.25)
    twice = learnt(of_arrays([WAVE[:100], WAVE], ids=["x", "y"]), hold_out=0.25)
    assert alone.provenance["rows"]["held_out"] - twice.provenance["rows"]["held_out"] == 15
    assert twice.provenance["rows"]["trained"] == alone.provenance["rows"]["trained"]
    assert twice.notes == [["15 of 53 forecasts to judge by are of steps that are learnt from too; they judge nothing"]]
    assert learnt(of_arrays([WAVE, WAVE], ids=["x", "y"])).notes == [[]]  # their ends are held out alike


def test_a_file_to_judge_by_that_goes_on_after_the_learnt_steps_judges_by_those() -> None:
    made = learnt(of_arrays([WAVE[:80]]), of_arrays([WAVE]))
    assert made.provenance["rows"]["held_out"] == 40 - 1  # origins 79 to 117
    assert made.notes[1][0].startswith("76 of 115 forecasts")


def test_learnt_steps_are_found_wherever_they_stand() -> None:
    for made in (
        learnt(of_arrays([WAVE[:80]]), of_arrays([WAVE[60:]])),
        learnt(of_arrays([WAVE[40:80], WAVE[::-1]], ids=["x", "y"]), of_arrays([WAVE[60:]], ids=["z"])),
        learnt(timed(WAVE[:80], 0), timed(WAVE[60:], 60)),
    ):
        assert made.provenance["rows"]["held_out"] == 40 - 1
    assert learnt(of_arrays([WAVE[:80]]), of_arrays([WAVE[60:] + 1])).notes == [[], []]  # other numbers, other steps
    with pytest.raises(DataError, match="every forecast to judge by"):
        learnt(of_arrays([WAVE]), of_arrays([WAVE[90:]]))  # the end of what is learnt from
    twice = learnt(of_arrays([WAVE[:90], WAVE[50:]], ids=["x", "y"]), hold_out=0.2)
    assert twice.notes == [["17 of 30 forecasts to judge by are of steps that are learnt from too; they judge nothing"]]


def test_a_season_that_repeats_at_other_times_is_not_the_same_steps() -> None:
    repeating = np.arange(80) % 7.0
    assert learnt(timed(repeating, 0), timed(repeating, 84)).notes == [[], []]
    with pytest.raises(DataError, match="every forecast to judge by"):
        learnt(timed(repeating, 0), timed(repeating, 0))


def test_a_million_steps_are_compared_in_a_moment() -> None:
    x = np.random.default_rng(0).normal(size=(1_000_000, 1))
    begun = time.process_time()
    known = Known.of([x[:500_000], x[500_000:]], 60)
    assert known.find(x[700_000:700_100], 70) == [(1, 200_000)]
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("judged", [WAVE, WAVE[:50]])
def test_a_file_to_judge_by_of_learnt_steps_alone_is_refused(judged: Any) -> None:
    with pytest.raises(DataError, match="arrays: every forecast to judge by is of steps that are learnt from too"):
        learnt(of_arrays([WAVE]), of_arrays([judged]))
