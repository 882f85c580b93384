"""What alarms are worth: figures of points, of events and of false alarms, over series whose anomalies are known.

A step is an anomaly or not, an alarm or not, and has a score. An *event* is a run of steps in a row, of alarms or of
anomalies; the figures of events count runs, whatever their length. All series are counted together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ._metrics import micro_f1
from ._out_of_scope import measure_auroc

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Runs = npt.NDArray[np.int64]

DAY: Final = np.timedelta64(1, "D")
SECOND: Final = np.timedelta64(1, "s")


@dataclass(frozen=True, eq=False)
class Judged:
    """One series as it was judged, and the truth.

    Args:
        scores: float64 [T], more is more of an anomaly; NaN while there is none yet (warm-up).
        alarms: bool [T]; none where the score is NaN.
        truth: bool [T], whether the step is an anomaly.
        times: datetime64 [T], strictly increasing; None if the series has none.
        place: the file or series, for messages.

    Raises:
        DataError: no steps, lengths that differ, or an alarm without a score.

    >>> Judged(np.zeros(3), np.zeros(3, bool), np.zeros(2, bool), place="pump")
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: pump: 3 scores, 3 alarms and 2 steps of truth; expected one of each for every step
    """

    scores: Floats
    alarms: Flags
    truth: Flags
    times: npt.NDArray[np.datetime64] | None = None
    place: str = "series"

    def __post_init__(self) -> None:
        found = f"{len(self.scores)} scores, {len(self.alarms)} alarms and {len(self.truth)} steps of truth"
        if not len(self.scores) == len(self.alarms) == len(self.truth) > 0:
            raise DataError(f"{self.place}: {found}; expected one of each for every step")
        if self.times is not None and len(self.times) != len(self.scores):
            raise DataError(f"{self.place}: {found}, but {len(self.times)} times; expected one for every step")
        if (early := np.flatnonzero(self.alarms & np.isnan(self.scores))).size:
            raise DataError(f"{self.place}: an alarm at step {early[0] + 1}, which has no score; expected none there")


def measure_alarms(series: Sequence[Judged]) -> dict[str, Any]:
    """Compute every figure of this module, as `score` prints them.

    >>> flags = np.array([False, True, True, False])
    >>> figures = measure_alarms([Judged(np.array([np.nan, 2.0, 3.0, 1.0]), flags, flags)])
    >>> figures["f1"], figures["events"]["recall"], figures["false_alarms_per_1000_steps"]
    (1.0, 1.0, 0.0)
    """
    return {**measure_points(series), "events": measure_events(series), **measure_false_alarms(series)}


def measure_points(series: Sequence[Judged]) -> dict[str, Any]:
    """Compute precision, recall and F1 of single steps, F1 after point adjustment, and the area under the ROC curve.

    Steps without a score count as steps without an alarm, but are no part of the area. The area is None where all steps
    with a score are alike, the precision without alarms, and the rest without anomalies. `f1_point_adjusted` is printed
    only because papers give it: see `adjust_points`.

    >>> judged = Judged(np.array([0.1, 0.4, 0.2, 0.3]), np.array([0, 1, 0, 0], bool), np.array([0, 1, 1, 0], bool))
    >>> figures = measure_points([judged])
    >>> figures["precision"], figures["recall"], figures["f1_point_adjusted"], figures["auroc"]
    (1.0, 0.5, 1.0, 0.75)
    """
    scores, alarms, truth = (np.concatenate([getattr(one, name) for one in series]) for name in FIELDS)
    known = ~np.isnan(scores)
    both = truth[known].any() and not truth[known].all()
    adjusted = np.concatenate([adjust_points(one.alarms, one.truth) for one in series])
    return {
        "steps": len(truth),
        "steps_without_score": int((~known).sum()),
        "anomalous_steps": int(truth.sum()),
        "precision": float(truth[alarms].mean()) if alarms.any() else None,
        "recall": float(alarms[truth].mean()) if truth.any() else None,
        "f1": micro_f1(alarms, truth) if truth.any() else None,
        "f1_point_adjusted": micro_f1(adjusted, truth) if truth.any() else None,
        "auroc": measure_auroc(scores[known], truth[known]) if both else None,
    }


FIELDS: Final = ("scores", "alarms", "truth")


def adjust_points(alarms: Flags, truth: Flags) -> Flags:
    """Return the alarms, bool [T], with every step of an event added of which one step is an alarm.

    This flatters: where events are long, a single alarm in each is enough, whatever raised it. Alarms at random on
    0.5 % of the steps of the set `smap` have an adjusted F1 of .96 and an F1 of .01: it says nothing about a detector.

    Source: Xu et al. 2018 (arXiv:1802.03903), section 4.2; Kim et al. 2022 (arXiv:2109.05257), on what it is worth.

    >>> adjust_points(np.array([1, 0, 1, 0], bool), np.array([0, 1, 1, 0], bool)).tolist()
    [True, True, True, False]
    """
    adjusted = alarms.copy()
    for first, end in find_runs(truth).tolist():
        if alarms[first:end].any():
            adjusted[first:end] = True
    return adjusted


def find_runs(flags: Flags) -> Runs:
    """Return the first step of each run of True, and the step after its last, int64 [runs, 2].

    >>> find_runs(np.array([True, False, True, True])).tolist()
    [[0, 1], [2, 4]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2).astype(np.int64)


