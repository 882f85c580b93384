"""The units of scaled errors: the standard deviation of every channel in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ModelFileError, OptionError
from ._windows import Floats, Track


def training_deviation(tracks: Sequence[Track]) -> list[dict[str, Any]]:
    """Return the standard deviation of every target in training, by series; 0 where nothing varies or is known.

    >>> track = Track("a", np.zeros((2, 1)), np.array([[1.0], [3.0]]), np.arange(2))
    >>> training_deviation([track])
    [{'id': 'a', 'deviation': [1.0]}]
    """
    return [{"id": track.name, "deviation": [deviation(column) for column in track.truth.T]} for track in tracks]


def deviation(values: Floats) -> float:
    known = values[~np.isnan(values)]
    with np.errstate(over="ignore", invalid="ignore"):
        found = float(known.std()) if len(known) else 0.0
    return found if np.isfinite(found) else 0.0


def find_units(provenance: Mapping[str, Any], names: Sequence[str], channels: Sequence[int]) -> list[Floats]:
    """Return the deviation in training of each series' targets, [targets] each, NaN where it is 0.

    names: of the series as the model reads them. channels: the number of each one's channel, if channels are
    apart, else 0; series in training take turns in this order. A series that was not in training, or has no name among
    several, gets the root mean square of the deviations of its channel. Raises: OptionError for a file without
    deviations; ModelFileError.
    """
    entries = provenance.get("training_deviation")
    if not entries:
        raise OptionError(
            "scaled errors are divided by the standard deviation of the training rows, and this model file does not "
            "record it, as it was written by an older version; fit the model again, or leave out --scaled"
        )
    try:
        every = np.array([entry["deviation"] for entry in entries], np.float64)
        known = {str(entry["id"]): i for i, entry in enumerate(entries)}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"provenance.training_deviation: cannot be read ({error}); fit the model again") from error
    several = 1 + max(channels)
    units = []
    for name, channel in zip(names, channels, strict=True):
        of_channel = every[channel::several]
        unit = every[known[name]] if len(known) == len(entries) and name in known else np.sqrt((of_channel**2).mean(0))
        units.append(np.where(unit > 0, unit, np.nan))
    return units
