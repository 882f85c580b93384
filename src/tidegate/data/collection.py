"""A series, and a collection of series: the numbers of every step, and its place in the source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from tidegate.strictjson import canonical

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class Series:
    """One series: a row of numbers per step.

    Args:
        id: its name; "" if the source has none.
        values: float64 [T, C], T >= 1; NaN if a value is missing, never infinite.
        times: datetime64[us] [T], strictly increasing, without a zone, or in UTC if the source has a zone; None if the
            source has no times or counts its steps.
        label: of the whole series, or None.
        lines: for every step, its line (or row, or step) in the source, from 1.
        local: datetime64[us] [T], `times` as local times in the source's zone; None if it has no zone.
        zone: that zone: a name, the last step's offset such as "+01:00", or "".
        counts: int64 [T], strictly increasing, if the source counts its steps; else None.
        group: the same for series that belong together, such as those of one patient; None if there are no groups.
    """

    id: str
    values: Floats
    times: Times | None
    label: str | None
    lines: Sequence[int]
    local: Times | None = None
    zone: str = ""
    counts: npt.NDArray[np.int64] | None = None
    group: str | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, eq=False)
class Collection:
    """The series of one source; all have the same channels.

    Args:
        path: the path of the source, or what it is called in messages.
        columns: the names of the channels.
        series: in the source's order, one or more.
        sha256: of the source's bytes, in hexadecimal (docs/data.md says of which ones).
        form: how the source was interpreted.
        unit: what `Series.lines` counts: "line", "row" of a frame or Parquet file, or "step".
        files: for a folder, the path and the unit of every series.

    >>> one = Series("", np.array([[1.0], [2.0]]), None, None, range(2, 4))
    >>> load = Collection("load.csv", ["load"], [one], "", "table, one step a row", "line")
    >>> load.locate(0, 1), load.describe()
    ('load.csv:3', 'table, one step a row, 1 series of 2 steps, 1 channel')
    """

    path: str
    columns: list[str]
    series: list[Series]
    sha256: str
    form: str
    unit: str
    files: Sequence[tuple[str, str]] = field(default=())

    def __len__(self) -> int:
        return len(self.series)

    def locate(self, i: int, t: int) -> str:
        """Return where step t of series i is in the source, for a message. Both are counted from 0.

        Returns:
            "train.csv:17"; "frame, row 17"; "train.npz, series 3, step 12" (in a source of one series "train.npz, step
            12"); where one line holds the whole series, "train.csv:17, step 12".
        """
        path, unit = self.files[i] if self.files else (self.path, self.unit)
        lines = self.series[i].lines
        if unit == "step":
            several = f", series {i + 1}" if len(self.series) > 1 and not self.files else ""
            return f"{path}{several}, step {lines[t]}"
        place = f"{path}:{lines[t]}" if unit == "line" else f"{path}, row {lines[t]}"
        return f"{place}, step {t + 1}" if len(lines) > 1 and lines[0] == lines[1] else place

    def take(self, series: Iterable[int]) -> Self:
        """Return a collection of some series, with their places. Its hash is that of the source's hash and the series.

        >>> series = [Series("a", np.ones((1, 1)), None, None, [2]), Series("b", np.ones((1, 1)), None, None, [3])]
        >>> part = Collection("load.csv", ["load"], series, "", "a table", "line").take([1])
        >>> part.series[0].id, part.locate(0, 0)
        ('b', 'load.csv:3')
        """
        chosen = list(series)
        files = [self.files[i] for i in chosen] if self.files else ()
        sha256 = hash_part(self.sha256, chosen)
        return replace(self, series=[self.series[i] for i in chosen], files=files, sha256=sha256)

    def describe(self) -> str:
        """Return how the source was interpreted, with the numbers of series, channels and missing values."""
        steps = sorted(map(len, self.series))
        count = _count(len(steps), "series", "series")
        length = _count(steps[-1], "step", "steps") if steps[0] == steps[-1] else f"{steps[0]:,} to {steps[-1]:,} steps"
        parts = [self.form, f"{count} of {length}", _count(len(self.columns), "channel", "channels")]
        if gaps := sum(int(np.isnan(one.values).sum()) for one in self.series):
            parts.append(_count(gaps, "missing value", "missing values"))
        return ", ".join(parts)


def hash_part(sha256: str, numbers: Iterable[int]) -> str:
    """Return the hash of a part of a source: of the whole's hash and what the part has of it, in hexadecimal.

    >>> hash_part("ab", [0, 2]) == hash_part("ab", [0, 3])
    False
    """
    return hashlib.sha256(canonical([sha256, [int(i) for i in numbers]])).hexdigest()


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
