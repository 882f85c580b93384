"""Read regular files once and whole, and detect what kind of file unknown bytes come from.

All files that tidegate reads go through `read`, or `stream` if they may be larger than the memory, so nothing waits for
a pipe, no device fills the memory, and a file that another process is still writing is refused.
"""

from __future__ import annotations

import importlib
import io
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, BinaryIO, Final

from .errors import DataError, TidegateError

MAX_LINE: Final = 16_000_000  # bytes of a line, characters of a field
SETTLED_NS: Final = 10_000_000_000  # a file that was last written longer ago is taken to be complete
SMALL: Final = 1 << 18  # bytes that are hashed in less time than OpenSSL takes to load

_FLAGS: Final = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_BINARY", "O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY"))
_IRREGULAR: Final = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read(path: str | os.PathLike[str], error: type[TidegateError], most: int | None = None) -> bytes:
    """Read a regular file into memory, all of it as it was at one moment.

    Args:
        path: the path of the file.
        error: the type of error to raise.
        most: the number of bytes to read from the beginning; None: all.

    Raises:
        error: the file does not exist, is a folder, pipe, socket or device, may not be read, changed while it was read,
            or is larger than the memory.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"text,label"), file.flush()
    ...     read(file.name, DataError)
    b'text,label'
    """
    name = os.fspath(path)
    with _explain(name, error), _open(path, error) as (file, before):
        wanted = before.st_size if most is None else min(most, before.st_size)
        _refuse_too_large(wanted, name, error)
        data = file.read(wanted + (most is None))  # one byte more, to notice if the file has grown
        same = most is not None or time.time_ns() - before.st_mtime_ns > SETTLED_NS or _is_unchanged(file, data)
        after = os.fstat(file.fileno())
    if not same or len(data) != wanted or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise error(f"{name}: changed while it was read; try again when it is complete")
    return data


@contextmanager
def stream(path: str | os.PathLike[str], error: type[TidegateError]) -> Iterator[HashedFile]:
    """Open a regular file that is read once, from its beginning to its end; it may be larger than the memory.

    Raises:
        error: as `read`; that the file changed, at the end of the block.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"abc"), file.flush()
    ...     with stream(file.name, DataError) as opened:
    ...         opened.read(), opened.digest.hexdigest()[:8]
    (b'abc', 'ba7816bf')
    """
    name = os.fspath(path)
    with ExitStack() as stack:
        with _explain(name, error):
            file, before = stack.enter_context(_open(path, error))
        yield HashedFile(file, name, error)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise error(f"{name}: changed while it was read; try again when it is complete")


class HashedFile(io.RawIOBase):
    """A file that is only read onwards. digest: the SHA-256 of what was read so far. name, error: for its faults."""

    def __init__(self, file: BinaryIO, name: str, error: type[TidegateError]) -> None:
        self._file, self._name, self._error, self.digest = file, name, error, _new_sha256(False)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read bytes into a buffer; return how many."""
        with _explain(self._name, self._error):
            count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self.digest.update(memoryview(buffer)[:count])
        return count


def run(path: str | os.PathLike[str], error: type[TidegateError]) -> ModuleType:
    """Run a user's Python file as a module. Raises `error`, with the file's own error in its message, if that fails."""
    source = read(path, error)
    module = ModuleType(os.path.basename(path).removesuffix(".py"))
    module.__file__ = os.fspath(path)
    try:
        exec(compile(source, os.fspath(path), "exec", dont_inherit=True), module.__dict__)
    except Exception as raised:
        raise error(f"{os.fspath(path)}: the file does not run: {type(raised).__name__}: {raised}") from raised
    return module


@contextmanager
def _explain(name: Any, error: type[TidegateError]) -> Iterator[None]:
    """Turn the errors of opening and reading a file into `error`."""
    try:
        yield
    except FileNotFoundError as fault:
        raise error(f"{name}: there is no such file; check the path") from fault
    except PermissionError as fault:
        raise error(f"{name}: may not be read; change its permissions") from fault
    except MemoryError as fault:
        raise error(f"{name}: is larger than the free memory; free some memory or split the file") from fault
    except (OSError, ValueError) as fault:
        reason = "its path contains a zero byte" if "\0" in str(name) else getattr(fault, "strerror", None) or fault
        raise error(f"{name}: cannot be read: {reason}") from fault


@contextmanager
def _open(path: str | os.PathLike[str], error: type[TidegateError]) -> Iterator[tuple[BinaryIO, os.stat_result]]:
    """Open a file and look at it; refuse one that is not regular."""
    _refuse_irregular(os.stat(path).st_mode, os.fspath(path), error)  # first, as opening a device can have an effect
    with open(os.open(path, _FLAGS), "rb") as file:
        found = os.fstat(file.fileno())
        _refuse_irregular(found.st_mode, os.fspath(path), error)  # again, as the path may now lead to another file
        yield file, found


def _is_unchanged(file: BinaryIO, data: bytes) -> bool:
    """Compare a file with what was just read of it: its time of modification does not show a write in progress."""
    file.seek(0)
    at = 0
    while piece := file.read(1 << 17):
        if piece != data[at : at + len(piece)]:
            return False
        at += len(piece)
    return at == len(data)


def check(path: str | os.PathLike[str], error: type[TidegateError]) -> None:
    """Raise the errors that `read` would raise before it reads any bytes.

    Raises:
        error: as `read`.
    """
    read(path, error, 0)


def lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield each line of a stream as it arrives, with its number, counted from 1.

    Of a line that is too long, only the beginning is yielded, which `check_line` then refuses, and the rest is skipped.

    >>> import io
    >>> list(lines(io.BytesIO(b"a\\nb")))
    [(1, b'a\\n'), (2, b'b')]
    """
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        yield (number := number + 1), line
        while len(line) > MAX_LINE and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE + 1)


