"""A source in the local folder that TIDEGATE_DATA names."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tidegate import files
from tidegate.data.dataset import File, Report
from tidegate.errors import DataError

VARIABLE = "TIDEGATE_DATA"
REMEDY = f"unset {VARIABLE} to fetch"


@dataclass(frozen=True)
class Folder:
    """A source: the folder `name` inside TIDEGATE_DATA; its files may be compressed with gzip.

    Args:
        name: of the folder.
        files: see `Source`.
    """

    name: str
    files: Mapping[str, File]

    def is_available(self) -> bool:
        """Return whether TIDEGATE_DATA is set and contains this folder.

        Raises:
            DataError: TIDEGATE_DATA is not a folder.
        """
        root = os.environ.get(VARIABLE)
        if root and not os.path.isdir(root):
            raise DataError(f"{VARIABLE} is {root!r}, which is not a folder; correct it or unset it")
        return bool(root) and self._path().is_dir()

    def fetch(self, report: Report) -> dict[str, bytes]:
        """Return the bytes of every file, with their checksums verified.

        Raises:
            DataError: a file that is missing, unreadable, or has another checksum.
        """
        report(f"reading {self._path()}")
        return {key: self._read(file) for key, file in self.files.items()}

    def _path(self) -> Path:
        return Path(os.environ.get(VARIABLE, "")) / self.name

    def _read(self, file: File) -> bytes:
        plain = self._path() / file.path
        packed = plain.with_name(f"{plain.name}.gz")
        if not plain.exists() and not packed.exists():
            raise DataError(f"neither {plain} nor {packed.name} exists; add one, or {REMEDY}")
        path = plain if plain.exists() else packed
        data = files.read(path, DataError)
        try:
            data = data if path == plain else gzip.GzipFile(fileobj=io.BytesIO(data)).read(file.size + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} cannot be read: {error}; replace it, or {REMEDY}") from error
        return file.check(data, str(self._path()))
