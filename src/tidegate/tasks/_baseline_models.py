"""Baseline forecasts that a model has to beat: seasonal naive, and a ridge regression on the model's own window.

Both look back only: a forecast made at origin t reads the steps up to and including t. Histories are float [T,
targets].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..features.series import FLAT

Floats = npt.NDArray[np.float64]
Origins = npt.NDArray[np.int64]

PENALTIES: Final = tuple(10.0**k for k in range(-6, 2))  # per window and standardised input
MAX_INPUTS: Final = 2048  # of one target: memory goes with its square, time with its cube
MAX_WINDOWS: Final = 1 << 16
CHUNK: Final = 4096  # windows held in memory at once


# --- seasonal naive


def seasonal_naive(history: npt.NDArray[Any], origins: npt.NDArray[Any], horizon: int, season: int) -> Floats:
    """Forecast each step by the latest known value a whole number of seasons earlier: float64 [origins, horizon,
    targets].

    history: float [T, targets]; a missing value (NaN) is replaced by the one a season earlier. origins: int [n], the
    index of the last known step of each forecast. season: in steps; 1 repeats the last value.

    Raises: DataError for an origin with less than a season before it, or where a step of the season has no known value.

    Source: Hyndman and Athanasopoulos 2021, Forecasting: principles and practice, section 5.2.

    >>> seasonal_naive(np.array([[1.0], [2.0], [3.0]]), np.array([2]), 3, 2).ravel().tolist()
    [2.0, 3.0, 2.0]
    """
    x, at = as_history(history), check_origins(origins, season, len(history))
    steps = repeated_steps(at, horizon, season)
    forecasts = fill_seasonally(x, season)[steps]
    if np.isnan(forecasts).any():
        n, h, k = np.argwhere(np.isnan(forecasts))[0]
        raise DataError(
            f"target {k} has no known value a whole number of seasons before step {at[n] + h + 1}; start at a later "
            "step, or fill the missing values"
        )
    return forecasts


def forecast_with_fallback(
    make: Callable[[Origins], Floats], history: npt.NDArray[Any], origins: Origins, horizon: int, reach: int
) -> Floats:
    """Forecast with `make` where an origin has `reach` known steps, and repeat the last value elsewhere.

    Returns float64 [origins, horizon, targets].

    >>> history, zeros = np.array([[7.0], [8.0]]), lambda at: np.zeros((len(at), 1, 1))
    >>> forecast_with_fallback(zeros, history, np.array([0, 1]), 1, 2).ravel().tolist()
    [7.0, 0.0]
    """
    able = origins >= reach - 1
    if able.all():
        return make(origins)
    forecasts = seasonal_naive(history, origins, horizon, 1)
    if able.any():
        forecasts[able] = make(origins[able])
    return forecasts


def best_season(
    history: npt.NDArray[Any] | Sequence[npt.NDArray[Any]], candidates: Sequence[int], horizon: int = 1
) -> int:
    """Return the season out of `candidates` for which seasonal naive has the lowest error; the shortest one on a tie.

    history: one series [T, targets], or a list of them. The errors are mean absolute errors up to `horizon` steps ahead
    on the same steps for all candidates. Every target of every series has the same weight; missing values and constant
    targets are left out.

    Raises: DataError unless a series is longer than the longest candidate and the horizon.

    >>> best_season(np.tile([0.0, 5.0, 1.0], 9)[:, None], [1, 2, 3])
    3
    """
    series = [as_history(x) for x in as_list(history)]
    ordered = sorted(set(candidates))
    reach = max(seasonal_reach(s, horizon) for s in ordered)
    long = [x for x in series if len(x) > reach]
    if not long:
        raise DataError(
            f"the longest series has {max(map(len, series), default=0)} steps; comparing seasons of {ordered} takes "
            f"{reach + 1}; leave the longest season out"
        )
    errors = [np.concatenate([relative_errors(x, s, horizon, reach) for x in long]) for s in ordered]
    usable = np.all(np.isfinite(errors), 0)
    return min(zip(ordered, errors, strict=True), key=lambda pair: float(pair[1][usable].sum()))[0]


def relative_errors(x: Floats, season: int, horizon: int, reach: int) -> Floats:
    """Return seasonal naive's mean absolute error, divided by each target's mean absolute deviation, float64 [targets].

    A step h ahead is compared with the one k = ceil(h / season) seasons earlier, so each lag is weighted by the number
    of steps that it forecasts. NaN where nothing is known or the target is constant.
    """
    sums = np.zeros(x.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        for k in range(1, math.ceil(horizon / season) + 1):
            served = min(season, horizon - (k - 1) * season)
            sums += served * nan_mean(np.abs(x[reach:] - x[reach - k * season : len(x) - k * season]))
        return sums / horizon / nan_mean(np.abs(x - nan_mean(x)))


def nan_mean(x: Floats) -> Floats:
    """Return each target's mean over its known values, NaN where it has none."""
    return np.asarray(np.nansum(x, 0) / (~np.isnan(x)).sum(0))


