"""Errors of forecasts of several series and channels: of all together, and of each by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ._channels import ChannelIndependent
from ._forecast_metrics import nan_mean, score, score_group

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """The forecasts of one series of the model, and what came.

    series: its name. targets: the names of its targets. forecasts: float64 [origins, horizon, targets, quantiles].
    truth: float64 [origins, horizon, targets], NaN where unknown. scale: what its errors are divided by in MASE,
    [targets].
    """

    series: str
    targets: tuple[str, ...]
    forecasts: Floats
    truth: Floats
    scale: Floats

    def in_units(self, unit: Floats) -> Part:
        """Return the part in units of `unit`, [targets]; where that is NaN, the truth does not count."""
        known = np.where(np.isnan(unit), 1.0, unit)
        return replace(
            self,
            forecasts=self.forecasts / known[:, None],
            truth=self.truth / unit,
            scale=self.scale / known,
        )

    def select(self, target: str) -> Part:
        """Return the part of one of the targets."""
        k = [self.targets.index(target)]
        return replace(
            self,
            targets=(target,),
            forecasts=self.forecasts[:, :, k],
            truth=self.truth[:, :, k],
            scale=self.scale[k],
        )


def name_parts(source: Any, columns: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the name of each series of a source, and the names of its targets.

    With channels apart, a series of the model is one channel of a series of the file, whose names these are. columns:
    the targets of the model. A series without a name is called by its number.
    """
    each = source.targets if isinstance(source, ChannelIndependent) else (None,)
    named = []
    for i, series in enumerate(source.series):
        channel = each[i % len(each)]
        name = series.id if channel is None else series.id.removesuffix(channel).removesuffix("/")
        named.append((name or f"series {i // len(each) + 1}", tuple(columns) if channel is None else (channel,)))
    return named


def list_targets(parts: Sequence[Part]) -> list[str]:
    """List the targets of all parts, each once."""
    return list(dict.fromkeys(name for part in parts for name in part.targets))


def score_parts(parts: Sequence[Part], quantiles: Sequence[float]) -> dict[str, Any]:
    """Compute the metrics of `score` of all parts together, with `per_target` and `per_series` by name.

    An entry of `per_series` has the figures of all targets of the series, and with several targets those of each in its
    own `per_target`.

    >>> y = np.zeros((1, 1, 2))
    >>> got = score_parts([Part("a", ("x", "y"), y[..., None] + 2, y, np.array([1.0, 4.0]))], [0.5])
    >>> got["per_target"]["y"]["mase"], got["per_series"]["a"]["mase"], got["mase"]
    (0.5, 1.25, 1.25)
    """
    targets = list_targets(parts)
    forecasts, truth, scale = join_parts(parts)
    overall = score(forecasts, truth, quantiles, scale)
    per_series: dict[str, Any] = {}
    for name in dict.fromkeys(part.series for part in parts):
        own = [part for part in parts if part.series == name]
        per_series[name] = {"origins": max(len(part.truth) for part in own), **score_together(own, quantiles)}
        if len(targets) > 1:
            per_series[name]["per_target"] = score_targets(own, quantiles)
    return {**overall, "per_target": score_targets(parts, quantiles), "per_series": per_series}


def score_targets(parts: Sequence[Part], quantiles: Sequence[float]) -> dict[str, Any]:
    """Compute the figures of each target by name."""
    return {
        name: score_together([part.select(name) for part in parts if name in part.targets], quantiles)
        for name in list_targets(parts)
    }


def score_together(parts: Sequence[Part], quantiles: Sequence[float]) -> dict[str, Any]:
    """Compute the figures of all values of parts together."""
    forecasts, truth, scale = join_parts(parts)
    return score_group(forecasts, truth, quantiles, scale)


def join_parts(parts: Sequence[Part]) -> tuple[Floats, Floats, Floats]:
    """Join parts of equally many targets: forecasts, truth, and the scale of each origin [origins, targets]."""
    scales = [np.broadcast_to(part.scale, (len(part.truth), len(part.scale))) for part in parts]
    return (
        np.concatenate([part.forecasts for part in parts]),
        np.concatenate([part.truth for part in parts]),
        np.concatenate(scales),
    )


def score_points(parts: Sequence[Part], points: Sequence[Floats]) -> dict[str, Any]:
    """Compute `mae` and `mase` of other forecasts of the same parts, [origins, horizon, targets] each: of all together,
    and by target.
    """
    made = [replace(part, forecasts=point[..., None]) for part, point in zip(parts, points, strict=True)]
    own = {name: [part.select(name) for part in made if name in part.targets] for name in list_targets(made)}
    return {**mean_errors(made), "per_target": {name: mean_errors(of) for name, of in own.items()}}


def mean_errors(parts: Sequence[Part]) -> dict[str, float | None]:
    forecasts, truth, scale = join_parts(parts)
    error = np.abs(truth - forecasts[..., 0])
    return {"mae": nan_mean(error), "mase": nan_mean(error / np.where(scale > 0, scale, np.nan)[:, None])}


# --- the verdict


def baseline_warning(error: float, baselines: Mapping[str, float], metric: str = "MAE") -> str | None:
    """Return a warning for a model that does not beat all baselines (name -> error); None for one that does.

    >>> baseline_warning(2.0, {"seasonal naive": 2.5, "ridge": 1.9})
    'the model does not beat ridge (MAE 2 against 1.9); use that, or give the model more data or another setting'
    >>> baseline_warning(1.8, {"ridge": 1.9}) is None
    True
    """
    ahead = sorted((other, name) for name, other in baselines.items() if not error < other)
    if not ahead:
        return None
    figures = " and ".join(f"{name} ({metric} {error:.4g} against {other:.4g})" for other, name in ahead)
    return f"the model does not beat {figures}; use that, or give the model more data or another setting"