def check_line(line: bytes) -> None:
    """Refuse a line from `lines` that is too long.

    Raises:
        DataError: the line has more than MAX_LINE bytes.
    """
    if len(line) > MAX_LINE:
        raise DataError(f"the line has more than {MAX_LINE:,} bytes, which is the limit; send it in pieces")


def sha256(parts: Iterable[Any], size: int) -> str:
    """Compute the SHA-256 of bytes and contiguous arrays, one after the other, in hexadecimal.

    Args:
        parts: the bytes and arrays to hash.
        size: roughly how many bytes they have; it selects the faster implementation, not the result.

    >>> sha256([b"a", b"bc"], 3)[:8]
    'ba7816bf'
    """
    digest = _new_sha256(size <= SMALL)
    for part in parts:
        digest.update(part)
    return str(digest.hexdigest())


def _new_sha256(small: bool) -> Any:
    """Make a new hash: Python's own for small inputs, as `random` does, since OpenSSL takes a while to load."""
    for module in ("_sha2", "_sha256") if small else ():  # of Python 3.12 and later, and of 3.11
        try:
            return importlib.import_module(module).sha256()
        except ImportError:
            continue
    return importlib.import_module("hashlib").sha256()


def _refuse_irregular(mode: int, name: str, error: type[TidegateError]) -> None:
    if stat.S_ISDIR(mode):
        raise error(f"{name}: is a folder; give the path of a file")
    if not stat.S_ISREG(mode):
        kind = next((kind for test, kind in _IRREGULAR if test(mode)), "something else")
        raise error(f"{name}: is {kind}, not a regular file; write its contents to a file first")


def _refuse_too_large(size: int, name: str, error: type[TidegateError]) -> None:
    """Refuse a file that is larger than the machine's memory; allocating would not fail at once if it is sparse."""
    if size > 1 << 30 and hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if 0 < memory < size:
            raise error(f"{name}: has {size:,} bytes, but this machine's memory has {memory:,}; split the file")


# --- detecting the kind of a file

_STARTS: Final = (
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5)"),
    (b"GGUF\x02\0\0\0", "a GGUF model"),
    (b"GGUF\x03\0\0\0", "a GGUF model"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"tidegatestate\0", "the state of a stream"),
    (b"SQLite format 3\0", "SQLite"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
    (b"%PDF-", "a PDF"),
    (b"version https://git-lfs.github.com/", "a Git LFS pointer"),
)
_MEMBERS: Final = (
    ("data.pkl", "a PyTorch file (.pt)"),
    (".npy", "a NumPy archive (.npz)"),
    ("[Content_Types].xml", "an Excel workbook"),
    ("metadata.json", "a Keras model (.keras)"),
    ("config.json", "a Keras model (.keras)"),
)


def detect_kind(data: bytes) -> str:
    """Detect the kind of a file from its first 512 bytes or more; "" if it is unknown.

    >>> detect_kind(b"PAR1...."), detect_kind(b'{"a": 1}'), detect_kind(bytes([1, 2, 3]))
    ('a Parquet file', 'JSON', '')
    """
    for start, kind in _STARTS:
        if data.startswith(start):
            return kind
    if data.startswith(b"PK\x03\x04"):
        return _detect_zip(data)
    if data[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return "a pickle"
    if data[:3] == b"BZh" and b"1AY&SY".startswith(data[4:10]):
        return "bzip2"
    if data[2:8] == b"\0\0TFL3":
        return "a TensorFlow Lite model"
    if data[:1] == b"\x08" and data[1:2] <= b"\x20" and data[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x3a", b"\x42"):
        return "an ONNX model"
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") < 1 << 32:
        return "a safetensors file"
    return _detect_text(data[:512])


def _detect_zip(data: bytes) -> str:
    """Detect the kind of a zip archive from the name of its first member."""
    name = data[30 : 30 + int.from_bytes(data[26:28], "little")].decode("utf-8", "replace")
    return next((kind for member, kind in _MEMBERS if name.endswith(member)), "a zip archive")


def _detect_text(data: bytes) -> str:
    text = data.decode("utf-8-sig", "replace").rstrip("\ufffd")  # a character may be cut at the end
    if len(text.strip()) < 8 or "\ufffd" in text or any(c < " " and c not in "\t\n\r\f" for c in text):
        return ""
    text = text.lstrip().lower()
    if text.startswith(("<!doctype html", "<html")):
        return "an HTML page"
    return "JSON" if text.startswith(("{", "[")) else "text"
