"""The description of a public data set, and the protocol of the sources that it can be fetched from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tidegate.data import cache
from tidegate.data.split_files import Pairs, SplitFile, csv_from_pairs
from tidegate.errors import DataError

__all__ = ["DataSet", "File", "Pairs", "Report", "Source", "SplitFile"]

Report = Callable[[str], None]
REMEDY = "or set TIDEGATE_DATA to a folder that holds the data set"


@dataclass(frozen=True)
class File:
    """One file of a source.

    Args:
        path: inside the source, with forward slashes, never compressed.
        size: in bytes.
        sha256: of those bytes, in hexadecimal.
    """

    path: str
    size: int
    sha256: str

    def check(self, data: bytes, origin: str) -> bytes:
        """Return the bytes if their checksum is that of this file.

        Raises:
            DataError: the size or the checksum differs.

        >>> File("a.txt", 1, "0" * 64).check(b"x", "z.zip")
        Traceback (most recent call last):
            ...
        tidegate.errors.DataError: a.txt of z.zip has SHA-256 2d711642b726, not 000000000000; replace it
        """
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.sha256:
            sums = f"SHA-256 {digest[:12]}, not {self.sha256[:12]}"
            raise DataError(f"{self.path} of {origin} has {sums}; replace it")
        return data


class Source(Protocol):
    """A place to fetch a data set from."""

    @property
    def files(self) -> Mapping[str, File]:
        """The files, each under a key that `DataSet.parse` expects."""

    def is_available(self) -> bool:
        """Return whether this source can be tried: a folder that exists, or any source on the network."""

    def fetch(self, say: Report) -> dict[str, bytes]:
        """Return the bytes of every file, with their checksums verified."""


@dataclass(frozen=True)
class DataSet:
    """One public data set.

    Args:
        title: what it is, in one line.
        task: the task it is for.
        licence: its licence, and whether it may be redistributed.
        source: where its files come from, in words.
        published: published results, each with its source.
        split: how train and test were divided, and by whom.
        rows: the number of rows in each split; `unit` says what a row is.
        labels: the number of labels in all splits together; 0 if there are none.
        sources: where to fetch it; the first available one is used.
        sums: the SHA-256 of each split's file that `parse` makes, in hexadecimal.
        parse: from the bytes of the files to (text, label) pairs, or a finished file, by split.
        unit: what `rows` counts: messages, series or steps.
        flags: those that `tidegate fit TASK` needs to read a split, and how far to forecast.
        suffix: the extension of its files.
    """

    title: str
    task: str
    licence: str
    source: str
    published: tuple[str, ...]
    split: str
    rows: Mapping[str, int]
    labels: int
    sources: tuple[Source, ...]
    sums: Mapping[str, str]
    parse: Callable[[Mapping[str, bytes]], Mapping[str, Pairs | SplitFile]]
    unit: str = "messages"
    flags: str = "--text text --label label"
    suffix: str = ".csv"

    def cache_key(self) -> str:
        """Return ten hexadecimal digits that change when the files do."""
        return hashlib.sha256(" ".join(self.sums.values()).encode()).hexdigest()[:10]

    def sums_by_file(self) -> dict[str, str]:
        """Return the checksums by file name, as the cache needs them."""
        return {split + self.suffix: digest for split, digest in self.sums.items()}

    def fetch(self, report: Report) -> dict[str, SplitFile]:
        """Return the file of every split, from the first available source.

        Raises:
            DataError: the source fails, or its content is not as expected.
        """
        source = next((source for source in self.sources if source.is_available()), None)
        if source is None:
            raise DataError(
                f"{self.title}: there is no public copy to fetch; set TIDEGATE_DATA to a folder that holds the data set"
            )
        parsed = self.parse(source.fetch(report))
        splits = {split: one if isinstance(one, SplitFile) else csv_from_pairs(one) for split, one in parsed.items()}
        rows = {split: one.rows for split, one in splits.items()}
        labels = len({label for one in splits.values() for label in one.labels})
        if rows != dict(self.rows) or labels != self.labels:
            expected = f"{dict(self.rows)} and {self.labels} labels"
            raise DataError(f"{self.title}: found {rows} and {labels} labels, expected {expected}; report this")
        if other := [split for split in splits if cache.sha256_of(splits[split].data) != self.sums[split]]:
            raise DataError(f"{self.title}: the file of split {other[0]} has an unexpected SHA-256; report this")
        return splits
