"""Writing files, for every writer of the house: what may be replaced, room for it, one writer at a time, and all of a
file or nothing of it.

A file is written aside and then renamed: whoever reads it sees the old one or the new one, never half of one. What is
an input of the same command is never replaced, and what lies at the path and is not of the kind to be written is
replaced only by force.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, NamedTuple

from .errors import OptionError, TidegateError

try:
    import fcntl
except ImportError:  # no POSIX: then there are no locks
    fcntl = None  # type: ignore[assignment]

REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the file is larger than this file system or process may write; raise the limit",
    errno.EACCES: "permission denied; choose a folder that you may write to",
    errno.EPERM: "permission denied; choose a folder that you may write to",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.ENOENT: "its folder does not exist; create it first",
    errno.ENOTDIR: "a part of its path is a file and not a folder; choose another path",
    errno.EISDIR: "it is a folder; give the path of a file",
    errno.ENAMETOOLONG: "its name is too long; choose a shorter one",
    errno.ELOOP: "its symbolic links lead in a circle; choose another path",
}

Path = str | os.PathLike[str]


class Kind(NamedTuple):
    """What a writer writes: in words, "a tidegate model file", and whether an open binary file is one of its own."""

    what: str
    ours: Callable[[IO[bytes]], bool]


def begins(what: str, start: bytes) -> Kind:
    """Make a kind whose files are known by their first bytes.

    >>> import io
    >>> begins("a PNG", b"\\x89PNG").ours(io.BytesIO(b"text,label"))
    False
    """
    return Kind(what, lambda file: file.read(len(start)) == start)


# ---- before the work


def check(path: Path, kind: Kind | None = None, inputs: Iterable[Path] = (), force: bool = False) -> None:
    """Refuse now what `replace` would refuse at the end, and a path that is an input of the same command.

    inputs: files and folders that are read; `path` may be none of these files, by whatever name or link, and may not
    lie in one of these folders. kind, force: as for `replace`.

    Raises: OptionError for an input or a file of another kind; TidegateError for what cannot be written.
    """
    with _explained(path) as target:
        _refuse_irregular(target)
        if not os.path.isdir(folder := os.path.dirname(target)):
            raise OSError(errno.ENOENT, "", folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, "", folder)
    for one in inputs:
        _refuse_input(os.fspath(path), target, os.fspath(one))
    _refuse_stranger(path, target, kind, force)


def make_folder(path: Path) -> None:
    """Make a folder, and those that it lies in, where there is none.

    Raises: TidegateError where there is a file of that name, or the folder cannot be made.
    """
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError as error:
        raise TidegateError(f"{os.fspath(path)} is a file; give the path of a folder to write into") from error
    except OSError as error:
        raise TidegateError(f"cannot make the folder {os.fspath(path)}: {_reason(error)}") from error


def rehearse(path: Path, sizes: Iterable[int]) -> None:
    """Try whether files of these sizes in bytes, all at once, can be written beside `path`; nothing of them is left.

    Raises: TidegateError when the disk, a quota or a limit of this process says no.
    """
    with _explained(path) as target, ExitStack() as files:
        for size in sizes:
            _reserve(files.enter_context(_aside(target)), size)


@contextmanager
def locked(path: Path, wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Be the only process that writes `path` in this block.

    The lock belongs to the process and ends with it, however that ends; a lock file that is left behind locks nothing.
    wait: is called once before waiting for another process; None: its lock is an error. Where the file system has no
    locks, there are none.

    Raises: TidegateError for a path that another process is writing.
    """
    handle = None
    with _explained(path) as target:
        lock = os.path.join(os.path.dirname(target), f".tidegate-{_digest(os.path.basename(target))}.lock")
        if fcntl is not None:
            handle = _held(lock, os.fspath(path), wait)
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                os.unlink(lock)  # while it is held, so that nobody else's is removed
            os.close(handle)


# ---- the writing


@contextmanager
def replace(path: Path, kind: Kind | None = None, force: bool = False) -> Iterator[IO[bytes]]:
    """A binary file to write to, which becomes `path` when the block ends and vanishes when the block raises.

    The bytes are on the disk before the name changes. A symbolic link is followed. The mode is what the umask
    leaves. kind: what is written; a file that is there, not empty and of another kind is replaced by `force` alone.

    Raises: OptionError for a file of another kind; TidegateError for a full disk, a missing folder or permission, or a
    path that is no regular file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replace(folder + "/a") as file:
    ...         _ = file.write(b"whole")
    ...     os.listdir(folder)
    ['a']
    """
    with _explained(path) as target:
        _refuse_irregular(target)
        _refuse_stranger(path, target, kind, force)
        with _aside(target) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(file.name, target)
        _sync_folder(os.path.dirname(target))


