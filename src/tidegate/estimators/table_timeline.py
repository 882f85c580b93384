"""Tables with a column of times, where there is one, which goes on: the part that is alike in every library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.series_frames import of_frame
from ..data.times import Stamps
from ..errors import DataError
from ..features.frequency import shown
from .timeline import ENDS, Floats, Steps, Timeline, names_of


class TableTimeline(Timeline):
    """A table of columns of numbers and at most one of times or counts, which answers have too.

    A library says how a column and a table of it are made.
    """

    form = "table"

    def __init__(self, y: Any, flat: bool = False) -> None:
        names_of(list(y.columns if hasattr(y, "columns") else ()))
        found = of_frame(y)
        self.flat, self.names, self.values = flat, found.names, found.values
        self.columns = None if flat and not self.names[0] else self.names
        self.clock = found.clock
        self.times, self.local, self.zone, self.counts = found.stamps

    @property
    def stamps(self) -> Stamps:
        return Stamps(self.times, self.local, self.zone, self.counts)

    def settle(self) -> None:
        if self.clock is not None and self.counts is None:
            self.settle_times(f"in column {self.clock!r}")
        elif self.counts is not None and len(set(np.diff(self.counts).tolist())) > 1:
            raise DataError(f"column {self.clock!r} leaves steps out; add them, with no numbers where nothing is known")

    @property
    def cutoff(self) -> Any:
        """The last time or count, or the index of the last step."""
        if self.clock is None:
            return len(self) - 1
        return self.listed(self.stamps.at(slice(-1, None)))[0]

    def onward(self, count: int) -> Stamps:
        """The times or counts of the steps after this series."""
        if self.counts is not None:
            gap = int(self.counts[-1] - self.counts[-2]) if len(self.counts) > 1 else 1
            return Stamps(counts=self.counts[-1] + gap * np.arange(1, count + 1))
        return Stamps(*self.following(count), self.zone)

    def joined(self, more: Timeline) -> Timeline:
        made = super().joined(more)
        assert isinstance(more, TableTimeline)
        assert isinstance(made, TableTimeline)
        if self.clock is None or more.clock is None:
            if (self.clock is None) != (more.clock is None):
                raise DataError("one part has a column of times and the other has none; give both or neither")
            return made
        ahead = self.onward(len(more))
        expected, given = ahead.ticks, more.stamps.ticks
        if expected is None or given is None or not np.array_equal(expected, given):
            first, last, next_ = (
                self.listed(s.at(slice(k, k + 1 or None)))[0]
                for s, k in ((more.stamps, 0), (self.stamps, -1), (ahead, 0))
            )
            raise DataError(f"y goes on at {first}; the step after the last one, {last}, is {next_}")
        made.times, made.local, made.counts = (
            None if old is None or new is None else np.concatenate([old, new])
            for old, new in ((self.times, ahead.times), (self.local, ahead.local), (self.counts, ahead.counts))
        )
        return made

    def beside(self, X: Timeline) -> Floats:
        return super().beside(X) if self.clock is None else self.rows_at(X, self.stamps)

    def ahead(self, X: Timeline, count: int) -> Floats:
        return super().ahead(X, count) if self.clock is None else self.rows_at(X, self.onward(count))

    def rows_at(self, X: Timeline, wanted: Stamps) -> Floats:
        """The rows of X at these times. Raises DataError for one that it does not have."""
        if not isinstance(X, TableTimeline) or X.stamps.ticks is None or (X.times is None) != (self.times is None):
            raise DataError("y has a column of times and X has none; give both in one form")
        places = {tick: i for i, tick in enumerate(X.stamps.ticks.tolist())}
        ticks = [] if wanted.ticks is None else wanted.ticks.tolist()
        for k, tick in enumerate(ticks):
            if tick not in places:
                raise DataError(f"X has no row for {self.listed(wanted)[k]}; give it one for every step")
        return np.asarray(X.values[[places[tick] for tick in ticks]])

    # ---- answers

    def listed(self, stamps: Stamps) -> list[Any]:
        """Times or counts as values of Python."""
        raise NotImplementedError

    def made(self, columns: dict[str, npt.NDArray[Any]], stamps: Stamps | None) -> Any:
        """A table of these columns, after that of the times."""
        raise NotImplementedError

    def answer(self, steps: Steps, values: Floats) -> Any:
        return self.frame(steps, dict(zip(self.names, values.T, strict=True)))

    def spread(self, steps: Steps, values: Floats, levels: Sequence[Any]) -> Any:
        columns: dict[str, npt.NDArray[Any]] = {}
        for c, name in enumerate(self.names):
            for k, level in enumerate(levels):
                if values.ndim == 3:
                    columns["_".join(filter(None, (name, str(level))))] = values[:, c, k]
                    continue
                for e, end in enumerate(ENDS):
                    columns["_".join(filter(None, (name, end, str(level))))] = values[:, c, k, e]
        return self.frame(steps, columns)

    def frame(self, steps: Steps, columns: dict[str, npt.NDArray[Any]]) -> Any:
        if self.clock is None:
            return self.made(columns, None)
        return self.made(columns, self.onward(int(steps.max())).at(steps - 1))


class ArrowTimeline(TableTimeline):
    """A table of Arrow; answers are tables of pyarrow."""

    form = "Arrow"

    def __init__(self, y: Any) -> None:
        import pyarrow

        table = pyarrow.table(y)
        names_of(table.column_names)
        super().__init__(table)
        self.kind: Any = None if self.clock is None else table.schema.field(self.clock).type

    def listed(self, stamps: Stamps) -> list[Any]:
        return list(self.column(stamps).to_pylist())

    def column(self, stamps: Stamps) -> Any:
        import pyarrow

        if stamps.times is None:
            return pyarrow.array(stamps.counts).cast(self.kind)
        if not pyarrow.types.is_timestamp(self.kind) and not pyarrow.types.is_date(self.kind):
            return pyarrow.array(shown(stamps.times, stamps.local, stamps.zone)).cast(self.kind)
        moments = pyarrow.array(stamps.times.astype("M8[us]"))
        zone = getattr(self.kind, "tz", None)
        return (moments.cast(pyarrow.timestamp("us", zone)) if zone else moments).cast(self.kind)

    def made(self, columns: dict[str, npt.NDArray[Any]], stamps: Stamps | None) -> Any:
        import pyarrow

        times: dict[Any, Any] = {} if stamps is None else {self.clock: self.column(stamps)}
        return pyarrow.table({**times, **columns})
