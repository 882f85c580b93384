"""Columns that never change in training: what they are scaled by, and what is said of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..features.series import FLAT, SeriesTransform

Floats = npt.NDArray[np.float64]
MOST_NAMED = 3


def find_constant(mean: Floats, deviation: Floats) -> npt.NDArray[np.bool_]:
    """Return which columns of which series never change, or by no more than rounding: bool [series, columns]."""
    return np.asarray(~(deviation > FLAT * np.abs(mean).clip(1e-30)))


def spread_constant(mean: Floats, deviation: Floats) -> Floats:
    """Return deviations [series, columns] in which that of a constant column is the mean one of the other series.

    Where the column is constant in every series, it is the size of its value, or 1 if that is 0.

    >>> spread_constant(np.array([[5.0, 0.0], [4.0, 0.0]]), np.array([[0.0, 0.0], [2.0, 0.0]])).tolist()
    [[2.0, 1.0], [2.0, 1.0]]
    """
    constant = find_constant(mean, deviation)
    varied = np.where(constant, 0.0, deviation).sum(0) / (~constant).sum(0).clip(1)
    own = np.where(mean != 0, np.abs(mean), 1.0)
    return np.where(constant, np.where(varied > 0, varied, own), deviation)


def describe_constant(transform: SeriesTransform, parts: list[Floats]) -> list[str]:
    """Say which columns never change in training, so that any change will count as unusual; an empty list for none.

    parts: the observed values of each series in training [T, columns].
    """
    names = []
    for i, part in enumerate(parts):
        with np.errstate(invalid="ignore"):
            still = np.nanmax(part, 0) == np.nanmin(part, 0)
        series = f" of series {transform.names[i]!r}" if transform.names else ""
        names += [f"column {transform.columns[c]!r}{series}" for c in np.flatnonzero(still)]
    if not names:
        return []
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    never = "never changes" if len(names) == 1 else "never change"
    return [f"{', '.join(names[:MOST_NAMED])}{more} {never} in training, so any change there will look unusual"]
