"""Decompress files, up to the size that a table may have."""

from __future__ import annotations

import importlib
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from tidegate.errors import DataError

GIGA, MEGA = 1_000_000_000, 1_000_000
MAX_SIZE = 4 * GIGA
MAX_RATIO, ALWAYS_ALLOWED = 200, 256 * MEGA
XZ_MEMORY = 256 * MEGA
CHUNK = 1 << 16


class Decompressor(Protocol):
    """An object that decompresses one stream, like those of bz2, lzma and zstd."""

    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class GzipDecompressor:
    """A `Decompressor` for gzip; it verifies the checksum."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _xz_decompressor(lzma: Any) -> Any:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


FORMATS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    ".gz": ("gzip", "zlib", lambda _: GzipDecompressor()),
    ".bz2": ("bzip2", "bz2", lambda bz2: bz2.BZ2Decompressor()),
    ".xz": ("xz", "lzma", _xz_decompressor),
    ".zst": ("zstd", "compression.zstd", lambda zstd: zstd.ZstdDecompressor()),
}


def split_extension(path: str) -> tuple[str, str]:
    """Return a path without the extension of its compression, and that extension; "" if it is not compressed.

    >>> split_extension("train.csv.GZ"), split_extension("train.csv")
    (('train.csv', '.gz'), ('train.csv', ''))
    """
    stem, extension = os.path.splitext(path)
    return (stem, extension.lower()) if extension.lower() in FORMATS else (path, "")


def size_limit(size: int) -> int:
    """Return how many bytes a file of `size` bytes may unpack to: 200 times as many, at least 256 MB, at most 4 GB.

    >>> size_limit(1000), size_limit(10_000_000), size_limit(10**9)
    (256000000, 2000000000, 4000000000)
    """
    return min(MAX_SIZE, max(ALWAYS_ALLOWED, MAX_RATIO * size))


def check_size(unpacked: int, packed: int, path: str) -> None:
    """Raise DataError if a file of `packed` bytes unpacks to more than its `size_limit`."""
    if unpacked > (allowed := size_limit(packed)):
        limit = "the most that is read" if allowed == MAX_SIZE else f"which is over {MAX_RATIO} times its size"
        raise DataError(
            f"{path} unpacks to more than {allowed // MEGA} MB, {limit}; if you trust it, unpack or split it first"
        )


def unpack(data: bytes, extension: str, path: str) -> bytes:
    """Return the content of a compressed file; several streams in it are joined.

    Args:
        data: the bytes of the file.
        extension: a key of FORMATS.
        path: its name in messages.

    Raises:
        DataError: a file that is truncated or damaged, unpacks to more than its `size_limit`, or has a format that this
            Python cannot read.

    >>> import gzip
    >>> unpack(gzip.compress(b"text,label"), ".gz", "t.csv.gz")
    b'text,label'
    """
    name, module, make = FORMATS[extension]
    try:
        library = importlib.import_module(module)
    except ImportError as error:
        newer = ", which came with Python 3.14" if extension == ".zst" else ""
        raise DataError(f"{path}: this Python has no module {module}{newer}; unpack the file first") from error
    errors = (OSError, EOFError, ValueError, *(getattr(library, k) for k in ERROR_NAMES if hasattr(library, k)))
    unpacked = bytearray()
    try:
        for chunk in _decompress(data, lambda: make(library)):
            unpacked += chunk
            check_size(len(unpacked), len(data), path)
    except errors as error:
        raise DataError(f"{path} is not a complete {name} file ({error}); fetch or compress it again") from error
    return bytes(unpacked)


ERROR_NAMES = ("error", "LZMAError", "ZstdError")


def _decompress(data: bytes, make: Callable[[], Decompressor]) -> Iterator[bytes]:
    """Yield the content of every stream in chunks; zeros between streams are padding, other bytes are damage."""
    start = 0
    while start < len(data):
        decompressor, read = make(), start
        while not decompressor.eof:
            chunk = b""
            if decompressor.needs_input:
                chunk = data[read : read + CHUNK]
                read += len(chunk)
                if not chunk:
                    raise EOFError("it ends too early")
            yield decompressor.decompress(chunk, CHUNK)
        start = read - len(decompressor.unused_data)
        while data[start : start + 1] == b"\0":
            start += 1
