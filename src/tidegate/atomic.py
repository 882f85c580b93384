"""Write files safely: check what may be replaced, check the space, lock, and write a file whole or not at all.

All files that tidegate writes go through this module. A new file is written next to its path and then renamed, so
readers see the old file or the new one, never half of one. An input of the same command is never replaced, and a file
of another kind is replaced only with `force`.
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
except ImportError:  # not POSIX: then there are no locks
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


class FileKind(NamedTuple):
    """A kind of file that a writer makes.

    description: its name, such as "a tidegate model file". matches: tells whether an open binary file is of this kind.
    """

    description: str
    matches: Callable[[IO[bytes]], bool]


def kind_from_start(what: str, start: bytes) -> FileKind:
    """Make a kind of file that is recognised by its first bytes. what: what such a file is called.

    >>> import io
    >>> kind_from_start("a PNG", b"\\x89PNG").matches(io.BytesIO(b"text,label"))
    False
    """
    return FileKind(what, lambda file: file.read(len(start)) == start)


# --- before the work


def check(path: Path, kind: FileKind | None = None, inputs: Iterable[Path] = (), force: bool = False) -> None:
    """Refuse early what `replace` would refuse at the end, and a path that is an input of the same command.

    inputs: the files and folders that are read; `path` may not be one of these files, under any name or link, and may
    not be inside one of these folders. kind, force: as for `replace`.

    Raises: OptionError for an input or a file of another kind; TidegateError for a path that cannot be written.

    >>> check("train.csv", inputs=["train.csv"])
    Traceback (most recent call last):
        ...
    tidegate.errors.OptionError: train.csv is an input of this command; choose another path to write to
    """
    with _explain_os_errors(path) as target:
        _refuse_irregular(target)
        if not os.path.isdir(folder := os.path.dirname(target)):
            raise OSError(errno.ENOENT, "", folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, "", folder)
    for source in inputs:
        _refuse_input(os.fspath(path), target, os.fspath(source))
    _refuse_other_kind(path, target, kind, force)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, unless they exist.

    Raises: TidegateError if there is a file of that name, or the folder cannot be made.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     make_folder(folder + "/a/b")
    ...     os.listdir(folder)
    ['a']
    """
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError as error:
        raise TidegateError(f"{os.fspath(path)} is a file; give the path of a folder to write into") from error
    except OSError as error:
        raise TidegateError(f"cannot make the folder {os.fspath(path)}: {_reason(error)}") from error


def check_space(path: Path, sizes: Iterable[int]) -> None:
    """Check that there is space next to `path` for files of these sizes in bytes, all at once; leave none behind.

    Raises: TidegateError if the disk, a quota or a limit of this process does not allow them.
    """
    with _explain_os_errors(path) as target, ExitStack() as files:
        for size in sizes:
            _reserve(files.enter_context(_open_temporary(target)), size)


