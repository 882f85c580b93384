"""Figures of alarms: points, events, delays, false alarms, and the score of the Numenta anomaly benchmark."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from tidegate.data.archive import read_members
from tidegate.errors import DataError
from tidegate.tasks._alarm_metrics import (
    Judged,
    find_runs,
    measure_alarms,
    measure_events,
    measure_false_alarms,
    measure_points,
)
from tidegate.tasks._nab_score import count_probation, measure_nab, starts_only, weigh_steps


def flags(text):
    """Return a string of dots and crosses as flags."""
    return np.array([letter == "x" for letter in text])


def judged(alarms, truth, scores=None, times=None):
    alarms = flags(alarms)
    return Judged(np.where(alarms, 1.0, 0.0) if scores is None else np.array(scores), alarms, flags(truth), times)


def test_runs_at_both_ends_and_none():
    assert find_runs(flags("xx.x..x")).tolist() == [[0, 2], [3, 4], [6, 7]]
    assert find_runs(flags("...")).shape == (0, 2)
    assert find_runs(flags("xxx")).tolist() == [[0, 3]]


def test_points_are_counted_over_all_series_together():
    figures = measure_points([judged("x..x", "xx.."), judged("....", "..xx")])
    assert (figures["precision"], figures["recall"]) == (0.5, 0.25)
    assert figures["f1"] == pytest.approx(1 / 3)
    assert (figures["steps"], figures["anomalous_steps"]) == (8, 4)


def test_adjustment_adds_whole_events_that_were_found_and_keeps_false_alarms():
    figures = measure_points([judged(".x.x....", "xxx...xx")])
    assert figures["f1"] == pytest.approx(2 * 1 / (2 + 5))
    assert figures["f1_point_adjusted"] == pytest.approx(2 * 3 / (4 + 5))


def test_adjustment_makes_random_alarms_look_good_and_plain_figures_do_not():
    random = np.random.default_rng(0)
    truth = np.zeros(100_000, bool)
    for first in range(0, 100_000, 10_000):
        truth[first : first + 1500] = True
    scores = random.random(len(truth))
    figures = measure_points([Judged(scores, scores > 0.995, truth)])
    assert figures["f1_point_adjusted"] > 0.9
    assert figures["f1"] < 0.02
    assert abs(figures["auroc"] - 0.5) < 0.01


def test_steps_without_a_score_are_missed_but_no_part_of_the_area():
    nan = math.nan
    figures = measure_points([judged("...x", "xx.x", [nan, nan, 0.1, 0.9])])
    assert (figures["recall"], figures["auroc"], figures["steps_without_score"]) == (pytest.approx(1 / 3), 1.0, 2)
    assert measure_points([judged("....", "xx..", [nan, nan, 0.1, 0.9])])["auroc"] is None


def test_figures_of_nothing_are_none_and_of_no_alarms_zero():
    figures = measure_alarms([judged("....", "....")])
    assert [figures[name] for name in ("precision", "recall", "f1", "f1_point_adjusted", "auroc")] == [None] * 5
    assert [figures["events"][name] for name in ("precision", "recall", "f1", "delay_steps")] == [None] * 4
    silent = measure_alarms([judged("....", ".xx.")])
    assert (silent["precision"], silent["recall"], silent["f1"]) == (None, 0.0, 0.0)
    assert (silent["events"]["precision"], silent["events"]["f1"], silent["events"]["delay_s"]) == (None, 0.0, None)
    assert measure_false_alarms([judged("x", "x")]) == {"false_alarms_per_1000_steps": None}


def test_events_are_runs_that_overlap_and_end_with_their_series():
    first, second = judged("xx..x..xx", ".xxxx...."), judged("x...", "...x")
    figures = measure_events([first, second])
    assert (figures["alarms"], figures["anomalies"]) == (4, 2)
    assert figures["precision"] == 0.5  # of the first series, both that overlap its event
    assert figures["recall"] == 0.5
    apart = measure_events([judged("..xx", "...."), judged("xx..", "xx..")])  # an alarm ends with its series
    assert (apart["alarms"], apart["precision"]) == (2, 0.5)


def test_an_alarm_that_touches_an_event_does_not_find_it():
    assert measure_events([judged("xx..xx", "..xx..")])["recall"] == 0.0


def test_the_delay_is_the_median_of_the_events_found_in_steps_and_seconds():
    times = np.datetime64("2024-01-01T00:00:00") + np.cumsum([0, 1, 1, 60, 1, 1, 1, 1, 1, 1])
    figures = measure_events([judged("...xx....x", ".xxxx.xxxx", times=times)])
    assert (figures["delay_steps"], figures["delay_s"]) == (2.5, (61 + 3) / 2)
    began_before = measure_events([judged("xxx.", ".xx.")])
    assert (began_before["delay_steps"], began_before["delay_s"]) == (0, None)
    mixed = measure_events([judged("x", "x", times=times[:1]), judged("x", "x")])
    assert (mixed["delay_steps"], mixed["delay_s"]) == (0, None)


def test_false_alarms_are_events_over_the_normal_steps_that_have_a_score():
    scores = [math.nan] * 10 + [0.0] * 30
    one = judged("." * 10 + "xx.x" + "." * 16 + "xxxxx....x", "." * 30 + "xxxxx" + "." * 5, scores)
    assert measure_false_alarms([one]) == {"false_alarms_per_1000_steps": pytest.approx(1000 * 3 / 25)}
    hours = np.datetime64("2024-01-01T00", "h") + np.arange(40)
    timed = Judged(one.scores, one.alarms, one.truth, hours)
    assert measure_false_alarms([timed]) == {"false_alarms_per_day": pytest.approx(3 / (25 / 24))}
    hours[20:] += 1000  # a gap in the clock adds no time in which there could have been an alarm
    assert measure_false_alarms([timed]) == {"false_alarms_per_day": pytest.approx(3 / (25 / 24))}
    assert measure_false_alarms([timed, one]) == {"false_alarms_per_1000_steps": pytest.approx(1000 * 6 / 50)}


@pytest.mark.parametrize(
    ("scores", "alarms", "truth", "times", "message"),
    [
        (2, "...", "...", None, "pump: 2 scores, 3 alarms and 3 steps of truth; expected one of each for every step"),
        (0, "", "", None, "pump: 0 scores, 0 alarms"),
        (3, "...", "...", 2, "but 2 times; expected one for every step"),
        (3, "..x", "...", None, "pump: an alarm at step 3, which has no score; expected none there"),
    ],
)
def test_what_cannot_be_judged(scores, alarms, truth, times, message):
    values = np.array([0.0, 0.0, math.nan])[:scores]
    clock = None if times is None else np.arange(times).astype("datetime64[s]")
    with pytest.raises(DataError, match=message):
        Judged(values, flags(alarms), flags(truth), clock, "pump")


# ---- the benchmark's score


def sigmoid(y):
    return 2 / (1 + math.exp(5 * y)) - 1


def judge_step_by_step(alarms, truth):
    """Return the score of one series before it is put on the scale, as the paper describes it: step by step."""
    probation = min(math.floor(0.15 * len(truth)), 750)
    windows = [(first, end - 1) for first, end in find_runs(truth).tolist()]
    total, best = 0.0, {window: -1.0 for window in windows if window[1] >= probation}
    for i in range(probation, len(truth)):
        if not alarms[i]:
            continue
        inside = [window for window in windows if window[0] <= i <= window[1]]
        if inside:
            first, last = inside[0]
            best[inside[0]] = max(best[inside[0]], sigmoid(-(last - i + 1) / (last - first + 1)) / sigmoid(-1))
        else:
            before = [window for window in windows if window[1] < i]
            far = (i - before[-1][1]) / max(before[-1][1] - before[-1][0], 1) if before else math.inf
            total += 0.11 * (sigmoid(far) if far < 3 else -1.0)
    return total + sum(best.values()), len(best)


def test_no_alarms_have_0_and_alarms_at_the_first_steps_100():
    truth = np.zeros(1000, bool)
    truth[300:340] = truth[700:800] = True
    assert measure_nab([Judged(np.zeros(1000), np.zeros(1000, bool), truth)])["nab"] == 0.0
    perfect = starts_only(truth)
    assert measure_nab([Judged(np.zeros(1000), perfect, truth)])["nab"] == pytest.approx(100.0)
    assert measure_nab([Judged(np.zeros(1000), ~truth & ~truth, ~truth & truth)])["nab"] is None


def test_a_score_by_hand():
    """A window of 10 steps, found at its 6th step; a false alarm in front, one just behind, one far behind."""
    alarms, truth = np.zeros(200, bool), np.zeros(200, bool)
    truth[100:110] = True
    alarms[[10, 50, 105, 107, 112, 190]] = True  # the first one is within the probation of 30 steps
    found = sigmoid(-0.5) / sigmoid(-1)  # the 5th of 10 steps from the end
    behind = sigmoid(3 / 9)  # three steps behind a window of nine intervals
    raw = found + 0.11 * (-1 + behind - 1)
    figures = measure_nab([Judged(np.zeros(200), alarms, truth)])
    assert figures == {"nab": pytest.approx(100 * (raw + 1) / 2), "nab_found": 1, "nab_windows": 1, "nab_false": 3}
    assert found == pytest.approx(0.84828 / 0.98661, abs=1e-5)  # figures of the paper


def test_a_later_alarm_in_a_window_is_worth_less_and_never_negative():
    truth = np.zeros(200, bool)
    truth[100:120] = True
    scores = []
    for step in range(100, 120):
        alarms = np.zeros(200, bool)
        alarms[step] = True
        scores.append(measure_nab([Judged(np.zeros(200), alarms, truth)])["nab"])
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(100)
    assert scores[-1] > 50  # it is found, if late


@pytest.mark.parametrize("seed", range(20))
def test_whole_corpora_have_the_score_of_the_description(seed):
    random = np.random.default_rng(seed)
    series, raw, windows = [], 0.0, 0
    for _ in range(5):
        steps = int(random.integers(20, 7000))
        truth = np.zeros(steps, bool)
        for first in random.integers(0, steps, random.integers(0, 4)).tolist():
            truth[first : first + int(random.integers(1, 200))] = True
        alarms = random.random(steps) < 0.01
        series.append(Judged(np.zeros(steps), alarms, truth))
        own, count = judge_step_by_step(alarms, truth)
        raw, windows = raw + own, windows + count
    figures = measure_nab(series)
    assert figures["nab_windows"] == windows
    assert figures["nab"] == (pytest.approx(100 * (raw + windows) / (2 * windows)) if windows else None)


def test_the_probation_is_a_share_of_short_series_and_750_steps_of_long_ones():
    assert [count_probation(steps) for steps in (6, 7, 1000, 5000, 22695)] == [0, 1, 150, 750, 750]


def test_a_window_that_ends_in_the_probation_does_not_count_and_one_that_goes_on_does():
    truth = np.zeros(100, bool)
    truth[5:15] = True
    assert measure_nab([Judged(np.zeros(100), np.zeros(100, bool), truth)])["nab"] is None
    truth[15] = True
    assert measure_nab([Judged(np.zeros(100), np.zeros(100, bool), truth)])["nab_windows"] == 1
    alarms = np.zeros(100, bool)
    alarms[5] = True  # too early to count
    assert measure_nab([Judged(np.zeros(100), alarms, truth)])["nab_found"] == 0


def test_behind_a_window_of_one_step_alarms_have_a_value():
    assert weigh_steps(flags(".x..."))[1:] == pytest.approx([sigmoid(-1), sigmoid(1), sigmoid(2), -1.0])


def test_alarms_that_are_held_count_once():
    assert starts_only(flags("xxx.xx..x"), 1).tolist() == flags("x...x...x").tolist()
    assert starts_only(flags("xxx.xx..x"), 4).tolist() == flags("x.......x").tolist()
    assert starts_only(flags("xxx.xx..x"), 8).tolist() == flags("x........").tolist()


NAB = Path(os.environ.get("TIDEGATE_DATA", "")) / "nab" / "nab_data_labels.tar.xz"


def windowed_gaussian(values):
    """Return the scores of the benchmark's own simplest detector: the share of a normal distribution that is below.

    Its mean and deviation are those of the last 6,400 values or so: the window moves by 100 at a time.
    """
    scores, mean, deviation, first = np.zeros(len(values)), 0.0, 1.0, 0
    for t, value in enumerate(values.tolist()):
        if t:
            scores[t] = 1 - 0.5 * math.erfc((value - mean) / deviation / math.sqrt(2))
        moves = t >= 6400 and (t - 6400) % 100 == 99
        if t < 6400 or moves:
            first += 100 * moves
            window = values[first : t + 1]
            mean, deviation = window.mean(), window.std() or 1e-6
    return scores


@pytest.mark.slow
@pytest.mark.skipif(not NAB.is_file(), reason="TIDEGATE_DATA has no set nab")
def test_the_windowed_gaussian_has_the_score_that_the_benchmark_records():
    """Its file config_thresholds.json has -44.7538610655 for `standard` at the threshold 1.0, of scores that it wrote
    with 12 digits; on the scale from no alarms, -116, to the best ones, 116, that is 30.71."""
    packed = NAB.read_bytes()
    windows = next(
        json.loads(data)
        for name, data in read_members(packed, ".json").items()
        if name.endswith("combined_windows.json")
    )
    series = []
    for path, data in read_members(packed, ".csv").items():
        rows = [line.split(",") for line in data.decode().splitlines()[1:]]
        times = [row[0] for row in rows]
        truth = np.zeros(len(rows), bool)
        for first, last in windows[path.partition("data/")[2]]:
            truth[times.index(first[:19]) : times.index(last[:19]) + 1] = True
        scores = windowed_gaussian(np.array([float(row[1]) for row in rows]))
        series.append(Judged(scores, scores >= 1 - 5e-13, truth))
    figures = measure_nab(series)
    assert (len(series), figures["nab_windows"]) == (58, 116)
    assert figures["nab"] / 100 * 232 - 116 == pytest.approx(-44.7538610655, abs=1e-6)
