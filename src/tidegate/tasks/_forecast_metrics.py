"""Figures of a forecaster: from forecasts and truth to errors, interval coverage and pinball loss."""

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
    """The errors of forecasts, of all together and of each target and step ahead; a figure without numbers is None.

    The 0.5 quantile is the point forecast, of which mae, mse, rmse, smape (percent) and mase are taken.

    forecasts: float [origins, horizon, targets, quantiles]. truth: float [origins, horizon, targets], NaN where it is
    unknown; those are counted in `unknown` and left out of every figure but `crossing`, which needs no truth: the share
    of forecasts whose quantiles do not ascend. quantiles: ascending, 0.5 among them. scale: the denominator of MASE, by
    `seasonal_scale`, float [targets] or [origins, targets]; what has none (0 or NaN) is left out of `mase`, and
    `mase_reason` says so. `coverage` has the share of truth within each symmetric pair of quantiles, its ends included.

    Raises: DataError for shapes that do not fit, and for a forecast that is no finite number.

    Source: MASE: Hyndman and Koehler 2006, Another look at measures of forecast accuracy, section 3; pinball loss:
    Koenker and Bassett 1978, Regression quantiles, eq. 1.1; sMAPE and MASE as in the M4 competition, Makridakis,
    Spiliotis and Assimakopoulos 2020, section 2.

    >>> truth = np.array([[[1.0], [4.0]]])
    >>> got = score(np.array([[[[0.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]]]), truth, [0.1, 0.5, 0.9], np.array([3.0]))
    >>> got["mae"], got["mase"], got["coverage"], got["per_step"]
    (1.5, 0.5, {'0.8': 0.5}, [1.0, 2.0])
    """
    y = np.asarray(truth, np.float64)
    q = np.asarray(forecasts, np.float64)
    levels = check_quantiles(quantiles)
    check_shapes(q, y, levels)
    per_origin = spread_out(scale, y)
    targets = range(y.shape[2])
    return {
        "origins": len(y),
        "unknown": int(np.isnan(y).sum()),
        **figures(q, y, levels, per_origin),
        "per_target": [figures(q[:, :, [k]], y[:, :, [k]], levels, per_origin[:, :, [k]]) for k in targets],
        "per_step": [mean(np.abs(y[:, h] - q[:, h, :, levels.index(0.5)])) for h in range(y.shape[1])],
    }


def seasonal_scale(values: npt.NDArray[Any], season: int) -> Floats:
    """MASE's denominator: the mean absolute difference of values a season apart, float64 [targets].

    values: float [T, targets], the history before the first origin, NaN where missing. The result is NaN where no two
    known values are a season apart.

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


# --- checks


def check_quantiles(quantiles: Sequence[float]) -> list[float]:
    """The quantiles as floats. Raises DataError unless they ascend within 0 and 1 and 0.5 is among them."""
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
        raise DataError(f"the forecast of origin {n}, step {h + 1}, target {k} is no finite number")
    if np.isinf(y).any():
        n, h, k = np.argwhere(np.isinf(y))[0]
        raise DataError(f"the truth of origin {n}, step {h + 1}, target {k} is infinite; leave it out as NaN")


def spread_out(scale: npt.NDArray[Any], y: Floats) -> Floats:
    """The scale of each true value, [origins, horizon, targets]; NaN where there is none."""
    n, horizon, targets = y.shape
    given = np.asarray(scale, np.float64)
    if given.shape not in ((targets,), (n, targets)):
        raise DataError(f"scale has shape {list(given.shape)}; expected [{targets}] or [{n}, {targets}]")
    given = np.broadcast_to(given, (n, targets))
    given = np.where(np.isfinite(given) & (given > 0), given, np.nan)
    return np.broadcast_to(given[:, None], (n, horizon, targets))


# --- figures


def figures(q: Floats, y: Floats, levels: list[float], scale: Floats) -> dict[str, Any]:
    """The figures of one group of forecasts."""
    point = q[..., levels.index(0.5)]
    error = y - point
    mse = mean(error**2)
    losses = [mean(pinball(y - q[..., i], level)) for i, level in enumerate(levels)]
    return {
        "mae": mean(np.abs(error)),
        "mse": mse,
        "rmse": None if mse is None else float(np.sqrt(mse)),
        "smape": mean(symmetric(y, point)),
        "mase": mean(np.abs(error) / scale),
        "mase_reason": reason(y, scale),
        "pinball": None if losses[0] is None else float(np.mean(np.array(losses, np.float64))),
        "pinball_per_quantile": dict(zip(map(name, levels), losses, strict=True)),
        "coverage": coverage(q, y, levels),
        "crossing": float((np.diff(q, axis=-1) < 0).any(-1).mean()) if y.size else None,
    }


def mean(values: Floats) -> float | None:
    """The mean of what is known; None where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def symmetric(y: Floats, point: Floats) -> Floats:
    """200 |y - f| / (|y| + |f|), in percent; 0 where both are 0."""
    size = np.abs(y) + np.abs(point)
    return np.where(size == 0, 0.0, 200 * np.abs(y - point) / np.where(size == 0, 1.0, size))


def pinball(above: Floats, level: float) -> Floats:
    """The loss of a quantile that the truth is `above`: level x above, or (level - 1) x above where it is below."""
    return np.maximum(level * above, (level - 1) * above)


def coverage(q: Floats, y: Floats, levels: list[float]) -> dict[str, float | None]:
    """For each pair of quantiles that leave out as much on either side, widest first: the share of truth between."""
    found: dict[str, float | None] = {}
    for low, high in pairs(levels):
        inside = (q[..., low] <= y) & (y <= q[..., high])
        found[name(levels[high] - levels[low])] = mean(np.where(np.isnan(y), np.nan, inside))
    return found


def pairs(levels: Sequence[float]) -> list[tuple[int, int]]:
    """The indices of quantiles a and 1 - a, widest first.

    >>> pairs([0.05, 0.1, 0.5, 0.9])
    [(1, 3)]
    """
    return [
        (i, j)
        for i, low in enumerate(levels)
        for j, high in enumerate(levels)
        if low < 0.5 and abs(low + high - 1) < 1e-9
    ]


def name(share: float) -> str:
    """A share as a key: '0.8'."""
    return f"{round(share, 9):g}"


def reason(y: Floats, scale: Floats) -> str | None:
    """Why `mase` is None, or of fewer values than the other figures; None where it is of all."""
    known = ~np.isnan(y)
    without = known & np.isnan(scale)
    if not without.any():
        return None
    what = "all" if (without == known).all() else f"{int(without.sum())} of {int(known.sum())}"
    return f"{what} true values have no scale (a history that is constant or shorter than a season); they are left out"
