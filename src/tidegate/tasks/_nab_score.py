"""The score of the Numenta anomaly benchmark, which rewards early alarms and punishes false ones.

Source: Lavin and Ahmad 2015 (arXiv:1510.03336), section II, and the benchmark's files `config_profiles.json`, whose
profile `standard` has the weights below, and `labels/combined_windows.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ._alarm_metrics import Flags, Floats, Judged, find_runs

TRUE_POSITIVE, FALSE_NEGATIVE, FALSE_POSITIVE = 1.0, 1.0, 0.11
PROBATION: Final = 0.15  # share of a series in whose first steps nothing counts
LONGEST: Final = 5000  # the probation is that of so many steps at most
FAR: Final = 3.0  # widths of a window behind it, from which on a false alarm counts in full


def measure_nab(series: Sequence[Judged]) -> dict[str, Any]:
    """Compute the score of the profile `standard`: 100 for an alarm at the first step of each event, 0 for no alarms.

    A window of the benchmark is an event of the truth. Every alarm counts, step by step: outside of windows each takes
    up to 0.11 off, and of those in a window only the earliest counts. So a detector that holds its alarms has a lower
    score than one that raises each once, `starts_only`. A series has to be whole, with the steps of the probation in
    front. The benchmark's own table chooses the threshold by this score on the series that are scored; here the alarms
    are those of a threshold that was chosen before.

    Returns:
        `nab`: the score, None where there is no window; `nab_found` of `nab_windows`: windows with an alarm;
        `nab_false`: steps outside of windows with an alarm.

    >>> alarms, truth = np.zeros(100, bool), np.zeros(100, bool)
    >>> truth[50:60] = alarms[50] = True
    >>> measure_nab([Judged(np.zeros(100), alarms, truth)])
    {'nab': 100.0, 'nab_found': 1, 'nab_windows': 1, 'nab_false': 0}
    """
    total, found, windows, false = 0.0, 0, 0, 0
    for one in series:
        counted = one.alarms.copy()
        counted[: count_probation(len(counted))] = False
        weights = weigh_steps(one.truth)
        total += FALSE_POSITIVE * float(weights[counted & ~one.truth].sum())
        false += int((counted & ~one.truth).sum())
        for first, end in find_windows(one.truth).tolist():
            windows += 1
            if (hits := np.flatnonzero(counted[first:end])).size:
                found += 1
                total += TRUE_POSITIVE * float(weights[first + hits[0]]) / float(squash(-1.0))
            else:
                total -= FALSE_NEGATIVE
    worst, best = -FALSE_NEGATIVE * windows, TRUE_POSITIVE * windows
    score = 100 * (total - worst) / (best - worst) if windows else None
    return {"nab": score, "nab_found": found, "nab_windows": windows, "nab_false": false}


def count_probation(steps: int) -> int:
    """Return how many steps at the beginning of a series do not count.

    >>> count_probation(1999), count_probation(20000)
    (299, 750)
    """
    return int(min(PROBATION * steps, PROBATION * LONGEST))


def find_windows(truth: Flags) -> npt.NDArray[np.int64]:
    """Return the events that count, as `find_runs` does: those that last beyond the probation.

    >>> find_windows(np.array([True] * 3 + [False] * 16 + [True])).tolist()
    [[19, 20]]
    """
    runs = find_runs(truth)
    return runs[runs[:, 1] > count_probation(len(truth))]


def weigh_steps(truth: Flags) -> Floats:
    """Return what an alarm at each step is worth before the weights of a profile, float64 [T], from -1 to .987.

    In an event of n steps, the i-th from its end is at -i/n, so that the first is at -1. Behind an event of n steps,
    the i-th is at i/(n - 1), and what counts is the latest event. (Of one step the benchmark divides by 0; here n is 2
    at least.) Before the first event, every step is far from one.

    >>> np.round(weigh_steps(np.array([False, True, True, True, False, False])), 3).tolist()
    [-1.0, 0.987, 0.931, 0.682, -0.848, -0.987]
    """
    position = np.full(len(truth), FAR)
    for first, end in find_runs(truth).tolist():
        width = end - first
        position[first:end] = -np.arange(width, 0, -1) / width
        position[end:] = np.arange(1, len(truth) - end + 1) / max(width - 1, 1)
    return squash(position)


def squash(position: npt.ArrayLike) -> Floats:
    """Return 2 / (1 + exp(5 position)) - 1, and -1 from `FAR` on.

    >>> squash([-1.0, 0.0, 3.0]).round(5).tolist()
    [0.98661, 0.0, -1.0]
    """
    y = np.asarray(position, np.float64)
    return np.where(y >= FAR, -1.0, 2 / (1 + np.exp(5 * np.minimum(y, FAR))) - 1)


def starts_only(alarms: Flags, steps: int = 1) -> Flags:
    """Return the alarms, bool [T], without those that follow another or come up to `steps` steps after one that counts.

    A detector that holds its alarms is scored by when it raised them; with `steps` an alarm that flickers counts once.

    >>> starts_only(np.array([1, 1, 0, 1, 0, 0, 0, 1], bool)).astype(int).tolist()
    [1, 0, 0, 1, 0, 0, 0, 1]
    >>> starts_only(np.array([1, 1, 0, 1, 0, 0, 0, 1], bool), 5).astype(int).tolist()
    [1, 0, 0, 0, 0, 0, 0, 1]
    """
    kept, latest = np.zeros(len(alarms), bool), -steps - 1
    for first, _ in find_runs(alarms).tolist():
        if first - latest > steps:
            kept[first], latest = True, first
    return kept
