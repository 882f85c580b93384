"""The key `check`: inputs made from a seed, and the answers of the float64 reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ModelFileError, error_context
from ..expect import check_integer, check_keys, check_list, check_tensor
from ..limits import MAX_CHECK_BYTES, MAX_CHECK_STEPS, MAX_STATE_BYTES
from ..strictjson import show
from ..tensors import Array


def check_self_check(value: Any, counts: Mapping[str, int], tensors: Mapping[str, Array]) -> set[str]:
    """Check the key `check` and return the names of its tensors.

    counts: how many numbers an output and a state have, before the check's stride.
    """
    if value is None:
        return set()
    check_keys("check", value, "seed", "stride", "cases")
    check_integer("check.seed", value["seed"], 0, (1 << 63) - 1)
    check_integer("check.stride", value["stride"], 1, MAX_STATE_BYTES)
    check_list("check.cases", value["cases"], 1, 64)
    names: list[str] = []
    for i, case in enumerate(value["cases"]):
        with error_context(f"check.cases[{i}]"):
            names += _check_case(case, value["stride"], counts, tensors)
    if len(set(names)) != len(names):
        raise ModelFileError("check.cases: a tensor appears twice; each output and each state needs its own")
    if (total := sum(tensors[name].nbytes for name in names)) > MAX_CHECK_BYTES:
        raise ModelFileError(f"check: its tensors have {total} bytes; at most {MAX_CHECK_BYTES} are allowed")
    return set(names)


def _check_case(case: Any, stride: int, counts: Mapping[str, int], tensors: Mapping[str, Array]) -> list[str]:
    check_keys("a case", case, "steps", "output", "state")
    check_integer("steps", case["steps"], 1, MAX_CHECK_STEPS)
    for key, count in counts.items():
        check_tensor(key, case[key], tensors, "F64", (-(-count // stride),))
        if not case[key].startswith("check."):
            raise ModelFileError(f"{key}: the name of tensor {show(case[key])} must start with 'check.'")
    return [case["output"], case["state"]]
