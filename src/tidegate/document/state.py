"""The key `state`: the layout of what a stream remembers between steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..errors import ModelFileError
from ..expect import check_keys, check_list
from ..layers import Layer, name_states, whole_window
from ..limits import MAX_LAYERS, MAX_STATE_BYTES
from ..strictjson import canonical, show


def state_schema(layers: Sequence[Layer]) -> dict[str, Any]:
    """Lay out the state of layers, as in the key `state`: {"bytes": size of the block, "arrays": [...]}.

    The arrays are sorted by offset. Layers of which one needs whole rows have no state but `steps`. Raises:
    ModelFileError if the layers together carry over 16 MiB from step to step.

    >>> from ..layers import parse
    >>> state_schema([parse("pool", {"size": 2, "over": ["max"]}, 2, {})])["arrays"][1]
    {'name': 'layers.0.max', 'dtype': 'float32', 'shape': [2], 'offset': 8, 'fill': '-inf'}
    """
    arrays: list[dict[str, Any]] = [{"name": "steps", "dtype": "int64", "shape": [1], "offset": 0}]
    offset = 8
    for i, layer in enumerate(layers):
        for name, (shape, fill) in name_states(i, layer.carried()).items():
            arrays.append(
                {
                    "name": name,
                    "dtype": "float32",
                    "shape": list(shape),
                    "offset": offset,
                    "fill": fill if isinstance(fill, list) else "-inf" if fill == -math.inf else float(fill),
                }
            )
            offset += 4 * math.prod(shape)
    if offset > MAX_STATE_BYTES:
        raise ModelFileError(
            f"state: the layers carry {offset} bytes from step to step; at most {MAX_STATE_BYTES} are allowed"
        )
    if whole_window(layers):
        arrays, offset = arrays[:1], 8
    return {"bytes": -(-offset // 8) * 8, "arrays": arrays}


def check_state(value: Any, computed: dict[str, Any]) -> None:
    check_keys("state", value, "bytes", "arrays")
    check_list("state.arrays", value["arrays"], 1, len(computed["arrays"]) + MAX_LAYERS)
    for i, array in enumerate(computed["arrays"]):
        if i >= len(value["arrays"]) or not is_same_json(value["arrays"][i], array):
            found = show(value["arrays"][i], 200) if i < len(value["arrays"]) else "missing"
            raise ModelFileError(f"state.arrays[{i}]: is {found}; the layers need {show(array, 200)}")
    if len(value["arrays"]) > len(computed["arrays"]):
        raise ModelFileError(
            f"state.arrays: has {len(value['arrays'])} entries; the layers need {len(computed['arrays'])}"
        )
    if not is_same_json(value["bytes"], computed["bytes"]):
        raise ModelFileError(f"state.bytes: is {show(value['bytes'])}; the layers need {computed['bytes']}")


def is_same_json(a: Any, b: Any) -> bool:
    """Compare two values as JSON text: like the hashes, this tells 1 from 1.0 and from True."""
    return canonical(a) == canonical(b)


def count_floats(arrays: list[dict[str, Any]]) -> int:
    return sum(math.prod(array["shape"]) for array in arrays if array["dtype"] == "float32")
