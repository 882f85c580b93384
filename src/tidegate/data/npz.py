"""Read the arrays of an .npz archive without pickle, and without allocating more than the archive contains."""

from __future__ import annotations

import ast
import io
import math
import re
import zipfile
import zlib
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from tidegate.data.compression import check_size
from tidegate.errors import DataError

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
PLAIN = re.compile(r"[<>|=]?[biufUS][0-9]+|[<>=]?M8\[[0-9]{0,6}[a-zA-Z]{1,2}\]")
ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
Array = npt.NDArray[Any]


def read_npz(data: bytes, path: str) -> dict[str, Array]:
    """Return the arrays of an archive by name.

    Args:
        data: the content of the file.
        path: its name in messages.

    Raises:
        DataError: not an archive, or a damaged one; a member that is not an array of numbers, booleans, text or dates;
            a header that promises more than the member contains; more data than `compression.size_limit`.

    >>> file = io.BytesIO()
    >>> np.savez(file, x=np.zeros((2, 3)))
    >>> read_npz(file.getvalue(), "t.npz")["x"].shape
    (2, 3)
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_members(archive, len(data), path)
    except ERRORS as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path} is not a complete .npz archive ({reason}); write it again with numpy.savez") from error


def _read_members(archive: zipfile.ZipFile, size: int, path: str) -> dict[str, Array]:
    check_size(sum(member.file_size for member in archive.infolist()), size, path)
    arrays: dict[str, Array] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in arrays:
            raise DataError(f"{path} has the array {name!r} twice; write it again with numpy.savez")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError(f"{path}: array {name!r} is compressed in a way that NumPy does not use; write it again")
        if name == member.filename:
            raise DataError(f"{path} has the member {name!r}, which is not an array; write it again with numpy.savez")
        with archive.open(member) as stream:
            arrays[name] = _read_array(stream, member.file_size, f"{path}: array {name!r}")  # type: ignore[arg-type]
    return arrays


def _read_array(stream: BinaryIO, size: int, place: str) -> Array:
    kind, fortran, shape, start = _read_header(stream, place)
    expected = math.prod(shape) * kind.itemsize
    if expected != size - start:
        header = f"{kind} {list(shape)}"
        raise DataError(f"{place} is {header} according to its header, but has {size - start} bytes; write it again")
    data = stream.read(expected + 1)
    if len(data) != expected:
        raise DataError(f"{place} has another size than the archive says; write it again")
    array = np.frombuffer(data, kind)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _read_header(stream: BinaryIO, place: str) -> tuple[np.dtype[Any], bool, tuple[int, ...], int]:
    """Return dtype, order, shape, and the number of bytes before the values. Source: numpy.lib.format (NPY)."""
    begin = stream.read(8)
    if begin[:6] != MAGIC or begin[6:7] not in (b"\x01", b"\x02", b"\x03"):
        raise DataError(f"{place} is not in NumPy's format; write it again with numpy.savez")
    width = 2 if begin[6] == 1 else 4
    size = int.from_bytes(stream.read(width), "little")
    text = stream.read(size).decode("latin-1" if begin[6] < 3 else "utf-8", "replace") if size <= MAX_HEADER else ""
    try:
        header = ast.literal_eval(text)
        descr, fortran, shape = (header[key] for key in ("descr", "fortran_order", "shape"))
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise DataError(f"{place} has a damaged header; write it again with numpy.savez") from error
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise DataError(f"{place} has the shape {shape!s:.40}; expected integers from 0; write it again")
    return _parse_dtype(descr, place), bool(fortran), shape, 8 + width + size


def _parse_dtype(descr: object, place: str) -> np.dtype[Any]:
    """Return the dtype that a header names. Raises DataError for one that is not numbers, booleans, text or dates."""
    if isinstance(descr, str) and descr.lstrip("|<>=").startswith("O"):
        raise DataError(
            f"{place} holds Python objects, which need pickle, and pickle can run code; save numbers or text"
        )
    try:
        if isinstance(descr, str) and PLAIN.fullmatch(descr) and (kind := np.dtype(descr)).itemsize:
            return kind
    except (TypeError, ValueError):
        pass
    raise DataError(f"{place} holds {descr!s:.40}; expected numbers, booleans, text or dates; convert it")
