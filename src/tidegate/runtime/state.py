"""The state of a stream as a value, which can be converted to bytes and back.

The bytes: b"tidegate", b"state\\0\\0\\0", version (uint32), length of the header (uint32), the header (JSON), the state
block, the last output (float32), the input state (an unfinished word, or a series' memory), and the SHA-256 of
everything before. Numbers are little-endian.

In version 2 some arrays of the block grow: an entry `counted_at` says where the block counts their rows. They come
last, and only the rows that there are stand in the bytes. Without such an array the version is 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import pairwise
from struct import Struct
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError, StateError
from ..strictjson import parse, show

MAGIC: Final = b"tidegatestate\0\0\0"
VERSION: Final = 2  # the newest
MAX_GROWN: Final = 1 << 28  # bytes of a block with arrays that grow, as few bytes could ask for many
MAX_HEADER: Final = 1 << 20
MAX_PENDING: Final = 32 << 20
MAX_STEPS: Final = 1 << 62  # leaves room to count the steps that follow
DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
}
KEYS: Final = {"schema_hash", "weights_hash", "arrays", "block", "output", "pending"}
STEPS: Final = Struct("=q")

Bytes = npt.NDArray[np.uint8]


class State:
    """What a model remembers of one stream. Immutable.

    arrays: name -> read-only view of the block. steps: how many steps the message has had. output: float32 [outputs],
    after the last of them. input_state: the input's part: the unfinished word of a text, or the memory of a series
    (features/memory.py). schema_hash, weights_hash: those of the model.
    """

    __slots__ = ("_block", "_schema", "arrays", "input_state", "output", "schema_hash", "weights_hash")

    def __init__(
        self,
        block: Bytes,
        schema: list[dict[str, Any]],
        output: npt.NDArray[np.float32],
        input_state: bytes,
        schema_hash: str,
        weights_hash: str,
    ) -> None:
        self._block, self._schema = as_read_only(block), schema
        self.output, self.input_state = as_read_only(output), input_state
        self.schema_hash, self.weights_hash = schema_hash, weights_hash
        self.arrays: Mapping[str, npt.NDArray[Any]] = MappingProxyType(
            {array["name"]: view_array(self._block, array) for array in schema}
        )

    @property
    def steps(self) -> int:
        """How many steps the message has had."""
        return int(self.arrays["steps"][0])

    @property
    def schema(self) -> list[dict[str, Any]]:
        """Name, dtype, shape and offset of each array, and where its rows are counted if it grows."""
        return self._schema

    @property
    def block(self) -> Bytes:
        """The state as the engine keeps it: uint8 [state_bytes], read-only."""
        block: Bytes = self._block
        return block

    def __eq__(self, other: object) -> bool:
        return isinstance(other, State) and self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return State.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        short = repr(self.input_state) if len(self.input_state) <= 64 else f"{len(self.input_state)} bytes"
        return f"State({self.steps} steps, {self._block.nbytes} bytes, input state {short})"

    def to_bytes(self) -> bytes:
        """Convert the state to bytes. Equal states give equal bytes."""
        from hashlib import sha256  # loading OpenSSL costs more than loading a small model

        fields = {
            "schema_hash": self.schema_hash,
            "weights_hash": self.weights_hash,
            "arrays": self._schema,
            "block": self._block.nbytes,
            "output": len(self.output),
            "pending": len(self.input_state),
        }
        header = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
        parts = [at.tobytes() for at in split_block(self._block, self._schema)]
        version = 1 if len(parts) == 1 else 2
        sizes = version.to_bytes(4, "little") + len(header).to_bytes(4, "little")
        body: bytes = b"".join([MAGIC, sizes, header, *parts, self.output.tobytes(), self.input_state])
        return body + sha256(body).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """Read a state from the bytes that `to_bytes` wrote.

        Any numbers are accepted, NaN too: a model may have computed them. Raises StateError for bytes that are not a
        state, are cut short, damaged or too long, or have a newer version.
        """
        version, header, start = read_header(data)
        try:
            fields = parse(header.decode())
        except (ModelFileError, UnicodeDecodeError) as error:
            raise StateError(f"the state's header is not JSON: {error}") from error
        check_fields(fields)
        schema = fields["arrays"] if version > 1 else mark_kept(fields["arrays"])
        check_growing(schema, fields["block"], version)
        rest = 4 * fields["output"] + fields["pending"]
        grown = measure_block(memoryview(data)[start : max(start, len(data) - 32 - rest)], schema, fields["block"])
        size = grown if version > 1 else fields["block"]
        end = start + size + rest
        if len(data) != end + 32:
            fault = "is cut short" if len(data) < end + 32 else "has bytes after its end"
            raise StateError(f"the state {fault}: it has {len(data)} bytes, its header says {end + 32}")
        check_hash(data, end)
        stored = np.frombuffer(data, np.uint8, size, start)
        block = join_block(stored, schema, fields["block"]) if version > 1 else stored.copy()
        output = np.frombuffer(data, DTYPES["float32"], fields["output"], start + size)
        state = cls(
            block,
            schema,
            output.copy(),
            data[end - fields["pending"] : end],
            fields["schema_hash"],
            fields["weights_hash"],
        )
        if not 0 <= state.steps <= MAX_STEPS:
            raise StateError(f"the state has seen {state.steps} steps; expected 0 to {MAX_STEPS}")
        return state


def list_growing(schema: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the arrays of a schema that grow."""
    return [array for array in schema if "counted_at" in array]