def measure_events(series: Sequence[Judged]) -> dict[str, Any]:
    """Compute how many events of anomalies have an alarm, how many events of alarms are right, and the delay.

    An event of alarms is right if one of its steps is an anomaly, and an event of anomalies is found if one of its
    steps is an alarm; so alarms without an end find everything, which F1 of points shows. The delay of an event that is
    found is the number of steps from its first one to its first alarm: 0 where the alarm began before. `delay_steps`
    is the median, and `delay_s` is it in seconds, None where a series has no times. A figure of nothing is None.

    >>> alarms, truth = np.array([1, 0, 0, 1, 1, 0], bool), np.array([0, 0, 1, 1, 1, 0], bool)
    >>> figures = measure_events([Judged(np.zeros(6), alarms, truth)])
    >>> figures["precision"], figures["recall"], figures["delay_steps"], figures["delay_s"]
    (0.5, 1.0, 1, None)
    """
    raised = right = total = 0
    delays: list[int] = []
    seconds: list[float] = []
    for one in series:
        runs = find_runs(one.alarms)
        raised += len(runs)
        right += count_overlaps(runs, one.truth)
        for first, end in find_runs(one.truth).tolist():
            total += 1
            if (hits := np.flatnonzero(one.alarms[first:end])).size:
                delays.append(int(hits[0]))
                if one.times is not None:
                    seconds.append(float((one.times[first + hits[0]] - one.times[first]) / SECOND))
    precision, recall = right / raised if raised else None, len(delays) / total if total else None
    timed = all(one.times is not None for one in series)
    return {
        "precision": precision,
        "recall": recall,
        "f1": harmonic_mean(precision or 0.0, recall) if recall is not None else None,
        "anomalies": total,
        "alarms": raised,
        "delay_steps": median(delays) if delays else None,
        "delay_s": median(seconds) if seconds and timed else None,
    }


def harmonic_mean(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a and b else 0.0


def count_overlaps(runs: Runs, flags: Flags) -> int:
    """Count the runs, [n, 2] as `find_runs` gives them, in which a step is True.

    >>> count_overlaps(np.array([[0, 1], [2, 4]]), np.array([False, True, False, True]))
    1
    """
    before = np.concatenate([[0], np.cumsum(flags)])
    return int((before[runs[:, 1]] > before[runs[:, 0]]).sum())


def measure_false_alarms(series: Sequence[Judged]) -> dict[str, float | None]:
    """Compute how often there is an alarm for nothing: events of alarms in which no step is an anomaly.

    They are divided by the steps at which they could occur, which have a score and are no anomaly. With times in every
    series the figure is `false_alarms_per_day`, and each such step lasts for the median time between two steps of its
    series: a gap in the clock is not time without alarms. Without times it is `false_alarms_per_1000_steps`. It is
    None where there is no such step.

    >>> times = np.datetime64("2024-01-01T00") + np.arange(24)  # hours, of which 20 are normal
    >>> alarms, truth = np.zeros(24, bool), np.zeros(24, bool)
    >>> alarms[[3, 4, 20]] = truth[20:] = True
    >>> round(measure_false_alarms([Judged(np.zeros(24), alarms, truth, times)])["false_alarms_per_day"], 9)
    1.2
    """
    false, steps, days = 0, 0, 0.0
    for one in series:
        runs = find_runs(one.alarms)
        false += len(runs) - count_overlaps(runs, one.truth)
        normal = int((~one.truth & ~np.isnan(one.scores)).sum())
        steps += normal
        days += normal * measure_interval(one.times)
    if days and all(one.times is not None and len(one.times) > 1 for one in series):
        return {"false_alarms_per_day": false / days}
    return {"false_alarms_per_1000_steps": 1000 * false / steps if steps else None}


def measure_interval(times: npt.NDArray[np.datetime64] | None) -> float:
    """Return the median time between two steps in days; 0 without times, or with one.

    >>> measure_interval(np.array(["2024-01-01", "2024-01-02", "2024-03-01", "2024-03-02"], "M8[us]"))
    1.0
    """
    return 0.0 if times is None or len(times) < 2 else float(np.median(np.diff(times) / DAY))
