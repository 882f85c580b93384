"""A source at a public web address."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.data.dataset import REMEDY, File, Report
from tidegate.errors import DataError

TIMEOUT_S = 60


@dataclass(frozen=True)
class Web:
    """A source: files below one address.

    Args:
        address: ends in a slash; the path of a file is appended to it.
        files: see `Source`.
    """

    address: str
    files: Mapping[str, File]

    def is_available(self) -> bool:
        """Return True, because only trying can tell."""
        return True

    def fetch(self, report: Report) -> dict[str, bytes]:
        """Return the bytes of every file, with their checksums verified.

        Raises:
            DataError: an address that does not answer, or returns another file.
        """
        return {key: self._read(file, report) for key, file in self.files.items()}

    def _read(self, file: File, report: Report) -> bytes:
        address = self.address + file.path
        report(f"fetching {address} ({file.size / 1e6:.1f} MB)")
        try:
            data = download(address, file.size + 1)
        except urllib.error.HTTPError as error:
            raise DataError(f"{address} answered {error.code} {error.reason}; {REMEDY}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise DataError(f"{address} cannot be fetched ({reason}); check the network, {REMEDY}") from error
        return file.check(data, self.address)


def download(address: str, max_bytes: int) -> bytes:
    """Return up to `max_bytes` bytes from an address."""
    request = urllib.request.Request(address, headers={"User-Agent": "tidegate"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        data: bytes = response.read(max_bytes)
        return data
