"""Simple detectors beside a model: fitted to the same normal steps, with thresholds for the same rate of alarms.

Those that are a few arrays stand in the model file (`provenance.scoring`), so that `score` always compares with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..document import scoring
from ..errors import DataError
from ..features.series import SeriesTransform
from ._alarm_score import average, hold_alarms
from ._alarm_threshold import choose_larger
from ._detect_baselines import (
    T2,
    Autoregression,
    Baseline,
    Forest,
    MovingZ,
    fill,
    fit_autoregression,
    fit_isolation_forest,
    fit_moving_z,
    fit_t2,
)

Floats = npt.NDArray[np.float64]

FITS: Final[dict[str, tuple[Any, Any]]] = {
    "moving z-score": (MovingZ, fit_moving_z),
    "autoregression": (Autoregression, fit_autoregression),
    "T2 of levels": (T2, fit_t2),
}
FOREST: Final = "isolation forest"
MOST_COLUMNS: Final = 256  # whose autoregression is stored
MOST_STEPS: Final = 100_000  # held-out ones of which a threshold is chosen


class Rival(NamedTuple):
    """A simple detector, and the scores from which its alarms begin and below which they end."""

    baseline: Baseline | Forest
    on: float
    off: float

    def score(self, values: Floats, share: float) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return the averaged score of each step of a scaled series [T, columns], and whether an alarm runs."""
        scores = smooth(self.baseline.score(values), share)
        return scores, hold_alarms(scores, self.on, self.off)


def scale_values(transform: SeriesTransform, values: Floats, series: int) -> Floats:
    """Return the values [T, columns] of a series in the model's units, NaN where they are missing."""
    assert transform.mean is not None
    assert transform.deviation is not None
    return np.asarray((values - transform.mean[series]) / transform.deviation[series])


def fit_rivals(
    parts: Sequence[Floats], held_out: Sequence[tuple[Floats, int]], rate: float, share: float
) -> tuple[dict[str, Rival], dict[str, str]]:
    """Fit the detectors that a file can hold; return those that are possible, and why others are not.

    parts: scaled training steps of each series [T, columns]. held_out: scaled steps, and from which on they are held
    out. rate: of alarms a step. share: of the newest step in the average of a score.
    """
    found: dict[str, Rival] = {}
    reasons: dict[str, str] = {}
    for name, (_, fit) in FITS.items():
        try:
            if fit is fit_autoregression and parts[0].shape[1] > MOST_COLUMNS:
                raise DataError(f"there are {parts[0].shape[1]} columns; it takes at most {MOST_COLUMNS}")
            found[name] = choose_alarms(fit(parts), held_out, rate, share)
        except DataError as error:
            reasons[name] = str(error)
    return found, reasons


def fit_forest(parts: Sequence[Floats], held_out: Sequence[tuple[Floats, int]], rate: float, share: float) -> Rival:
    """Fit the isolation forest, which no model file holds. Arguments: see `fit_rivals`.

    Raises DataError, MissingExtra.
    """
    return choose_alarms(fit_isolation_forest(parts), held_out, rate, share)


def choose_alarms(
    baseline: Baseline | Forest, held_out: Sequence[tuple[Floats, int]], rate: float, share: float
) -> Rival:
    """Choose the threshold of a fitted detector as that of a model, by `choose_larger`. Raises DataError."""
    scores, trained, left = list[Floats](), list[Floats](), MOST_STEPS
    for values, cut in held_out:
        one = smooth(baseline.score(values[: cut + max(0, left)]), share)
        for part, into in ((one[cut:], scores), (one[:cut], trained)):
            if len(known := part[~np.isnan(part)]):
                into.append(known)
        left -= len(one) - cut
    threshold = choose_larger(scores or [np.zeros(0)], trained, rate)
    return Rival(baseline, threshold.on, min(threshold.off, threshold.on))


def store_rivals(rivals: Mapping[str, Rival]) -> dict[str, Floats]:
    """Return the arrays of detectors by role, such as `T2_of_levels.whitening`."""
    arrays = {}
    for name, one in rivals.items():
        role = name.replace(" ", "_")
        arrays[f"{role}.threshold"] = np.array([one.on, one.off])
        arrays |= {f"{role}.{f.name}": np.asarray(getattr(one.baseline, f.name)) for f in fields(one.baseline)}  # type: ignore[arg-type]
    return arrays


def load_rivals(provenance: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Rival]:
    """Return the detectors in a valid model file by name."""
    names, found = provenance.get(scoring.KEY, {}), {}
    for name, (cls, _) in FITS.items():
        roles = [f"{name.replace(' ', '_')}.{part}" for part in ("threshold", *(f.name for f in fields(cls)))]
        if all(role in names for role in roles):
            (on, off), *arrays = (np.asarray(tensors[names[role]], np.float64) for role in roles)
            found[name] = Rival(cls(*arrays), float(on), float(off))
    return found


def smooth(scores: Floats, share: float) -> Floats:
    """Average the scores of a series [T] as those of a model are, from the first one on; NaN before it stays.

    >>> smooth(np.array([np.nan, 1.0, 1.0, 3.0]), 0.5).tolist()
    [nan, 1.0, 1.0, 2.0]
    """
    known = np.flatnonzero(~np.isnan(scores))
    if not len(known):
        return scores
    found, part = scores.copy(), fill(scores[known[0] :, None])[:, 0]
    start = float(part[: max(1, round(1 / share))].mean())
    found[known[0] :] = average(part / start, share) * start if start > 0 else part
    return found
