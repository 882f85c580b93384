"""Baselines in a model file: entries of `provenance.baseline_models`, and float32 tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ModelFileError
from ._baseline_models import LinearMap, Ridge, RidgeWindow
from .base import Array

ROLES = ("mean", "weights", "bias")


def store_baselines(models: Mapping[str, int | Ridge | str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the document's entries of baselines by name, and their tensors; those that are not possible are left out.

    models: an integer is the season of seasonal naive. A ridge with numbers beyond float32 is left out as well.
    """
    entries: dict[str, Any] = {}
    tensors: dict[str, Array] = {}
    for name, model in models.items():
        if isinstance(model, int):
            entries[name] = {"kind": "seasonal_naive", "season": model}
        elif isinstance(model, Ridge):
            with np.errstate(over="ignore"):
                arrays = {
                    role: np.stack([getattr(one, role) for one in model.maps]).astype(np.float32) for role in ROLES
                }
            if all(np.isfinite(array).all() for array in arrays.values()):
                window = model.window
                entries[name] = {
                    "kind": "ridge",
                    "lookback": window.lookback,
                    "horizon": window.horizon,
                    "targets": len(model.maps),
                    "season": window.season,
                    "centre": window.centre,
                    "spread": window.spread,
                    "tensors": {role: f"baseline.ridge.{role}" for role in ROLES},
                }
                tensors |= {f"baseline.ridge.{role}": array for role, array in arrays.items()}
    return entries, tensors


def load_baselines(
    provenance: Mapping[str, Any], tensors: Mapping[str, Array], horizon: int, targets: int
) -> dict[str, int | Ridge | str] | None:
    """Return the baselines of a valid document by name, or why one is not possible; None for a file without any.

    horizon, targets: the model's. Raises: ModelFileError for a baseline of another horizon or number of targets.
    """
    if "baseline_models" not in provenance:
        return None
    models: dict[str, int | Ridge | str] = {}
    for name, entry in provenance["baseline_models"].items():
        if entry["kind"] == "seasonal_naive":
            models[name] = int(entry["season"])
            continue
        if (entry["horizon"], entry["targets"]) != (horizon, targets):
            raise ModelFileError(
                f"provenance.baseline_models: {name} forecasts {entry['horizon']} steps of {entry['targets']} targets; "
                f"the model forecasts {horizon} of {targets}"
            )
        arrays = [tensors[entry["tensors"][role]].astype(np.float64) for role in ROLES]
        maps = tuple(LinearMap(*parts) for parts in zip(*arrays, strict=True))
        window = RidgeWindow(entry["lookback"], horizon, entry["season"], entry["centre"], entry["spread"])
        models[name] = Ridge(window, maps, (), ())
    if not any(isinstance(model, Ridge) for model in models.values()):
        measured = provenance.get("baselines")
        reasons = measured.items() if isinstance(measured, dict) else ()
        models |= {name: reason for name, reason in reasons if isinstance(reason, str) and name not in models}
    return models