_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@contextmanager
def _explained(path: Path) -> Iterator[str]:
    """The file behind any links, and the system's refusals to write it as sentences."""
    try:
        target = os.path.realpath(path)
    except ValueError as error:
        raise TidegateError(f"cannot write {os.fspath(path)!r}: a path has no zero byte; choose another one") from error
    try:
        yield target
    except OSError as error:
        folder = os.path.dirname(target)
        if error.filename not in (None, target, folder) and not _own(str(error.filename), folder):
            raise  # the block's own fault with another file
        raise TidegateError(f"cannot write {os.fspath(path)}: {_reason(error)}") from error


def _own(name: str, folder: str) -> bool:
    return name.startswith(os.path.join(folder, ".tidegate-"))


@contextmanager
def _aside(target: str) -> Iterator[IO[bytes]]:
    """A new file beside the target; removed in the end unless it was renamed, after an interrupt too."""
    aside = os.path.join(os.path.dirname(target), f".tidegate-{os.urandom(6).hex()}.tmp")
    try:
        with open(aside, "wb", opener=lambda name, flags: os.open(name, _CREATE, 0o666)) as file:
            yield file
    finally:
        with suppress(OSError):
            os.unlink(aside)


def _refuse_irregular(target: str) -> None:
    try:
        os.stat(target)
    except FileNotFoundError:
        return
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.path.isfile(target):
        raise OSError(errno.EINVAL, "it is no regular file; give the path of a file")


def _refuse_input(path: str, target: str, one: str) -> None:
    with suppress(OSError, ValueError):
        if os.path.isdir(one):
            folder = os.path.realpath(one)
            if os.path.commonpath([folder, target]) == folder:
                raise OptionError(f"{path} lies in {one}, which this command reads; write to a path outside of it")
        elif target == os.path.realpath(one) or (os.path.exists(target) and os.path.samefile(target, one)):
            same = "is" if path == one else f"is the same file as {one},"
            raise OptionError(f"{path} {same} an input of this command; choose another path to write to")


def _refuse_stranger(path: Path, target: str, kind: Kind | None, force: bool) -> None:
    if kind is None or force:
        return
    try:
        with open(target, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0 or kind.ours(file):
                return
    except FileNotFoundError:
        return
    except OSError as error:
        raise OptionError(
            f"{os.fspath(path)} is there already and cannot be read ({error.strerror}); choose another path to write to"
        ) from error
    raise OptionError(
        f"{os.fspath(path)} is there already and is not {kind.what}; choose another path, or replace it with --force "
        "(force=True in Python)"
    )


def _reserve(file: IO[bytes], size: int) -> None:
    """Take `size` bytes of the disk; where the system or the file system cannot, ask how many are free."""
    try:
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
    if hasattr(os, "fstatvfs"):
        disk = os.fstatvfs(file.fileno())
        if size > disk.f_bavail * disk.f_frsize:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _sync_folder(folder: str) -> None:
    """Make the rename itself last through a power cut, where the system can (POSIX)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):  # some network file systems cannot; the file itself is whole either way
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _held(lock: str, path: str, wait: Callable[[], None] | None) -> int | None:
    """The descriptor of the lock file, locked; None where the file system has no locks."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if not _taken(handle, wait):
                holder = os.pread(handle, 20, 0).decode("ascii", "replace")
                who = f"another process{f' ({holder})' if holder.isdigit() else ''}"
                raise TidegateError(f"{path}: {who} is writing it; wait until that is done, or choose another path")
            if _same(handle, lock):  # else its holder has just removed it
                os.ftruncate(handle, 0)
                os.pwrite(handle, str(os.getpid()).encode(), 0)
                return handle
        except BaseException as error:
            os.close(handle)
            if isinstance(error, OSError) and error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                return None
            raise
        os.close(handle)


def _taken(handle: int, wait: Callable[[], None] | None) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if wait is None:
            return False
        wait()
        fcntl.flock(handle, fcntl.LOCK_EX)
    return True


def _same(handle: int, lock: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(lock))
    except FileNotFoundError:
        return False


def _digest(name: str) -> str:
    import hashlib  # costs more than writing a small file

    return hashlib.sha256(os.fsencode(name)).hexdigest()[:12]


def _reason(error: OSError) -> str:
    return REMEDIES.get(error.errno or 0) or error.strerror or str(error)
