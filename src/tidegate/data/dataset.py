"""What the catalogue knows about one public data set, and the sources that it can come from."""

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
        """The same bytes, if they are this file.

        Raises:
            DataError: another size or sum.

        >>> File("a.txt", 1, "0" * 64).checked(b"x", "z.zip")
        Traceback (most recent call last):
            ...
        tidegate.errors.DataError: a.txt of z.zip has SHA-256 2d711642b726, not 000000000000; replace it
        """
        found = hashlib.sha256(data).hexdigest()
        if found != self.sha256:
            sums = f"SHA-256 {found[:12]}, not {self.sha256[:12]}"
            raise DataError(f"{self.path} of {origin} has {sums}; replace it")
        return data


class Source(Protocol):
    """A place that a data set can come from."""

    @property
    def files(self) -> Mapping[str, File]:
        """The files, each under a key that the set's `parse` knows."""

    def is_available(self) -> bool:
        """Whether this source can be tried: a folder is there, or it is one of the network."""

    def fetch(self, say: Report) -> dict[str, bytes]:
        """The bytes of every file, sums checked."""


@dataclass(frozen=True)
class DataSet:
    """One public data set.

    Args:
        title: what it is, in one line.
        task: the task it is for.
        licence: and who may redistribute it.
        source: where its files come from, for a reader.
        published: results of others, each with where it was read.
        split: where train and test were divided, and by whom.
        rows: how many rows each split has; what a row is, `unit` says.
        labels: how many labels there are in all splits together; 0 where there are none.
        sources: tried in this order; the first that is here is used.
        sums: the SHA-256 of the file that `parse` makes of each split, in hexadecimal.
        parse: from the bytes of the files to (text, label) pairs, or the finished file, by split.
        unit: what `rows` counts: messages, series or steps.
        flags: those that `tidegate fit TASK` needs: how to read a split, and how far to forecast.
        suffix: that of its files.
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
        """Ten digits that change when the files do."""
        return hashlib.sha256(" ".join(self.sums.values()).encode()).hexdigest()[:10]

    def sums_by_file(self) -> dict[str, str]:
        """The sums by the name of the file, as the cache has them."""
        return {split + self.suffix: found for split, found in self.sums.items()}

    def fetch(self, report: Report) -> dict[str, SplitFile]:
        """The file of every split, from the first source that is here.

        Raises:
            DataError: the source fails, or holds something else than expected.
        """
        source = next((source for source in self.sources if source.is_available()), None)
        if source is None:
            raise DataError(
                f"{self.title}: it cannot be fetched; set TIDEGATE_DATA to a folder that holds the data set"
            )
        parsed = self.parse(source.fetch(report))
        splits = {split: one if isinstance(one, SplitFile) else csv_from_pairs(one) for split, one in parsed.items()}
        rows = {split: one.rows for split, one in splits.items()}
        labels = len({label for one in splits.values() for label in one.labels})
        if rows != dict(self.rows) or labels != self.labels:
            expected = f"{dict(self.rows)} and {self.labels} labels"
            raise DataError(f"{self.title}: found {rows} and {labels} labels, expected {expected}; report this")
        if other := [split for split in splits if cache.sha256_of(splits[split].data) != self.sums[split]]:
            raise DataError(f"{self.title}: the file made for {other[0]} has another SHA-256; report this")
        return splits