def seasonal_reach(season: int, horizon: int) -> int:
    """Return the largest distance in steps between a step ahead and the step that seasonal naive repeats for it."""
    if season < 1:
        raise DataError(f"season is {season}; expected 1 or more steps")
    return season * math.ceil(horizon / season)


def repeated_steps(origins: Origins, horizon: int, season: int) -> Origins:
    """Return the index of the step that seasonal naive repeats for each step ahead: int64 [origins, horizon].

    >>> repeated_steps(np.array([9]), 5, 2).tolist()
    [[8, 9, 8, 9, 8]]
    """
    ahead = np.arange(1, horizon + 1)
    return np.asarray(origins[:, None] + ahead - season * -(-ahead // season), np.int64)


def fill_seasonally(x: Floats, season: int) -> Floats:
    """Return a copy of a history in which missing values are replaced by those a season earlier."""
    filled = x.copy()
    for t in np.flatnonzero(np.isnan(x).any(1)):
        if t >= season:
            filled[t] = np.where(np.isnan(filled[t]), filled[t - season], filled[t])
    return filled


# --- ridge


@dataclass(frozen=True)
class RidgeWindow:
    """The inputs of a ridge regression: a model's window (features/series.py) of one target, in float64.

    These are the last `lookback` steps. First the value one `season` earlier is subtracted from each (0: nothing is),
    then their last value or their mean (`centre`); with `spread` 'window' they are divided by their own deviation.
    """

    lookback: int
    horizon: int
    season: int = 0
    centre: str = "last"
    spread: str = "training"

    @property
    def reach(self) -> int:
        """Return the number of known steps that a window needs."""
        return self.lookback + self.season

    def windows(self, x: Floats, origins: Origins) -> tuple[Floats, Floats, Floats]:
        """Cut windows of x [T]: return inputs [n, lookback], and the outputs' offset [n, horizon] and factor [n]."""
        d = x[self.season :] - x[: len(x) - self.season] if self.season else x
        rows = np.lib.stride_tricks.sliding_window_view(d, self.lookback)[origins - self.reach + 1]
        centre = rows[:, -1] if self.centre == "last" else rows.mean(1)
        base = np.repeat(centre[:, None], self.horizon, 1)
        if self.season:
            base += x[repeated_steps(origins, self.horizon, self.season)]
        moved = rows - centre[:, None]
        if self.spread != "window":
            return moved, base, np.ones(len(rows))
        spread = rows.std(1)
        spread = np.where(spread > FLAT * np.abs(rows).max(1), spread, 0.0)
        return moved / np.where(spread > 0, spread, 1.0)[:, None], base, spread

    def examples(self, x: Floats, first: int, last: int, every: int = 1) -> Iterator[tuple[Floats, Floats]]:
        """Yield inputs and scaled truth of the windows at every `every`th origin from `first` to `last`.

        Windows that have a missing value or no spread are skipped.
        """
        ahead = np.arange(1, self.horizon + 1)
        for start in range(max(first, self.reach - 1), last + 1, CHUNK * every):
            origins = np.arange(start, min(start + CHUNK * every, last + 1), every)
            rows, base, spread = self.windows(x, origins)
            whole = (spread > 0) & ~np.isnan(rows).any(1)
            y = (x[origins[:, None] + ahead] - base)[whole] / spread[whole, None]
            full = ~np.isnan(y).any(1)
            yield rows[whole][full], y[full]


@dataclass(frozen=True)
class LinearMap:
    """A linear map of windows, (inputs - mean) @ weights + bias: mean [lookback], weights [lookback, horizon]."""

    mean: Floats
    weights: Floats
    bias: Floats

    def __call__(self, rows: Floats) -> Floats:
        return np.asarray((rows - self.mean) @ self.weights + self.bias)


class Moments:
    """The sums over examples that a ridge regression needs, accumulated chunk by chunk."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.count = 0
        self.x, self.y = np.zeros(inputs), np.zeros(outputs)
        self.xx, self.xy = np.zeros((inputs, inputs)), np.zeros((inputs, outputs))

    def add(self, rows: Floats, y: Floats) -> None:
        self.count += len(rows)
        self.x += rows.sum(0)
        self.y += y.sum(0)
        self.xx += rows.T @ rows
        self.xy += rows.T @ y

    def solve(self, penalties: Sequence[float]) -> list[LinearMap]:
        """Solve (C + penalty I) w = c for each penalty, where C holds the inputs' correlations.

        Inputs that never change get the weight 0. NumPy has no triangular solver, so each penalty is solved as a system
        of its own, which is cheaper than the sums over a chunk.
        """
        mean, bias = self.x / self.count, self.y / self.count
        covariance = self.xx / self.count - np.outer(mean, mean)
        deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        varies = deviation > 1e-9 * deviation.max(initial=0.0)
        inverse = np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)
        correlation = covariance * inverse[:, None] * inverse
        cross = (self.xy / self.count - np.outer(mean, bias)) * inverse[:, None]
        eye = np.eye(len(mean))
        return [
            LinearMap(mean, inverse[:, None] * np.linalg.solve(correlation + p * eye, cross), bias) for p in penalties
        ]


@dataclass(frozen=True)
class Ridge:
    """A ridge regression for each target, from its own window to all steps ahead at once.

    penalties: the penalty selected for each target, per window and for inputs of unit variance; on the sum of squares
    it is `window_counts` times that. window_counts: the number of windows that each target was fitted on.

    Source: Hoerl and Kennard 1970, Ridge regression, eq. 2.1.

    >>> wave = np.sin(np.arange(200) / 5)[:, None]
    >>> ridge = Ridge.fit([wave[:150]], lookback=20, horizon=10)
    >>> bool(np.abs(ridge.predict(wave, np.array([180]))[0] - wave[181:191]).max() < 1e-3)
    True
    """

    window: RidgeWindow
    maps: tuple[LinearMap, ...]
    penalties: tuple[float, ...]
    window_counts: tuple[int, ...]

    @classmethod
    def fit(
        cls,
        history: npt.NDArray[Any] | Sequence[npt.NDArray[Any]],
        lookback: int,
        horizon: int,
        season: int = 0,
        centre: str = "last",
        spread: str = "training",
        hold_out: float = 1 / 3,
    ) -> Ridge:
        """Fit the regression to one series [T, targets] or to a list of them.

        Each target's penalty is the one with the lowest mean absolute error on the last `hold_out` of every series (at
        least one window), which no window of that first fit overlaps; then all windows are fitted. The default is a
        third, because a short part only represents its own conditions. Windows with a missing value are left out.
        Beyond 65,536 windows only every second one is used, or every third, and so on.

        Raises: DataError where there is no window to fit or none to select the penalty by.
        """
        window = RidgeWindow(lookback, horizon, season, centre, spread)
        return cls.fit_windows(window, history, hold_out)[0]

    @classmethod
    def fit_windows(
        cls,
        window: RidgeWindow,
        history: npt.NDArray[Any] | Sequence[npt.NDArray[Any]],
        hold_out: float = 1 / 3,
        longer: Sequence[npt.NDArray[Any]] = (),
    ) -> list[Ridge]:
        """Fit like `fit`, then with the same penalties to `longer`, the series with later steps and further series.

        The second fit takes only the time of the windows that are new.
        """
        if (L := window.lookback) > MAX_INPUTS:
            raise DataError(f"ridge takes a look-back of at most {MAX_INPUTS:,} steps; this one has {L:,}")
        series = [as_history(x) for x in as_list(history)]
        rest = [as_history(x) for x in longer]
        if len({x.shape[1] for x in series}) != 1:
            raise DataError(f"ridge got series of {sorted({x.shape[1] for x in series})} targets; expected one number")
        targets = range(series[0].shape[1])
        fits = [fit_target(window, [x[:, k] for x in series], hold_out, [x[:, k] for x in rest]) for k in targets]
        return [cls(window, *zip(*of, strict=True)) for of in zip(*fits, strict=True)]

    def predict(self, history: npt.NDArray[Any], origins: npt.NDArray[Any]) -> Floats:
        """Forecast a series [T, targets] after each origin: float64 [origins, horizon, targets].

        Raises: DataError for an origin with fewer than `window.reach` known steps, or a window with a missing value.
        """
        x, at = as_history(history), check_origins(origins, self.window.reach, len(history))
        if x.shape[1] != len(self.maps):
            raise DataError(f"history has {x.shape[1]} targets; ridge was fitted on {len(self.maps)}")
        forecasts = np.empty((len(at), self.window.horizon, len(self.maps)))
        for start in range(0, len(at), CHUNK):
            part = slice(start, start + CHUNK)
            for k, linear_map in enumerate(self.maps):
                rows, base, spread = self.window.windows(x[:, k], at[part])
                forecasts[part, :, k] = linear_map(rows) * spread[:, None] + base
        if np.isnan(forecasts).any():
            n, _, k = np.argwhere(np.isnan(forecasts))[0]
            raise DataError(
                f"the {self.window.reach} steps up to step {at[n]} have a missing value of target {k}; ridge needs all "
                "values; fill the history"
            )
        return forecasts


def fit_target(
    window: RidgeWindow, series: list[Floats], hold_out: float, longer: list[Floats]
) -> list[tuple[LinearMap, float, int]]:
    """Fit one target, and again with the windows that `longer` adds: linear map, penalty and number of windows each."""
    moments = Moments(window.lookback, window.horizon)
    least = window.reach + window.horizon
    cuts = [min(max(math.floor(len(x) * (1 - hold_out)), least), len(x) - window.horizon) for x in series]
    every = max(1, -(-sum(len(x) for x in series) // MAX_WINDOWS))
    for x, cut in zip(series, cuts, strict=True):
        for rows, y in window.examples(x, 0, cut - window.horizon - 1, every):
            moments.add(rows, y)
    if not moments.count:
        raise DataError(
            "ridge has no window to fit: the look-back and twice the horizon take "
            f"{window.reach + 2 * window.horizon} steps without missing values, and the longest series has "
            f"{max(map(len, series))}; shorten the look-back or the horizon"
        )
    choices = moments.solve(PENALTIES)
    errors, compared = np.zeros(len(choices)), 0
    for x, cut in zip(series, cuts, strict=True):
        for rows, y in window.examples(x, cut - 1, len(x) - window.horizon - 1, every):
            errors += [float(np.abs(choice(rows) - y).sum()) for choice in choices]
            compared += len(rows)
    if not compared:
        raise DataError(
            "ridge has no window without missing values in the last part of any series; fill the missing values"
        )
    for x, cut in zip(series, cuts, strict=True):
        for rows, y in window.examples(x, cut - window.horizon, len(x) - window.horizon - 1, every):
            moments.add(rows, y)
    penalty = PENALTIES[int(errors.argmin())]
    fits = [(moments.solve([penalty])[0], penalty, moments.count)]
    if longer:
        firsts = [len(x) - window.horizon for x in series] + [0] * (len(longer) - len(series))
        for x, first in zip(longer, firsts, strict=True):
            for rows, y in window.examples(x, first, len(x) - window.horizon - 1, every):
                moments.add(rows, y)
        fits.append((moments.solve([penalty])[0], penalty, moments.count))
    return fits


# --- checks


def as_list(history: npt.NDArray[Any] | Sequence[npt.NDArray[Any]]) -> Sequence[npt.NDArray[Any]]:
    return [history] if isinstance(history, np.ndarray) else history


def as_history(history: npt.NDArray[Any]) -> Floats:
    x = np.asarray(history, np.float64)
    if x.ndim != 2:
        raise DataError(f"history has shape {list(x.shape)}; expected [steps, targets]")
    return x


def check_origins(origins: npt.NDArray[Any], reach: int, steps: int) -> Origins:
    """Return origins as int64 [n]. Raises DataError for one outside the history or with fewer than `reach` steps."""
    at = np.asarray(origins, np.int64)
    for bad in at[(at < reach - 1) | (at >= steps)]:
        raise DataError(
            f"origin {bad} of a history of {steps} steps; expected {reach - 1} to {steps - 1}, so that {reach} steps "
            "are known"
        )
    return at
