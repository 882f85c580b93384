"""Metrics of a forecaster: from forecasts and truth to errors, interval coverage and pinball loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError

Floats = npt.NDArray[np.float64]


def score(
    forecasts: npt.NDArray[Any], truth: npt.NDArray[Any], quantiles: Sequence[float], scale: npt.NDArray[Any]
) -> dict[str, Any]:
    """Compute the metrics of forecasts: of all together, and the mean absolute error of each step ahead.

    The 0.5 quantile is the point forecast; mae, mse, rmse, smape (percent) and mase are computed from it. `coverage`
    holds the share of true values within each symmetric pair of quantiles, bounds included; `crossing` is the share of
    forecasts whose quantiles do not ascend. A metric without any value is None.

    forecasts: float [origins, horizon, targets, quantiles]. truth: float [origins, horizon, targets], NaN where it is
    unknown; such values are counted in `unknown` and left out of every metric but `crossing`. quantiles: ascending, 0.5
    among them. scale: the denominator of MASE from `seasonal_scale`, float [targets] or [origins, targets]; values
    without one (0 or NaN) are left out of `mase`, and `mase_reason` says so.

    Raises: DataError for shapes that do not fit, and for a forecast that is not finite.

    Source: MASE: Hyndman and Koehler 2006, Another look at measures of forecast accuracy, section 3; pinball loss:
    Koenker and Bassett 1978, Regression quantiles, eq. 1.1; sMAPE and MASE as in the M4 competition, Makridakis,
    Spiliotis and Assimakopoulos 2020, section 2.

    >>> truth = np.array([[[1.0], [4.0]]])
    >>> got = score(np.array([[[[0.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]]]), truth, [0.1, 0.5, 0.9], np.array([3.0]))
    >>> got["mae"], got["mase"], got["coverage"], got["per_step"]
    (1.5, 0.5, {'0.8': 0.5}, [1.0, 2.0])
    """
    y, q = np.asarray(truth, np.float64), np.asarray(forecasts, np.float64)
    of_all = score_group(q, y, quantiles, scale)
    median = check_quantiles(quantiles).index(0.5)
    return {
        "origins": len(y),
        "unknown": int(np.isnan(y).sum()),
        **of_all,
        "per_step": [nan_mean(np.abs(y[:, h] - q[:, h, :, median])) for h in range(y.shape[1])],
    }


def score_group(
    forecasts: npt.NDArray[Any], truth: npt.NDArray[Any], quantiles: Sequence[float], scale: npt.NDArray[Any]
) -> dict[str, Any]:
    """Compute the metrics of a group of forecasts, those of `score` that are about all of its values together."""
    y, q = np.asarray(truth, np.float64), np.asarray(forecasts, np.float64)
    levels = check_quantiles(quantiles)
    check_shapes(q, y, levels)
    return figures(q, y, levels, broadcast_scale(scale, y))


def seasonal_scale(values: npt.NDArray[Any], season: int) -> Floats:
    """Compute MASE's denominator, the mean absolute difference of values a season apart: float64 [targets].

    values: float [T, targets], the history before the first origin, NaN where missing. season: in steps. The result is
    NaN where no two known values are a season apart.

    Source: Hyndman and Koehler 2006, section 3, with the seasonal naive forecast in place of the naive one.

    >>> seasonal_scale(np.array([[1.0, 7.0], [2.0, 7.0], [4.0, 7.0]]), 1).tolist()
    [1.5, 0.0]
    """
    x = np.asarray(values, np.float64)
    if x.ndim != 2:
        raise DataError(f"values have shape {list(x.shape)}; expected [steps, targets]")
    if season < 1:
        raise DataError(f"season is {season}; expected 1 or more steps")
    apart = np.abs(x[season:] - x[:-season])
    known = (~np.isnan(apart)).sum(0)
    return np.where(known > 0, np.nansum(apart, 0) / np.maximum(known, 1), np.nan)


def stack_scales(scales: Sequence[npt.NDArray[Any] | None], targets: int) -> Floats:
    """Stack the scales of several series, [targets] each, to float64 [series, targets]: NaN for None and for 0.

    >>> stack_scales([np.array([2.0]), np.array([0.0]), None], 1).ravel().tolist()
    [2.0, nan, nan]
    """
    stacked = np.stack([np.full(targets, np.nan) if each is None else each for each in scales])
    return np.where(stacked > 0, stacked, np.nan)


# --- checks


def check_quantiles(quantiles: Sequence[float]) -> list[float]:
    """Return the quantiles as floats. Raises DataError unless they ascend between 0 and 1 with 0.5 among them."""
    levels = [float(q) for q in quantiles]
    rising = all(a < b for a, b in zip([0.0, *levels], [*levels, 1.0], strict=True))
    if not rising or 0.5 not in levels:
        raise DataError(f"quantiles are {levels}; they must ascend between 0 and 1, with 0.5 among them")
    return levels


def check_shapes(q: Floats, y: Floats, levels: list[float]) -> None:
    if y.ndim != 3 or q.shape != (*y.shape, len(levels)):
        raise DataError(
            f"forecasts have shape {list(q.shape)} and truth {list(y.shape)} with {len(levels)} quantiles; expected "
            "[origins, horizon, targets, quantiles] and [origins, horizon, targets]"
        )
    if not np.isfinite(q).all():
        n, h, k, _ = np.argwhere(~np.isfinite(q))[0]
        raise DataError(f"the forecast of origin {n}, step {h + 1}, target {k} is not a finite number")
    if np.isinf(y).any():
        n, h, k = np.argwhere(np.isinf(y))[0]
        raise DataError(f"the true value of origin {n}, step {h + 1}, target {k} is infinite; give NaN to leave it out")


def broadcast_scale(scale: npt.NDArray[Any], y: Floats) -> Floats:
    """Return the scale of each true value, [origins, horizon, targets]; NaN where there is none."""
    n, horizon, targets = y.shape
    values = np.asarray(scale, np.float64)
    if values.shape not in ((targets,), (n, targets)):
        raise DataError(f"scale has shape {list(values.shape)}; expected [{targets}] or [{n}, {targets}]")
    values = np.broadcast_to(values, (n, targets))
    values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    return np.broadcast_to(values[:, None], (n, horizon, targets))


# --- figures


def figures(q: Floats, y: Floats, levels: list[float], scale: Floats) -> dict[str, Any]:
    """Compute the metrics of one group of forecasts."""
    point = q[..., levels.index(0.5)]
    error = y - point
    mse = nan_mean(error**2)
    losses = [nan_mean(pinball(y - q[..., i], level)) for i, level in enumerate(levels)]
    return {
        "mae": nan_mean(np.abs(error)),
        "mse": mse,
        "rmse": None if mse is None else float(np.sqrt(mse)),
        "smape": nan_mean(symmetric_percentage_errors(y, point)),
        "mase": nan_mean(np.abs(error) / scale),
        "mase_reason": mase_reason(y, scale),
        "pinball": None if losses[0] is None else float(np.mean(np.array(losses, np.float64))),
        "pinball_per_quantile": dict(zip(map(share_key, levels), losses, strict=True)),
        "coverage": coverage(q, y, levels),
        "crossing": float((np.diff(q, axis=-1) < 0).any(-1).mean()) if y.size else None,
    }


def nan_mean(values: Floats) -> float | None:
    """Return the mean of the values that are not NaN; None where there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def symmetric_percentage_errors(y: Floats, point: Floats) -> Floats:
    """Compute 200 |y - f| / (|y| + |f|), in percent; 0 where both are 0."""
    size = np.abs(y) + np.abs(point)
    return np.where(size == 0, 0.0, 200 * np.abs(y - point) / np.where(size == 0, 1.0, size))


def pinball(above: Floats, level: float) -> Floats:
    """Compute the pinball loss of a quantile: level * above, or (level - 1) * above where the truth is below it.

    above: the truth minus the quantile.
    """
    return np.maximum(level * above, (level - 1) * above)


def coverage(q: Floats, y: Floats, levels: list[float]) -> dict[str, float | None]:
    """Return the share of true values within each symmetric pair of quantiles, by nominal share, widest first."""
    shares: dict[str, float | None] = {}
    for low, high in symmetric_pairs(levels):
        inside = (q[..., low] <= y) & (y <= q[..., high])
        shares[share_key(levels[high] - levels[low])] = nan_mean(np.where(np.isnan(y), np.nan, inside))
    return shares


def symmetric_pairs(levels: Sequence[float]) -> list[tuple[int, int]]:
    """List the indices of the quantiles a and 1 - a, widest first.

    >>> symmetric_pairs([0.05, 0.1, 0.5, 0.9])
    [(1, 3)]
    """
    return [
        (i, j)
        for i, low in enumerate(levels)
        for j, high in enumerate(levels)
        if low < 0.5 and abs(low + high - 1) < 1e-9
    ]


def share_key(share: float) -> str:
    """Format a share as a key: '0.8'."""
    return f"{round(share, 9):g}"


def mase_reason(y: Floats, scale: Floats) -> str | None:
    """Return why `mase` is None or covers fewer values than the other metrics; None where it covers all of them."""
    known = ~np.isnan(y)
    without = known & np.isnan(scale)
    if not without.any():
        return None
    what = "all" if (without == known).all() else f"{int(without.sum())} of {int(known.sum())}"
    return f"{what} true values have no scale (their history is constant or shorter than a season) and are left out"
