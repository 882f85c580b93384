"""Tensors in a model file that only `score` reads, such as a head that was trained too: `provenance.scoring`.

They decide none of the model's outputs, so their tensors, named `scoring.`..., are not part of its weights hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ..errors import ModelFileError
from ..expect import check_object, check_text
from ..limits import MAX_SCORING_BYTES, MAX_SCORING_TENSORS
from ..strictjson import show
from ..tensors import Array

PREFIX: Final = "scoring."
KEY: Final = "scoring"


def store(arrays: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the entry of the provenance for arrays by role, empty without any, and the tensors of the file.

    >>> entry, tensors = store({"bias": [0.5]})
    >>> entry, tensors["scoring.bias"].dtype
    ({'scoring': {'bias': 'scoring.bias'}}, dtype('float32'))
    """
    names = {role: PREFIX + role for role in arrays}
    return {KEY: names} if names else {}, {names[role]: np.asarray(array, np.float32) for role, array in arrays.items()}


def load(
    provenance: Mapping[str, Any], tensors: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Return the arrays of a valid document by role.

    shapes: of each role that must be there. Raises ModelFileError for a missing role, or another shape.
    """
    names, found = provenance.get(KEY, {}), dict[str, Array]()
    for role, shape in shapes.items():
        if role not in names:
            raise ModelFileError(
                f"provenance.{KEY}: {role!r} is missing, so the loss cannot be measured; fit the model anew"
            )
        found[role] = tensors[names[role]]
        if found[role].shape != shape:
            raise ModelFileError(
                f"provenance.{KEY}.{role}: has the shape {list(found[role].shape)}; expected {list(shape)}"
            )
    return found


def check(provenance: dict[str, Any], tensors: Mapping[str, Array]) -> set[str]:
    """Check the entry of a provenance, if it has one, and return the names of its tensors.

    Raises: ModelFileError with the place, what was found and what was expected.
    """
    if KEY not in provenance:
        return set()
    place = f"provenance.{KEY}"
    check_object(place, names := provenance[KEY])
    if len(names) > MAX_SCORING_TENSORS:
        raise ModelFileError(f"{place}: has {len(names)} entries; at most {MAX_SCORING_TENSORS} are allowed")
    total = 0
    for role, name in names.items():
        check_text(place, role)
        check_text(f"{place}.{show(role)}", name)
        if name != PREFIX + role or name not in tensors or tensors[name].dtype != np.float32:
            raise ModelFileError(f"{place}.{show(role)}: is {show(name)}; expected an F32 tensor {show(PREFIX + role)}")
        total += tensors[name].nbytes
    if total > MAX_SCORING_BYTES:
        raise ModelFileError(f"{place}: its tensors have {total} bytes; at most {MAX_SCORING_BYTES} are allowed")
    return set(names.values())
