"""Training rows of a classifier of series: whole series or windows, and their augmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.series import Collection, Series
from ..errors import DataError
from ..features.series import SeriesTransform, Window
from ._series import impute_series, scale_in_float64, statistics, unscaled_transform
from .base import Array, Batch, Indices, concatenate

Steps = npt.NDArray[np.float32]


def make_transform(options: Any, source: Collection, train: list[Series]) -> tuple[SeriesTransform, Array, Array]:
    """Make the transform of a source's columns, and compute mean and deviation of its training rows, [features].

    They are 0 and 1 for the flags of missing numbers, for the calendar, and for all features where the transform itself
    scales the rows.
    """
    window = Window(options.window, centre="mean", spread="window") if options.window else None
    transform = replace(unscaled_transform(options, source), window=window)
    mean, deviation = statistics(stack_steps(train), source.columns, source.path)
    if options.missing == "mask":
        transform = replace(transform, mean=mean[None])
    transform = transform if window else scale_in_float64(transform, mean, deviation)
    if window or transform.deviation is not None:
        mean, deviation = np.zeros(len(mean)), np.ones(len(mean))
    more = transform.features - len(mean)
    return transform, np.append(mean, np.zeros(more)), np.append(deviation, np.ones(more))


@dataclass(frozen=True)
class Augmentation:
    """Augmentation of rows in training, so that the model also works with sensors other than those it was trained on.

    It adds noise to every number, and gives each row and column an offset and a factor about the mean; all are normal.

    mean, deviation: of each feature [features]; a feature of deviation 0 stays as it is. noise, shift: standard
    deviations of noise and offset, as shares of the feature's. gain: standard deviation of the factor, whose mean is 1.
    """

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    noise: float
    shift: float
    gain: float

    def apply(self, x: Steps, lengths: Indices, random: np.random.Generator) -> Steps:
        """Return augmented steps of rows one after another, float32 [N, features]."""

        def draws(shape: tuple[int, ...]) -> Steps:
            return random.standard_normal(shape, np.float32)

        own = np.repeat(np.arange(len(lengths)), lengths)
        each = (len(lengths), x.shape[1])
        if self.gain:
            varied = (self.deviation > 0).astype(np.float32)
            x = x + (x - self.mean) * np.float32(self.gain) * draws(each)[own] * varied
        if self.shift:
            x = x + (draws(each) * self.deviation)[own] * np.float32(self.shift)
        if not self.noise:
            return x
        step = np.arange(len(own)) - (np.cumsum(lengths) - lengths)[own]
        noise = draws((int(lengths.max()), *each))[step, own]  # drawn step by step, in a fixed order whatever is packed
        return x + noise * self.deviation * np.float32(self.noise)


def find_changes(source: Collection) -> npt.NDArray[np.bool_]:
    """Find the columns that change within any series, bool [columns]; missing numbers do not count.

    Where none does, as in series of one step, columns can only differ between series: then all are found.

    >>> from tidegate.data.series_arrays import from_arrays
    >>> x = np.array([[[1.0, 5.0], [2.0, 5.0]], [[3.0, 6.0], [4.0, 6.0]]])  # the second column is one number a series
    >>> find_changes(from_arrays(x)).tolist()
    [True, False]
    """
    steps, lengths = stack_steps(source.series), [len(series) for series in source.series]
    starts: Indices = np.cumsum([0, *lengths[:-1]], dtype=np.int64)
    least = np.minimum.reduceat(np.where(np.isfinite(steps), steps, np.inf), starts, axis=0)
    most = np.maximum.reduceat(np.where(np.isfinite(steps), steps, -np.inf), starts, axis=0)
    changes = (most > least).any(0)
    return np.asarray(changes if changes.any() else ~changes)


def make_augmentation(options: Any, mean: Array, deviation: Array, changes: npt.NDArray[np.bool_]) -> Augmentation:
    """Make the augmentation of the columns that change within series, bool [columns].

    A column that does not is a property of the whole series, such as the time since the last heartbeat: an offset would
    make it that of another series. The flags of missing numbers and the calendar stay as they are too.
    """
    varied = np.zeros(len(deviation), np.float32)
    varied[: len(changes)] = np.where(changes, deviation[: len(changes)], 0)
    return Augmentation(mean.astype(np.float32), varied, options.noise, options.shift, options.gain)


class Sequences:
    """Rows of steps float32 [T, features], augmented in training. targets: [n, ...], of the output of this name."""

    def __init__(self, steps: list[Steps], output: str, targets: Array, augmentation: Augmentation) -> None:
        self.steps, self.output, self.targets, self.augmentation = steps, output, targets, augmentation
        self.lengths: Indices = np.array([len(row) for row in steps], np.int64)

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """See `Rows`: float32 [N, features]."""
        x, lengths = concatenate([self.steps[i] for i in rows])
        if random is not None:
            x = self.augmentation.apply(x, lengths, random)
        return Batch({"x": x}, lengths, {self.output: self.targets[rows]})


@dataclass(frozen=True)
class SeriesRows:
    """Rows for a classifier, each a series or a window of one. series: the index of each row's series."""

    steps: list[Steps]
    series: Indices


def make_rows(source: Collection, transform: SeriesTransform) -> SeriesRows:
    """Make rows of whole series, or where the transform has a window, of windows half a length apart up to the end."""
    steps: list[Steps] = []
    origin: list[int] = []
    for i, (imputed, _) in enumerate(impute_series(source, transform)):
        if transform.window is None:
            parts = [transform.scale_fixed(imputed, 0)]
        else:
            parts = list(transform.make_windows(imputed, window_ends(len(imputed), transform.window, source, i))[0])
        steps += parts
        origin += [i] * len(parts)
    return SeriesRows(steps, np.array(origin, np.int64))


def window_ends(length: int, window: Window, source: Collection, i: int) -> Indices:
    """Return the last steps of a series' windows. Raises DataError for a series that is shorter than a window."""
    if length < window.reach:
        raise DataError(
            f"{source.locate(i, 0)}: the series has {length} steps, and the window takes {window.reach}; leave the "
            "series out, or choose a shorter --window"
        )
    stride = max(1, window.length // 2)
    return np.arange(length - 1, window.reach - 2, -stride)[::-1].copy()


def row_lengths(source: Collection, window: int) -> list[int]:
    """Return the number of steps of every row that `make_rows` makes if no step is left out.

    Raises DataError for a series that is shorter than a window.
    """
    if not window:
        return [len(s.values) for s in source.series]
    cut = Window(window)
    return [window] * sum(len(window_ends(len(s.values), cut, source, i)) for i, s in enumerate(source.series))


def stack_steps(series: list[Series]) -> npt.NDArray[np.float64]:
    """Concatenate the steps of all series."""
    return np.concatenate([s.values for s in series])