@contextmanager
def lock(path: Path, wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock on `path`, so that no other process writes it while the block runs.

    The lock ends with the process, however that ends; a lock file that is left behind locks nothing. On a file system
    without locks, nothing is locked. wait: called once before waiting for another process; None: do not wait, raise.

    Raises: TidegateError for a path that another process is writing.
    """
    handle = None
    with _explain_os_errors(path) as target:
        lock = os.path.join(os.path.dirname(target), f".tidegate-{_digest(os.path.basename(target))}.lock")
        if fcntl is not None:
            handle = _acquire_lock(lock, os.fspath(path), wait)
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                os.unlink(lock)  # before the lock is released, so that no other process's file is removed
            os.close(handle)


# --- writing


@contextmanager
def replace(path: Path, kind: FileKind | None = None, force: bool = False) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces `path` when the block ends, or is removed when the block raises.

    The bytes are on the disk before the file is renamed. Symbolic links are followed. The mode is what the umask
    allows. kind: the kind of file that is written; an existing file of another kind is replaced only with `force`,
    unless it is empty.

    Raises: OptionError for an existing file of another kind; TidegateError for a full disk, a missing folder or
    permission, or a path that is not a regular file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replace(folder + "/a") as file:
    ...         _ = file.write(b"whole")
    ...     os.listdir(folder)
    ['a']
    """
    with _explain_os_errors(path) as target:
        _refuse_irregular(target)
        _refuse_other_kind(path, target, kind, force)
        with _open_temporary(target) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(file.name, target)
        _sync_folder(os.path.dirname(target))


_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@contextmanager
def _explain_os_errors(path: Path) -> Iterator[str]:
    """Give the block the file behind any links, and raise the system's errors in writing it as TidegateError."""
    try:
        target = os.path.realpath(path)
    except ValueError as error:
        raise TidegateError(
            f"cannot write {os.fspath(path)!r}: a path cannot contain a zero byte; choose another one"
        ) from error
    try:
        yield target
    except OSError as error:
        folder = os.path.dirname(target)
        if error.filename not in (None, target, folder) and not _is_own(str(error.filename), folder):
            raise  # an error of the block with another file
        raise TidegateError(f"cannot write {os.fspath(path)}: {_reason(error)}") from error


def _is_own(name: str, folder: str) -> bool:
    return name.startswith(os.path.join(folder, ".tidegate-"))


@contextmanager
def _open_temporary(target: str) -> Iterator[IO[bytes]]:
    """Open a new file next to the target, and remove it at the end unless it was renamed, even after an interrupt."""
    temporary = os.path.join(os.path.dirname(target), f".tidegate-{os.urandom(6).hex()}.tmp")
    try:
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, _CREATE, 0o666)) as file:
            yield file
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _refuse_irregular(target: str) -> None:
    try:
        os.stat(target)
    except FileNotFoundError:
        return
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.path.isfile(target):
        raise OSError(errno.EINVAL, "it is not a regular file; give the path of a file")


def _refuse_input(path: str, target: str, source: str) -> None:
    with suppress(OSError, ValueError):
        if os.path.isdir(source):
            folder = os.path.realpath(source)
            if os.path.commonpath([folder, target]) == folder:
                raise OptionError(f"{path} is inside {source}, which this command reads; write to a path outside it")
        elif target == os.path.realpath(source) or (os.path.exists(target) and os.path.samefile(target, source)):
            same = "is" if path == source else f"is the same file as {source},"
            raise OptionError(f"{path} {same} an input of this command; choose another path to write to")


def _refuse_other_kind(path: Path, target: str, kind: FileKind | None, force: bool) -> None:
    if kind is None or force:
        return
    try:
        with open(target, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0 or kind.matches(file):
                return
    except FileNotFoundError:
        return
    except OSError as error:
        raise OptionError(
            f"{os.fspath(path)} already exists and cannot be read ({error.strerror}); choose another path to write to"
        ) from error
    raise OptionError(
        f"{os.fspath(path)} already exists and is not {kind.description}; "
        "choose another path, or replace it with --force (force=True in Python)"
    )


def _reserve(file: IO[bytes], size: int) -> None:
    """Reserve `size` bytes of the disk; if the system or file system cannot reserve, check how many are free."""
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
    """Make sure that the rename survives a power cut, if the system can (POSIX)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):  # some network file systems cannot; the file itself is complete either way
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _acquire_lock(lock: str, path: str, wait: Callable[[], None] | None) -> int | None:
    """Open the lock file, lock it and return its descriptor; None if the file system has no locks."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            if not _try_lock(handle, wait):
                owner = os.pread(handle, 20, 0).decode("ascii", "replace")
                process = f"another process{f' ({owner})' if owner.isdigit() else ''}"
                raise TidegateError(f"{path}: {process} is writing it; wait until it is done, or choose another path")
            if _is_same_file(handle, lock):  # otherwise its owner has just removed it
                os.ftruncate(handle, 0)
                os.pwrite(handle, str(os.getpid()).encode(), 0)
                return handle
        except BaseException as error:
            os.close(handle)
            if isinstance(error, OSError) and error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                return None
            raise
        os.close(handle)


def _try_lock(handle: int, wait: Callable[[], None] | None) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if wait is None:
            return False
        wait()
        fcntl.flock(handle, fcntl.LOCK_EX)
    return True


def _is_same_file(handle: int, lock: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(lock))
    except FileNotFoundError:
        return False


def _digest(name: str) -> str:
    import hashlib  # here, as importing it takes longer than writing a small file

    return hashlib.sha256(os.fsencode(name)).hexdigest()[:12]


def _reason(error: OSError) -> str:
    return REMEDIES.get(error.errno or 0) or error.strerror or str(error)
