"""Write aside, then rename: whoever reads a file sees the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from .errors import TidegateError

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
}


@contextmanager
def replace(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file to write to, which becomes `path` when the block ends and vanishes when the block raises.

    The bytes are on the disk before the name changes. A symbolic link is followed. The mode is what the umask
    leaves.

    Raises: TidegateError for a full disk, a missing folder or permission, or a path that is no regular file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replace(folder + "/a") as file:
    ...         _ = file.write(b"whole")
    ...     os.listdir(folder)
    ['a']
    """
    target = os.path.realpath(path)
    aside = os.path.join(os.path.dirname(target), f".tidegate-{os.urandom(6).hex()}.tmp")
    try:
        _refuse_irregular(target)
        with _removed_on_error(aside):
            with open(os.open(aside, _CREATE, 0o666), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, target)
        _sync_folder(os.path.dirname(target))
    except OSError as error:
        if error.filename not in (None, aside, target):
            raise  # the block's own fault with another file
        raise TidegateError(f"cannot write {os.fspath(path)}: {_reason(error)}") from error


_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def _refuse_irregular(target: str) -> None:
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if os.path.exists(target) and not os.path.isfile(target):
        raise OSError(errno.EINVAL, "it is no regular file; give the path of a file")


@contextmanager
def _removed_on_error(aside: str) -> Iterator[None]:
    try:
        yield
    except BaseException:  # an interrupt too must leave nothing behind
        with suppress(OSError):
            os.unlink(aside)
        raise


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


def _reason(error: OSError) -> str:
    return REMEDIES.get(error.errno or 0) or error.strerror or str(error)
