"""What `predict` prints and writes of a detector: the events in the series of a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..data.series import Collection
from ..features.frequency import format_times
from ..text_tables import format_count, format_table, shorten

NAME_WIDTH = 24


@dataclass(frozen=True)
class EventPredictions:
    """The events of all series of a file.

    answers: an `Alarm` about each. steps: of each, those that the model reads.
    """

    source: Collection
    answers: list[Any]
    steps: list[Any]
    file: str

    @property
    def columns(self) -> dict[str, type]:
        place = int if self.times is None else str
        named = {"series": str, "event": int, "start": place, "end": place, "peak": place}
        return {**named, "severity": float, "channels": str}

    @cached_property
    def times(self) -> list[list[str]] | None:
        """The times of the steps of each series as text; None where a series has none: then steps have numbers."""
        found = [format_times(s.times, s.local, s.zone) for s in self.source.series if s.times is not None]
        return found if len(found) == len(self.source) else None

    def rows(self) -> Iterator[list[Any]]:
        """Iterate over a row for each event: where it starts, ends and is the strongest, and what drove it."""
        for i, (series, answer, steps) in enumerate(zip(self.source.series, self.answers, self.steps, strict=True)):
            for one in answer.events:
                places = [int(steps[step]) for step in (one.start, one.end, one.peak)]
                named = places if self.times is None else [self.times[i][step] for step in places]
                yield [series.id, one.number, *named, one.severity, " ".join(one.channels)]

    def records(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows())

    @property
    def warnings(self) -> list[str]:
        """Say which series are too short for a score."""
        short = [
            s.id or self.file for s, one in zip(self.source.series, self.answers, strict=True) if one.score is None
        ]
        if not short:
            return []
        names = ", ".join(map(repr, short[:3])) + (f" and {len(short) - 3:,} more" if len(short) > 3 else "")
        return [f"without a score, as the warm-up takes all steps: {names}"]

    @property
    def notes(self) -> list[str]:
        """Say how many events there are, and where the threshold has followed a drift."""
        count = sum(len(one.events) for one in self.answers)
        levels = [(one.level, s.id) for s, one in zip(self.source.series, self.answers, strict=True) if one.level > 1]
        steps = sum(map(len, self.source.series))
        found = [f"{format_count(count, 'event')} in {format_count(steps, 'step')}"]
        if levels:
            level, name = max(levels)
            of = f" of {name!r}" if name else ""
            found.append(f"the scores{of} have drifted, and the threshold with them, at the end {level:.2f}-fold")
        return found

    def format(self, width: int | None, unicode: bool) -> Iterator[str]:
        rows = [[shorten(str(row[0]), NAME_WIDTH), *row[1:]] for row in self.rows()]
        several = any(row[0] for row in rows)
        head = list(self.columns)
        if rows:
            cut = 0 if several else 1
            yield format_table(head[cut:], [row[cut:] for row in rows], words_last=True, width=width)
