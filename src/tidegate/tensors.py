"""Read and write safetensors files: a JSON header and the bytes of named arrays; see docs/format.md.

The reader trusts nothing: it checks every length, size and offset against the actual bytes before it uses them. A file
is read once and whole (files.py), so later changes to it have no effect.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from . import files
from .atomic import FileKind, replace
from .errors import ModelFileError, error_context
from .strictjson import canonical, parse, show

MAX_HEADER: Final = 4_000_000
MAX_AXES: Final = 8
CHECKSUM_KEY: Final = "tidegate.sha256"
KINDS: Final = {"tidegate": "tidegate model", "tidegate_checkpoint": "checkpoint of an unfinished tidegate run"}

BF16: Final = np.dtype("<u2", metadata={"safetensors": "BF16"})
DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": BF16,
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
NAMES: Final = {(d.kind, d.itemsize): name for name, d in DTYPES.items() if name != "BF16"}

Array = npt.NDArray[Any]
Path = str | os.PathLike[str]


class Entry(NamedTuple):
    """One tensor of a header; `begin` and `end` are counted from the first byte after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Read the tensors of a file, as read-only arrays without a copy, and its metadata.

    A BF16 tensor is read as its bits (uint16); `dtype_name` still returns BF16 for it.

    Raises: ModelFileError if the file is missing or not valid.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(folder + "/a", {"x": np.zeros((2, 3), np.float32)}, {"made": "here"})
    ...     tensors, metadata = read(folder + "/a")
    >>> tensors["x"].shape, metadata
    ((2, 3), {'made': 'here'})
    """
    data = files.read(path, ModelFileError)
    with error_context(os.fspath(path)):
        return _parse(data)


def load(path: Path, key: str) -> tuple[dict[str, Array], str, str | None]:
    """Read the tensors of a file, its document, and the checksum over both (None if the file has no checksum).

    key: the key of the document in the metadata, one of KINDS.

    Raises: ModelFileError as `read`, and for a file without this key or with others, and for a wrong checksum.
    """
    tensors, metadata = read(path)
    with error_context(os.fspath(path)):
        if key not in metadata:
            other = next((f"; it is a {kind}" for other, kind in KINDS.items() if other in metadata), "")
            raise ModelFileError(f"is safetensors but not a {KINDS[key]}: its metadata has no key {key!r}{other}")
        if extra := sorted(set(metadata) - {key, CHECKSUM_KEY}):
            raise ModelFileError(
                f"its metadata has the key {show(extra[0])}; expected only {key!r} and {CHECKSUM_KEY!r}"
            )
        stored, document = metadata.get(CHECKSUM_KEY), metadata[key]
        if stored is not None and stored != (computed := checksum(document, tensors)):
            raise ModelFileError(
                f"is damaged, or was changed without its checksum: {CHECKSUM_KEY} is {show(stored, 14)}, but its "
                f"contents have {show(computed, 14)}; get another copy, or make the file again"
            )
        return tensors, document, stored


def save(
    to: Path | IO[bytes],
    tensors: Mapping[str, npt.ArrayLike],
    key: str,
    document: str,
    kind: FileKind | None = None,
    force: bool = False,
) -> None:
    """Write a file that `load` reads, with its checksum. kind, force: as in `write`.

    Raises: as `write`.

    >>> import io
    >>> file = io.BytesIO()
    >>> save(file, {"x": np.zeros(2, np.float32)}, "tidegate", "{}")
    >>> len(file.getvalue()) == size({"x": np.zeros(2, np.float32)}, "tidegate", "{}")
    True
    """
    arrays = {name: _to_little_endian(name, np.asarray(value)) for name, value in tensors.items()}
    write(to, arrays, {key: document, CHECKSUM_KEY: checksum(document, arrays)}, kind, force)


def size(tensors: Mapping[str, npt.ArrayLike], key: str, document: str) -> int:
    """Count the bytes that `save` would write. Raises ModelFileError as `save` does.

    >>> size({"x": np.zeros((2, 3), np.float32)}, "tidegate", "{}")
    208
    """
    header, arrays = _lay_out(tensors, {key: document, CHECKSUM_KEY: "0" * 64})
    return 8 + len(header) + sum(array.nbytes for array in arrays)


def checksum(document: str, tensors: Mapping[str, Array]) -> str:
    """Compute the SHA-256, in hexadecimal, over a document and each tensor's name, dtype, shape and bytes.

    >>> checksum("{}", {"x": np.zeros(2, np.float32)})[:8]
    'e2d9c097'
    """
    try:
        text = document.encode()
    except UnicodeEncodeError:
        raise ModelFileError("the document has half of a surrogate pair") from None
    size = len(text) + sum(array.nbytes for array in tensors.values())
    return files.sha256(_checksum_parts(text, tensors), size)


def _checksum_parts(text: bytes, tensors: Mapping[str, Array]) -> Iterator[Any]:
    yield text + b"\n"
    yield from hash_parts(tensors)


def hash_parts(tensors: Mapping[str, Array]) -> Iterator[Any]:
    """Yield the bytes to hash for tensors: in order of names, a line of JSON (name, dtype, shape), then the data."""
    for name in sorted(tensors):
        array = tensors[name]
        yield canonical([name, dtype_name(array), list(array.shape)]) + b"\n"
        yield array.reshape(-1).view(np.uint8)


def write(
    to: Path | IO[bytes],
    tensors: Mapping[str, npt.ArrayLike],
    metadata: Mapping[str, str],
    kind: FileKind | None = None,
    force: bool = False,
) -> None:
    """Write a file; the same arguments always give the same bytes. A path is written whole or not at all.

    Tensors are sorted by item size, widest first, then by name, so that each is aligned. An array of dtype `BF16` (the
    bits, as uint16) is written as BF16. kind, force: which existing file may be replaced, as in `atomic.replace`.

    Raises: ModelFileError for a dtype, name or header that could not be read back; OptionError for an existing file of
    another kind; TidegateError if the file cannot be written.
    """
    header, arrays = _lay_out(tensors, metadata)
    if isinstance(to, str | os.PathLike):
        with replace(to, kind, force) as file:
            _write(file, header, arrays)
    else:
        _write(to, header, arrays)


def kind_from_key(key: str, what: str) -> FileKind:
    """Make a kind of file: safetensors whose metadata has this key. what: what such a file is called."""

    def ours(file: IO[bytes]) -> bool:
        if (length := int.from_bytes(file.read(8), "little")) > MAX_HEADER:
            return False
        try:
            header = parse(file.read(length).decode())
            return isinstance(header, dict) and key in _check_metadata(header.get("__metadata__", {}))
        except (ModelFileError, UnicodeDecodeError):
            return False

    return FileKind(what, ours)


def dtype_name(array: Array) -> str:
    """Return the safetensors name of an array's dtype. Raises ModelFileError for a dtype without one.

    >>> dtype_name(np.zeros(2)), dtype_name(np.zeros(2, BF16))
    ('F64', 'BF16')
    """
    if array.dtype.metadata and "safetensors" in array.dtype.metadata:
        return str(array.dtype.metadata["safetensors"])
    name = NAMES.get((array.dtype.kind, array.dtype.itemsize))
    if name is None:
        raise ModelFileError(f"dtype {array.dtype} cannot be stored; choose one of {', '.join(DTYPES)}")
    return name


# --- reading


def _parse(data: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    length = _header_length(data)
    entries, metadata = parse_header(data[8 : 8 + length], len(data) - 8 - length)
    return {e.name: _array(e, data, 8 + length) for e in entries}, metadata


def _header_length(data: bytes) -> int:
    size, length = len(data), int.from_bytes(data[:8], "little")
    too_long = length > min(MAX_HEADER, size - 8)
    if too_long and (kind := files.detect_kind(data[:512])) in _REMEDIES:
        raise ModelFileError(f"looks like {kind}; expected safetensors; {_REMEDIES[kind]}")
    if size < 8:
        fault = f"has {size} bytes" if size else "is empty"
        raise ModelFileError(f"{fault}; a safetensors file starts with 8 bytes that give the length of its header")
    if length > MAX_HEADER:
        raise ModelFileError(
            f"its first 8 bytes say that its header has {length} bytes; at most {MAX_HEADER} are allowed"
        )
    if length > size - 8:
        raise ModelFileError(f"the header has {length} bytes, but the file ends after {size - 8} of them")
    return length


_OWN = "tidegate reads only its own .safetensors files"
_CODE = "opening it can run code, so load it with torch if you trust it, then tidegate.from_torch(module).save(path)"
_ONNX = "tidegate writes ONNX but does not read it; load the original model, or pass the torch module to from_torch"
_UNPACK, _DATA = "unpack it first", "if it is data, tidegate fit makes a model from it"
_REMEDIES: Final = {
    "an ONNX model": _ONNX,
    "a pickle": _CODE,
    "a PyTorch file (.pt)": _CODE,
    "a zip archive": _UNPACK,
    "gzip": _UNPACK,
    "bzip2": _UNPACK,
    "xz": _UNPACK,
    "zstd": _UNPACK,
    "an HDF5 file (Keras .h5)": _OWN,
    "a Keras model (.keras)": _OWN,
    "a TensorFlow Lite model": _OWN,
    "a GGUF model": _OWN,
    "SQLite": _OWN,
    "a PDF": _OWN,
    "a NumPy array (.npy)": _DATA,
    "a NumPy archive (.npz)": _DATA,
    "a Parquet file": _DATA,
    "an Arrow file": _DATA,
    "an Excel workbook": _DATA,
    "JSON": _DATA,
    "text": _DATA,
    "an HTML page": "the download went wrong, so download it again",
    "a Git LFS pointer": "run git lfs pull to fetch the file itself",
    "the state of a stream": "load its model first, then restore the state with State.from_bytes",
}


def _array(entry: Entry, data: bytes, base: int) -> Array:
    dtype, count = DTYPES[entry.dtype], math.prod(entry.shape)
    offset = base + entry.begin if count else 0  # an empty tensor may be at the very end, which NumPy refuses
    array = np.frombuffer(data if count else b"", dtype, count, offset)
    if entry.dtype == "BOOL" and count and int(array.view(np.uint8).max()) > 1:
        raise ModelFileError(f"tensor {show(entry.name)}: is BOOL but has bytes other than 0 and 1")
    return array.reshape(entry.shape)


# --- the header


def parse_header(header: bytes, data_size: int) -> tuple[list[Entry], dict[str, str]]:
    """Parse a header over `data_size` bytes of data; return its tensors, sorted by offset, and its metadata.

    Raises: ModelFileError unless the tensors cover the data exactly, aligned and without gaps or overlaps.
    """
    if not header.startswith(b"{"):
        raise ModelFileError(f"the header starts with {show(header[:8])}; expected a JSON object")
    try:
        fields = parse(header.decode())
    except UnicodeDecodeError as error:
        raise ModelFileError(f"the header is not UTF-8: {error.reason} at byte {error.start}") from None
    metadata = _check_metadata(fields.pop("__metadata__", {}))
    entries = sorted((_parse_entry(name, value) for name, value in fields.items()), key=lambda e: (e.begin, e.end))
    _check_coverage(entries, data_size)
    if len(header) % 8:
        raise ModelFileError(f"the header has {len(header)} bytes; expected a multiple of 8, padded with spaces")
    return entries, metadata


def _check_metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ModelFileError("the metadata is not an object of strings")
    return value


def _parse_entry(name: str, value: Any) -> Entry:
    with error_context(f"tensor {show(name)}"):
        if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
            raise ModelFileError("expected an object of dtype, shape and data_offsets")
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise ModelFileError(f"unknown dtype {show(dtype)}; expected one of {', '.join(DTYPES)}")
        if not _are_sizes(shape) or len(shape) > MAX_AXES:
            raise ModelFileError(f"shape is {show(shape)}; expected at most {MAX_AXES} non-negative integers")
        if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise ModelFileError(f"data_offsets is {show(offsets)}; expected [begin, end] with begin <= end")
        _check_size(dtype, shape, offsets[1] - offsets[0])
        return Entry(name, dtype, tuple(shape), offsets[0], offsets[1])


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _check_size(dtype: str, shape: list[int], size: int) -> None:
    item = DTYPES[dtype].itemsize
    if math.prod(max(n, 1) for n in shape) * item >= 1 << 62:
        raise ModelFileError(f"shape {show(shape)} is too large for any memory")
    if (needed := math.prod(shape) * item) != size:
        raise ModelFileError(f"{dtype} of shape {show(shape)} needs {needed} bytes, but its offsets span {size}")


def _check_coverage(entries: list[Entry], data_size: int) -> None:
    at = 0
    for entry in entries:
        if entry.begin != at:
            fault = "overlaps the tensor before it" if entry.begin < at else "leaves a gap before it"
            raise ModelFileError(f"tensor {show(entry.name)}: begins at byte {entry.begin} and {fault}; expected {at}")
        if entry.begin % DTYPES[entry.dtype].itemsize:  # kernels need alignment, and a copy would need memory
            raise ModelFileError(
                f"tensor {show(entry.name)}: {entry.dtype} begins at byte {entry.begin}, "
                "which is not a multiple of its item size; write wider tensors first"
            )
        at = entry.end
    if at > data_size:
        raise ModelFileError(f"is cut short: its tensors need {at} bytes, but there are only {data_size}")
    if at < data_size:
        raise ModelFileError(f"has {data_size - at} bytes after its last tensor, where the file must end")


# --- writing


def _to_little_endian(name: str, array: Array) -> Array:
    with error_context(f"tensor {show(name)}"):
        if not isinstance(name, str) or name == "__metadata__":
            raise ModelFileError("is not a valid name; expected a string other than __metadata__")
        if array.ndim > MAX_AXES:
            raise ModelFileError(f"has {array.ndim} axes; at most {MAX_AXES} are allowed")
        return np.asarray(array, DTYPES[dtype_name(array)], order="C")


def _header(order: list[str], arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    fields: dict[str, Any] = {"__metadata__": _check_metadata(dict(metadata))} if metadata else {}
    at = 0
    for name in order:
        array = arrays[name]
        end = at + array.nbytes
        fields[name] = {"dtype": dtype_name(array), "shape": list(array.shape), "data_offsets": [at, end]}
        at = end
    try:
        header = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise ModelFileError("the header has half of a surrogate pair in a name or in the metadata") from None
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER:
        raise ModelFileError(
            f"the header would have {len(header)} bytes; at most {MAX_HEADER} are allowed; it contains labels and "
            "names, so use fewer or shorter ones"
        )
    return header


def _lay_out(tensors: Mapping[str, npt.ArrayLike], metadata: Mapping[str, str]) -> tuple[bytes, list[Array]]:
    """Return the header, and the arrays in the order of the file."""
    arrays = {name: _to_little_endian(name, np.asarray(value)) for name, value in tensors.items()}
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    return _header(order, arrays, metadata), [arrays[name] for name in order]


def _write(file: IO[bytes], header: bytes, arrays: list[Array]) -> None:
    file.write(len(header).to_bytes(8, "little") + header)
    for array in arrays:
        file.write(array.tobytes())