def mark_kept(schema: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the schema of a state of version 1 as it is today: the steps of a message were the one array that grew."""
    last = schema[-1]
    return [*schema[:-1], {**last, "counted_at": 0}] if last["name"] == "kept.steps" else schema


def split_block(block: Bytes, schema: list[dict[str, Any]]) -> list[npt.NDArray[Any]]:
    """Return the parts of a block that are stored: up to the first array that grows, then the rows of each."""
    growing = list_growing(schema)
    rows = [view_array(block, array)[: max(0, read_step_count(block, array["counted_at"]))] for array in growing]
    return [block[: growing[0]["offset"]] if growing else block, *rows]


def measure_block(stored: memoryview, schema: list[dict[str, Any]], block: int) -> int:
    """Return how many bytes a block takes of which only those rows are stored that there are.

    stored: its bytes, which may be too few or too many. block: its size with all of its arrays. Raises StateError for
    more rows than there is room for.
    """
    growing = list_growing(schema)
    size = int(growing[0]["offset"]) if growing else block
    if len(stored) < size:  # cut short
        return size
    for array in growing:
        count = read_step_count(stored, array["counted_at"])
        if not 0 <= count <= array["shape"][0]:
            raise StateError(f"the state's {array['name']} has {count} rows; expected 0 to {array['shape'][0]}")
        size += count * nbytes(array) // int(array["shape"][0])
    return size


def join_block(stored: Bytes, schema: list[dict[str, Any]], size: int) -> Bytes:
    """Make a block of so many bytes from what is stored of it: uint8 [size]."""
    block, growing = np.zeros(size, np.uint8), list_growing(schema)
    at = growing[0]["offset"]
    block[:at] = stored[:at]
    for array in growing:
        number = read_step_count(block, array["counted_at"]) * nbytes(array) // array["shape"][0]
        block[array["offset"] : array["offset"] + number] = stored[at : at + number]
        at += number
    return block


def as_read_only(array: Any) -> Any:
    """Return a read-only view of an array."""
    array = array.view()
    array.flags.writeable = False
    return array


def view_array(block: Bytes, array: dict[str, Any]) -> npt.NDArray[Any]:
    """Return one array of a schema as a view of its block."""
    at = block[array["offset"] : array["offset"] + nbytes(array)]
    return np.asarray(at.view(DTYPES[array["dtype"]]).reshape(array["shape"]))


def make_initial(schema: list[dict[str, Any]], size: int) -> Bytes:
    """Make the state block of a stream before its first step: uint8 [size]."""
    block = np.zeros(size, np.uint8)
    for array in schema:
        view_array(block, array)[...] = np.asarray(array.get("fill", 0), np.float64)
    return block


def read_step_count(block: Any, at: int = 0) -> int:
    """Return how many steps a state block, uint8 [state_bytes], has seen. at: where the block of a graph begins."""
    count: int = STEPS.unpack_from(block, at)[0]
    return count


def write_step_count(block: Any, steps: int) -> None:
    """Write how many steps a state block, uint8 [state_bytes], has seen."""
    STEPS.pack_into(block, 0, steps)


def read_header(data: bytes) -> tuple[int, bytes, int]:
    """Return the version, the header's bytes and where the block starts. Raises StateError."""
    if not isinstance(data, bytes):
        raise StateError(f"a state is read from bytes; {type(data).__name__} was given")
    if not MAGIC.startswith(data[:16]) or not data:
        raise StateError(f"these bytes are not a state: they start with {show(data[:16])}; expected {MAGIC!r}")
    if len(data) < 24:
        raise StateError(f"the state is cut short: it has {len(data)} bytes; expected at least 24")
    version, length = int.from_bytes(data[16:20], "little"), int.from_bytes(data[20:24], "little")
    if version > VERSION:
        raise StateError(f"the state has version {version}; this tidegate reads version {VERSION}; upgrade tidegate")
    if version < 1:
        raise StateError(f"the state has version {version}; expected 1 to {VERSION}")
    if length > MAX_HEADER:
        raise StateError(f"the state's header has {length} bytes; at most {MAX_HEADER} are allowed")
    if len(data) < 24 + length:
        raise StateError(f"the state is cut short: its header has {length} bytes, and {len(data) - 24} are left")
    return version, data[24 : 24 + length], 24 + length


def check_hash(data: bytes, end: int) -> None:
    """Raise StateError unless the bytes before `end` have the SHA-256 behind it."""
    from hashlib import sha256

    if sha256(data[:end]).digest() != data[end:]:
        raise StateError("the state is damaged: its SHA-256 does not match; use another copy")


def check_fields(fields: Any) -> None:
    """Raise StateError unless the header is one that `to_bytes` writes."""
    if not isinstance(fields, dict) or set(fields) != KEYS:
        raise StateError(f"the state's header must have the keys {', '.join(sorted(KEYS))}")
    for key in ("schema_hash", "weights_hash"):
        if not isinstance(fields[key], str) or len(fields[key]) != 64:
            raise StateError(f"the state's {key} is {show(fields[key])}; expected 64 hexadecimal digits")
    for key in ("block", "output", "pending"):
        if type(fields[key]) is not int or not 0 <= fields[key] <= 1 << 40:
            raise StateError(f"the state's {key} is {show(fields[key])}; expected a size")
    if fields["pending"] > MAX_PENDING:
        raise StateError(f"the state's pending has {fields['pending']} bytes; at most {MAX_PENDING} are allowed")
    check_arrays(fields["arrays"], fields["block"])


def check_arrays(arrays: Any, block: int) -> None:
    """Raise StateError unless the arrays fit in a block of so many bytes, do not overlap, and begin with `steps`."""
    if not isinstance(arrays, list) or not arrays or not all(is_array(a, block) for a in arrays):
        raise StateError("the state's arrays must each have a name, dtype, shape and offset within the block")
    first = {key: arrays[0][key] for key in ("name", "dtype", "shape", "offset")}
    if first != {"name": "steps", "dtype": "int64", "shape": [1], "offset": 0}:
        raise StateError("the state's first array must be steps, one int64 at offset 0")
    if len({array["name"] for array in arrays}) != len(arrays):
        raise StateError("the state's arrays must have different names")
    for before, array in pairwise(arrays):
        if array["offset"] < before["offset"] + nbytes(before) or array["offset"] % DTYPES[array["dtype"]].itemsize:
            raise StateError(
                f"the state's array {show(array['name'])} is at byte {array['offset']}; expected a multiple of its "
                "item size, behind the array before it"
            )


def check_growing(arrays: list[dict[str, Any]], block: int, version: int) -> None:
    """Raise StateError unless the arrays that grow end a block of so many bytes, and arrays before them count."""
    growing = list_growing(arrays)
    if version > 1 and not growing:
        raise StateError(f"the state has version {version}, and no array in it grows; expected version 1")
    fixed = arrays[: len(arrays) - len(growing)]
    if any("counted_at" in array for array in fixed):
        raise StateError("the state's arrays that grow, which have counted_at, must be the last")
    counts = [array["offset"] for array in fixed if (array["dtype"], array["shape"]) == ("int64", [1])]
    for array in growing:
        if type(array["counted_at"]) is not int or array["counted_at"] not in counts:
            raise StateError(
                f"the state's array {show(array['name'])} has counted_at {show(array['counted_at'])}; expected the "
                "offset of an int64 before it"
            )
    most = min(MAX_GROWN, growing[-1]["offset"] + nbytes(growing[-1]) + 7) if growing else block
    if block > most:
        raise StateError(f"the state's block has {block} bytes; at most {most} are allowed with these arrays")


def nbytes(array: dict[str, Any]) -> int:
    """Return how many bytes an array of a schema takes."""
    return int(math.prod(array["shape"]) * DTYPES[array["dtype"]].itemsize)


def is_array(array: Any, block: int) -> bool:
    """Return whether this is an array of a schema, within a block of so many bytes."""
    if not isinstance(array, dict) or not {"name", "dtype", "shape", "offset"} <= set(array):
        return False
    name, dtype, shape, offset = (array[key] for key in ("name", "dtype", "shape", "offset"))
    if not isinstance(name, str) or not isinstance(dtype, str) or dtype not in DTYPES or not isinstance(shape, list):
        return False
    if not all(type(n) is int and 0 < n <= 1 << 24 for n in shape) or type(offset) is not int or offset < 0:
        return False
    return len(shape) <= 4 and offset + nbytes(array) <= block
