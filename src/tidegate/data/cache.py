"""The cache of fetched data sets: one folder each, written under another name, renamed, and verified by checksums."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tidegate import atomic, files
from tidegate.data.split_files import SplitFile
from tidegate.errors import DataError

VARIABLE = "TIDEGATE_CACHE"


def root_folder() -> Path:
    """Return the cache folder: TIDEGATE_CACHE, else tidegate in XDG_CACHE_HOME, else ~/.cache/tidegate."""
    if folder := os.environ.get(VARIABLE):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "tidegate"


def load(name: str, sums: Mapping[str, str]) -> dict[str, Path] | None:
    """Return the file of each split in the cache folder `name`; None if one is missing or its checksum differs.

    Args:
        name: of the folder.
        sums: the SHA-256 of each split's file, by file name.
    """
    paths = {Path(file).stem: root_folder() / name / file for file in sums}
    try:
        whole = all(sha256_of(files.read(path, DataError)) == sums[path.name] for path in paths.values())
    except DataError:
        return None
    return paths if whole else None


def store(name: str, splits: Mapping[str, SplitFile]) -> None:
    """Write the file of every split into the cache folder `name`: all or nothing.

    Args:
        name: of the folder.
        splits: the files by split.

    Raises:
        DataError: the cache cannot be written.
    """
    with scratch_folder() as folder:
        _write_files(folder, splits)
        _rename(folder, root_folder() / name)


@contextmanager
def lock(name: str, wait: Callable[[], None]) -> Iterator[None]:
    """Hold a lock, so that only one process at a time fetches into the cache folder `name`.

    Args:
        name: of the folder.
        wait: is called once, before waiting for another process.

    Raises:
        DataError: the cache cannot be written.
    """
    with _explain_errors():
        root_folder().mkdir(parents=True, exist_ok=True)
    with atomic.lock(root_folder() / name, wait):
        yield


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a new folder in the cache, and remove it at the end with everything in it.

    Raises:
        DataError: the cache cannot be written.
    """
    with _explain_errors():
        root_folder().mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".aside-", dir=root_folder()))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _write_files(folder: Path, splits: Mapping[str, SplitFile]) -> None:
    for split, file in splits.items():
        (folder / (split + file.suffix)).write_bytes(file.data)
    folder.chmod(0o755)


def _rename(folder: Path, target: Path) -> None:
    """Rename a finished folder to its final name, and remove a damaged one of that name."""
    if target.exists():
        old = folder.with_name(f"{folder.name}-old")
        with suppress(FileNotFoundError):
            target.rename(old)
            shutil.rmtree(old, ignore_errors=True)
    try:
        folder.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise  # otherwise another process was faster, with the same files


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _explain_errors() -> Iterator[None]:
    """Turn an OSError into a DataError that says what to do."""
    try:
        yield
    except OSError as error:
        place, remedy = f"the cache {root_folder()}", f"set {VARIABLE} to another folder"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"the disk of {place} is full; free some space, or {remedy}") from error
        raise DataError(f"{place} cannot be written ({error.strerror or error}); {remedy}") from error
