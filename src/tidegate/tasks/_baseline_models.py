"""Forecasts that a model has to beat: seasonal naive, and a ridge regression on the model's own window.

Both look back only: a forecast made at origin t reads the steps up to t, t included. Histories are float [T, targets].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..features.series import FLAT

Floats = npt.NDArray[np.float64]
Origins = npt.NDArray[np.int64]

PENALTIES: Final = tuple(10.0**k for k in range(-6, 2))  # per window and standardised input
MOST_INPUTS: Final = 2048  # of one target: memory goes with its square, time with its cube
MOST_WINDOWS: Final = 1 << 16
CHUNK: Final = 4096  # windows held in memory at once


# --- seasonal naive


def seasonal_naive(history: npt.NDArray[Any], origins: npt.NDArray[Any], horizon: int, season: int) -> Floats:
    """What was a whole number of seasons before each step ahead: float64 [origins, horizon, targets].

    history: float [T, targets]; where it is missing (NaN), the same step of the season before stands in. origins: int
    [n], the index of the last known step of each. season: 1 repeats the last value.

    Raises: DataError for an origin with less than a season behind it, or with nothing known at a step of the season.

    Source: Hyndman and Athanasopoulos 2021, Forecasting: principles and practice, section 5.2.

    >>> seasonal_naive(np.array([[1.0], [2.0], [3.0]]), np.array([2]), 3, 2).ravel().tolist()
    [2.0, 3.0, 2.0]
    """
    x, at = checked(history), reachable(origins, season, len(history))
    steps = before(at, horizon, season)
    found = carried(x, season)[steps]
    if np.isnan(found).any():
        n, h, k = np.argwhere(np.isnan(found))[0]
        raise DataError(
            f"target {k} has no known value a whole number of seasons before step {at[n] + h + 1}; start later, or "
            "fill the history"
        )
    return found


def reached(
    make: Callable[[Origins], Floats], history: npt.NDArray[Any], origins: Origins, horizon: int, reach: int
) -> Floats:
    """The forecasts that `make` makes of origins with `reach` steps known, and of others the last value: float64
    [origins, horizon, targets].

    >>> reached(lambda at: np.zeros((len(at), 1, 1)), np.array([[7.0], [8.0]]), np.array([0, 1]), 1, 2).ravel().tolist()
    [7.0, 0.0]
    """
    able = origins >= reach - 1
    if able.all():
        return make(origins)
    found = seasonal_naive(history, origins, horizon, 1)
    if able.any():
        found[able] = make(origins[able])
    return found


def seasons(history: npt.NDArray[Any] | Sequence[npt.NDArray[Any]], candidates: Sequence[int], horizon: int = 1) -> int:
    """The season, out of `candidates`, with which seasonal naive errs least in training; the shortest of equal ones.

    history: one series [T, targets], or a list of them. Mean absolute errors up to `horizon` steps ahead, each target
    of each series weighing the same, on the same steps for all candidates; what is missing or constant is left out.

    Raises: DataError where no series is as long as the longest candidate (or horizon) and a step.

    >>> seasons(np.tile([0.0, 5.0, 1.0], 9)[:, None], [1, 2, 3])
    3
    """
    series = [checked(x) for x in listed(history)]
    ordered = sorted(set(candidates))
    reach = max(furthest(s, horizon) for s in ordered)
    long = [x for x in series if len(x) > reach]
    if not long:
        raise DataError(
            f"the longest series has {max(map(len, series), default=0)} steps; to compare seasons of {ordered} needs "
            f"{reach + 1}; leave the longest season out"
        )
    errors = [np.concatenate([relative(x, s, horizon, reach) for x in long]) for s in ordered]
    usable = np.all(np.isfinite(errors), 0)
    return min(zip(ordered, errors, strict=True), key=lambda pair: float(pair[1][usable].sum()))[0]


def relative(x: Floats, season: int, horizon: int, reach: int) -> Floats:
    """The mean absolute error of seasonal naive over the mean absolute deviation of each target, float64 [targets].

    A step h ahead is compared with the one k = ceil(h / season) seasons before it, so lags weigh as many steps as they
    serve. NaN where nothing is known or the target is constant.
    """
    sums = np.zeros(x.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        for k in range(1, math.ceil(horizon / season) + 1):
            served = min(season, horizon - (k - 1) * season)
            sums += served * known_mean(np.abs(x[reach:] - x[reach - k * season : len(x) - k * season]))
        return sums / horizon / known_mean(np.abs(x - known_mean(x)))


def known_mean(x: Floats) -> Floats:
    """The mean of what is known of each target, NaN where nothing is."""
    return np.asarray(np.nansum(x, 0) / (~np.isnan(x)).sum(0))


def furthest(season: int, horizon: int) -> int:
    """How far before a step ahead its seasonal naive forecast lies, at most."""
    if season < 1:
        raise DataError(f"season is {season}; expected 1 or more steps")
    return season * math.ceil(horizon / season)


def before(origins: Origins, horizon: int, season: int) -> Origins:
    """The step that each step ahead repeats: int64 [origins, horizon].

    >>> before(np.array([9]), 5, 2).tolist()
    [[8, 9, 8, 9, 8]]
    """
    ahead = np.arange(1, horizon + 1)
    return np.asarray(origins[:, None] + ahead - season * -(-ahead // season), np.int64)


def carried(x: Floats, season: int) -> Floats:
    """A history whose missing values are those of the season before, if there is one."""
    filled = x.copy()
    for t in np.flatnonzero(np.isnan(x).any(1)):
        if t >= season:
            filled[t] = np.where(np.isnan(filled[t]), filled[t - season], filled[t])
    return filled


# --- ridge


@dataclass(frozen=True)
class View:
    """What a ridge regression sees: the window of a model (features/series.py), of one target, in float64.

    The latest `lookback` steps, each less the one a `season` before (0: as they are), less their last value or their
    mean (`centre`), over their own deviation if `spread` is 'window'.
    """

    lookback: int
    horizon: int
    season: int = 0
    centre: str = "last"
    spread: str = "training"

    @property
    def reach(self) -> int:
        """How many steps must have been seen."""
        return self.lookback + self.season

    def windows(self, x: Floats, origins: Origins) -> tuple[Floats, Floats, Floats]:
        """Of x [T]: the inputs [n, lookback], what outputs are added to [n, horizon], and what they multiply [n]."""
        d = x[self.season :] - x[: len(x) - self.season] if self.season else x
        rows = np.lib.stride_tricks.sliding_window_view(d, self.lookback)[origins - self.reach + 1]
        centre = rows[:, -1] if self.centre == "last" else rows.mean(1)
        base = np.repeat(centre[:, None], self.horizon, 1)
        if self.season:
            base += x[before(origins, self.horizon, self.season)]
        moved = rows - centre[:, None]
        if self.spread != "window":
            return moved, base, np.ones(len(rows))
        spread = rows.std(1)
        spread = np.where(spread > FLAT * np.abs(rows).max(1), spread, 0.0)
        return moved / np.where(spread > 0, spread, 1.0)[:, None], base, spread

    def examples(self, x: Floats, first: int, last: int, every: int = 1) -> Iterator[tuple[Floats, Floats]]:
        """Inputs and scaled truth of windows with every `every`th origin from `first` to `last`, less those with
        anything missing or no spread."""
        ahead = np.arange(1, self.horizon + 1)
        for start in range(max(first, self.reach - 1), last + 1, CHUNK * every):
            origins = np.arange(start, min(start + CHUNK * every, last + 1), every)
            rows, base, spread = self.windows(x, origins)
            whole = (spread > 0) & ~np.isnan(rows).any(1)
            y = (x[origins[:, None] + ahead] - base)[whole] / spread[whole, None]
            full = ~np.isnan(y).any(1)
            yield rows[whole][full], y[full]


@dataclass(frozen=True)
class Map:
    """A linear map of windows: (inputs - mean) @ weights + bias. mean [lookback], weights [lookback, horizon]."""

    mean: Floats
    weights: Floats
    bias: Floats

    def __call__(self, rows: Floats) -> Floats:
        return np.asarray((rows - self.mean) @ self.weights + self.bias)


class Moments:
    """The sums that a ridge regression needs of its examples, added up chunk by chunk."""

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

    def solved(self, penalties: Sequence[float]) -> list[Map]:
        """The map of each penalty: (C + penalty I) w = c, C the inputs' correlations; what never changes gets 0.

        NumPy solves no triangle, so each penalty is a system of its own, which costs less than an example's sums.
        """
        mean, bias = self.x / self.count, self.y / self.count
        covariance = self.xx / self.count - np.outer(mean, mean)
        deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        varies = deviation > 1e-9 * deviation.max(initial=0.0)
        inverse = np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0)
        correlation = covariance * inverse[:, None] * inverse
        cross = (self.xy / self.count - np.outer(mean, bias)) * inverse[:, None]
        eye = np.eye(len(mean))
        return [Map(mean, inverse[:, None] * np.linalg.solve(correlation + p * eye, cross), bias) for p in penalties]


@dataclass(frozen=True)
class Ridge:
    """A ridge regression for each target, from its own window to all steps ahead at once.

    penalties, windows: what was chosen for each target, and how many windows it was fitted on. A penalty is per window
    and input of unit variance: on the sum of squares it is `windows` times that.

    Source: Hoerl and Kennard 1970, Ridge regression, eq. 2.1.

    >>> wave = np.sin(np.arange(200) / 5)[:, None]
    >>> ridge = Ridge.fit([wave[:150]], lookback=20, horizon=10)
    >>> bool(np.abs(ridge.predict(wave, np.array([180]))[0] - wave[181:191]).max() < 1e-3)
    True
    """

    view: View
    maps: tuple[Map, ...]
    penalties: tuple[float, ...]
    windows: tuple[int, ...]

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
        """The regression of one series [T, targets] or of a list of them.

        The penalty of each target is the one with the least mean absolute error on the last `hold_out` of every series
        (at least one window), into which no window looks that the choice is fitted on; then all windows are fitted. A
        third by default, as a short part speaks for its own weather only. Windows with a missing value are left out; of
        more than 65,536 only every second is taken, or every third, and so on.

        Raises: DataError where there is no window to fit or none to choose by.
        """
        if lookback > MOST_INPUTS:
            raise DataError(f"ridge takes a look-back of {MOST_INPUTS:,} steps at most; this one has {lookback:,}")
        view = View(lookback, horizon, season, centre, spread)
        series = [checked(x) for x in listed(history)]
        if len({x.shape[1] for x in series}) != 1:
            raise DataError(f"ridge got series of {sorted({x.shape[1] for x in series})} targets; expected one number")
        fitted = [of_target(view, [x[:, k] for x in series], hold_out) for k in range(series[0].shape[1])]
        maps, penalties, counts = zip(*fitted, strict=True)
        return cls(view, maps, penalties, counts)

    def predict(self, history: npt.NDArray[Any], origins: npt.NDArray[Any]) -> Floats:
        """Forecasts float64 [origins, horizon, targets] of a series [T, targets], which looks back to `view.reach`.

        Raises: DataError for an origin with too few steps behind it, or a window with a missing value.
        """
        x, at = checked(history), reachable(origins, self.view.reach, len(history))
        if x.shape[1] != len(self.maps):
            raise DataError(f"history has {x.shape[1]} targets; ridge was fitted on {len(self.maps)}")
        found = np.empty((len(at), self.view.horizon, len(self.maps)))
        for start in range(0, len(at), CHUNK):
            part = slice(start, start + CHUNK)
            for k, line in enumerate(self.maps):
                rows, base, spread = self.view.windows(x[:, k], at[part])
                found[part, :, k] = line(rows) * spread[:, None] + base
        if np.isnan(found).any():
            n, _, k = np.argwhere(np.isnan(found))[0]
            raise DataError(
                f"the {self.view.reach} steps up to step {at[n]} have a missing value of target {k}; ridge needs all; "
                "fill the history"
            )
        return found


def of_target(view: View, series: list[Floats], hold_out: float) -> tuple[Map, float, int]:
    """The map of one target, its penalty, and how many windows it was fitted on."""
    moments = Moments(view.lookback, view.horizon)
    least = view.reach + view.horizon
    cuts = [min(max(math.floor(len(x) * (1 - hold_out)), least), len(x) - view.horizon) for x in series]
    every = max(1, -(-sum(len(x) for x in series) // MOST_WINDOWS))
    for x, cut in zip(series, cuts, strict=True):
        for rows, y in view.examples(x, 0, cut - view.horizon - 1, every):
            moments.add(rows, y)
    if not moments.count:
        raise DataError(
            f"ridge finds no window to fit: look-back and twice the horizon take {view.reach + 2 * view.horizon} steps "
            f"without a gap, and the longest series has {max(map(len, series))}; shorten one of them"
        )
    choices = moments.solved(PENALTIES)
    errors, judged = np.zeros(len(choices)), 0
    for x, cut in zip(series, cuts, strict=True):
        for rows, y in view.examples(x, cut - 1, len(x) - view.horizon - 1, every):
            errors += [float(np.abs(choice(rows) - y).sum()) for choice in choices]
            judged += len(rows)
    if not judged:
        raise DataError("ridge found no window without gaps in the last part of any series; fill the gaps")
    for x, cut in zip(series, cuts, strict=True):
        for rows, y in view.examples(x, cut - view.horizon, len(x) - view.horizon - 1, every):
            moments.add(rows, y)
    penalty = PENALTIES[int(errors.argmin())]
    return moments.solved([penalty])[0], penalty, moments.count


# --- the verdict


def verdict(model_mae: float, baselines: Mapping[str, float]) -> str | None:
    """A sentence for a model that does not beat the best of the baselines (name -> MAE); None for one that does.

    >>> verdict(2.0, {"seasonal naive": 2.5, "ridge": 1.9})
    'the model does not beat ridge (MAE 2 against 1.9); use that, or give the model more data or another setting'
    >>> verdict(1.8, {"ridge": 1.9}) is None
    True
    """
    ahead = sorted((mae, name) for name, mae in baselines.items() if not model_mae < mae)
    if not ahead:
        return None
    figures = " and ".join(f"{name} (MAE {model_mae:.4g} against {mae:.4g})" for mae, name in ahead)
    return f"the model does not beat {figures}; use that, or give the model more data or another setting"


# --- checks


def listed(history: npt.NDArray[Any] | Sequence[npt.NDArray[Any]]) -> Sequence[npt.NDArray[Any]]:
    return [history] if isinstance(history, np.ndarray) else history


def checked(history: npt.NDArray[Any]) -> Floats:
    x = np.asarray(history, np.float64)
    if x.ndim != 2:
        raise DataError(f"history has shape {list(x.shape)}; expected [steps, targets]")
    return x


def reachable(origins: npt.NDArray[Any], reach: int, steps: int) -> Origins:
    """Origins as int64 [n]. Raises DataError for one outside of the history or with less than `reach` steps."""
    at = np.asarray(origins, np.int64)
    for bad in at[(at < reach - 1) | (at >= steps)]:
        raise DataError(f"origin {bad} of {steps} steps; expected {reach - 1} to {steps - 1}, with {reach} steps known")
    return at
