"""Validation of the baseline forecasts that a model file stores to be compared with: `provenance.baseline_models`.

They decide none of the model's outputs, so their tensors, named `baseline.`..., are not part of its weights hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..errors import ModelFileError
from ..expect import check_integer, check_keys, check_object, check_tensor, check_text
from ..limits import MAX_BASELINE_BYTES, MAX_BASELINES, MAX_COLUMNS, MAX_HORIZON, MAX_REACH
from ..strictjson import show
from ..tensors import Array

PREFIX: Final = "baseline."
KEY: Final = "baseline_models"


def check(provenance: dict[str, Any], tensors: Mapping[str, Array]) -> set[str]:
    """Check the baselines of a provenance, if it has any, and return the names of their tensors.

    Raises: ModelFileError with the place, what was found and what was expected.
    """
    if KEY not in provenance:
        return set()
    check_object(f"provenance.{KEY}", entries := provenance[KEY])
    if len(entries) > MAX_BASELINES:
        raise ModelFileError(f"provenance.{KEY}: has {len(entries)} entries; at most {MAX_BASELINES} are allowed")
    names: list[str] = []
    for name, entry in entries.items():
        check_text(f"provenance.{KEY}", name)
        names += check_entry(f"provenance.{KEY}.{show(name)}", entry, tensors)
    if len(set(names)) != len(names):
        raise ModelFileError(f"provenance.{KEY}: a tensor appears twice; each baseline needs its own")
    if (total := sum(tensors[name].nbytes for name in names)) > MAX_BASELINE_BYTES:
        raise ModelFileError(
            f"provenance.{KEY}: its tensors have {total} bytes; at most {MAX_BASELINE_BYTES} are allowed"
        )
    return set(names)


def check_entry(place: str, entry: Any, tensors: Mapping[str, Array]) -> list[str]:
    """Check one baseline and return the names of its tensors."""
    check_object(place, entry)
    if entry.get("kind") == "seasonal_naive":
        check_keys(place, entry, "kind", "season")
        check_integer(f"{place}.season", entry["season"], 1, MAX_REACH)
        return []
    if entry.get("kind") != "ridge":
        raise ModelFileError(f"{place}.kind: is {show(entry.get('kind'))}; expected 'seasonal_naive' or 'ridge'")
    from ..features.series import CENTRES, SPREADS  # most models have no series

    check_keys(place, entry, "kind", "lookback", "horizon", "targets", "season", "centre", "spread", "tensors")
    L = check_integer(f"{place}.lookback", entry["lookback"], 1, MAX_REACH)
    H = check_integer(f"{place}.horizon", entry["horizon"], 1, MAX_HORIZON)
    k = check_integer(f"{place}.targets", entry["targets"], 1, MAX_COLUMNS)
    check_integer(f"{place}.season", entry["season"], 0, MAX_REACH)
    for key, choices in (("centre", CENTRES), ("spread", SPREADS)):
        if entry[key] not in choices:
            raise ModelFileError(f"{place}.{key}: is {show(entry[key])}; expected one of {', '.join(choices)}")
    shapes = {"mean": (k, L), "weights": (k, L, H), "bias": (k, H)}
    check_keys(f"{place}.tensors", entry["tensors"], *shapes)
    for role, shape in shapes.items():
        check_tensor(f"{place}.tensors.{role}", name := entry["tensors"][role], tensors, "F32", shape)
        if not name.startswith(PREFIX):
            raise ModelFileError(
                f"{place}.tensors.{role}: the name of tensor {show(name)} must start with {PREFIX!r}, as it decides "
                "none of the model's outputs"
            )
    return list(entry["tensors"].values())
