"""The key `state`: the layout of what a stream remembers between steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..errors import ModelFileError
from ..expect import check_keys, check_list
from ..layers import Layer, name_states, whole_window
from ..limits import MAX_LAYERS, MAX_STATE_BYTES
from ..strictjson import canonical, show


def state_schema(layers: Sequence[Layer]) -> dict[str, Any]:
    """Lay out the state of layers, as in the key `state`: {"bytes": size of the block, "arrays": [...]}.

    The arrays are sorted by offset; those that steps only read stand last, from a multiple of 8 on. Layers of which one
    needs whole rows have no state but `steps`. Raises: ModelFileError if the layers together carry over 16 MiB from
    step to step.

    >>> from ..layers import parse
    >>> state_schema([parse("pool", {"size": 2, "over": ["max"]}, 2, {})])["arrays"][1]
    {'name': 'layers.0.max', 'dtype': 'float32', 'shape': [2], 'offset': 8, 'fill': '-inf'}
    """
    arrays: list[dict[str, Any]] = [{"name": "steps", "dtype": "int64", "shape": [1], "offset": 0}]
    offset = 8
    for is_held in (False, True):
        offset = -(-offset // 8) * 8 if is_held and any(layer.held for layer in layers) else offset
        for name, (shape, fill) in list_states(layers, is_held):
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


def list_states(layers: Sequence[Layer], is_held: bool) -> Iterator[tuple[str, tuple[tuple[int, ...], Any]]]:
    """Yield the states that steps only read, or those that they change, by their names in the model."""
    for i, layer in enumerate(layers):
        own = {name: state for name, state in layer.carried().items() if (name in layer.held) == is_held}
        yield from name_states(i, own).items()


def find_held(layers: Sequence[Layer]) -> tuple[int, dict[str, int]]:
    """Return where the states begin that steps only read, behind those that they change; and the offset of each.

    They go by their names in the model; offsets count from the beginning of the block.
    """
    schema = state_schema(layers)
    held = {name for name, _ in list_states(layers, True)}
    places = {array["name"]: array["offset"] for array in schema["arrays"] if array["name"] in held}
    return min(places.values(), default=schema["bytes"]), places


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
