"""A data set at a public web address."""

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
        address: ends in a slash; a file's path follows it.
        files: see `Source`.
    """

    address: str
    files: Mapping[str, File]

    def is_available(self) -> bool:
        """True: only trying tells."""
        return True

    def fetch(self, report: Report) -> dict[str, bytes]:
        """The bytes of every file, sums checked.

        Raises:
            DataError: an address that does not answer, or gives another file.
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
    """The first `most` bytes at an address."""
    request = urllib.request.Request(address, headers={"User-Agent": "tidegate"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        data: bytes = answer.read(max_bytes)
        return data
